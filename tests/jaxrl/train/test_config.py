"""Configurations as JSON and back, and their differences by name."""

import json
from dataclasses import dataclass

import pytest

from jaxrl.app.errors import UserError
from jaxrl.train.config import changed, differences, flatten, from_dict, to_dict


@dataclass(frozen=True)
class Inner:
    must: int
    rate: float = 0.1
    widths: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    name: str = "a"
    inner: Inner = Inner(3)
    extra: Inner | None = None
    grid: tuple[tuple[int, int], ...] = ((1, 2), (3, 4))
    limit: int | None = None


CONFIGS = [
    Outer(),
    Outer("b", Inner(1, 0.3, ()), Inner(1, 2.0), (), 5),
    Outer(inner=Inner(2, rate=float("inf"))),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_round_trip_through_a_file_gives_an_equal_hashable_configuration(config):
    back = from_dict(Outer, json.loads(json.dumps(to_dict(config))))
    assert back == config
    assert hash(back) == hash(config)


def test_fields_that_do_not_fit_are_named_with_their_place():
    data = to_dict(Outer())
    del data["inner"]["must"]
    with pytest.raises(UserError, match=r"field inner\.must is missing"):
        from_dict(Outer, data)
    data["inner"] = {**to_dict(Inner(3)), "speed": 1}
    with pytest.raises(UserError, match=r"field inner\.speed is unknown"):
        from_dict(Outer, data)
    with pytest.raises(UserError, match=r"field extra\.must is missing"):
        from_dict(Outer, {**to_dict(Outer()), "extra": {"widths": [1]}})


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [("must", "four", "int"), ("must", True, "int"), ("rate", "x", "float")],
)
def test_a_value_of_another_type_is_named(field, value, kind):
    data = to_dict(Outer(inner=Inner(3)))
    data["inner"][field] = value
    with pytest.raises(UserError, match=rf"inner\.{field} is {value!r}, which is no {kind}"):
        from_dict(Outer, data)


def test_a_field_that_is_not_there_has_its_default():
    data = to_dict(Outer("b", Inner(1, 0.3, (7,))))
    del data["grid"], data["inner"]["rate"]
    assert from_dict(Outer, data) == Outer("b", Inner(1, 0.1, (7,)))


def test_dotted_names():
    assert flatten({"a": 1, "b": {"c": 2, "d": {"e": [3]}}}) == {"a": 1, "b.c": 2, "b.d.e": [3]}


def test_differences_show_both_values():
    old, new = to_dict(Outer()), to_dict(Outer("z", Inner(3, 0.2)))
    assert differences(old, new) == {"inner.rate": (0.1, 0.2), "name": ("a", "z")}
    assert differences(old, old) == {}


def test_a_part_that_is_absent_on_one_side_shows_as_none():
    assert differences(to_dict(Outer()), to_dict(Outer(extra=Inner(3)))) == {
        "extra.must": (None, 3),
        "extra.rate": (None, 0.1),
        "extra.widths": (None, [1, 2]),
    }
    assert differences({"a": 1}, {}) == {"a": (1, None)}


def test_values_change_at_dotted_names_and_unknown_names_are_refused():
    assert changed(Outer(), {"name": "b", "inner.rate": 2.0, "inner.must": 4}) == Outer(
        "b", Inner(4, rate=2.0)
    )
    assert changed(Outer(), {"inner": Inner(7), "inner.rate": 2.0}).inner == Inner(7, rate=2.0)
    with pytest.raises(TypeError, match="unheard"):
        changed(Outer(), {"inner.unheard": 1})
    with pytest.raises(AttributeError, match="unheard"):
        changed(Outer(), {"unheard.rate": 1})
