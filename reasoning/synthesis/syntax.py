"""Datalog as text: a printer and the parser that reads it back."""

import datetime
import decimal
import json
import re
from typing import Any

from reasoning.synthesis.datalog import (
    Atom,
    Call,
    Connector,
    Const,
    Program,
    Rule,
    Term,
    Var,
    Wild,
    map_terms,
)
from reasoning.synthesis.errors import UserError

NAME = r"[A-Za-z_][A-Za-z0-9_]*(?:\?[A-Za-z_][A-Za-z0-9_]*)*"
TOKEN = re.compile(
    rf"""\s+ | %[^\n]* | (?P<name>{NAME}) | `(?P<quoted>(?:[^`]|``)+)`
    | (?P<string>"(?:[^"\\]|\\.)*") | (?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)
    | (?P<mark>:-|[][(),.=@!])""",
    re.VERBOSE,
)
TAGS = {
    "date": datetime.date.fromisoformat,
    "datetime": datetime.datetime.fromisoformat,
    "decimal": decimal.Decimal,
}


def show_program(program: Program) -> str:
    """The program as text, one rule a line."""
    return "\n".join(show_rule(rule) for rule in program.rules) + "\n"


def show_rule(rule: Rule) -> str:
    """A rule as text: `head, head :- atom, atom, _v = id(x).` is the shape."""
    # That a variable is never NULL is said in the body alone.
    plain = map_terms(rule, lambda term: Var(term.name) if isinstance(term, Var) else term)
    made = [f"{_name(c.var.name)} = id({_terms(c.terms)})" for c in plain.connectors]
    return (
        f"{', '.join(map(show_atom, plain.heads))} :- "
        f"{', '.join([*map(show_atom, rule.body), *made])}{_identity(rule)}."
    )


def _identity(rule):
    if rule.distinct:
        return " @distinct"
    return "" if rule.counted is None else f" @rows({', '.join(map(str, rule.counted))})"


def show_atom(atom: Atom) -> str:
    """`relation(term, term)`; a name with other letters stands in backquotes."""
    shown = f"{_name(atom.relation)}({_terms(atom.terms)})"
    return f"[{shown}]" if atom.optional else shown


def _name(name):
    return name if re.fullmatch(NAME, name) else "`" + name.replace("`", "``") + "`"


def _terms(terms):
    return ", ".join(show_term(term) for term in terms)


def show_term(term: Term) -> str:
    """A variable by its name, text in quotes, dates and decimals as @date("...")."""
    if isinstance(term, Wild):
        return "_"
    if isinstance(term, Call):
        return f"{term.name}({_terms(term.args)})"
    if isinstance(term, Var):
        return _name(term.name) + ("!" if term.firm else "")
    return show_value(term.value)


def show_value(value: Any) -> str:
    """A value as a constant of Datalog."""
    for tag, kind in (("datetime", datetime.datetime), ("date", datetime.date)):
        if isinstance(value, kind):
            return f'@{tag}("{value.isoformat()}")'
    return (
        f'@decimal("{value}")'
        if isinstance(value, decimal.Decimal)
        else json.dumps(value, ensure_ascii=False)
    )


def parse_program(text: str, where: str = "program") -> Program:
    """A program from text as `show_program` writes it; `%` begins a comment.

    Raises:
      UserError: the text is not understood; the message has line and column.
    """
    reader = _Reader(text, where)
    rules = []
    while reader.kind != "end":
        rules.append(_rule(reader))
    return Program(tuple(rules))


class _Reader:
    """Tokens of a text, one at a time."""

    def __init__(self, text, where):
        self.text, self.where, self.place, self.start = text, where, 0, 0
        self.kind, self.value = "start", ""
        self.step()

    def step(self):
        """Go to the next token; returns the value of the one left behind."""
        left = self.value
        while self.place < len(self.text):
            found = TOKEN.match(self.text, self.place)
            if not found:
                self.start = self.place
                raise self.error("something else was expected")
            self.start, self.place = self.place, found.end()
            if found.lastgroup:
                self.kind, self.value = found.lastgroup, found[found.lastgroup]
                return left
        self.kind, self.value, self.start = "end", "the end", len(self.text)
        return left

    def take(self, mark):
        if (self.kind, self.value) != ("mark", mark):
            raise self.error(f"{mark!r} was expected, not {self.value!r}")
        self.step()

    def at(self, mark):
        return (self.kind, self.value) == ("mark", mark)

    def error(self, what):
        line = self.text.count("\n", 0, self.start) + 1
        column = self.start - self.text.rfind("\n", 0, self.start)
        return UserError(f"{self.where}, line {line}, column {column}: {what}")


def _rule(reader):
    heads = [_atom(reader)]
    while reader.at(","):
        reader.step()
        heads.append(_atom(reader))
    reader.take(":-")
    body, connectors = [], []
    while True:
        optional = reader.at("[")
        if optional:
            reader.step()
        name = _identifier(reader)
        if optional:
            body.append(Atom(name, _arguments(reader), True))
            reader.take("]")
        elif reader.at("="):
            reader.step()
            if _identifier(reader) != "id":
                raise reader.error("`id(...)` was expected")
            connectors.append(Connector(Var(name), _arguments(reader)))
        else:
            body.append(Atom(name, _arguments(reader)))
        if not reader.at(","):
            break
        reader.step()
    distinct, counted = False, None
    if reader.at("@"):
        reader.step()
        if (word := _identifier(reader)) not in ("distinct", "rows"):
            raise reader.error(f"@{word} is neither @distinct nor @rows(...)")
        distinct = word == "distinct"
        counted = None if distinct else _numbers(reader)
    reader.take(".")
    firm = {var.name for atom in body for var in atom.terms if isinstance(var, Var) and var.firm}
    found = Rule(tuple(heads), tuple(body), tuple(connectors), distinct, counted)
    return map_terms(
        found, lambda term: Var(term.name, term.name in firm) if isinstance(term, Var) else term
    )


def _numbers(reader) -> tuple[int, ...]:
    terms = _arguments(reader)
    if not terms or not all(isinstance(t, Const) and type(t.value) is int for t in terms):
        raise reader.error("@rows(...) needs the numbers of atoms")
    return tuple(t.value for t in terms)


def _atom(reader):
    return Atom(_identifier(reader), _arguments(reader))


def _identifier(reader):
    if reader.kind not in ("name", "quoted"):
        raise reader.error(f"a name was expected, not {reader.value!r}")
    quoted = reader.kind == "quoted"
    value = reader.step()
    return value.replace("``", "`") if quoted else value


def _arguments(reader):
    reader.take("(")
    terms = []
    while not reader.at(")"):
        terms.append(_term(reader))
        if not reader.at(","):
            break
        reader.step()
    reader.take(")")
    return tuple(terms)


def _term(reader):
    if reader.kind == "string":
        return Const(_string(reader))
    if reader.kind == "number":
        return Const(json.loads(reader.step()))
    if reader.at("@"):
        reader.step()
        return _tagged(reader, _identifier(reader))
    if reader.kind == "name" and reader.value in ("true", "false", "null"):
        return Const(json.loads(reader.step()))
    if reader.kind == "name" and reader.value == "_":
        reader.step()
        return Wild()
    name = _identifier(reader)
    if reader.at("("):
        return Call(name, _arguments(reader))
    if reader.at("!"):
        reader.step()
        return Var(name, True)
    return Var(name)


def _string(reader):
    try:
        return json.loads(reader.value, strict=False)
    except ValueError as error:
        raise reader.error(f"{reader.value} is no text") from error
    finally:
        reader.step()


def _tagged(reader, tag):
    if tag not in TAGS:
        raise reader.error(f"@{tag} is none of {', '.join('@' + tag for tag in TAGS)}")
    reader.take("(")
    if reader.kind != "string":
        raise reader.error("text was expected")
    text = _string(reader)
    try:
        value = TAGS[tag](text)
    except (ValueError, decimal.InvalidOperation) as error:
        raise reader.error(f"{text!r} is no {tag}") from error
    reader.take(")")
    return Const(value)
