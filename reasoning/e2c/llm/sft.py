"""SFT and EF-SFT of a local model by Tunix's trainer, with our masks and loss."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from jaxrl.app.errors import UserError
from jaxrl.app.progress import log
from jaxrl.train.metrics import MetricsLog, lines_until
from jaxrl.train.rundir import open_run
from reasoning.e2c.backends.tunix_local import forward
from reasoning.e2c.datagen import training_texts
from reasoning.e2c.format import DEFAULT, E2CFormat
from reasoning.e2c.llm import extra
from reasoning.e2c.llm.config import LocalModel, SFTTraining
from reasoning.e2c.llm.load import Loaded, load_model
from reasoning.e2c.llm.prompts import prompt_text
from reasoning.e2c.llm.tags import markers, write_tags
from reasoning.e2c.losses import ef_sft_mask, masked_nll, phase_entropy
from reasoning.e2c.masks import Markers
from reasoning.e2c.records import Record, is_blank, read_records


class Encoded(NamedTuple):
    """R rows of T tokens."""

    ids: np.ndarray
    """int32 `[R, T]`, padded on the right with any token: `valid` says which are none."""
    valid: np.ndarray
    """bool `[R, T]`"""
    trained: np.ndarray
    """bool `[R, T]`"""
    response: np.ndarray
    """bool `[R, T]`: all response tokens, for entropies."""


class Micro(NamedTuple):
    """B rows of T tokens, a part of an update."""

    ids: np.ndarray
    valid: np.ndarray
    trained: np.ndarray
    response: np.ndarray
    share: np.ndarray
    """float32: trained tokens of a part of this update on average; losses are sums over it, so
    that gradients of parts average to the gradient of the whole update, token for token.
    """


def encode_rows(
    records: list[Record],
    tokenizer: Any,
    config: SFTTraining,
    whole: bool,
    where: str,
    layout: E2CFormat = DEFAULT,
) -> Encoded:
    """Prompts and responses as tokens; rows longer than `max_length` are left out, and counted in
    the log.

    Args:
      records: rows of the data, as `datagen` writes them.
      tokenizer: tokenizer of the model.
      config: `max_length` T, and `trained`.
      whole: train all response tokens, also in EF-SFT (rows of the base domain).
      where: name of the data in messages.
      layout: tags and sentences.

    Returns:
      int32 and bool arrays `[R, T]`, R the rows that are kept.

    Raises:
      UserError: nothing is left.
    """

    def encode(text):
        return tokenizer.encode(text, add_special_tokens=False)

    pairs = [
        (encode(prompt_text(tokenizer, p)), [*encode(r), tokenizer.eos_token_id])
        for p, r in training_texts(checked(records, where), layout)
    ]
    if not pairs:
        raise UserError(f"{where} has no row to train on: it is empty, or all rows were rejected")
    kept = [(p, r) for p, r in pairs if len(p) + len(r) <= config.max_length]
    if not kept:
        raise UserError(
            f"{where} has no row of at most {config.max_length} tokens: raise "
            "--training.max-length or generate data"
        )
    if len(kept) < len(pairs):
        log(
            f"{len(pairs) - len(kept)} of {len(pairs)} rows of {where} are longer than "
            f"{config.max_length} tokens and left out"
        )
    ids = np.full((len(kept), config.max_length), tokenizer.eos_token_id, np.int32)
    valid, response = np.zeros(ids.shape, bool), np.zeros(ids.shape, bool)
    for number, (prompt, reply) in enumerate(kept):
        ids[number, : len(prompt) + len(reply)] = prompt + reply
        valid[number, : len(prompt) + len(reply)] = True
        response[number, len(prompt) : len(prompt) + len(reply)] = True
    ef = config.trained == "plan" and not whole
    trained = np.asarray(ef_sft_mask(ids, response, markers(tokenizer))) if ef else response
    return Encoded(ids, valid, trained, response)


def checked(records: list[Record], where: str) -> list[Record]:
    """Records with all that training needs.

    Raises:
      UserError: a row lacks a field (its number is named).
    """
    for number, record in enumerate(records, 1):
        for name in (
            () if "rejected" in record else ("question", "answer", "exploration", "re_execution")
        ):
            if is_blank(record.get(name)):
                raise UserError(
                    f"{where}, row {number}, has no {name}: rows are written by gen-data"
                )
    return records


def all_rows(config: SFTTraining, tokenizer: Any, layout: E2CFormat = DEFAULT) -> Encoded:
    """The rows of the data, and the share of base rows that EF-SFT mixes in, drawn at random."""

    def read(path, whole):
        return encode_rows(read_records(path), tokenizer, config, whole, str(path), layout)

    rows = read(config.data, False)
    if config.trained == "all" or config.base_data is None:
        return rows
    base = read(config.base_data, True)
    count = min(max(1, round(config.base_share * len(rows.ids))), len(base.ids))
    drawn = np.random.default_rng((config.seed, 1)).choice(len(base.ids), count, replace=False)
    return Encoded(*(np.concatenate([a, b[drawn]]) for a, b in zip(rows, base, strict=True)))


def batches(rows: Encoded, config: SFTTraining) -> Iterator[Micro]:
    """All parts of all updates from the first: epoch after epoch, each in an order of its own.
    Tunix passes over those it has made already.
    """
    count = len(rows.ids)

    def order(epoch):
        return np.random.default_rng((config.seed, epoch)).permutation(count)

    for step in range(config.steps):
        places = [divmod(step * config.batch + i, count) for i in range(config.batch)]
        orders = {epoch: order(epoch) for epoch in {epoch for epoch, _ in places}}
        chosen = [orders[epoch][place] for epoch, place in places]
        parts = config.batch // (config.micro_batch or config.batch)
        share = np.float32(max(1, rows.trained[chosen][:, 1:].sum()) / parts)
        for part in np.split(np.array(chosen), parts):
            yield Micro(*(a[part] for a in rows), share)


def optimizer(config: SFTTraining) -> optax.GradientTransformation:
    """AdamW with warm-up and cosine."""
    warmup = max(1, config.steps // 10)
    rate = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, warmup, max(config.steps, warmup + 1)
    )
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(rate, 0.9, 0.95, weight_decay=config.weight_decay),
    )


def loss(model: Any, batch: Micro, tags: Markers):
    """Mean NLL of trained tokens; tokens read, pads apart, and the entropies of both phases."""
    target, counted = batch.ids[:, 1:], batch.trained[:, 1:]
    logits = forward(model, batch.ids, batch.valid)[:, :-1]
    plan, execution = phase_entropy(
        jax.lax.stop_gradient(logits), target, batch.response[:, 1:], tags
    )
    value = masked_nll(logits, target, counted) * counted.sum() / batch.share
    return value, {
        "loss": value,
        "tokens": batch.valid.sum(),
        "plan_entropy": plan,
        "execution_entropy": execution,
    }


def train(
    local: LocalModel, config: SFTTraining, run_dir: str | Path, layout: E2CFormat = DEFAULT
) -> Loaded:
    """Train, with checkpoints; a folder that was begun is continued. Returns the trained model.

    Args:
      local: folder, type, mesh and adapters of the model.
      config: data, updates and settings of AdamW.
      run_dir: folder of checkpoints and metrics, made if it is not there.
      layout: tags and sentences.

    Raises:
      UserError: model, data or folder do not work.
    """
    check(config)
    loaded = load_model(local)
    rows, folder = (
        all_rows(config, loaded.tokenizer, layout),
        open_run(run_dir, _described(local, config)),
    )
    write_tags(folder, loaded.tags, loaded.untrained_tags)
    trainer = make_trainer(loaded, config, folder)
    start = trainer.train_steps
    log(
        f"{len(rows.ids)} rows, {int(rows.trained.sum())} trained tokens per epoch; from update "
        f"{start} of {config.steps}"
    )
    with contextlib.closing(trainer.watch.log), loaded.mesh:
        trainer.train(batches(rows, config))
    trainer.close()
    return loaded


def check(config: SFTTraining) -> None:
    """Refuse parts that do not make up a batch.

    Raises:
      UserError: with the field.
    """
    for name in ("steps", "batch"):
        if getattr(config, name) < 1:
            raise UserError(f"{name} is {getattr(config, name)}: it must be at least 1")
    if not 0 <= config.base_share <= 1:
        raise UserError(f"base_share is {config.base_share}: it is a share, between 0 and 1")
    if config.micro_batch is not None and (
        config.micro_batch < 1 or config.batch % config.micro_batch
    ):
        raise UserError(
            f"batch {config.batch} is no multiple of micro_batch {config.micro_batch}: choose "
            "another one"
        )


def _described(local: LocalModel, config: SFTTraining) -> dict:
    def plain(c):
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in vars(c).items()
        }

    return json.loads(json.dumps({"model": plain(local), "training": plain(config)}))


def make_trainer(loaded: Loaded, config: SFTTraining, folder: Path):
    """Tunix's trainer with our loss; it writes metrics.jsonl with tokens per second and the
    entropies of both phases.
    """
    peft, ocp = extra.load("tunix.sft.peft_trainer"), extra.load("orbax.checkpoint")
    options = peft.TrainingConfig(
        eval_every_n_steps=config.steps + 1,
        max_steps=config.steps,
        gradient_accumulation_steps=config.batch // (config.micro_batch or config.batch),
        checkpoint_root_directory=str(folder / "checkpoints"),
        checkpointing_options=ocp.CheckpointManagerOptions(
            save_interval_steps=config.save_every, max_to_keep=2
        ),
    )
    tags = markers(loaded.tokenizer)

    class Trainer(peft.PeftTrainer):
        def _post_process_train_step(self, aux):
            self.watch.step(aux)

    trainer = Trainer(loaded.model, optimizer(config), options)
    trainer.watch = Watch(folder, config, trainer)
    trainer.with_loss_fn(loss, has_aux=True)
    trainer.with_gen_model_input_fn(lambda batch: {"batch": batch, "tags": tags})
    return trainer


class Watch:
    """Lines of metrics.jsonl."""

    def __init__(self, folder: Path, config: SFTTraining, trainer: Any):
        self.log = MetricsLog(folder, lines_until(folder, trainer.train_steps))
        self.config, self.trainer = config, trainer
        self.steps, self.since, self.tokens = trainer.train_steps, time.perf_counter(), []
        self.parts: list[dict] = []
        """Seen in the update under way."""

    def step(self, aux: dict) -> None:
        """Called after every part of an update; what was seen is averaged over its parts."""
        self.parts.append(aux)
        self.tokens.append(aux["tokens"])
        if len(self.parts) < self.config.batch // (self.config.micro_batch or self.config.batch):
            return
        self.steps += 1
        parts, self.parts = self.parts, []
        if self.steps % self.config.log_every == 0 or self.steps == self.config.steps:
            seconds, self.since = time.perf_counter() - self.since, time.perf_counter()
            tokens, self.tokens = sum(map(int, self.tokens)), []
            values = {
                name: float(np.nanmean([float(part[name]) for part in parts])) for name in aux
            } | {"tokens": tokens, "tokens_per_second": tokens / seconds}
            self.log.write(self.steps, values)
            log(
                f"update {self.steps}: "
                + " ".join(f"{name} {value:.4g}" for name, value in values.items())
            )
