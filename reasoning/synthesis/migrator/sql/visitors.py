"""Traversals and rewritings of the trees of `program`."""

from collections.abc import Callable, Container, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from reasoning.synthesis.migrator.sql.program import (
    And,
    Col,
    Compound,
    Delete,
    Fill,
    Fresh,
    InSelect,
    Insert,
    Lookup,
    Param,
    Pred,
    Select,
    Source,
    Statement,
    Update,
)


def nodes(tree: Any) -> Iterator[Any]:
    """All parts of a tree, itself included, subqueries too."""
    if is_dataclass(tree):
        yield tree
        for field in fields(tree):
            yield from nodes(getattr(tree, field.name))
    elif isinstance(tree, tuple):
        for part in tree:
            yield from nodes(part)


def here(tree: Any) -> Iterator[Any]:
    """All parts of a tree without what lies inside subqueries, whose `InSelect` and `Lookup` are
    still there.
    """
    if is_dataclass(tree):
        yield tree
        if not isinstance(tree, Lookup):
            for field in fields(tree):
                if not (isinstance(tree, InSelect | Source) and field.name == "select"):
                    yield from here(getattr(tree, field.name))
    elif isinstance(tree, tuple):
        for part in tree:
            yield from here(part)


def columns(tree: Any) -> list[Col]:
    """The columns that a tree names, subqueries aside, each once."""
    return list(dict.fromkeys(node for node in here(tree) if isinstance(node, Col)))


def change(tree: Any, rule: Callable[[Any], Any]) -> Any:
    """The tree with every column outside subqueries replaced by `rule` (which may return
    the same).
    """
    if isinstance(tree, Col):
        return rule(tree)
    if isinstance(tree, InSelect):
        return replace(tree, columns=tuple(map(rule, tree.columns)))
    if isinstance(tree, Lookup):
        return tree
    if isinstance(tree, Source):
        return replace(tree, on=change(tree.on, rule))
    if isinstance(tree, tuple):
        return tuple(change(part, rule) for part in tree)
    if is_dataclass(tree):
        return replace(
            tree, **{field.name: change(getattr(tree, field.name), rule) for field in fields(tree)}
        )
    return tree


def change_queries(tree: Any, rule: Callable[[Select], Select]) -> Any:
    """The tree with all its queries rewritten by a rule, the innermost first."""
    if isinstance(tree, tuple):
        return tuple(change_queries(part, rule) for part in tree)
    if not is_dataclass(tree):
        return tree
    places = [out.value for out in tree.outs] if isinstance(tree, Compound) else []
    parts = {f.name: change_queries(getattr(tree, f.name), rule) for f in fields(tree)}
    tree = replace(tree, **parts)
    if isinstance(tree, Compound):  # its order names outputs of the first part
        order = tuple((tree.outs[places.index(v)].value, word) for v, word in tree.order)
        return replace(tree, order=order)
    return rule(tree) if isinstance(tree, Select) else tree


def conjuncts(pred: Pred) -> tuple[Pred, ...]:
    """The conditions that all must hold."""
    if isinstance(pred, And):
        return tuple(one for part in pred.parts for one in conjuncts(part))
    return (pred,)


def conjunction(parts) -> Pred:
    """All of the conditions: one alone stays as it is."""
    flat = tuple(one for part in parts for one in conjuncts(part))
    return flat[0] if len(flat) == 1 else And(flat)


def reads(statement: Statement) -> set[str]:
    """Tables whose rows decide what a statement does."""
    return {node.table for node in nodes(statement) if isinstance(node, Source | Update | Delete)}


def writes(statement: Statement) -> set[str]:
    """Tables that a statement changes."""
    return {statement.table} if isinstance(statement, Insert | Fill | Delete | Update) else set()


def parameters(tree: Any) -> list[str]:
    """The parameters that a tree names, in order of first use."""
    return list(dict.fromkeys(node.name for node in nodes(tree) if isinstance(node, Param)))


def fresh_numbers(tree: Any) -> set[int]:
    """The numbers of its fresh keys."""
    return {node.number for node in nodes(tree) if isinstance(node, Fresh)}


def plainly_named(tree: Any, old: Container[str]) -> Any:
    """The tree without names that say nothing: aliases of single tables that are names of old ones,
    and outputs of IN's subqueries.

    Args:
      tree: a statement.
      old: names of the tables that the statement was rewritten from.
    """
    if isinstance(tree, tuple):
        return tuple(plainly_named(part, old) for part in tree)
    if not is_dataclass(tree):
        return tree
    tree = replace(
        tree,
        **{field.name: plainly_named(getattr(tree, field.name), old) for field in fields(tree)},
    )
    if isinstance(tree, InSelect):
        outs = tuple(
            replace(out, name=out.value.name) if isinstance(out.value, Col) else out
            for out in tree.select.outs
        )
        names = [out.name for out in outs]
        return (
            replace(tree, select=replace(tree.select, outs=outs))
            if len(set(names)) == len(names)
            else tree
        )
    if isinstance(tree, Select) and len(tree.sources) == 1 and tree.sources[0].alias in old:
        (source,) = tree.sources
        renamed = change(
            tree,
            lambda column: (
                Col(source.table, column.name) if column.alias == source.alias else column
            ),
        )
        return replace(renamed, sources=(Source(source.table, source.table),))
    return tree
