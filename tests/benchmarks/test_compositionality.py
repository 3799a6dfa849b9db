"""The claims of the benchmark follow from its figures."""

import os

import pytest

from benchmarks.compositionality import Settings, claims, main, parts, two_processes

FIGURES = {
    "cells": 64,
    "updates_per_second_together": 600.0,
    "updates_per_second_loop": 100.0,
    "updates_per_second_torch": None,
    "bound_times_loop": 5.5,
    "updates_per_second_two_processes": 450.0,
    "compile_seconds": 25.0,
    "score_share_of_100_updates": 0.01,
    "predictor_seconds": 0.2,
    "heatmap_seconds": None,
}


def test_goals_are_judged_and_what_was_not_run_is_neither_held_nor_missed():
    found = claims(FIGURES)
    assert [c.holds for c in found] == [True, True, False, False, True, True, None, None]
    assert [c.measured for c in found[:3]] == [6, 5.5, 4.5]
    alone = claims(FIGURES | {"updates_per_second_two_processes": None})[2]
    assert alone.holds is None and alone.measured is None
    assert claims(FIGURES | {"updates_per_second_torch": 200.0})[-1].measured == pytest.approx(3)


def test_numbers_below_one_are_refused(capsys):
    assert main(["--cells", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err


def test_parts_of_an_update_are_timed_alone():
    found = parts(Settings(cells=2, seeds=1, steps=2, repeats=1, depth=1))
    assert set(found) == {"tanh_seconds", "examples_seconds", "adam_seconds"}
    assert all(0 < value < 1 for value in found.values())


@pytest.mark.slow
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_two_processes_train_half_each():
    found = two_processes(Settings(cells=2, seeds=2, steps=2, repeats=1, depth=1))
    assert found > 0
