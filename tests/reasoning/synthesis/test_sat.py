import itertools

import pytest

pytest.importorskip("pysat")
from reasoning.synthesis.sat import Sat


def models(sat, literals, assumptions=()):
    """All solutions on some literals, each once."""
    found, guard = set(), sat.new()
    while sat.solve([*assumptions, guard], lambda: True):
        model = tuple(literal in sat.true for literal in literals)
        found.add(model)
        sat.add(
            [-guard, *(-lit if held else lit for lit, held in zip(literals, model, strict=True))]
        )
    return found


@pytest.mark.parametrize("n", [1, 3, 5, 6, 9])
def test_one_hot_has_exactly_its_choices(n):
    sat = Sat()
    choices = [sat.new() for _ in range(n)]
    sat.one_hot(choices)
    assert models(sat, choices) == {tuple(i == j for j in range(n)) for i in range(n)}


@pytest.mark.parametrize("first", [None, 1, 4])
def test_weights_bound_the_sum(first, monkeypatch):
    monkeypatch.setattr("reasoning.synthesis.sat.MORE_BOUNDS", 2)
    weights = (1, 2, 3, 3)
    for bound in range(10):
        sat = Sat(seed=bound)
        literals = [sat.new() for _ in weights]
        sat.weigh(dict(zip(literals, weights, strict=True)), most=9, first=first)
        expected = {
            m
            for m in itertools.product((False, True), repeat=4)
            if sum(w for w, held in zip(weights, m, strict=True) if held) <= bound
        }
        assert models(sat, literals, sat.at_most(bound)) == expected


def test_the_core_names_the_assumptions_to_blame():
    sat = Sat()
    a, b, c = (sat.new() for _ in range(3))
    sat.add([-a, -b])
    assert sat.solve([a, b, c], lambda: True) is False
    assert sat.core <= {a, b} and sat.core


def test_out_of_time_is_neither_yes_nor_no():
    assert Sat().solve([], lambda: False) is None
