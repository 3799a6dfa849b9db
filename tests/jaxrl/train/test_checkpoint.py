"""Checkpoints: round trips, which ones stay, and what is refused."""

import json
import shutil
from types import SimpleNamespace
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.jedi.training.setup import StoredConfig
from jaxrl.train.checkpoint import Checkpoints, from_names, to_host, to_names


class Pair(NamedTuple):
    left: object
    right: object


@flax.struct.dataclass
class State:
    params: object
    pair: Pair
    steps: jax.Array


def state(seed=0, width=3):
    rng = np.random.default_rng(seed)
    params = {
        "dense": {"kernel": jnp.asarray(rng.normal(size=(2, width)), jnp.float32)},
        "flags": jnp.array([True, False]),
    }
    half = jnp.asarray(rng.normal(size=4), jnp.bfloat16)
    raw = jnp.asarray(rng.integers(256, size=(2, 2)), jnp.uint8)
    return State(params, Pair(half, (raw, jnp.int32(seed))), jnp.int32(7 + seed))


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


@pytest.fixture
def store(tmp_path):
    opened = Checkpoints(tmp_path / "checkpoints")
    yield opened
    opened.close()


def test_a_tree_and_its_record_come_back_exactly_in_another_process_too(store, tmp_path):
    record = {"epoch": 3, "shards": ["a", "b"], "nested": {"x": None, "y": 1.5}}
    store.save(10, state(), record)
    store.wait()
    other = Checkpoints(tmp_path / "checkpoints")
    for reader in (store, other):
        tree, back = reader.restore(jax.eval_shape(lambda: state(1)))
        assert_same(jax.tree.map(jnp.asarray, tree), state())
        assert back == record
    other.close()


def test_names_are_those_of_the_fields():
    named = to_names(state())
    assert set(named) == {"params", "pair", "steps"}
    assert set(named["params"]["dense"]) == {"kernel"}
    assert set(named["pair"]) == {"left", "right"} and set(named["pair"]["right"]) == {"0", "1"}
    assert_same(from_names(state(1), to_names(state())), jax.tree.map(np.asarray, state()))


def test_an_empty_store_has_nothing_to_restore(store):
    assert (store.steps(), store.best(), store.restore(state())) == ([], None, None)


def test_the_latest_few_and_the_best_one_stay(store):
    scores = {1: 5.0, 2: 90.0, 3: None, 4: 10.0, 5: None, 6: 20.0}
    for step, score in scores.items():
        store.save(step, {"a": jnp.full(2, float(step))}, {"step": step}, score)
        store.wait()
    assert (store.steps(), store.best()) == ([2, 5, 6], 2)
    for step in (None, 2, 5):
        tree, record = store.restore({"a": np.zeros(2, np.float32)}, step)
        np.testing.assert_array_equal(tree["a"], step or 6)
        assert record == store.record(step or 6) == {"step": step or 6}


def test_the_best_one_stays_after_the_store_was_opened_again(store, tmp_path, caplog):
    for step, score in ((1, 90.0), (2, 3.0)):
        store.save(step, {"a": jnp.zeros(1)}, {}, score)
    store.wait()
    again = Checkpoints(tmp_path / "checkpoints")
    for step in (3, 4):
        again.save(step, {"a": jnp.zeros(1)}, {})
        again.wait()
    assert (again.steps(), again.best()) == ([1, 3, 4], 1)
    again.close()
    assert caplog.messages == []  # nothing for the user to read


def test_without_scores_only_the_latest_stay(store):
    for step in range(4):
        store.save(step, {"a": jnp.zeros(1)}, {})
        store.wait()
    assert (store.steps(), store.best()) == ([2, 3], None)


def test_a_step_already_stored_is_not_written_again(store):
    for value in (1.0, 2.0):
        store.save(4, {"a": jnp.array([value])}, {"value": value})
        store.wait()
    assert store.restore({"a": np.zeros(1, np.float32)})[1] == {"value": 1.0}


def test_arrays_may_be_donated_as_soon_as_they_are_handed_over(store):
    """Saving goes on in the background while the buffers are overwritten."""
    spend = jax.jit(lambda a: a * 0 - 1, donate_argnums=0)
    values = jnp.arange(100_000, dtype=jnp.float32)
    store.save(1, {"a": values}, {})
    assert float(spend(values)[0]) == -1
    assert values.is_deleted()
    store.wait()
    np.testing.assert_array_equal(
        store.restore({"a": np.zeros(100_000, np.float32)})[0]["a"], np.arange(100_000)
    )


def test_a_copy_on_the_host_is_no_view():
    original = np.arange(3.0)
    copy = to_host({"a": original})
    original[:] = 9
    np.testing.assert_array_equal(copy["a"], np.arange(3.0))


@pytest.mark.parametrize(
    "change, sentence",
    [
        (
            lambda named: named["params"].pop("flags"),
            "the checkpoint has no array params/flags: it was written by another version",
        ),
        (
            lambda named: named.update(extra=np.zeros(1)),
            "the checkpoint has an unknown array extra",
        ),
        (
            lambda named: named.update(steps=np.zeros(3)),
            r"the checkpoint holds steps of shape \(3,\), not \(\)",
        ),
    ],
)
def test_names_that_do_not_fit_are_refused_one_by_one(change, sentence):
    named = to_names(state())
    change(named)
    with pytest.raises(UserError, match=sentence):
        from_names(state(), named)


@pytest.mark.parametrize(
    "template",
    [{"a": np.zeros(5, np.float32)}, {"b": np.zeros(3, np.float32)}, {}],
    ids=["shape", "name", "less"],
)
def test_a_checkpoint_of_another_configuration_is_refused(store, template):
    store.save(1, {"a": jnp.zeros(3)}, {})
    store.wait()
    with pytest.raises(UserError) as refusal:
        store.restore(template)
    assert str(store.folder / "1") in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_half_written_checkpoint_is_never_taken_for_one(store, tmp_path):
    """What a process leaves that dies while saving: a folder under a temporary name, with files in
    it.
    """
    store.save(1, {"a": jnp.zeros(3)}, {"step": 1})
    store.wait()
    shutil.copytree(store.folder / "1", store.folder / "2.orbax-checkpoint-tmp")
    (store.folder / "2.orbax-checkpoint-tmp" / "_CHECKPOINT_METADATA").unlink()
    again = Checkpoints(tmp_path / "checkpoints")
    assert again.steps() == [1]
    assert again.restore({"a": np.zeros(3, np.float32)})[1] == {"step": 1}
    again.save(2, {"a": jnp.ones(3)}, {"step": 2})
    again.wait()
    assert again.restore({"a": np.zeros(3, np.float32)})[1] == {"step": 2}
    again.close()


def empty_all_data(folder):
    """A file system that lost the contents but kept the names."""
    for file in (folder / "arrays").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")


def damage_record(folder):
    for file in (folder / "record").rglob("*"):
        if file.is_file():
            file.write_text("{")


@pytest.mark.parametrize(
    "damage",
    [empty_all_data, damage_record, lambda folder: shutil.rmtree(folder / "arrays")],
    ids=["empty", "record", "no arrays"],
)
def test_a_damaged_checkpoint_is_refused_with_one_sentence_and_the_way_out(store, damage):
    for step in (1, 2):
        store.save(step, {"a": jnp.zeros(3)}, {"step": step})
    store.wait()
    damage(store.folder / "2")
    with pytest.raises(
        UserError, match="2 is damaged or of another configuration .* to continue from step 1"
    ) as refusal:
        store.restore({"a": np.zeros(3, np.float32)})
    assert "\n" not in str(refusal.value)
    assert store.restore({"a": np.zeros(3, np.float32)}, 1)[1] == {"step": 1}


@pytest.mark.parametrize(("shape", "chunk"), [(2**42, 2**20), (3, 2**42)])
def test_arrays_that_declare_terabytes_are_refused_before_memory_is_taken(store, shape, chunk):
    """Orbax takes what an array declares: the process would be killed."""
    import tensorstore

    store.save(1, {"a": jnp.zeros(3)}, {})
    store.wait()
    base = f"file://{store.folder / '1' / 'arrays'}/"
    crafted = {
        "driver": "zarr",
        "kvstore": {"driver": "ocdbt", "base": base, "path": "a/"},
        "metadata": {"shape": [shape], "chunks": [chunk], "dtype": "<f4"},
        "create": True,
        "delete_existing": True,
    }
    tensorstore.open(crafted).result()
    with pytest.raises(
        UserError, match=rf"1 declares a of shape \({shape},\) in chunks"
    ) as refusal:
        store.restore({"a": np.zeros(3, np.float32)})
    assert "\n" not in str(refusal.value)


def test_a_file_size_that_the_system_does_not_allow_is_one_sentence(tmp_path, capfd):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    store, values = Checkpoints(tmp_path), np.random.default_rng(0).random(60_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(UserError, match=f"no file as large as one of {tmp_path}: raise the"):
            store.save(1, {"a": values}, {})
            store.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert capfd.readouterr() == ("", "")  # nothing of orbax before it
    assert Checkpoints(tmp_path, read_only=True).steps() == []


def test_the_only_checkpoint_being_damaged_leaves_a_new_run(store):
    store.save(1, {"a": jnp.zeros(3)}, {})
    store.wait()
    empty_all_data(store.folder / "1")
    with pytest.raises(UserError, match="start a new run with another --run-dir"):
        store.restore({"a": np.zeros(3, np.float32)})


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another folder"):
        Checkpoints(tmp_path / "file" / "checkpoints")


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_save(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError, match="checkpoints cannot be written .Permission denied"):
        Checkpoints(tmp_path / "checkpoints")
    Checkpoints(tmp_path / "checkpoints", read_only=True).close()


def test_scores_are_plain_json(store):
    store.save(1, {"a": jnp.zeros(1)}, {}, score=2.5)
    store.wait()
    assert json.loads((store.folder / "1" / "metrics" / "metrics").read_text()) == {"score": 2.5}


def test_a_disk_without_space_is_named_before_anything_is_written(store, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=999))
    store.save(1, {"a": np.zeros(249, np.float32)}, {})
    store.wait()
    with pytest.raises(UserError, match="no space is left to write"):
        store.save(2, {"a": np.zeros(250, np.float32)}, {})
    assert store.steps() == [1]


def test_a_path_that_was_not_decoded_is_refused_at_once(tmp_path):
    """In a locale without UTF-8 an argument keeps the bytes of its letters."""
    folder = tmp_path / "l\udcc3\udca4uft"
    with pytest.raises(UserError, match=r"l\\udcc3\\udca4uft' has letters .* set LC_ALL=C.UTF-8"):
        Checkpoints(folder)
    with pytest.raises(UserError, match="has letters"):
        StoredConfig({}, (), dict).begin(folder)
    assert not list(tmp_path.iterdir())
