"""The report on made-up results: every part is there, and what does not hold is said."""

import pytest

from reasoning.e2c.study import adapt, report
from reasoning.e2c.study.config import StudyConfig
from reasoning.e2c.study.report import verdicts_of, write_report
from tests.reasoning.e2c.study.parts import HEADINGS


def quality(right=0.5):
    flags = [1] * int(10 * right) + [0] * (10 - int(10 * right))
    return {
        "correct": flags,
        "pass_at_1": [right] * 10,
        "plan_right": flags,
        "adherence": [0.9] * 10,
        "follows": flags,
        "plan_entropy": [0.5, 0.6],
        "execution_entropy": [0.01, 0.02],
    }


def test_a_table_says_of_the_loop_and_of_selection_only_what_was_measured():
    equal = {"select_judge-4": policy(5, 9.0), "react-4": policy(5, 9.0)}
    text = "\n".join(report.policy_table(equal, ""))
    assert "refines nothing" in text and "No self-consistency of 8 chains was measured" in text
    tried = {"select_judge-4": policy(0, 9.0), "react-4": policy(0, 31.0), "sc-8": policy(5, 60.0)}
    text = "\n".join(report.policy_table(tried, ""))
    assert "though the loop tried further plans" in text and "was measured" not in text


def policy(right, generated):
    return {
        "correct": [1] * right + [0] * (10 - right),
        "generated": generated,
        "prefill": 30.0,
        "calls": 2.0,
        "phases": {},
    }


def adapted(method, draw, new, old, tokens):
    def flags(share):
        return [1] * round(10 * share) + [0] * (10 - round(10 * share))

    return {
        "method": method,
        "rows": 32,
        "draw": draw,
        "tokens": tokens,
        "updates": 9,
        "new": flags(new),
        "old": flags(old),
    }


def results(ef_tokens=140.0, gain=0.7):
    scores = {
        "ef_sft": (0.6, 0.5, ef_tokens),
        "full_sft": (0.5, 0.3, 1000.0),
        "full_sft_equal_tokens": (0.2, 0.4, 140.0),
        "base_and_domain_sft": (0.5, 0.5, 1000.0),
    }
    curve = [
        {
            "step": s,
            "reward": 0.1,
            "correct": 0.1 * s,
            "plan_entropy": 0.5,
            "execution_entropy": 0.01,
        }
        for s in (1, 2)
    ]

    def trained(right):
        return quality(right) | {"curve": curve}

    def swap(n):
        return {
            "follows_right": [1] * 10,
            "follows_swapped": [1] * n + [0] * (10 - n),
            "flips": [1] * n,
            "order": [0.5] * 10,
        }

    return {
        "tokens": {"base": 1000},
        "quality": quality(),
        "policies": {
            "greedy-1": policy(5, 40.0),
            "sc-8": policy(6, 320.0),
            "select_judge-8": policy(7, 70.0),
            "random_plan-8": policy(4, 70.0),
        },
        "adapt": {"before": {"new": [0] * 10, "old": [1] * 5 + [0] * 5}}
        | {f"{m}-{d}": adapted(m, d, *s) for m, s in scores.items() for d in (0, 1)},
        "rl": {"before-0": quality(), "rl-stage1-0": trained(0.6), "rl-stage1-1": trained(0.6)}
        | {f"rl-stage2-{w}-{s}": trained(gain) for w in (1, 2) for s in (0, 1)},
        "examples": [
            {
                "question": "a: # 3 & more ? a",
                "plan": "a",
                "answer": "3",
                "tries": [{"plan": "a", "execution": "<b>a 3</b>", "answer": "3", "right": True}],
            }
        ],
        "adherence": {"base": swap(8), "causal": swap(9), "post_hoc": swap(2)},
        "information": {
            "answer": [1.0, 2.0],
            "answer_given_plan": [0.0, 0.1],
            "informativeness": [1.0, 1.9],
            "plan_entropy": [0.5, 0.6],
            "execution_entropy": [0.01, 0.02],
            "plan_total": [1.5, 1.8],
            "execution_total": [0.1, 0.2],
            "different_plans": [2, 3],
        },
    }


def test_verdicts_by_hand():
    selection, control, greedy, *ef, share, full, base, rl, weights, swap = verdicts_of(results())
    assert selection["measured"].startswith("+0.000") and selection["direction"] == ">="
    assert selection["goal"] == -0.02 and selection["holds"] is (selection["value"] >= -0.02)
    assert control["direction"] == "<" and control["holds"] is (control["value"] < 0)
    assert greedy["direction"] == ">" and greedy["holds"] is (greedy["value"] > 0)
    assert [v["measured"][:6] for v in ef] == ["+0.100", "+0.400", "+0.100"]
    assert all(v["holds"] is (v["value"] >= -0.02) for v in ef)
    assert share["value"] == pytest.approx(0.14) and share["holds"]
    assert full["measured"].startswith("+0.200") and full["value"] < 0.2 and base["value"] == 0.0
    assert full["holds"] is (full["value"] > 0) and not base["holds"]  # equally much is not less
    assert rl["value"] == pytest.approx(0.2) and rl["holds"] and "4 runs" in rl["measured"]
    assert rl["seeds"] == 2
    assert (
        weights["holds"] is None
        and weights["direction"] is None
        and swap["holds"]
        and 0 < swap["value"] < 0.7
    )
    worse = {
        v["claim"].split(":")[0]: v["holds"]
        for v in verdicts_of(results(ef_tokens=300.0, gain=0.4))
    }
    assert not worse["EF-SFT's trained tokens, share of full SFT's"]
    assert not worse["reinforcement learning raises pass@1 (mean of 8 samples)"]


def test_a_gain_that_may_be_chance_does_not_hold():
    found = results()
    found["rl"] = {
        "before-0": quality(),
        "rl-stage1-0": quality() | {"pass_at_1": [0.1] * 5 + [1.0] * 5, "curve": []},
    }
    (stated,) = [v for v in verdicts_of(found) if v["claim"].startswith("reinforcement")]
    assert (
        stated["value"] < 0
        and stated["holds"] is False
        and stated["measured"].startswith("+0.050 [-")
    )


def test_tables_of_adaptation():
    rows = {row["method"]: row for row in adapt.table(results()["adapt"])}
    assert rows["ef_sft"]["share"] == pytest.approx(0.14) and rows["full_sft"][
        "forgotten"
    ] == pytest.approx([0.2, 0.2])


def test_the_report_has_every_part_and_says_what_does_not_hold(tmp_path):
    found = results(ef_tokens=300.0, gain=0.4)
    words = report.text(StudyConfig(), found, verdicts_of(found))
    text = write_report(tmp_path, found, words).read_text()
    assert [heading for heading in HEADINGS if heading not in text] == []
    assert text.count("**no**") == sum(
        v["holds"] is False for v in verdicts_of(results(ef_tokens=300.0, gain=0.4))
    )
    for name in ("tokens", "adaptation", "reinforcement", "adherence"):
        assert (
            tmp_path / "report" / f"{name}.png"
        ).stat().st_size > 5000 and f"({name}.png)" in text
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("data:image/png") == 4 and "Problem 1" in page
    assert "&lt;b&gt;a 3&lt;/b&gt;" in page and "<b>a 3" not in page
