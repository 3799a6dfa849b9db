"""Claims of the sweep's and the models' records follow from their figures."""

import pytest

from benchmarks import compositionality_models as models
from benchmarks import compositionality_sweep as sweeps


def rows(model, measure, better):
    qualities = {
        "dense": (9.0, 9.0),
        "share": better,
        "magnitude": (4.0, 6.0),
        "random": (1.0, 1.0),
    }
    return [
        {
            "model": model,
            "measure": measure,
            "seed": seed,
            "score": score,
            "density": 1.0 if score == "dense" else 0.5,
            "quality": each[seed],
        }
        for score, each in qualities.items()
        for seed in (0, 1)
    ]


def test_share_is_better_where_accuracy_is_higher_and_loss_is_lower():
    found = models.claims(
        rows("a", "accuracy, %", (6.0, 7.0)) + rows("b", "nats (lower is better)", (6.0, 7.0))
    )
    assert [claim.measured for claim in found] == [1.5, -1.5]
    assert [claim.holds for claim in found] == [True, False]
    assert "a at density 0.5" in found[0].claim and found[0].seeds == 2


def test_intervals_of_a_sweep_are_judged_by_their_lower_end():
    apart = {"mean": 0.02, "low": -0.01, "high": 0.05}
    above = {"mean": 0.2, "low": 0.1, "high": 0.3}
    targets = {"t": {"share_minus_magnitude_score": apart, "share_minus_random_score": above}}
    found = sweeps.claims(targets, 16)
    assert [claim.holds for claim in found] == [False, True]
    assert "0.020 [-0.010, 0.050]" in found[0].claim


@pytest.mark.parametrize(
    ("main", "arguments", "sentence"),
    [
        (models.main, ["--models", "none"], "--models knows"),
        (sweeps.main, ["--preset", "none"], "choose one of tiny"),
    ],
)
def test_unknown_names_are_refused(main, arguments, sentence, capsys):
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err
