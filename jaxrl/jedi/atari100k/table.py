"""The command `suite table`: where the runs stand, the comparison with published scores, and its
pictures.
"""

from dataclasses import dataclass
from pathlib import Path

from jaxrl.app.errors import UserError, writing
from jaxrl.app.files import write_atomic
from jaxrl.app.html import figure, paragraph, section, write_page
from jaxrl.app.html import table as html_table
from jaxrl.jedi.atari100k.comparison import NOTES, Rows, aggregate_table, per_game
from jaxrl.jedi.atari100k.figures import per_game_bars, performance_profile
from jaxrl.jedi.atari100k.progress_board import print_board, write_board
from jaxrl.jedi.atari100k.runs import on_this_machine, runs_in, states
from jaxrl.jedi.atari100k.scores import Scores, read_scores


@dataclass(frozen=True)
class Table:
    """Show where the runs of a suite stand and, once scores are collected, how they compare with
    published ones.
    """

    out: Path = Path("runs/atari100k")
    """Folder of the suite, as given to launch. Nothing that trains there is disturbed."""
    scores: Path | None = None
    """Compare this scores file instead: one that collect wrote, or {"Alien": [812.0, 760.5, ...],
    ...}. Default: OUT/scores.json.
    """
    name: str = "this suite"
    """Name of the scores in tables and pictures."""
    partial: bool = False
    """Compare what is there although games or seeds are missing."""
    repetitions: int = 2000
    """Resamplings of the bootstrap; 0 for no intervals (and no need of rliable)."""
    comparison: Path | None = None
    """Folder for the page, comparison.md and the pictures. Default: "comparison" next to the
    scores file.
    """


def show(settings: Table) -> None:
    """Print, and write the comparison if there are scores.

    Raises:
      UserError: the folder holds neither runs nor scores; the scores are bad or incomplete; rliable
        is missing.
    """
    if settings.repetitions < 0:
        raise UserError(
            f"--repetitions is {settings.repetitions}: give some hundreds or more, or 0 for no "
            "intervals"
        )
    path = settings.scores or settings.out / "scores.json"
    for place in (path, settings.comparison or path):
        on_this_machine(place)
    if settings.scores is None and not (path.exists() and not any(settings.out.glob("*/seed*"))):
        known = states(runs_in(settings.out), settings.out)
        print_board(known, settings.out)
        print(f"written: {write_board(known, settings.out)}")
        if not path.exists():
            print(f"no scores yet: suite collect --out {settings.out} writes {path}")
            return
    scores = read_scores(path, settings.partial)
    tables = {
        "Games": per_game(scores, settings.name),
        "Aggregates": aggregate_table(scores, settings.name, settings.repetitions),
    }
    for title, rows in tables.items():
        print_rows(title, rows)
    for line in (*scores.remarks, *NOTES):
        print(line)
    folder = write_comparison(settings, scores, tables, path)
    print(f"written: {folder / 'index.html'}, comparison.md and two pictures next to it")


def print_rows(title: str, rows: Rows) -> None:
    """A table on the terminal, as wide as it must be."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    table = RichTable(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    for number, head in enumerate(rows.heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=number == 0)
    for row in rows.body:
        table.add_row(*(cell.replace("[", "\\[") for cell in row))
    console = Console()
    if console.is_terminal:
        console.width = max(
            console.width,
            console.measure(table, options=console.options.update(max_width=1000)).maximum,
        )
        console.print(table)
    else:
        print(f"{title}\n\n{rows.markdown()}")


def write_comparison(settings: Table, scores: Scores, tables: dict[str, Rows], path: Path) -> Path:
    """A page, the tables as Markdown and the two pictures; the folder they are in.

    Args:
      settings: name of the scores, number of resamplings, and the folder if one was chosen.
      scores: the scores, for the pictures and the remarks.
      tables: tables by title, as they are printed.
      path: the scores file; the default folder lies next to it.
    """
    folder = settings.comparison or path.parent / "comparison"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        "games.png": per_game_bars(scores, settings.name),
        "profile.png": performance_profile(scores, settings.name, settings.repetitions),
    }
    parts = [f"# {settings.name} on Atari 100k", "", *(f"{line}\n" for line in scores.remarks)]
    parts += [f"## {title}\n\n{rows.markdown()}" for title, rows in tables.items()]
    parts += [f"![{picture}]({picture})\n" for picture in pictures] + [
        f"{line}\n" for line in NOTES
    ]
    for picture, data in pictures.items():
        write_atomic(folder / picture, data)
    write_atomic(folder / "comparison.md", "\n".join(parts))
    captions = {"games.png": "Every game", "profile.png": "Performance profile"}
    write_page(
        folder / "index.html",
        f"{settings.name} on Atari 100k",
        *(
            section(title, html_table(rows.heads, rows.body, title, wide=True, row_heads=True))
            for title, rows in tables.items()
        ),
        *(
            section(captions[name].capitalize(), figure(data, captions[name]))
            for name, data in pictures.items()
        ),
        *(paragraph(line, "note") for line in NOTES),
        warnings=scores.remarks,
    )
    return folder
