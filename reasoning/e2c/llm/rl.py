"""Reinforcement learning of a local model by Tunix's GRPO learner, with the plan's weight put on
its advantages.

Tunix's policy loss takes one advantage per token as well as one per response. The only step in
between is a method whose name begins with an underscore; a test fails loudly should it go.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.app.errors import UserError
from jaxrl.app.progress import log
from jaxrl.train.rundir import open_run
from reasoning.e2c.backends.tunix_local import ends
from reasoning.e2c.datagen import Question, questions_from
from reasoning.e2c.format import DEFAULT, OPEN_PLAN, E2CFormat
from reasoning.e2c.llm import extra
from reasoning.e2c.llm.config import LocalModel, RLTraining
from reasoning.e2c.llm.load import Loaded, load_model
from reasoning.e2c.llm.prompts import prompt_text
from reasoning.e2c.llm.tags import markers, write_tags
from reasoning.e2c.llm.watch import RolloutWatch, batch_entropies
from reasoning.e2c.masks import phase_weights
from reasoning.e2c.records import read_records
from reasoning.e2c.rewards import RewardConfig, reward


def weighted_learner(
    config: RLTraining, tags: Any, seen: Callable[[Any], None] = lambda example: None
):
    """A subclass of Tunix's GRPOLearner that weighs the advantages of plan tokens. `seen` is
    called with every batch of rollouts.

    It also gives each batch random numbers of its own: Tunix alone would sample all of them with
      the same.

    Raises:
      UserError: this version of Tunix has no such method any more.
    """
    grpo = extra.load("tunix.rl.grpo.grpo_learner")
    hook = "_generate_and_compute_advantage"
    if not hasattr(grpo.GRPOLearner, hook):
        raise UserError(
            f"this version of google-tunix has no GRPOLearner.{hook}: install "
            "'google-tunix>=0.1.7,<0.2'"
        )

    class Weighted(grpo.GRPOLearner):
        def _generate_and_compute_advantage(self, *args, **kwargs):
            self.rl_cluster.cluster_config.rollout_config.seed = seed_of_batch(
                config.seed, self._iter_steps
            )
            with ended_rollouts(self.rl_cluster):
                example = super()._generate_and_compute_advantage(*args, **kwargs)
            seen(example)
            weights = phase_weights(
                example.completion_ids,
                example.completion_mask,
                tags,
                config.plan_weight,
                config.missing,
            )
            return example.replace(advantages=jnp.asarray(example.advantages)[:, None] * weights)

    return Weighted


@contextlib.contextmanager
def ended_rollouts(cluster: Any) -> Iterator[None]:
    """Let responses that ended end with their end token.

    Tunix cuts it off, so that nothing would be learned about where to end. Our choice: a response
    that ended with a pad gets the end token too.
    """
    generate, rollout = cluster.generate, cluster.rollout

    def ended(*args, **kwargs):
        found = generate(*args, **kwargs)
        most = cluster.cluster_config.rollout_config.max_tokens_to_generate
        end = np.array([rollout.eos_id()])
        found.tokens = [
            np.concatenate([tokens, end]) if len(tokens) < most else tokens
            for tokens in found.tokens
        ]
        return found

    cluster.generate = ended
    try:
        yield
    finally:
        cluster.generate = generate


def seed_of_batch(seed: int, batch: int) -> int:
    """Seed of the sampling of one batch; a resumed run draws what an unbroken one would."""
    return int(np.random.SeedSequence((seed, batch)).generate_state(1)[0] >> 1)


def reward_function(
    config: RLTraining, tokenizer: Any, layout: E2CFormat = DEFAULT, seen: list[float] | None = None
):
    """Make a reward function as Tunix calls it: `(prompts, completions, answer) -> rewards`, a list
    of floats. A reward that is not finite raises a UserError with the row.

    Args:
      config: stage, mode and lengths of the reward.
      tokenizer: counts the tokens of a completion, for the penalty on length.
      layout: tags and sentences of the responses.
      seen: list to which all rewards are added too; None: they are not kept.

    Raises:
      UserError: a reward that is not finite (the row is named).
    """
    chosen = RewardConfig(config.stage, config.reward, config.max_response, config.overlong_buffer)

    def rewards(prompts, completions, answer, **_):
        lengths = [len(tokenizer.encode(text, add_special_tokens=False)) for text in completions]
        found = [
            reward(text, str(a), n, chosen, layout)
            for text, a, n in zip(completions, answer, lengths, strict=True)
        ]
        for number, value in enumerate(found):
            if not np.isfinite(value):
                raise UserError(
                    f"the reward of response {number} is {value}: fix the reward function or "
                    "leave out the row"
                )
        if seen is not None:
            seen.extend(found)
        return found

    return rewards


def questions(
    config: RLTraining, tokenizer: Any, layout: E2CFormat = DEFAULT
) -> Iterator[dict[str, np.ndarray]]:
    """All batches of prompts and answers, epoch after epoch in orders of their own. Tunix passes
    over those it has trained on.
    """
    found: list[Question] = questions_from(read_records(config.data), str(config.data))
    texts = [
        prompt_text(tokenizer, layout.question_prompt(question.question)) for question in found
    ]
    for batch in range(config.steps):
        places = [divmod(batch * config.prompts + i, len(found)) for i in range(config.prompts)]
        orders = {
            e: np.random.default_rng((config.seed, e)).permutation(len(found))
            for e in {e for e, _ in places}
        }
        chosen = [int(orders[epoch][place]) for epoch, place in places]
        yield {
            "prompts": np.array([texts[i] for i in chosen]),
            "answer": np.array([found[i].answer for i in chosen]),
        }


def make_learner(loaded: Loaded, config: RLTraining, folder: Path, layout: E2CFormat = DEFAULT):
    """Cluster and learner; after training, the weights are in
    `learner.rl_cluster.actor_trainer.model`.

    Tunix samples every micro-batch with the newest weights and trains on it once, so ratios are 1
    and clipping is idle.

    Args:
      loaded: the model that is trained.
      config: sizes, and the stage of the reward.
      folder: of the run.
      layout: tags and sentences of responses.
    """
    cluster_lib, rollout = (
        extra.load("tunix.rl.rl_cluster"),
        extra.load("tunix.rl.rollout.base_rollout"),
    )
    ocp = extra.load("orbax.checkpoint")
    roles = cluster_lib.Role
    training = cluster_lib.RLTrainingConfig(
        actor_optimizer=optax.adamw(config.learning_rate, 0.9, 0.95),
        eval_every_n_steps=config.steps + 1,
        max_steps=config.steps * max(1, config.prompts // config.mini_batch),
        mini_batch_size=config.mini_batch,
        train_micro_batch_size=config.micro_batch or config.mini_batch,
        checkpoint_root_directory=str(folder / "checkpoints"),
        checkpointing_options=ocp.CheckpointManagerOptions(
            save_interval_steps=config.save_every, max_to_keep=2
        ),
    )
    sampling = rollout.RolloutConfig(
        max_tokens_to_generate=config.max_response,
        max_prompt_length=config.max_prompt,
        temperature=config.temperature,
        kv_cache_size=config.max_prompt + config.max_response + 1,
        eos_tokens=ends(loaded.tokenizer),
    )
    cluster = cluster_lib.RLCluster(
        actor=loaded.model,
        reference=loaded.model if config.beta else None,
        tokenizer=loaded.tokenizer,
        cluster_config=cluster_lib.ClusterConfig(
            role_to_mesh={
                roles.ACTOR: loaded.mesh,
                roles.REFERENCE: loaded.mesh,
                roles.ROLLOUT: loaded.mesh,
            },
            rollout_engine="vanilla",
            training_config=training,
            rollout_config=sampling,
        ),
    )
    trainer, tags = cluster.actor_trainer, markers(loaded.tokenizer)
    if trainer.train_steps:  # the checkpoint was put into the trainer's model alone
        cluster.sync_weights()
    watch = RolloutWatch(folder, trainer.iter_steps)

    def seen(example):
        return watch.write(
            example.completion_mask,
            *batch_entropies(trainer.model, loaded.mesh, example, tags, config.entropy_rows),
        )

    make, rewards = (
        weighted_learner(config, tags, seen),
        reward_function(config, loaded.tokenizer, layout, watch.rewards),
    )
    learner = make(rl_cluster=cluster, algo_config=algorithm_of(config), reward_fns=rewards)
    learner.watch = watch
    return learner


def algorithm_of(config: RLTraining) -> Any:
    """Tunix's GRPO with the authors' aggregation, dual clip and KL estimator (k3; Tunix's own
    default has no gradient on average).
    """
    grpo = extra.load("tunix.rl.grpo.grpo_learner")
    algorithm = grpo.GRPOConfig(
        num_generations=config.group,
        num_iterations=1,
        beta=config.beta,
        epsilon=config.eps,
        loss_agg_mode="token-mean",
        kl_loss_mode="low_var_kl",
    )
    algorithm.epsilon_high, algorithm.epsilon_c = config.eps_high, config.dual_clip
    return algorithm


def check(config: RLTraining) -> None:
    """Refuse what cannot be learned from.

    Raises:
      UserError: with the field.
    """
    if config.group < 2:
        raise UserError(
            f"group is {config.group}: an advantage compares the responses to a question, so it "
            "must be at least 2"
        )
    if config.prompts % config.mini_batch:
        raise UserError(
            f"prompts {config.prompts} is no multiple of mini_batch {config.mini_batch}: choose "
            "another one"
        )
    if config.micro_batch is not None and (
        config.micro_batch < 1 or config.mini_batch % config.micro_batch
    ):
        raise UserError(
            f"mini_batch {config.mini_batch} is no multiple of micro_batch {config.micro_batch}: "
            "choose another one"
        )


def train(
    local: LocalModel, config: RLTraining, run_dir: str | Path, layout: E2CFormat = DEFAULT
) -> Any:
    """One stage, with checkpoints; a folder that was begun is continued. Returns the trained
    model.

    Args:
      local: the model that it begins with.
      config: data, rewards and sizes.
      run_dir: folder of the run.
      layout: tags and sentences of prompts and responses.

    Raises:
      UserError: model, data or folder do not work.
    """
    check(config)
    extra.load("transformers")
    questions_from(read_records(config.data), str(config.data))  # refused before anything is loaded
    loaded = load_model(local)

    def plain(c):
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in vars(c).items()
        }

    folder = open_run(
        run_dir, json.loads(json.dumps({"model": plain(local), "training": plain(config)}))
    )
    write_tags(folder, loaded.tags, loaded.untrained_tags)
    learner = make_learner(loaded, config, folder, layout)
    trainer, total = (
        learner.rl_cluster.actor_trainer,
        config.steps * (config.prompts // config.mini_batch),
    )
    log(
        f"stage {config.stage}: from update {trainer.train_steps} of {total}; responses begin with "
        f"{OPEN_PLAN}"
    )
    with contextlib.closing(learner.watch.log), loaded.mesh:
        if trainer.train_steps < total:
            learner.train(questions(config, loaded.tokenizer, layout))
        else:
            learner.rl_cluster.close()
    return trainer.model
