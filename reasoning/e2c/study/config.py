"""Sizes of the study, and its presets."""

from dataclasses import dataclass

from reasoning.e2c.chain.model import ModelConfig
from reasoning.e2c.chain.rl import RLConfig, stage_one, stage_two
from reasoning.e2c.chain.sft import SFTConfig
from reasoning.e2c.chain.task import WORDS, ChainConfig


@dataclass(frozen=True)
class StudyConfig:
    """All parts of the study. Our choice, all of it: the paper's experiments need models that
    cannot be trained here.
    """

    seed: int = 0
    """Seed of all parts."""
    task: ChainConfig = ChainConfig()
    """Problems that are trained on, and tested on."""
    model: ModelConfig = ModelConfig(vocabulary=len(WORDS))
    """The tiny model."""
    rows: int = 60_000
    """Training problems of the base models."""
    sft: SFTConfig = SFTConfig(steps=1800)
    """Training of the base models: plan and execution, or execution alone, with equally many
    trained tokens.
    """
    base_seeds: int = 3
    """Base models, each trained from a seed of its own. Policies and adherence are measured on
    each; draws of adaptation and runs of reinforcement learning begin with them in turn.
    """
    plain: bool = True
    """Train a model without plans too, as the other baseline."""
    problems: int = 200
    """Test problems of every measurement."""
    ks: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Plans and chains of the policies."""
    temperature: float = 0.9
    """Temperature of plans and chains (the authors' tts.yaml)."""
    adapt_rows: tuple[int, ...] = (32, 128, 512)
    """Rows of the new domain; empty: this part is left out."""
    adapt: SFTConfig = SFTConfig(steps=150, learning_rate=1e-3, every=50)
    """Training in domain adaptation."""
    base_share: float = 0.03
    """Rows of the base domain mixed into EF-SFT, as a share of the domain's rows. Such rows are
    trained whole: a larger share would soon be most of EF-SFT's tokens."""
    adapt_seeds: int = 3
    """Draws of the domain's rows."""
    stage_one: RLConfig = stage_one(updates=100)
    """The warm-up of reinforcement learning."""
    stage_two: RLConfig = stage_two(updates=60)
    """The main stage, with each of `plan_weights`; 0 updates: it is left out."""
    plan_weights: tuple[float, ...] = (1.0, 2.0)
    """lambda of the main stage."""
    rl_seeds: int = 3
    """Runs of reinforcement learning; 0: this part is left out."""
    rl_problems: int = 1000
    """Test problems of its pass@1, the `problems` among them: its gains are smaller than other
    differences.
    """
    causal: SFTConfig = SFTConfig(steps=300, learning_rate=2e-3, every=100)
    """Training on causal or post-hoc data, from the base model."""
    wrong_plans: float = 0.3
    """Share of post-hoc rows whose plan is another chain of the same problem, next to the right
    execution.
    """
    information_problems: int = 100
    """Problems of the entropies; 0: this part is left out."""
    information_samples: int = 8
    """Plans of each, and executions of each plan."""


def demo() -> StudyConfig:
    """About a quarter of an hour of processor time: one base model, the policies, adherence, and a
    little reinforcement learning.
    """
    return StudyConfig(
        base_seeds=1,
        plain=False,
        ks=(1, 4, 8),
        adapt_rows=(),
        rl_seeds=1,
        stage_one=stage_one(updates=20),
        stage_two=stage_two(updates=0),
        information_problems=25,
    )


def study() -> StudyConfig:
    """All parts with intervals."""
    return StudyConfig()


def smoke() -> StudyConfig:
    """Seconds: that everything runs, with a model that has learned next to nothing."""
    little = SFTConfig(steps=2, batch=4, every=1)
    return StudyConfig(
        task=ChainConfig(variables=4, longest=3),
        model=ModelConfig(len(WORDS), 1, 16, 2, 16),
        rows=16,
        sft=little,
        base_seeds=2,
        problems=4,
        ks=(2,),
        adapt_rows=(4,),
        adapt=little,
        adapt_seeds=2,
        stage_one=stage_one(updates=1, prompts=2, group=4),
        stage_two=stage_two(updates=1, prompts=2, group=4),
        rl_seeds=2,
        rl_problems=4,
        causal=little,
        information_problems=2,
        information_samples=2,
    )


PRESETS = {"demo": demo, "study": study, "smoke": smoke}
