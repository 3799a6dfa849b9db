"""Targets against formulas in NumPy, truth tables, and graphs drawn by hand."""

import itertools
import json
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.compositionality.targets import Node, Target, Unit, target_by_name
from reasoning.compositionality.targets.boolean import TABLES, gate
from reasoning.compositionality.targets.samples import corner, draw, examples, scale


def s(a, b):
    return np.tanh(2.2 * a - 1.8 * b + 0.3)


def mix(a, b):
    return 0.9 * np.sin(2 * (a + b)) + 0.4 * a * b


FORMULAS = {
    "tanh_tree:2": lambda x: [s(s(x[0], x[1]), s(x[2], x[3]))],
    "mix_tree:2": lambda x: [mix(mix(x[0], x[1]), mix(x[2], x[3]))],
    "chain:3": lambda x: [s(s(s(x[0], x[1]), x[2]), x[3])],
    "symbolic:independence": lambda x: [(x[0] + x[2]) ** 3, x[1] ** 2 + np.sin(np.pi * x[3])],
    "symbolic:sharing": lambda x: [
        x[0] ** 2,
        x[0] ** 2 + x[1] ** 2,
        x[0] ** 2 + x[1] ** 2 + x[2] ** 2,
    ],
    "symbolic:distance": lambda x: [np.sqrt((x[0] - x[1]) ** 2 + (x[2] - x[3]) ** 2 + 0.01)],
}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_are_those_of_the_formula(name):
    target = target_by_name(name)
    x = np.random.default_rng(0).uniform(-1, 1, target.inputs)
    assert np.asarray(target(jnp.asarray(x, jnp.float32))) == pytest.approx(
        FORMULAS[name](x), abs=1e-5
    )


@pytest.mark.parametrize(
    ("name", "inputs", "nodes", "depth", "layers", "arity"),
    [
        ("tanh_tree:3", 8, 7, 3, 3, 2),
        ("tanh_tree:2:3", 9, 4, 2, 2, 3),
        ("mix_tree:2", 4, 3, 2, 4, 2),
        ("chain:4", 5, 4, 4, 4, 2),
        ("reuse:3", 7, 6, 3, 3, 2),
        ("boolean:3", 8, 8, 3, 6, 2),
        ("cmsp", 20, 11, 4, 8, 2),
        ("nondecomposable:4", 4, 1, 1, 2, 4),
        ("distractor:tanh_tree:2", 6, 3, 2, 2, 2),
    ],
)
def test_graphs_are_what_their_names_say(name, inputs, nodes, depth, layers, arity):
    target = target_by_name(name)
    assert (target.inputs, len(target.nodes), target.depth, target.layers, target.arity) == (
        inputs,
        nodes,
        depth,
        layers,
        arity,
    )
    assert hash(target) == hash(target_by_name(name))


def test_supports_by_hand():
    assert target_by_name("tanh_tree:2").supports.tolist() == [
        [1, 1, 0, 0],
        [0, 0, 1, 1],
        [1, 1, 1, 1],
    ]
    assert target_by_name("chain:3").supports.tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert target_by_name("distractor:tanh_tree:1").supports.tolist() == [[1, 1, 0, 0]]


def test_one_part_feeds_all_outputs_of_reuse():
    target = target_by_name("reuse:3")
    fed = [target.nodes[o - target.inputs].parents[0] for o in target.outputs]
    assert len(fed) == 3 and len(set(fed)) == 1


@pytest.mark.parametrize("table", TABLES)
def test_gates_are_their_truth_tables(table):
    node = gate((0, 1), TABLES[table])
    found = [
        float(node(jnp.array([a, b], jnp.float32))) for a, b in itertools.product((-1, 1), repeat=2)
    ]
    assert found == pytest.approx(TABLES[table], abs=1e-6)


def test_cmsp_is_the_parity_of_the_subsets_that_are_on():
    target = target_by_name("cmsp")
    x = np.asarray(draw(target, jax.random.key(0), 64))
    controls = {tuple(row) for row in (x[:, 16:] > 0).astype(int)}
    assert (
        controls <= {(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 1, 1)}
        and len(controls) == 5
    )
    on = np.repeat(x[:, 16:] > 0, 2, axis=1)
    parity = np.where(on, x[:, :8], 1).prod(1)
    assert np.asarray(jax.jit(jax.vmap(target))(jnp.asarray(x)))[:, 0] == pytest.approx(
        parity, abs=1e-5
    )


def test_permuting_inputs_permutes_the_function():
    plain, moved = target_by_name("tanh_tree:2"), target_by_name("permuted:tanh_tree:2")
    leaves = [p for node in moved.nodes[:2] for p in node.parents]
    x = jnp.array([0.1, -0.4, 0.7, 0.2])
    assert sorted(leaves) == [0, 1, 2, 3] and leaves != [0, 1, 2, 3]
    assert moved(x) == pytest.approx(plain(x[jnp.array(leaves)]))


def test_examples_are_standardised_and_leave_the_corner_out():
    target = target_by_name("tanh_tree:2")
    aside = corner(target)
    outside, inside = (
        examples(target, jax.random.key(3), 512, **side)
        for side in ({"without": aside}, {"only": aside})
    )
    holds = jax.vmap(lambda x: aside.holds(target.values(x)))
    assert not holds(outside.x).any() and holds(inside.x).all()
    everything = examples(target, jax.random.key(4), 8192)
    assert float(everything.y.mean()) == pytest.approx(0, abs=0.05) and float(
        everything.y.std()
    ) == pytest.approx(1, abs=0.03)
    assert len(scale(target).mean) == 1


def test_inputs_of_pattern_networks_are_y_x_d_and_one():
    x = np.asarray(draw(target_by_name("cppn:1"), jax.random.key(0), 16))
    assert (
        x[:, 2] == pytest.approx(1.4 * np.hypot(x[:, 0], x[:, 1]), abs=1e-5)
        and (x[:, 3] == 1).all()
    )


GENOME = {
    "inputs": ["y", "x", "d", "b"],
    "outputs": ["h"],
    "nodes": [
        {"id": "g", "activation": "gaussian"},
        {"id": "h", "activation": "sin"},
        {"id": "lost", "activation": "cos"},
    ],
    "links": [
        {"from": "g", "to": "h", "weight": 1.5},
        {"from": "b", "to": "h", "weight": 0.5},
        {"from": "x", "to": "g", "weight": 2.0},
        {"from": "x", "to": "lost", "weight": 2.0},
    ],
}
XML = """<genome><nodes>
<node type="in" label="x"><marking branch="1" id="0"/><activation>identity(x)</activation></node>
<node type="in" label="bias"><marking branch="1" id="1"/><activation>identity(x)</activation></node>
<node type="hidden"><marking branch="1" id="2"/><activation>gaussian(x)</activation></node>
<node type="out" label="ink"><marking branch="1" id="3"/><activation>sin(x)</activation></node>
</nodes>
<links>
<link><source branch="1" id="2"/><target branch="1" id="3"/><weight>1.5</weight></link>
<link><source branch="1" id="1"/><target branch="1" id="3"/><weight>0.5</weight></link>
<link><source branch="1" id="0"/><target branch="1" id="2"/><weight>2.0</weight></link>
</links></genome>"""


@pytest.mark.parametrize("kind", ["json", "xml", "zip"])
def test_genomes_are_read_from_files(kind, tmp_path):
    path = tmp_path / f"g.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("rep.xml", XML)
    else:
        path.write_text(json.dumps(GENOME) if kind == "json" else XML)
    target = target_by_name(f"genome:{path}")
    x = np.array([0.3, -0.5, 0.8, 1.0])
    wanted = np.sin(1.5 * (2 * np.exp(-((2 * x[1]) ** 2)) - 1) + 0.5)
    assert len(target.nodes) == 2 and target.depth == 2 and target.draws == "plane"
    assert float(target(jnp.asarray(x, jnp.float32))[0]) == pytest.approx(wanted, abs=1e-5)


def changed(**new):
    return json.dumps(GENOME | new)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            changed(links=[*GENOME["links"], {"from": "h", "to": "g", "weight": 1}]),
            "not a directed acyclic graph",
        ),
        (changed(links=[*GENOME["links"], {"from": "q", "to": "g", "weight": 1}]), "do not exist"),
        (changed(inputs=["x", "z"]), "'z' is not one of"),
        (changed(nodes=[{"id": "h", "activation": "wavelet"}]), "'wavelet' is unknown"),
        (changed(links=GENOME["links"][1:2]), "lost"),
        (changed(nodes=[*GENOME["nodes"], GENOME["nodes"][0]]), "names two nodes"),
        (changed(nodes=[*GENOME["nodes"], {"id": "x"}]), "names two nodes, or a node and an input"),
        (
            changed(links=[*GENOME["links"], {"from": "x", "to": "h", "weight": float("nan")}]),
            "has the weight nan",
        ),
        ("{", "is damaged"),
        ("[1, 2]", "is damaged"),
    ],
)
def test_genomes_that_are_none_are_refused(text, sentence, tmp_path):
    path = tmp_path / "g.json"
    if sentence == "lost":
        text = changed(links=[], outputs=["h"])
        sentence = "nothing leads to node"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        target_by_name(f"genome:{path}")


def test_archives_and_xml_without_a_genome_are_refused(tmp_path):
    (tmp_path / "a.xml").write_text("<genome><other/></genome>")
    with zipfile.ZipFile(tmp_path / "b.zip", "w"):
        pass
    for name in ("a.xml", "b.zip"):
        with pytest.raises(UserError, match="is damaged"):
            target_by_name(f"genome:{tmp_path / name}")


@pytest.mark.parametrize(
    ("weight", "sentence"),
    [(0.0, "output 0 is constant"), (float("inf"), "output 0 is not finite")],
)
def test_targets_that_cannot_be_learned_are_refused(weight, sentence):
    """R^2 of a constant output would mean nothing, and must not pass for a fit."""
    target = Target("flat", 1, (Node((0,), Unit((weight,), 0.5, "identity")),), (1,))
    with pytest.raises(UserError, match=sentence):
        scale(target)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tree:3", "there is no target"),
        ("tanh_tree:0", "at least 1"),
        ("tanh_tree:x", "takes integers"),
        ("symbolic:no", "no such formula"),
        ("genome:/no/such.json", "cannot be read"),
        ("reuse:1", "at least 2"),
        ("nondecomposable:1", "at least 2"),
        ("boolean:9", "2 to 4"),
    ],
)
def test_unknown_targets_are_refused(name, sentence):
    with pytest.raises(UserError, match=sentence):
        target_by_name(name)


@pytest.mark.parametrize(
    ("nodes", "outputs", "sentence"),
    [
        ((Node((3,), Unit((1.0,))),), (2,), "must be inputs or earlier nodes"),
        ((Node((0, 1), Unit((1.0,))),), (2,), "another number of parents"),
        ((Node((0,), Unit((1.0,))),), (1,), "must be nodes"),
        ((Node((0,), Unit((1.0,))), Node((1,), Unit((1.0,)))), (3,), "nothing reads node 0"),
    ],
)
def test_graphs_that_are_none_are_refused(nodes, outputs, sentence):
    with pytest.raises(UserError, match=sentence):
        Target("bad", 2, nodes, outputs)
