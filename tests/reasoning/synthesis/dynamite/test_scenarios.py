"""The 28 migrations of the benchmark, and what must be refused: learned from one example and
answers, judged on data never seen.
"""

import random

import pytest

pytest.importorskip("pysat")
pytest.importorskip("sqlglot")
from benchmarks.dynamite_scenarios import SCENARIOS
from benchmarks.dynamite_scenarios.beyond import OTHER_PAIRS, REFUSED
from reasoning.synthesis.dynamite.mapping import Mapping, Options
from reasoning.synthesis.dynamite.questions.ambiguity import next_question
from reasoning.synthesis.dynamite.synthesize import Unsat, synthesize_mapping
from reasoning.synthesis.engines import memory, sqlite
from reasoning.synthesis.facts import to_facts
from reasoning.synthesis.infer import infer_schema

EASY = [
    scenario for scenario in SCENARIOS if scenario.name not in ("papers doc-rel", "games rel-rel")
]


def test_there_are_28_of_seven_kinds():
    kinds = [scenario.name.split()[1] for scenario in SCENARIOS]
    assert (
        len(SCENARIOS) == 28
        and all(kinds.count(kind) == 4 for kind in set(kinds))
        and len(set(kinds)) == 7
    )
    sizes = {len(rule.body) for scenario in SCENARIOS for rule in scenario.golden.rules}
    assert sizes >= {1, 2, 3, 5, 7}


def judged(scenario, rounds=10):
    """Learn, asking the golden program; the collections that differ on held-out data."""
    examples = [scenario.example()]
    for _ in range(rounds):
        mapping = synthesize_mapping(
            scenario.source, scenario.target, examples, Options(budget=300)
        )
        assert isinstance(mapping, Mapping), mapping
        question = next_question(mapping, scenario.generate(random.Random("sample"), 8))
        if question is None:
            break
        examples.append((question.source, scenario.answer(question.source)))
    wrong = []
    for number in range(3):
        facts = to_facts(scenario.source, scenario.held_out(number))
        made, right = (
            memory.run(p, scenario.source, scenario.target, facts)
            for p in (mapping.program, scenario.golden)
        )
        wrong += [path for path in right if made[path] != right[path]]
    return wrong


@pytest.mark.parametrize("scenario", OTHER_PAIRS, ids=lambda s: s.name)
def test_the_two_other_pairs_of_kinds_are_learned(scenario):
    assert judged(scenario) == []


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_program_does_is_refused_with_the_reason(name):
    source, target, reason = REFUSED[name]
    found = synthesize_mapping(
        infer_schema(source), infer_schema(target), [(source, target)], Options(budget=300)
    )
    assert isinstance(found, Unsat), found
    assert reason in found.reason


@pytest.mark.parametrize("scenario", EASY[::5], ids=lambda s: s.name)
def test_scenarios_are_learned(scenario):
    assert judged(scenario) == []


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_all_scenarios_are_learned(scenario):
    assert judged(scenario) == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_goldens_run_alike_on_two_engines(scenario):
    facts = to_facts(scenario.source, scenario.held_out(9, size=10))
    assert memory.run(scenario.golden, scenario.source, scenario.target, facts) == sqlite.run(
        scenario.golden, scenario.source, scenario.target, facts
    )


def golden_of(name):
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


BY_HAND = {
    "films doc-rel": (
        {
            "film": [
                {
                    "fid": 1,
                    "title": "null",
                    "year": 2000,
                    "genres": [{"genre": "war"}],
                    "crew": [
                        {"person": "A", "role": "actor"},
                        {"person": "A", "role": "director"},
                        {"person": "A", "role": "actor"},
                    ],
                    "awards": [],
                },
                {
                    "fid": 2,
                    "title": "#",
                    "year": None,
                    "genres": [],
                    "crew": [{"person": "B", "role": "writer"}],
                    "awards": [{"prize": "Oak", "won": False}],
                },
            ]
        },
        {
            "Film": [
                {"fid": 1, "title": "null", "year": 2000},
                {"fid": 2, "title": "#", "year": None},
            ],
            "Genre": [{"fid": 1, "genre": "war"}],
            "Actor": [{"fid": 1, "name": "A"}],
            "Director": [{"fid": 1, "name": "A"}],
            "Writer": [{"fid": 2, "name": "B"}],
            "Award": [{"fid": 2, "prize": "Oak", "won": False}],
            "Duo": [{"title": "null", "actor": "A", "director": "A"}],
        },
    ),
    "rentals rel-doc": (
        {
            "host": [{"hid": 70, "hname": "H"}, {"hid": 71, "hname": None}],
            "listing": [
                {"lid": 5, "hid": 70, "title": "T", "area": "N"},
                {"lid": 6, "hid": 70, "title": None, "area": "N"},
            ],
            "calendar": [
                {"lid": 5, "day": "2024-05-01", "free": True},
                {"lid": 5, "day": "2024-05-02", "free": False},
            ],
            "review": [{"rid": 1, "lid": 6, "reviewer": "R", "score": 4}],
        },
        {
            "host": [
                {
                    "hid": 70,
                    "hname": "H",
                    "listings": [
                        {
                            "lid": 5,
                            "title": "T",
                            "area": "N",
                            "reviews": [],
                            "free": [{"day": "2024-05-01"}],
                        },
                        {
                            "lid": 6,
                            "title": None,
                            "area": "N",
                            "reviews": [{"reviewer": "R", "score": 4}],
                            "free": [],
                        },
                    ],
                },
                {"hid": 71, "hname": None, "listings": []},
            ]
        },
    ),
    "neurons graph-rel": (
        {
            "Neuron": [
                {"_id": "a", "kind": "rod", "layer": 1},
                {"_id": "b", "kind": "cone", "layer": 2},
            ],
            "TOUCHES": [
                {"_start": "a", "_end": "b", "area": 1.5, "sites": 3},
                {"_start": "b", "_end": "b", "area": 2.0, "sites": 3},
            ],
        },
        {
            "Cell": [
                {"id": "a", "kind": "rod", "layer": 1},
                {"id": "b", "kind": "cone", "layer": 2},
            ],
            "Contact": [
                {"kind": "rod", "other_kind": "cone", "area": 1.5},
                {"kind": "cone", "other_kind": "cone", "area": 2.0},
            ],
        },
    ),
    "docks rel-graph": (
        {
            "dock": [{"did": 300, "dname": "D"}],
            "rider": [{"rid": 800, "plan": "day"}],
            "bike": [{"bid": "b0", "model": "M"}],
            "ride": [
                {
                    "nr": 1,
                    "bid": "b0",
                    "rid": None,
                    "start_dock": 300,
                    "end_dock": 300,
                    "minutes": 40,
                },
                {
                    "nr": 2,
                    "bid": "b0",
                    "rid": 800,
                    "start_dock": 300,
                    "end_dock": 300,
                    "minutes": 50,
                },
            ],
        },
        {
            "Dock": [{"_id": 300, "dname": "D"}],
            "Rider": [{"_id": 800, "plan": "day"}],
            "Bike": [{"_id": "b0", "model": "M"}],
            "RIDE": [
                {"_start": 300, "_end": 300, "minutes": 40},
                {"_start": 300, "_end": 300, "minutes": 50},
            ],
            "RODE": [{"_start": 800, "_end": "b0", "nr": 2}],
        },
    ),
    "law rel-rel": (
        {
            "court": [{"cid": "c", "label": "L", "district": None}],
            "lawsuit": [{"sid": "s", "cid": "c", "filed": None, "title": "T"}],
            "party": [
                {"sid": "s", "pname": "P", "side": "plaintiff"},
                {"sid": "s", "pname": "Q", "side": "defendant"},
                {"sid": "s", "pname": "R", "side": "defendant"},
            ],
            "patent": [{"nr": "n", "topic": None, "granted": 1}],
            "dispute": [{"sid": "s", "nr": "n"}],
        },
        {
            "Plaintiff": [{"sid": "s", "pname": "P"}],
            "Defendant": [{"sid": "s", "pname": "Q"}, {"sid": "s", "pname": "R"}],
            "Case": [{"sid": "s", "label": "L", "title": "T"}],
            "Topic": [{"sid": "s", "topic": None}],
            "Against": [{"plaintiff": "P", "defendant": "Q"}, {"plaintiff": "P", "defendant": "R"}],
        },
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_goldens_give_what_was_written_by_hand(name):
    source, target = BY_HAND[name]
    assert golden_of(name).answer(source) == target
