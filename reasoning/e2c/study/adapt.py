"""Part (ii): a new domain, in which only the query is written in new words: EF-SFT against full
SFT, alone and with the base domain.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reasoning.e2c.chain.backend import ChainBackend
from reasoning.e2c.chain.rows import Rows, join, make_rows
from reasoning.e2c.chain.sft import SFTConfig
from reasoning.e2c.chain.task import draw_many
from reasoning.e2c.study.config import StudyConfig
from reasoning.e2c.study.models import BASE_AGAIN, DOMAIN, held_out, measured, numbered, train_rows
from reasoning.e2c.study.quality import judged

METHODS = ("ef_sft", "full_sft", "full_sft_equal_tokens", "base_and_domain_sft")


def domain_rows(study: StudyConfig, count: int, draw: int) -> tuple[Rows, Rows]:
    """`(rows of the new domain, as many rows of the base domain)`."""
    seed = 101 * draw + count
    new = draw_many(count, replace(study.task, domain="codes"), DOMAIN + study.seed + seed)
    old = draw_many(count, study.task, BASE_AGAIN + study.seed + seed)
    return make_rows(new, study.task), make_rows(old, study.task, whole=True)


def plan_of_training(
    method: str, study: StudyConfig, new: Rows, old: Rows, ef_tokens: float
) -> tuple[Rows, SFTConfig]:
    """Rows and lengths of a method. All take the same number of updates but the one with equal
    tokens, which stops when it has trained as many tokens as EF-SFT.

    Args:
      method: one of METHODS.
      study: gives the settings of adaptation and the share of base rows.
      new: rows of the new domain.
      old: rows of the base domain, at least the share's number.
      ef_tokens: tokens that EF-SFT trained; used by "full_sft_equal_tokens" only.
    """
    share = max(1, round(study.base_share * len(new.ids)))
    mixed = join(new, Rows(*(part[:share] for part in old)))
    if method == "ef_sft":
        return mixed, replace(study.adapt, trained="plan")
    if method == "full_sft":
        return new, study.adapt
    if method == "base_and_domain_sft":
        return join(new, old), study.adapt
    per_update = new.mask.sum() / len(new.ids) * study.adapt.batch
    steps = max(1, round(ef_tokens / per_update))
    return new, replace(study.adapt, steps=steps, every=min(steps, study.adapt.every))


def adapt(folder: Path, starts: list[Any], study: StudyConfig) -> dict[str, Any]:
    """Every method for every number of rows and draw: accuracy on both domains, problem by problem,
    and trained tokens. Each draw begins with the next base model of `starts`.
    """
    old_problems, new_problems = held_out(study), held_out(study, domain="codes")

    def score(params, problems):
        return [
            int(j.correct)
            for j in judged(ChainBackend(params, study.model, study.task), problems, study)
        ]

    before = [
        measured(
            folder,
            numbered("adapt-before", number),
            lambda start=start: {
                "old": score(start, old_problems),
                "new": score(start, new_problems),
            },
        )
        for number, start in enumerate(starts)
    ]
    found: dict[str, Any] = {
        "before": {
            side: np.mean([one[side] for one in before], 0).tolist() for side in ("old", "new")
        }
    }
    for count in study.adapt_rows:
        for draw in range(study.adapt_seeds):
            ef_tokens = 0.0
            for method in METHODS:
                name = f"adapt-{method}-{count}-{draw}"

                def one(method=method, name=name, count=count, draw=draw, ef_tokens=ef_tokens):
                    rows, config = plan_of_training(
                        method, study, *domain_rows(study, count, draw), ef_tokens
                    )
                    start = starts[draw % len(starts)]
                    trained = train_rows(folder / "stages" / name, rows, config, study, start, draw)
                    return {
                        "method": method,
                        "rows": count,
                        "draw": draw,
                        "tokens": trained.tokens,
                        "updates": config.steps,
                        "new": score(trained.params, new_problems),
                        "old": score(trained.params, old_problems),
                    }

                found[name] = measured(folder, name, one)
                ef_tokens = found[name]["tokens"] if method == "ef_sft" else ef_tokens
    return found


def table(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Means over draws for every method and number of rows, with the share of full SFT's tokens and
    what was forgotten.
    """
    cells = [cell for name, cell in found.items() if name != "before"]
    before = float(np.mean(found["before"]["old"]))
    lines = []
    for count in sorted({cell["rows"] for cell in cells}):
        full = np.mean(
            [
                cell["tokens"]
                for cell in cells
                if cell["rows"] == count and cell["method"] == "full_sft"
            ]
        )
        for method in METHODS:
            own = [cell for cell in cells if cell["rows"] == count and cell["method"] == method]
            if not own:
                continue
            new, old = ([float(np.mean(cell[side])) for cell in own] for side in ("new", "old"))
            tokens = float(np.mean([cell["tokens"] for cell in own]))
            lines.append(
                {
                    "rows": count,
                    "method": method,
                    "new": new,
                    "old": old,
                    "forgotten": [before - value for value in old],
                    "tokens": tokens,
                    "share": tokens / float(full),
                }
            )
    return lines
