"""The README's results table, made from `results/*.json`.

`python -m benchmarks.table` prints it; `--write` puts it between the README's markers; `--check`
fails if it is not there.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.recording import RESULTS, ROOT, SIDES

BEGIN, END = "<!-- results -->", "<!-- /results -->"
COLUMNS = ("claim", "goal", "measured", "holds", "seeds", "hardware", "date, commit", "benchmark")
EMPTY = "Nothing has been measured yet."


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
        link = f"[{result['name']}](benchmarks/results/{path.name})"
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
    """What stands between the markers.

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
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table", description=__doc__.splitlines()[0]
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="put the table into the README")
    what.add_argument(
        "--check", action="store_true", help="exit with 1 if the README's table is out of date"
    )
    parser.add_argument(
        "--readme", type=Path, default=ROOT / "README.md", help="another file than the README"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="another folder of results")
    options = parser.parse_args(arguments)
    try:
        content = table(options.results)
        if not (options.write or options.check):
            print(content)
            return 0
        text = options.readme.read_text()
        if options.write:
            options.readme.write_text(with_table(text, content))
            return 0
        current = between_markers(text) == content
    except (ValueError, OSError) as error:
        print(f"benchmarks.table: {error}", file=sys.stderr)
        return 2
    if not current:
        print(
            f"{options.readme} is out of date: run python -m benchmarks.table --write",
            file=sys.stderr,
        )
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
