"""Configurations of local language models and their training. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reasoning.e2c.masks import Missing


@dataclass(frozen=True)
class LocalModel:
    """A Qwen3 or Llama checkpoint in the published layout: config.json, *.safetensors and the
    tokenizer's files.
    """

    path: Path | None = None
    """Its folder."""
    family: Literal["auto", "qwen3", "llama"] = "auto"
    """auto: what config.json says."""
    mesh: tuple[int, int] = (1, 1)
    """Devices for parameters (fsdp) and for tensors (tp); their product is the number of devices.
    On Cloud TPU, for example, (4, 2).
    """
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """Type of parameters; float32 on CPUs."""
    lora_rank: int = 0
    """Rank of LoRA adapters on attention and perceptrons; 0: all parameters are trained (the
    authors: 32 for Qwen3-32B).
    """
    lora_alpha: float = 16.0
    """Scale of the adapters."""
    add_tags: bool = True
    """Add the four tags to a tokenizer that lacks them, and grow the embeddings if they have no
    spare rows. False: such a checkpoint is refused.
    """
    trained: Path | None = None
    """Run folder of `sft`, `ef-sft` or `rl`: the weights of its last checkpoint take the place of
    those in `path`. LoRA adapters are put on as they were trained, so `lora_rank` must be the same.
    """
    max_prompt: int = 1024
    """Tokens of a prompt in generation that get no more pads than up to here; shorter and longer
    ones are padded to powers of two.
    """
    chat: bool = True
    """Apply the tokenizer's chat template. False: plain text behind the token that begins
    sequences, for base models and for training without a template.
    """
    batch: int = 8
    """Rows generated together."""


@dataclass(frozen=True)
class SFTTraining:
    """Supervised training. The defaults are those of the authors' script for Qwen3-8B."""

    data: Path = Path("runs/e2c/e2c-sft.jsonl")
    """Rows as `gen-data` writes them."""
    base_data: Path | None = None
    """Rows of the base domain that EF-SFT mixes in whole, drawn at random by `seed`."""
    base_share: float = 0.1
    """Rows of the base domain that are mixed in, as a share of the new rows. Our choice: the
    paper's share is not known.
    """
    trained: Literal["all", "plan"] = "all"
    """plan: EF-SFT."""
    steps: int = 1000
    """Updates."""
    batch: int = 240
    """Rows of an update."""
    micro_batch: int | None = None
    """Rows whose gradients are computed at once, and summed up to a batch; a divisor of it. None:
    the whole batch.
    """
    max_length: int = 1300
    """Tokens of a row; longer rows are left out, and counted."""
    learning_rate: float = 1e-5
    """Highest learning rate of AdamW with betas .9 and .95, after a warm-up over a tenth of the
    updates; it then falls along a cosine.
    """
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    clip_norm: float = 1.0
    """Largest gradient norm."""
    save_every: int = 100
    """Updates between checkpoints."""
    log_every: int = 10
    """Updates between lines of metrics."""
    seed: int = 42
    """Seed of the order of rows."""


@dataclass(frozen=True)
class RLTraining:
    """One stage of reinforcement learning. The defaults are the authors' stage 2; stage 1 has group
    32, temperature 1.3, plan_weight 1.
    """

    data: Path = Path("e2c-rl.jsonl")
    """Records with question and answer."""
    stage: Literal[1, 2] = 2
    """Reward: 1: correctness; 2: correctness times adherence."""
    group: int = 8
    """Responses to a question."""
    prompts: int = 256
    """Questions of a batch."""
    mini_batch: int = 32
    """Questions of an optimizer step."""
    micro_batch: int | None = None
    """Questions whose responses are sampled and trained on at once; gradients are summed up to a
    mini-batch. None: the mini-batch.
    """
    steps: int = 100
    """Batches."""
    temperature: float = 1.0
    """Temperature of rollouts."""
    plan_weight: float = 2.0
    """lambda."""
    missing: Missing = "one"
    """Weight of responses without tags."""
    learning_rate: float = 1e-6
    """Learning rate of AdamW, constant."""
    max_prompt: int = 712
    """Tokens of a prompt."""
    max_response: int = 8192
    """Tokens of a response."""
    overlong_buffer: int = 4096
    """Tokens before that over which the penalty grows."""
    eps: float = 0.2
    """Clipping below."""
    eps_high: float = 0.2
    """Clipping above (.28 in the authors' DAPO variant)."""
    dual_clip: float = 3.0
    """Bound for negative advantages."""
    beta: float = 0.0
    """Coefficient of the KL (k3) to the first policy."""
    entropy_rows: int = 4
    """Responses of a batch whose entropies of both phases are measured, by one more forward pass
    each; 0: none.
    """
    reward: Literal["corrected", "official"] = "corrected"
    """official repeats the quirks of the authors' reward."""
    save_every: int = 20
    """Batches between checkpoints."""
    seed: int = 42
    """Seed of rollouts and of the order of questions."""
