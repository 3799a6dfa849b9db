"""A mapping in words: a sentence for every rule, where every target column comes from, one record
followed through, what is open.
"""

from reasoning.synthesis.datalog import Const, Rule, Var
from reasoning.synthesis.dynamite.lineage import labels, lineage, unmapped
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.dynamite.questions.ambiguity import Question, Sought, next_question
from reasoning.synthesis.engines.compile import shown_names
from reasoning.synthesis.engines.identity import flat_terms
from reasoning.synthesis.engines.memory import UNMATCHED, matches, value_of
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import Schema, columns
from reasoning.synthesis.syntax import show_rule, show_value


def explain(mapping: Mapping, data: Instance | None = None, questions: bool = True) -> str:
    """The whole explanation as text.

    Args:
      mapping: the mapping, with its examples.
      data: a source instance to look for open questions in; None: made up.
      questions: look for them at all; takes up to some twenty seconds.
    """
    parts = []
    for rule in mapping.program.rules:
        parts.append(
            "\n".join(
                [sentence(rule, mapping.source), f"    {show_rule(rule)}", *worked(rule, mapping)]
            )
        )
    parts.append("Where the columns come from:\n" + table(lineage(mapping)))
    if left := unmapped(mapping):
        parts.append("Nothing is made of: " + ", ".join(left))
    if mapping.notes:
        parts.append("Noticed:\n" + "\n".join(f"- {note}" for note in mapping.notes))
    if questions:
        sought = Sought()
        question = next_question(mapping, data, sought=sought)
        parts.append(open_questions(mapping, question, sought))
    return "\n\n".join(parts) + "\n"


def atoms_in_order(rule: Rule) -> list[int]:
    """The atoms of a body so that each is tied to one before it, if that can be; the first is the
    one that shares most.
    """
    terms = [{term for term in atom.terms if isinstance(term, Var)} for atom in rule.body]

    def shared(n, known):
        return len(terms[n] & known)

    def everything(n):
        return set().union(*(found for m, found in enumerate(terms) if m != n))

    order = [max(range(len(terms)), key=lambda n: (shared(n, everything(n)), -n))]
    while len(order) < len(terms):
        known = set().union(*(terms[n] for n in order))
        order.append(
            max(
                (n for n in range(len(terms)) if n not in order),
                key=lambda n: (shared(n, known), -n),
            )
        )
    return order


def sentence(rule: Rule, source: Schema) -> str:
    """Describe a rule in one sentence."""
    names, seen, parts = labels(rule), {}, []
    for n in atoms_in_order(rule):
        tests = []
        for term, column in zip(
            rule.body[n].terms, columns(source, rule.body[n].relation), strict=True
        ):
            place = f"{names[n]}.{column.name}"
            if isinstance(term, Const):
                tests.append(f"its {column.name} is {show_value(term.value)}")
            elif isinstance(term, Var) and term in seen:
                tests.append(_tie(column, seen[term]))
            elif isinstance(term, Var):
                seen[term] = (names[n], column.name, column.is_id, place)
            if isinstance(term, Var) and term.firm:
                tests.append(f"its {column.name} is there")
        shown = f"{names[n]}{' where ' + ' and '.join(tests) if tests else ''}"
        parts.append(shown + (", if there is one" if rule.body[n].optional else ""))
    first, *others = parts
    made = "; for ".join([f"For every {first}", *(f"every {other}" for other in others)])
    return f"{made}: a record of {rule.heads[-1].relation}."


def _tie(column, known) -> str:
    label, name, is_id, place = known
    if not (column.is_id and is_id):
        return f"its {column.name} is {place}"
    if column.name == "__parent":
        return (
            f"it lies in the same record as {label}"
            if name == "__parent"
            else f"it lies in {label}"
        )
    return f"{label} lies in it"


def table(pairs: list[tuple[str, str]]) -> str:
    """Two columns of text."""
    width = max((len(first) for first, _ in pairs), default=0)
    return "\n".join(f"  {first:<{width}}  <-  {second}" for first, second in pairs)


def worked(rule: Rule, mapping: Mapping) -> list[str]:
    """One record of the example: the source rows and what the rule makes of them."""
    for facts in mapping.source_facts():
        for binding, rows in matches(rule.body, facts):
            lines = ["  For example"]
            for label, atom, row in zip(labels(rule), rule.body, rows, strict=True):
                if row == UNMATCHED:
                    continue
                cells = zip(
                    columns(mapping.source, atom.relation), facts[atom.relation][row], strict=True
                )
                lines.append(
                    f"    {label}: "
                    + ", ".join(f"{c.name} = {show_value(v)}" for c, v in cells if not c.is_id)
                )
            terms = flat_terms(rule, len(rule.heads) - 1, mapping.target)
            values = [show_value(value_of(term, binding)) for term in terms]
            path = rule.heads[-1].relation
            pairs = zip(shown_names(mapping.target, path), values, strict=True)
            return [
                *lines,
                f"    -> {path}: " + ", ".join(f"{name} = {value}" for name, value in pairs),
            ]
    return []


def open_questions(mapping: Mapping, question: Question | None, sought: Sought) -> str:
    """Describe an open question and what would settle it."""
    if question is None:
        return f"The example leaves no other program open: {sought}."
    rules = [rule for rule in question.other.rules if rule.heads[-1].relation == question.path]
    other = "\n".join(f"    {show_rule(rule)}" for rule in rules)
    return (
        f"Open: {question.path} could be made in another way that fits the examples as "
        f"well:\n{other}\n"
        f"  This source would tell them apart:\n    {question.source}\n  Should it become\n    1: "
        f"{question.answers[0]}\n"
        f"    2: {question.answers[1]}\n  `ask` puts the question and learns from the answer."
    )
