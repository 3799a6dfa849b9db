"""Modules of version 0.1 are found under their old paths, and warn once."""

import importlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import quant.old_names
import sae.old_names
from jaxrl.app import old_names
from jaxrl.jedi import old_names as jedi
from jaxrl.train.config import from_dict, to_dict
from reasoning.synthesis.dynamite import old_names as dynamite
from sae.pipeline.config import upgraded
from sae.transcoders.model import TranscoderConfig

TABLES = {"jaxrl.jedi": jedi.OLD, "sae": sae.old_names.OLD, dynamite.PACKAGE: dynamite.MODULES}


@pytest.mark.parametrize("package", TABLES)
def test_every_new_path_is_a_module_and_no_old_one_hides_it(package):
    for old, new in TABLES[package].items():
        assert importlib.util.find_spec(f"{package}.{new}") is not None, new
        path = Path(*package.split("."), *old.split("."))
        assert not path.with_suffix(".py").exists() and not path.is_dir(), old


ELSEWHERE = {
    "jaxrl.jedi.agent:heads_memory": "jaxrl.jedi.agent:reward_end_memory",
    "jaxrl.jedi.config:HeadsLearning": "jaxrl.jedi.config:RewardEndLearning",
    "jaxrl.jedi.offline:open_offline": "jaxrl.jedi.offline.loop:open_offline",
    "jaxrl.jedi.report:write_report": "jaxrl.jedi.report.run:write_report",
    "reasoning.synthesis.dynamite.sketch:make_sketch": (
        "reasoning.synthesis.dynamite.sketch.sketch:make_sketch"
    ),
    "sae.annotate.protocol:Film": "sae.annotate.protocol:Radiograph",
    "sae.classifier:train_head": "sae.classifier.head:train_head",
    "sae.data.phantom:films": "sae.data.phantom:radiographs",
    "sae.learn:knobs": "sae.transcoders.train_step:hparams",
    "sae.report:write": "sae.report.html:write",
    "sae.run:summarise": "sae.pipeline.run:summarize",  # old name
} | {
    f"{module}:{name}": new
    for module, names in jedi.moved_attributes().items()
    for name, new in names.items()
}


def test_attributes_of_old_modules_are_found_where_they_are_now():
    code = """
import importlib, json, sys
for old, new in json.loads(sys.argv[1]).items():
    (module, name), (place, present) = old.split(":"), new.split(":")
    found = getattr(importlib.import_module(module), name)
    assert found is getattr(importlib.import_module(place), present), old
    assert not hasattr(importlib.import_module(module), "nothing")
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    done = subprocess.run([*command, json.dumps(ELSEWHERE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_old_paths_give_the_module_itself_and_warn_once():
    code = """
import warnings
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    import jaxrl.jedi.whole, jaxrl.jedi.suite.scores, sae.transcoder, quant.scalar
    import jaxrl.jedi.whole
    from jaxrl.jedi.world import imagine
    from sae import Knobs  # old name
    from sae import Knobs  # old name
import jaxrl.jedi, jaxrl.jedi.algorithm, jaxrl.jedi.atari100k.scores, sae.transcoders.model
assert jaxrl.jedi.whole is jaxrl.jedi.algorithm
assert jaxrl.jedi.suite.scores is jaxrl.jedi.atari100k.scores
assert sae.transcoder is sae.transcoders.model and imagine is jaxrl.jedi.imagine
ours = [str(w.message) for w in found if "ends with version 0.3" in str(w.message)]
print(*sorted(text.split(" is ")[0] for text in ours))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "jaxrl.jedi.suite",
        "jaxrl.jedi.suite.scores",
        "jaxrl.jedi.whole",
        "jaxrl.jedi.world",
        "quant.scalar",
        "sae.Knobs",  # old name
        "sae.transcoder",
    ]


def test_another_attribute_is_an_error():
    find = old_names.attributes("sae", {"learned": "sae:Learner"})
    with pytest.raises(AttributeError, match="module 'sae' has no attribute 'lerned'"):
        find("lerned")


def test_modules_named_in_the_changelog_are_known():
    """The table of CHANGELOG.md promises them."""
    known = {f"{package}.{old}" for package, table in TABLES.items() for old in table}
    known |= set(quant.old_names.PATHS)
    text = Path("CHANGELOG.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith("| `jaxrl.jedi.whole`"))
    for name in re.findall(r"`(\w[\w.]*)`", row.split("|")[1]):
        assert (name if "." in name else f"jaxrl.jedi.{name}") in known
    for name in re.findall(r"`(quant\.\w+)`", text):
        if importlib.util.find_spec(name) is None:
            assert name in known


def test_old_fields_of_a_dataclass_are_taken_shown_and_read_from_files():
    old, now = "cen" + "tred", replace(TranscoderConfig(4, 4, 8), centered=True)
    old_names._warned.discard(f"TranscoderConfig.{old}")
    with pytest.warns(DeprecationWarning, match="is TranscoderConfig.centered now"):
        assert TranscoderConfig(4, 4, 8, **{old: True}) == now
    assert getattr(now, old) is True
    assert replace(now, **{old: False}).centered is False
    stored = to_dict(now)
    stored[old] = stored.pop("centered")
    assert from_dict(TranscoderConfig, stored) == now
    stored = {"transcoder": stored, "learn": {}}
    assert upgraded(stored)["transcoder"]["centered"] is True
    with pytest.raises(TypeError, match="unexpected keyword argument 'central'"):
        TranscoderConfig(central=True)


def test_an_old_module_leaves_the_function_of_its_name_alone():
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import importlib\n"
        "old = importlib.import_module('reasoning.synthesis.migrator.refactor')\n"
        "from reasoning.synthesis import migrator\n"
        "from reasoning.synthesis.migrator import refactor, synthesize\n"
        "assert old is synthesize and migrator.refactor is refactor is synthesize.refactor\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
