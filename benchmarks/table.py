"""The page of all results, `docs/results.md`, and the README's ten figures, from `results/*.json`.

`python -m benchmarks.table` prints the page; `--write` writes it, and the ten figures between the
README's markers; `--check` fails if either is out of date.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.recording import RESULTS, ROOT, SIDES

BEGIN, END = "<!-- results -->", "<!-- /results -->"
COLUMNS = ("claim", "goal", "measured", "holds", "seeds", "hardware", "date, commit", "benchmark")
EMPTY = "Nothing has been measured yet."
HEADER = """# Results

Measured by us; each row comes from a file in `benchmarks/results`, with hardware, date and commit.
This page is generated: `python -m benchmarks.table --write`. A claim whose goal is missed stays.

"""
HIGHLIGHTS = (
    ("jedi_modes", "bricks, mode jedi"),
    ("jedi_modes", "bricks: mean return of jedi minus that of pixel after equal processor time"),
    ("world_model-atari100k-float32-cuda", "JEDI, memory of the worst update"),
    ("world_model-atari100k-float32", "JEDI, imagined frames per second"),
    ("quant", "time of the eager peer's training step"),
    ("quant_studies", "collapse, 8-dimensional mixture, 256 codes: perplexity, deferred"),
    ("sae", "sae: largest gap between a logit"),
    ("e2c_study", "E2C study: selection"),
    ("dynamite", "Dynamite: scenarios solved"),
    ("migrator", "Migrator: wrong programs not found"),
)
"""The README's figures: name of the record, and how the claim begins."""


def table(folder: Path = RESULTS) -> str:
    """The Markdown table of all claims, in the order of the file names.

    Raises:
      ValueError: a file is not a result, or says that a claim holds when its figures do not (the
        file is named).
    """
    rows = [row for path in sorted(folder.glob("*.json")) for row in _rows(path)]
    if not rows:
        return EMPTY
    return "\n".join(
        ["| " + " | ".join(cells) + " |" for cells in (COLUMNS, ("---",) * len(COLUMNS), *rows)]
    )


def page(folder: Path = RESULTS) -> str:
    """The text of `docs/results.md`."""
    return f"{HEADER}{table(folder)}\n"


def highlights(folder: Path = RESULTS) -> str:
    """The README's short table: claim, goal, measured value, whether it holds.

    Raises:
      ValueError: a claim of `HIGHLIGHTS` is not recorded (it is named).
    """
    rows = []
    for record, beginning in HIGHLIGHTS:
        path = folder / f"{record}.json"
        found = (
            [row for row in _rows(path) if row[0].startswith(beginning)] if path.exists() else []
        )
        if not found:
            raise ValueError(f"{path} holds no claim that begins with {beginning!r}")
        rows.append(found[0][:4])
    cells = (COLUMNS[:4], ("---",) * 4, *rows)
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def _rows(path):
    try:
        result = json.loads(path.read_text())
        machine = result["hardware"]
        device = machine["cpu"] if machine["platform"] == "cpu" else machine["device"]
        count = machine["cores"] if machine["platform"] == "cpu" else machine["devices"]
        where = (
            f"{device}, {count} core{'s' if count != 1 else ''}"
            if machine["platform"] == "cpu"
            else f"{count} x {device}"
        )
        when = f"{result['date']}, {result['commit']}"
        link = f"`{path.name}`"
        return [(*_cells(claim), where, when, link) for claim in result["claims"]]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not a benchmark result ({error!r}): write it with "
            "benchmarks.recording.record"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _cells(claim):
    measured, goal, seeds = claim["measured"], claim["goal"], str(claim["seeds"])
    text = claim["claim"].replace("|", "\\|")
    target = f"{claim['direction']} {number(goal)}"
    if measured is None:
        return text, target, "not run", "", ""
    holds = SIDES[claim["direction"]](measured, goal)
    if holds != claim["holds"]:
        raise ValueError(
            f"the claim {claim['claim']!r} is marked holds={claim['holds']}, but {measured} "
            f"against {target} says {holds}"
        )
    return text, target, number(measured), "yes" if holds else "no", seeds


def number(value: float) -> str:
    """Three significant digits, whole numbers whole."""
    return f"{value:.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.3g}"


def between_markers(text: str) -> str:
    """The text between the markers.

    Raises:
      ValueError: the markers are not there exactly once, in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the markers {BEGIN} and {END} must stand there once, in this order")
    return text.split(BEGIN)[1].split(END)[0].strip()


def with_table(text: str, content: str) -> str:
    """`text` with `content` between its markers.

    Raises:
      ValueError: the markers are not there exactly once, in order.
    """
    between_markers(text)
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{rest.split(END)[1]}"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table", description=__doc__.splitlines()[0]
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="write the page and the README")
    action.add_argument(
        "--check", action="store_true", help="exit with 1 if one of them is out of date"
    )
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="another README")
    parser.add_argument(
        "--page", type=Path, default=ROOT / "docs" / "results.md", help="another page"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="another folder of results")
    options = parser.parse_args(arguments)
    try:
        content = page(options.results)
        if not (options.write or options.check):
            print(content)
            return 0
        text, few = options.readme.read_text(), highlights(options.results)
        if options.write:
            readme = with_table(text, few)
            options.page.write_text(content)
            options.readme.write_text(readme)
            return 0
        old = [options.readme] if between_markers(text) != few else []
        old += [options.page] if options.page.read_text() != content else []
    except (ValueError, OSError) as error:
        print(f"benchmarks.table: {error}", file=sys.stderr)
        return 2
    for path in old:
        print(f"{path} is out of date: run python -m benchmarks.table --write", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
