"""Golden rewards of both stages and modes."""

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c.answers import exact
from reasoning.e2c.rewards import RewardConfig, correctness, overlong, reward, rewards

PLAN = "1. Add the two numbers\n2. Halve their sum\n"
HALF = (
    f"{PLAN}</EXPLORATION><EXECUTION>1. Add the two numbers\nIt is 6, so the answer is "
    f"\\boxed{{3}}</EXECUTION>"
)
FULL = (
    f"{PLAN}</EXPLORATION><EXECUTION>1. Add the two numbers\n6\n2. Halve their "
    f"sum\n\\boxed{{3}}</EXECUTION>"
)


@pytest.mark.parametrize("mode", ["corrected", "official"])
@pytest.mark.parametrize("text, stage, wanted", [(HALF, 1, 1.0), (HALF, 2, 0.5), (FULL, 2, 1.0)])
def test_stage_one_is_correctness_and_stage_two_times_adherence(mode, text, stage, wanted):
    config = RewardConfig(stage, mode)
    assert reward(text, "3", 100, config) == wanted
    assert reward(text, "4", 100, config) == 0.0


def test_the_quirks_of_the_official_reward():
    far = FULL.replace("</EXECUTION>", " ." * 200 + "</EXECUTION>")
    assert correctness(far, "3", exact, "official") == 0.0 and correctness(far, "3", exact) == 1.0
    steps = "<EXECUTION>1. Add the two numbers\n2. Halve their sum\n\\boxed{3}</EXECUTION>"
    plain = f"Add the two numbers\nHalve their sum</EXPLORATION>{steps}"
    assert (
        reward(plain, "3", 9, RewardConfig(2, "official")) == 0.0
    )  # no numbered plan: 0 although right
    assert reward(plain, "3", 9, RewardConfig(2)) == 1.0
    wrong = "p</EXPLORATION><EXECUTION>\\boxed{\\frac{12}{1}}</EXECUTION>"
    assert reward(wrong, "\\frac{1}{21}", 9, RewardConfig(1, "official")) == 1.0
    assert reward(wrong, "\\frac{1}{21}", 9, RewardConfig(1)) == 0.0


@pytest.mark.parametrize(
    "length, wanted", [(0, 0.0), (4096, 0.0), (6144, -0.5), (8192, -1.0), (9000, -1 - 808 / 4096)]
)
def test_the_penalty_of_length(length, wanted):
    assert overlong(length) == pytest.approx(wanted)
    assert reward(FULL, "3", length, RewardConfig(1)) == pytest.approx(1.0 + wanted)
    assert reward("no box", "3", length, RewardConfig(1)) == pytest.approx(wanted)


def test_no_buffer_means_no_penalty():
    assert overlong(10_000, buffer=0) == 0.0


def test_tables_and_rows_without_an_answer():
    found = rewards([[FULL, HALF]], ["3"], np.array([[10, 10]]), RewardConfig(2))
    assert found.dtype == np.float32 and found.tolist() == [[1.0, 0.5]]
    with pytest.raises(UserError, match="no answer"):
        reward(FULL, " ", 10, RewardConfig())
