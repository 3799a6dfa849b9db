"""The explanation as one HTML page with a drawing of the mapping; no script, nothing loaded from
elsewhere.
"""

from pathlib import Path

from jaxrl.app import html
from reasoning.synthesis.dynamite.lineage import lineage, unmapped
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.dynamite.output.drawing import CAPTION, drawings
from reasoning.synthesis.dynamite.output.explain import open_questions, sentence, worked
from reasoning.synthesis.dynamite.questions.ambiguity import Sought, next_question
from reasoning.synthesis.errors import write_whole
from reasoning.synthesis.facts import to_facts
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import walk
from reasoning.synthesis.syntax import show_rule


def write_page(
    mapping: Mapping, path: str | Path, data: Instance | None = None, questions: bool = True
) -> Path:
    """Write the explanation of a mapping as one HTML page.

    Args:
      mapping: the mapping to explain, with its examples.
      path: the file to write.
      data: a source instance to look for open questions in; None: made up.
      questions: look for open questions, which takes some seconds.

    Returns:
      The path.

    Raises:
      UserError: the file cannot be written.
    """
    write_whole(path, page(mapping, data, questions))
    return Path(path)


def page(mapping: Mapping, data: Instance | None = None, questions: bool = True) -> str:
    """The whole page: counts, drawing, questions, rules in words with one record, program."""
    opened = [note.removeprefix("open: ") for note in mapping.notes if note.startswith("open: ")]
    notes = [note for note in mapping.notes if not note.startswith("open: ")]
    question, sought = _asked(mapping, data) if questions else (None, Sought())
    asked = [html.code(open_questions(mapping, question, sought))] if questions else []
    number = len(opened) + (question is not None)
    rules = [
        html.section(
            f"Rule {n}",
            html.paragraph(sentence(rule, mapping.source)),
            html.code(show_rule(rule)),
            html.details(
                "One record followed through", html.code("\n".join(worked(rule, mapping)))
            ),
            level=3,
        )
        for n, rule in enumerate(mapping.program.rules, 1)
    ]
    left = unmapped(mapping)
    return html.page(
        "A migration by example",
        html.tiles(_figures(mapping, number)),
        html.section("The mapping", html.drawing(drawings(mapping), CAPTION)),
        html.section(
            "Questions",
            html.bullets(opened) if opened else html.paragraph("The example leaves nothing open."),
            *asked,
        ),
        html.section("Rules", *rules),
        html.section(
            "Where the columns come from", html.table(("target", "source"), lineage(mapping))
        ),
        html.section(
            "What was noticed",
            html.bullets([*notes, *(f"nothing is made of {column}" for column in left)])
            if notes or left
            else html.paragraph("Every source column is used."),
        ),
        html.section("The program", html.code(mapping.datalog)),
        lead=f"{len(list(walk(mapping.source)))} source collections become "
        f"{len(list(walk(mapping.target)))}, learned from {len(mapping.examples)} example(s).",
    )


def _asked(mapping: Mapping, data: Instance | None):
    sought = Sought()
    return next_question(mapping, data, sought=sought), sought


def _figures(mapping: Mapping, opened: int):
    """The numbers at the top."""
    source = sum(len(rows) for facts in mapping.source_facts() for rows in facts.values())
    target = sum(
        len(rows)
        for _, one in mapping.examples
        for rows in to_facts(mapping.target, one, "target example", loose=True).values()
    )
    return [
        ("rules", len(mapping.program.rules)),
        ("open questions", opened),
        ("records in the source example", source),
        ("records in the target example", target),
        ("candidates tried", mapping.statistics.get("candidates", 0)),
    ]
