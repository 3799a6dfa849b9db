"""Joins by the whole of a key, references with a kind, and text that is cut: small examples that a
part would make too, and data on which it is wrong.
"""

import json
from collections import Counter

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pysat")
pytest.importorskip("sqlglot")
from reasoning.synthesis.ddl import from_ddl
from reasoning.synthesis.dynamite import Mapping, Options, Plan, migrate, synthesize_mapping
from reasoning.synthesis.engines import duck, memory, sqlite
from reasoning.synthesis.facts import to_facts
from reasoning.synthesis.infer import infer_schema, loosened

USERS = (
    "CREATE TABLE users (tenant_id int, user_id int, name text, PRIMARY KEY (tenant_id, user_id))"
)
ORDERS = "; CREATE TABLE orders (id int PRIMARY KEY, tenant_id int, user_id int"
REFERS = ", FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, user_id)"
NAMES = {(1, 1): "ann", (1, 2): "bo", (2, 3): "cy"}


def shop(names, orders):
    return {
        "users": [{"tenant_id": t, "user_id": u, "name": n} for (t, u), n in names.items()],
        "orders": [{"id": n, "tenant_id": t, "user_id": u} for n, t, u in orders],
    }


def learned(source, target, ddl=None) -> Mapping:
    schema = from_ddl(ddl) if ddl else loosened(infer_schema(source))
    wanted = loosened(infer_schema(target))
    found = synthesize_mapping(schema, wanted, [(source, target)], Options())
    assert isinstance(found, Mapping), found
    return found


def made(mapping, data):
    """What all engines make of the only collection."""
    facts = to_facts(mapping.source, data)
    first, *others = (
        engine.bags(mapping.program, mapping.source, mapping.target, facts)
        for engine in (memory, sqlite, duck)
    )
    assert all(other == first for other in others)
    return next(iter(first.values()))


@pytest.mark.parametrize("refers", [REFERS, ""])
@pytest.mark.parametrize("stray", [False, True])
def test_records_are_joined_by_the_whole_key(refers, stray):
    orders = [(1, 1, 2), (2, 2, 3), (3, 1, 1)] + [(4, None, None)] * stray
    rows = [{"id": n, "name": NAMES.get((t, u))} for n, t, u in orders]
    mapping = learned(shop(NAMES, orders), {"sale": rows}, USERS + ORDERS + refers + ")")
    data = shop({(1, 1): "ann", (2, 1): "zed"}, [(9, 2, 1), (8, 3, 1)])
    wanted = {(9, "zed"): 1, (8, None): 1} if stray else {(9, "zed"): 1}
    assert made(mapping, data) == Counter(wanted)


def test_a_part_of_an_undeclared_key_is_a_question():
    orders = [(1, 1, 2), (2, 2, 3), (3, 1, 1)]
    rows = [{"id": n, "name": NAMES[t, u]} for n, t, u in orders]
    notes = learned(shop(NAMES, orders), {"sale": rows}).notes
    assert any("by user_id alone; tenant_id is equal on both sides" in note for note in notes)


def test_a_reference_with_a_kind_asks_for_the_kind():
    def comments(*rows):
        names = ("id", "body", "owner_type", "owner_id")
        return [dict(zip(names, row, strict=True)) for row in rows]

    source = {
        "posts": [{"id": 1, "title": "P1"}, {"id": 2, "title": "P2"}],
        "photos": [{"id": 3, "url": "u3"}],
        "comments": comments((7, "a", "Post", 1), (8, "b", "Photo", 3), (9, "c", "Post", 2)),
    }
    target = {"post_comment": [{"title": "P1", "body": "a"}, {"title": "P2", "body": "c"}]}
    data = source | {"comments": comments((1, "x", "Photo", 1), (2, "y", "Post", 2))}
    assert made(learned(source, target), data) == Counter({("P2", "y"): 1})


def test_a_separator_says_more_than_a_place():
    source = {"p": [{"id": 1, "sku": "AB-12-X"}, {"id": 2, "sku": "CD-34-Y"}]}
    mapping = learned(source, {"q": [{"id": 1, "no": "12"}, {"id": 2, "no": "34"}]})
    data = {"p": [{"id": 4, "sku": "ABC-123-Q"}, {"id": 5, "sku": "A-1"}]}
    assert made(mapping, data) == Counter({(4, "123"): 1, (5, "1"): 1})


def test_text_that_is_cut_elsewhere_is_a_problem(tmp_path):
    source = {"p": [{"id": 1, "x": "ab12cd"}, {"id": 2, "x": "ef34gh"}]}
    mapping = learned(source, {"q": [{"id": 1, "no": "12"}, {"id": 2, "no": "34"}]})
    assert any("cut at fixed places out of texts of 6 letters" in note for note in mapping.notes)
    for text, found in (("xy98zz", 0), ("x198zz1", 1)):
        (tmp_path / "s.json").write_text(json.dumps({"p": [{"id": 3, "x": text}]}))
        plan = Plan(mapping, str(tmp_path / "s.json"), str(tmp_path / "o.json"), overwrite=True)
        assert len(migrate(plan).problems) == found
    apart = {"p": [{"id": 1, "x": "ab12cd"}, {"id": 2, "x": "ef34g"}]}
    notes = learned(apart, {"q": [{"id": 1, "no": "12"}, {"id": 2, "no": "34"}]}).notes
    assert not any("cut at fixed places" in note for note in notes)
