"""Reinforcement learning of a local model by Tunix's GRPO learner, with the plan's weight put on its advantages.

Tunix's policy loss takes one advantage per token as well as one per response. The only step in between is a method whose name begins with
an underscore; a test fails loudly should it go.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.train.errors import Refusal
from jaxrl.train.progress import aloud
from jaxrl.train.rundir import open_run
from reasoning.e2c.datagen import Question, questions_from
from reasoning.e2c.format import DEFAULT, OPEN_PLAN, E2CFormat
from reasoning.e2c.llm import extra
from reasoning.e2c.llm.config import LocalModel, RLTraining
from reasoning.e2c.llm.load import Loaded, load_model
from reasoning.e2c.llm.prompts import prompt_text
from reasoning.e2c.llm.tags import markers
from reasoning.e2c.masks import phase_weights
from reasoning.e2c.records import read_records
from reasoning.e2c.rewards import RewardConfig, reward


def weighted_learner(config: RLTraining, tags: Any):
    """A subclass of Tunix's GRPOLearner that weighs the advantages of plan tokens.

    Raises:
      Refusal: this version of Tunix has no such method any more.
    """
    grpo = extra.load("tunix.rl.grpo.grpo_learner")
    hook = "_generate_and_compute_advantage"
    if not hasattr(grpo.GRPOLearner, hook):
        raise Refusal(f"this version of google-tunix has no GRPOLearner.{hook}: install 'google-tunix>=0.1.7,<0.2'")

    class Weighted(grpo.GRPOLearner):
        def _generate_and_compute_advantage(self, *args, **kwargs):
            example = super()._generate_and_compute_advantage(*args, **kwargs)
            weights = phase_weights(example.completion_ids, example.completion_mask, tags, config.plan_weight, config.missing)
            return example.replace(advantages=jnp.asarray(example.advantages)[:, None] * weights)

    return Weighted


def reward_function(config: RLTraining, tokenizer: Any, layout: E2CFormat = DEFAULT):
    """As Tunix calls it: `(prompts, completions, answer) -> rewards`.

    Raises:
      Refusal: a reward that is not finite (the row is named).
    """
    chosen = RewardConfig(config.stage, config.reward, config.max_response, config.overlong_buffer)

    def rewards(prompts, completions, answer, **_):
        lengths = [len(tokenizer.encode(text, add_special_tokens=False)) for text in completions]
        found = [reward(text, str(a), n, chosen, layout) for text, a, n in zip(completions, answer, lengths, strict=True)]
        for number, value in enumerate(found):
            if not np.isfinite(value):
                raise Refusal(f"the reward of response {number} is {value}: mend the reward function or leave out the row")
        return found

    return rewards


def questions(config: RLTraining, tokenizer: Any, start: int = 0, layout: E2CFormat = DEFAULT) -> Iterator[dict[str, np.ndarray]]:
    """Batches of prompts and answers from batch `start` on, epoch after epoch in orders of their own."""
    found: list[Question] = questions_from(read_records(config.data), str(config.data))
    texts = [prompt_text(tokenizer, layout.question_prompt(question.question)) for question in found]
    for batch in range(start, config.steps):
        places = [divmod(batch * config.prompts + i, len(found)) for i in range(config.prompts)]
        orders = {e: np.random.default_rng((config.seed, e)).permutation(len(found)) for e in {e for e, _ in places}}
        chosen = [int(orders[epoch][place]) for epoch, place in places]
        yield {"prompts": np.array([texts[i] for i in chosen]), "answer": np.array([found[i].answer for i in chosen])}


def make_learner(loaded: Loaded, config: RLTraining, folder: Path):
    """Cluster and learner; after training, the weights are in `learner.rl_cluster.actor_trainer.model`."""
    cluster_lib, rollout = extra.load("tunix.rl.rl_cluster"), extra.load("tunix.rl.rollout.base_rollout")
    grpo, ocp = extra.load("tunix.rl.grpo.grpo_learner"), extra.load("orbax.checkpoint")
    roles = cluster_lib.Role
    training = cluster_lib.RLTrainingConfig(
        actor_optimizer=optax.adamw(config.learning_rate, 0.9, 0.95), eval_every_n_steps=config.steps + 1,
        max_steps=config.steps * max(1, config.prompts // config.mini_batch), mini_batch_size=config.mini_batch,
        train_micro_batch_size=config.mini_batch, checkpoint_root_directory=str(folder / "checkpoints"),
        checkpointing_options=ocp.CheckpointManagerOptions(save_interval_steps=config.save_every, max_to_keep=2),
    )  # fmt: skip
    sampling = rollout.RolloutConfig(
        max_tokens_to_generate=config.max_response, max_prompt_length=config.max_prompt, temperature=config.temperature,
        kv_cache_size=config.max_prompt + config.max_response + 1, eos_tokens=[loaded.tokenizer.eos_token_id],
    )  # fmt: skip
    cluster = cluster_lib.RLCluster(
        actor=loaded.model, reference=loaded.model if config.beta else None, tokenizer=loaded.tokenizer,
        cluster_config=cluster_lib.ClusterConfig(
            role_to_mesh={roles.ACTOR: loaded.mesh, roles.REFERENCE: loaded.mesh, roles.ROLLOUT: loaded.mesh},
            rollout_engine="vanilla", training_config=training, rollout_config=sampling,
        ),
    )  # fmt: skip
    algorithm = grpo.GRPOConfig(
        num_generations=config.group, num_iterations=1, beta=config.beta, epsilon=config.eps, loss_agg_mode="token-mean"
    )
    algorithm.epsilon_high, algorithm.epsilon_c = config.eps_high, config.dual_clip
    make = weighted_learner(config, markers(loaded.tokenizer))
    return make(rl_cluster=cluster, algo_config=algorithm, reward_fns=reward_function(config, loaded.tokenizer))


def check(config: RLTraining) -> None:
    """Refuse what cannot be learned from.

    Raises:
      Refusal: with the field.
    """
    if config.group < 2:
        raise Refusal(f"group is {config.group}: an advantage compares the responses to a question, so it must be at least 2")
    if config.prompts % config.mini_batch:
        raise Refusal(f"prompts {config.prompts} is no multiple of mini_batch {config.mini_batch}")


def train(local: LocalModel, config: RLTraining, run_dir: str | Path) -> Any:
    """One stage, with checkpoints; a folder that was begun is gone on with. Returns the trained model.

    Raises:
      Refusal: model, data or folder do not work.
    """
    check(config)
    loaded = load_model(local)
    plain = lambda c: {name: str(value) if isinstance(value, Path) else value for name, value in vars(c).items()}
    folder = open_run(run_dir, json.loads(json.dumps({"model": plain(local), "training": plain(config)})))
    learner = make_learner(loaded, config, folder)
    start = learner.rl_cluster.actor_trainer.train_steps // max(1, config.prompts // config.mini_batch)
    aloud(f"stage {config.stage}: from batch {start} of {config.steps}; prompts begin with {OPEN_PLAN}")
    with loaded.mesh:
        learner.train(questions(config, loaded.tokenizer, start))
    (folder / "tags.json").write_text(json.dumps(loaded.tags) + "\n")
    return learner.rl_cluster.actor_trainer.model
