"""Ten applications of 45 to 263 functions: a refactoring of a few tables, written by hand, inside a
generated program around it.

The sizes are those that the paper's evaluation reports for real applications; names, tables and
functions are made up here.
"""

import random

from benchmarks.migrator_scenarios.cores import CORES, Core
from benchmarks.migrator_scenarios.scenario import Scenario

WORDS = """
badge banner basket bill booking brand budget bundle calendar campaign card channel chapter claim
clinic comment contract coupon device diary draft event factor feed file folder forum gate gift goal
grade group guide habit hint icon idea invoice issue label lease ledger letter level license link
list log loan lock mail map mark match media menu message metric mission module mood news node
notice offer order outlet page panel parcel partner path permit phase plan play poll post price
prize profile promo quest quota quote rank rating receipt record refund region report request reward
role room route rule sale scene score seat section series session setting shelf shift signal skill
slot source space spot stage stamp step stock story subject survey system tag target task team
template term theme thread ticket tip token tool topic tour track trade trip unit update usage vault
version video visit vote voucher wallet ward watch wish zone
"""
NOUNS = WORDS.split()
PLAIN = """
title body kind state code position weight amount created updated owner_note colour size link
language visible priority source summary reference counter starts ends locale slug comment_text
origin score_value rank_value batch
"""
ADJECTIVES = PLAIN.split()
KINDS = ("TEXT", "TEXT", "INT", "TEXT", "INT", "FLOAT")


def application(core: Core) -> Scenario:
    """The scenario around a core: tables and functions are added until the sizes are reached."""
    chance = random.Random(core.name)
    names = chance.sample(
        [noun for noun in NOUNS if noun not in core.used],
        core.tables - core.source.count("CREATE TABLE"),
    )
    left = core.columns - core.source_columns
    shares = _shares(left, len(names), chance)
    tables = {
        name: _columns(name, share, names[:n], core, chance)
        for n, (name, share) in enumerate(zip(names, shares, strict=True))
    }
    ddl = "\n".join(_ddl(name, columns) for name, columns in tables.items())
    wanted = core.functions - core.program.count("-- name:")
    program = core.program + "".join(_functions(tables, core, wanted, chance))
    return Scenario(core.name, f"{core.source}\n{ddl}", f"{core.target}\n{ddl}", program)


def _shares(total, count, chance):
    """Columns for each table: at least three, the rest at random."""
    shares = [3] * count
    for _ in range(total - 3 * count):
        open_ones = [n for n in range(count) if shares[n] < len(ADJECTIVES)]
        shares[chance.choice(open_ones)] += 1
    return shares


def _columns(name, share, before, core, chance):
    """(column, type, table referred to or None): the key, now and then a reference, plain
    columns.
    """
    found = [("id", "INT", None)]
    parents = (
        [core.parent]
        if chance.random() < core.tied
        else before[-1:]
        if chance.random() < 0.3
        else []
    )
    found += [(f"{parent}_id", "INT", parent) for parent in parents]
    words = chance.sample(ADJECTIVES, share - len(found))
    return found + [(word, chance.choice(KINDS), None) for word in words]


def _ddl(name, columns):
    cells = [
        f"{c} {kind}" + (" PRIMARY KEY" if c == "id" else f" REFERENCES {to}(id)" if to else "")
        for c, kind, to in columns
    ]
    return f"CREATE TABLE {name} ({', '.join(cells)});"


def _functions(tables, core: Core, wanted: int, chance):
    """Functions in rounds over all tables: first what every table needs, then more and more special
    ones.
    """
    made, rounds = [], 0
    while len(made) < wanted:
        for name, columns in tables.items():
            if len(made) < wanted:
                made.append(_function(rounds, name, columns, core, chance))
        rounds += 1
    return made


def _function(number, name, columns, core, chance):
    plain = [c for c, _, to in columns[1:] if to is None]
    parent = next((to for _, _, to in columns if to), None)
    one, other = chance.choice(plain), chance.choice(plain)
    every = ", ".join(c for c, _, _ in columns)
    if number == 0:
        values = ", ".join(f":{c}" for c, _, _ in columns)
        return f"-- name: add_{name}({every})\nINSERT INTO {name} ({every}) VALUES ({values});\n"
    if number == 1:
        return f"-- name: get_{name}(id)\nSELECT {every} FROM {name} WHERE id = :id;\n"
    if number == 2:
        return f"-- name: remove_{name}(id)\nDELETE FROM {name} WHERE id = :id;\n"
    if number == 3 and parent == core.parent:
        shown = core.parent_column
        return (
            f"-- name: {name}_of_{parent}({shown})\nSELECT {name}.{one} FROM {name} JOIN {parent} "
            f"ON {name}.{parent}_id = {parent}.id "
            f"WHERE {parent}.{shown} = :{shown};\n"
        )
    if number % 3 == 0:
        return (
            f"-- name: set_{name}_{number}(id, {one})\nUPDATE {name} SET {one} = :{one} WHERE "
            "id = :id;\n"
        )
    if number % 3 == 1:
        return (
            f"-- name: list_{name}_{number}({one})\nSELECT id, {other} FROM {name} WHERE {one} "
            f"= :{one} ORDER BY id;\n"
        )
    return (
        f"-- name: count_{name}_{number}({one})\nSELECT COUNT(*) AS number FROM {name} WHERE "
        f"{one} > :{one};\n"
    )


APPLICATIONS = tuple(application(core) for core in CORES)
