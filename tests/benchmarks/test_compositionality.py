"""The claims of the benchmark follow from its figures."""

import pytest

from benchmarks.compositionality import claims, main

FIGURES = {
    "cells": 64,
    "updates_per_second_together": 600.0,
    "updates_per_second_loop": 100.0,
    "updates_per_second_torch": None,
    "bound_times_loop": 5.5,
    "compile_seconds": 25.0,
    "score_share_of_100_updates": 0.01,
    "predictor_seconds": 0.2,
    "heatmap_seconds": None,
}


def test_goals_are_judged_and_what_was_not_run_is_neither_held_nor_missed():
    found = claims(FIGURES)
    assert [c.holds for c in found] == [True, True, False, True, True, None, None]
    assert [c.measured for c in found[:2]] == [6, 5.5]
    assert claims(FIGURES | {"updates_per_second_torch": 200.0})[-1].measured == pytest.approx(3)


def test_numbers_below_one_are_refused(capsys):
    assert main(["--cells", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err
