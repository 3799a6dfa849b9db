"""Short forms for scenarios: target schemas in a line, golden rules with named arguments."""

import re

from reasoning.synthesis.datalog import Atom, Const, Program, Var, Wild, check_program
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.dynamite.completion.candidate import rule_of
from reasoning.synthesis.schema import Schema, ancestors, columns, find

FIELD = re.compile(r"(\w+)(?::(\w+))?(!?)(\{)?|\}")
ATOM = re.compile(r"([\w?]+)\(([^()]*)\)")


def schema(kind: str, **collections: str) -> Schema:
    """A schema from lines such as `film="fid:int! title crew{person role}"`; "str" where no type
    stands.
    """
    return parse_schema(
        {"kind": kind, "collections": {name: _fields(text) for name, text in collections.items()}},
        "target",
    )


def _fields(text):
    stack: list[dict] = [{}]
    for found in FIELD.finditer(text):
        if found[0] == "}":
            stack.pop()
        elif found[4]:
            stack[-1][found[1]] = {"fields": {}}
            stack.append(stack[-1][found[1]]["fields"])
        else:
            stack[-1][found[1]] = (found[2] or "str") + found[3]
    return {"fields": stack[0]}


def graph(nodes: dict[str, str], edges: dict[str, str]) -> Schema:
    """A graph from lines such as `Film="_id:int title"` and `ACTED="Person Film part"` (the labels
    joined, then properties).
    """

    def kinds(text):
        return {field: kind.removesuffix("!") for field, kind in _fields(text)["fields"].items()}

    joined = {}
    for label, text in edges.items():
        start, end, *rest = text.split()
        joined[label] = {"from": start, "to": end, "properties": kinds(" ".join(rest))}
    return parse_schema(
        {"nodes": {label: kinds(text) for label, text in nodes.items()}, "edges": joined}, "target"
    )


def golden(text: str, source: Schema, target: Schema) -> Program:
    """A program from lines `path(attr, attr=var) :- relation(column=var, column="text").`.

    Arguments not named are `_`. `x` alone means `x=x`. A nested head names its own attributes and
    those of its ancestors, the latter as `ancestor.attr=var`. `__id` and `__parent` name
    identities.
    """
    rules = [
        _rule(line, source, target)
        for line in re.split(r"\.\s*\n", text.strip().removesuffix(".") + ".\n")
        if line.strip()
    ]
    return check_program(Program(tuple(rules)), source, target)


def _rule(line, source, target):
    head, body = line.split(":-")
    atoms = tuple(_body(source, *found) for found in ATOM.findall(body))
    path, arguments = ATOM.findall(head)[0]
    given = _arguments(arguments)
    own = []
    for owner in ancestors(path):
        prefix = "" if owner == path else owner.rpartition("?")[2] + "."
        own.append([given[prefix + attr.name] for attr in find(target, owner).attrs])
    return rule_of(target, path, own, atoms)


def _body(source, relation, arguments):
    given = _arguments(arguments)
    names = [column.name for column in columns(source, relation)]
    assert set(given) <= set(names), f"{relation} has no {set(given) - set(names)}"
    return Atom(relation, tuple(given.get(name, Wild()) for name in names))


def _arguments(text):
    found = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        found[name] = _term(value or name)
    return found


def _term(text):
    if text.startswith('"'):
        return Const(text[1:-1])
    return Const(text == "true") if text in ("true", "false") else Var(text)
