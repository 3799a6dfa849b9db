"""The comparison of the three world models: counting kernels, ratios and claims by hand, refusals,
and once all of it.
"""

import json

import pytest

import benchmarks.world_model as subject
from benchmarks.programs import count_kernels
from benchmarks.world_model import Settings, claims, external_column, main, ratios, settled, summary
from jaxrl.app.errors import UserError

HLO = """HloModule jit_f, is_scheduled=true

%fused (p: f32[4]) -> f32[4] {
  %p = f32[4]{0} parameter(0)
  ROOT %add = f32[4]{0} add(%p, %p)
}

%body (arg: (s32[], f32[4])) -> (s32[], f32[4]) {
  %arg = (s32[], f32[4]{0}) parameter(0)
  %gte = f32[4]{0} get-tuple-element(%arg), index=1
  %fusion.1 = f32[4]{0} fusion(%gte), kind=kLoop, calls=%fused
  %conv = (f32[4]{0}, u8[0]{0}) custom-call(%fusion.1), custom_call_target="__cudnn$convForward"
  ROOT %tuple = (s32[], f32[4]{0}) tuple(%gte, %gte)
}

%cond (arg: (s32[], f32[4])) -> pred[] {
  ROOT %lt = pred[] fusion(%arg), kind=kLoop, calls=%fused
}

ENTRY %main (x: f32[4]) -> f32[4] {
  %x = f32[4]{0} parameter(0)
  %copy = f32[4]{0} copy(%x)
  %while = (s32[], /*index=1*/f32[4]{0},
f32[2]{0}) while(%copy), condition=%cond, body=%body, backend_config={"known_trip_count":{"n":"15"}}
  %call = f32[4]{0} call(%x), to_apply=%fused
  ROOT %out = f32[4]{0} fusion(%while), kind=kLoop, calls=%fused
}
"""


def test_kernels_are_counted_with_their_loops():
    assert (
        count_kernels(HLO) == 1 + 15 * 2 + 1 + 1
    )  # copy, the loop's fusion and convolution, what is called, the last fusion


def part(seconds, memory):
    return {
        "seconds": seconds,
        "memory_bytes": memory,
        "flops": 10,
        "kernels": None,
        "compile_seconds": 1.0,
        "temporary_bytes": 1,
    }


def mode(scale):
    parts = {
        name: part(scale, int(100 * scale)) for name in ("world_model", "reward_end", "behavior")
    }
    parts |= {"imagination": part(2 * scale, 1), "imagination without policy": part(scale, 1)}
    return {
        "parameters": {"world": 1, "reward_end": 2, "policy": 3},
        "replay_bytes": 50,
        "peak_bytes": None,
        "peak_flops": None,
        "programs": parts,
        "memory_bytes": int(100 * scale),
        "updates_per_epoch": {"world_model": 1, "reward_end": 2, "behavior": 3},
    }


def test_figures_and_ratios_by_hand():
    settings = Settings(batch=4, horizon=6)
    rows = {name: summary(mode(scale), settings) for name, scale in (("pixel", 4.0), ("jedi", 0.5))}
    assert (
        rows["jedi"]["imagination_frames_per_s"] == 24 and rows["jedi"]["seconds_per_epoch"] == 3.0
    )
    assert rows["pixel"]["memory_with_replay_bytes"] == 450
    relative = ratios(rows)
    assert set(relative) == {"jedi"}
    assert (
        relative["jedi"]["imagination_frames_per_s"] == relative["jedi"]["seconds_per_triple"] == 8
    )
    assert relative["jedi"]["memory_with_replay_bytes"] == pytest.approx(4.5)
    assert "peak_bytes" not in relative["jedi"] and ratios({"jedi": rows["jedi"]}) == {}
    timed = claims(relative, settings)
    assert [(c.goal, c.measured, c.holds) for c in timed] == [(15, 8, False), (10, 8, False)]
    assert all("float32, batch 4, horizon 6, 1 seed" in claim.claim for claim in timed)
    compiled = claims(
        {"jedi": {"memory_bytes": 8.0, "memory_with_replay_bytes": 4.5}},
        Settings(target="cuda", batch=4, horizon=6),
    )
    assert [(c.goal, c.measured, c.holds) for c in compiled] == [
        (0.30, 0.125, True),
        (0.45, 0.2222, True),
    ]


def test_the_use_of_a_device_is_its_arithmetic_over_its_peak():
    """Three updates of 10 operations in 3 x 0.5 s, a rollout of 10 in 1 s, on a device that could
    do 40 in a second.
    """
    known = summary(mode(0.5) | {"peak_flops": 40.0}, Settings(batch=4, horizon=6))
    assert known["flops_utilisation_of_triple"] == pytest.approx(30 / 1.5 / 40)
    assert known["flops_utilisation_of_imagination"] == pytest.approx(10 / 1.0 / 40)
    unknown = summary(mode(0.5), Settings(batch=4, horizon=6))
    assert unknown["flops_utilisation_of_triple"] is None
    compiled = mode(0.5)
    for each in compiled["programs"].values():
        each.pop("seconds")
        each["kernels"] = 2
    compiled = summary(compiled, Settings(target="cuda", batch=4, horizon=6))
    assert compiled["flops_utilisation_of_triple"] is None and compiled["kernels_per_triple"] == 6
    assert not [
        name for name in ratios({"pixel": known, "jedi": known})["jedi"] if "utilisation" in name
    ]


@pytest.mark.parametrize("precision, goals", [("float32", (8, 5)), ("bfloat16", (4, 5))])
def test_goals_on_an_accelerator_are_those_of_one_seed_there(precision, goals):
    relative = {
        "jedi": {"memory_bytes": 4.0, "imagination_frames_per_s": 6.0, "seconds_per_triple": 6.0}
    }
    made = claims(relative, Settings(precision=precision, batch=32, horizon=15), "gpu")
    assert [(c.goal, c.direction) for c in made] == [
        (0.30, "<="),
        (goals[0], ">="),
        (goals[1], ">="),
    ]
    assert [c.holds for c in made] == [True, precision == "bfloat16", True]


def test_an_external_measurement_is_a_column(tmp_path):
    path = tmp_path / "torch.json"
    path.write_text(json.dumps({"seconds_per_triple": 3}))
    assert external_column(path) == ("torch", {"seconds_per_triple": 3.0})
    path.write_text(
        json.dumps({"name": "DIAMOND", "hardware": "RTX 4090", "memory_bytes": 5, "other": 1})
    )
    assert external_column(path) == ("DIAMOND, RTX 4090", {"memory_bytes": 5.0})
    texts = (
        "{",
        "[]",
        '{"other": 1}',
        '{"memory_bytes": "many"}',
        '{"memory_bytes": NaN}',
        '{"memory_bytes": 0}',
    )
    for text in texts:
        path.write_text(text)
        with pytest.raises(UserError, match="--external .*torch.json"):
            external_column(path)


@pytest.mark.parametrize(
    "arguments, fault",
    [(["--modes", "jeddi"], "jeddi: choose among pixel"), (["--batch", "0"], "must be at least 1")],
)
def test_refusals_are_one_sentence(arguments, fault, capsys):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert fault in line


def test_sizes_are_small_where_a_pixel_rollout_would_not_end():
    assert (settled(Settings()).batch, settled(Settings()).horizon) == (4, 3)
    assert (settled(Settings(target="cuda")).batch, settled(Settings(target="cuda")).horizon) == (
        32,
        15,
    )
    assert settled(Settings(batch=8)).batch == 8


@pytest.mark.slow
def test_the_whole_comparison(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(subject, "record", lambda name, figures, made: (name, figures, made))
    settings = Settings("tiny", ("pixel", "jedi"), batch=2, horizon=2, repeats=1)
    name, figures, made = subject.measure(settings)
    assert name == "world_model-tiny-float32" and len(made) == 2
    assert (
        figures["ratios"]["jedi"]["flops_per_triple"] > 1
        and figures["summary"]["jedi"]["imagination_frames_per_s"] > 0
    )
    assert "imagination frames per s" in capsys.readouterr().out
