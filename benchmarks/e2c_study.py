"""Claims of a finished study of reasoning.e2c.

`python -m benchmarks.e2c_study --folder FOLDER` writes `results/e2c_study.json` for a study of the
tiny model (`python -m reasoning.e2c study`), and `results/e2c_word_study.json` for one of a real
model (`python -m reasoning.e2c study --model smollm2`).
"""

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import command
from benchmarks.recording import Claim, record
from jaxrl.app.errors import UserError


@dataclass(frozen=True)
class Settings:
    """Place of the study."""

    folder: Path = Path("runs/e2c/study")
    """Run folder, with the report."""


def study_claims(folder: Path) -> Path:
    """The verdicts of a finished study as claims.

    Raises:
      UserError: there is no report.
    """
    file = folder / "report" / "verdicts.json"
    if not file.exists():
        raise UserError(f"{file} is not there: run python -m reasoning.e2c study first")
    verdicts = json.loads(file.read_text())
    config = json.loads((folder / "config.json").read_text())
    claims = [
        Claim(
            f"{v['claim']} ({v['measured']})",
            v["goal"],
            v["direction"],
            v["value"],
            v.get("seeds") or seeds_of(v["claim"], config),
        )
        for v in verdicts
        if v["direction"] is not None
    ]
    name = "e2c_word_study" if "lora_rank" in config else "e2c_study"
    title = "E2C on word problems" if "lora_rank" in config else "E2C study"
    claims = [replace(claim, claim=f"{title}: {claim.claim}") for claim in claims]
    return record(name, {"verdicts": verdicts, "config": config}, claims)


def seeds_of(claim: str, config: dict) -> int:
    """Runs behind a claim about the tiny model: runs of reinforcement learning, draws of the new
    domain's rows, or base models.
    """
    part = "rl_" if claim.startswith("reinforcement") else "adapt_"
    known = claim.startswith(("reinforcement", "EF-SFT"))
    return config[f"{part}seeds"] if known else config.get("base_seeds", 1)


def main(arguments: list[str] | None = None) -> int:
    """Read the claims of a study and record them; returns the exit code."""

    def carry_out(chosen: Settings) -> Path:
        return study_claims(chosen.folder)

    return command.run("e2c_study", Settings, carry_out, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
