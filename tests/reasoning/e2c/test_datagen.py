"""The generator on scripted models: one that follows plans, one that ignores them, one that gives
answers away.
"""

import json

import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c.answers import exact
from reasoning.e2c.backends.scripted import Scripted
from reasoning.e2c.datagen import (
    DataConfig,
    Question,
    generate,
    questions_from,
    tells,
    training_texts,
)
from reasoning.e2c.format import E2CFormat
from tests.tables import rows

PLAN = "1. Add the two numbers\n2. Halve their sum"
FOLLOWS = "1. Add the two numbers\nIt is 26.\n2. Halve their sum\nSo \\boxed{13}"
IGNORES = "We see at once that it is the mean.\nSo \\boxed{13}"
QUESTIONS = [Question(f"What is half of 2 + 24? ({n})", "13") for n in range(3)]


def model(execution=FOLLOWS, plan=PLAN, solution=IGNORES):
    says = {"solution": solution, "distil": plan, "re_execution": execution}
    return Scripted(
        lambda ask, number: (
            says[ask.phase] if isinstance(says[ask.phase], str) else says[ask.phase](ask, number)
        )
    )


def make(tmp_path, backend, questions=QUESTIONS, config=DataConfig(), name="rows.jsonl"):  # noqa: B008
    return generate(questions, backend, config, tmp_path / name, check=exact)


def test_an_execution_that_follows_its_plan_is_kept(tmp_path):
    found = make(tmp_path, model())
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert (found["rows"], found["yield"], found["adherence"]) == (3, 1.0, 1.0)
    assert (
        rows[0]["execution"] == IGNORES
        and rows[0]["exploration"] == PLAN
        and rows[0]["re_execution"] == FOLLOWS
    )

    def words(text):
        return len(text.split()) + 1

    assert rows[0]["generated"] == {
        "solution": 4 * words(IGNORES),
        "distil": words(PLAN),
        "re_execution": words(FOLLOWS),
    }
    assert found["plan_share"] == pytest.approx(words(PLAN) / (words(PLAN) + words(FOLLOWS)))
    prompt, response = next(training_texts(rows))
    parsed = E2CFormat().parse(response)
    assert (
        (parsed.plan, parsed.execution) == (PLAN, FOLLOWS)
        and parsed.well_formed
        and prompt.prefill == "<EXPLORATION>"
    )


@pytest.mark.parametrize(
    "changed, stated",
    [
        ({"post_hoc": True}, "post_hoc"),
        ({"source": "another teacher"}, "source"),
        ({"adherence": 0.1}, "adherence"),
    ],
)
def test_rows_of_another_kind_are_not_continued(tmp_path, changed, stated):
    make(tmp_path, model(), QUESTIONS[:1])
    with pytest.raises(UserError, match=f"line 1, was made with another {stated}"):
        make(tmp_path, model(), config=DataConfig(**changed))
    file = tmp_path / "rows.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(row | {"made_by": None}) + "\n" for row in rows))
    assert make(tmp_path, model(), config=DataConfig(**changed))["questions"] == 3  # older rows


def test_requests_that_were_skipped_are_counted(tmp_path):
    class Skipping(Scripted):
        def complete(self, asks):
            return [
                [one._replace(text="", error="too long") for one in group]
                for group in super().complete(asks)
            ]

    found = make(tmp_path, Skipping(lambda ask, number: IGNORES))
    assert found["rows"] == 0 and found["skipped_requests"] == 3 * 4


def test_an_execution_that_ignores_its_plan_is_rejected_but_kept_post_hoc(tmp_path):
    found = make(tmp_path, model(IGNORES))
    assert found["rows"] == 0 and found["rejected"] == {"no acceptable execution": 3}
    # two plans, each executed once and three times more, for three questions
    assert found["attempts_rejected"] == {"the execution does not follow the plan": 3 * 2 * 4}
    found = make(tmp_path, model(IGNORES), config=DataConfig(post_hoc=True), name="post_hoc.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "post_hoc.jsonl").read_text().splitlines()]
    assert found["rows"] == 3 and rows[0]["re_execution"] == IGNORES and found["adherence"] < 0.5


@pytest.mark.parametrize(
    "backend, reason, inner",
    [
        (model(solution="\\boxed{12}"), "no right solution", None),
        (model(plan="1. Add\n2. Get 13"), "no acceptable plan", "the plan tells the answer"),
        (model(plan="1. Guess"), "no acceptable plan", "the plan has too few or too many steps"),
        (
            model(FOLLOWS.replace("13", "14")),
            "no acceptable execution",
            "the execution's answer is wrong",
        ),
    ],
)
def test_what_is_wrong_is_rejected_with_its_reason(tmp_path, backend, reason, inner):
    found = make(tmp_path, backend)
    assert found["rejected"] == {reason: 3}
    assert set(found["attempts_rejected"]) == ({inner} if inner else set())


def test_a_retry_may_succeed(tmp_path):
    def turn(ask, number):
        return FOLLOWS if ask.sampling.temperature > 0 else IGNORES

    found = make(tmp_path, model(turn))
    assert found["rows"] == 3 and found["attempts_rejected"] == {
        "the execution does not follow the plan": 3
    }


def test_an_interrupted_generation_goes_on_and_equals_an_unbroken_one(tmp_path):
    class Breaks(Scripted):
        def complete(self, asks):
            if len(self.asked) > 6:
                raise ConnectionError
            return super().complete(asks)

    config = DataConfig(solutions=1, batch=1)
    with pytest.raises(ConnectionError):
        generate(QUESTIONS, Breaks(model().reply), config, tmp_path / "a.jsonl", check=exact)
    kept = (tmp_path / "a.jsonl").read_text()
    assert 0 < kept.count("\n") < 3
    (tmp_path / "a.jsonl").write_text(
        kept + '{"question": "half a li'
    )  # a process that died while writing
    generate(QUESTIONS, model(), config, tmp_path / "a.jsonl", check=exact)
    generate(QUESTIONS, model(), config, tmp_path / "b.jsonl", check=exact)
    assert (tmp_path / "a.jsonl").read_text() == (tmp_path / "b.jsonl").read_text()


def test_a_question_that_the_data_repeats_is_asked_once(tmp_path):
    found = make(tmp_path, model(), [QUESTIONS[0], QUESTIONS[1], QUESTIONS[0]])
    assert (found["questions"], found["rows"]) == (2, 2)


def test_a_reference_solution_is_taken_as_it_is(tmp_path):
    backend = model()
    make(tmp_path, backend, [QUESTIONS[0]._replace(solution="By hand: \\boxed{13}")])
    assert {ask.phase for ask in backend.asked} == {"distil", "re_execution"}


@pytest.mark.parametrize(
    "row",
    [
        {"question": "q"},
        {"question": "q", "answer": " "},
        {"answer": "1"},
        {"question": "q", "answer": None},
    ],
)
def test_a_row_without_question_or_answer_is_named(row):
    with pytest.raises(UserError, match="rows.json, row 2, has no"):
        questions_from([{"question": "q", "answer": "1"}, row], "rows.json")


@pytest.mark.parametrize("plan, answer, stated", rows(__file__, "plans"))
def test_plans_that_tell_the_answer(plan, answer, stated):
    assert tells(plan, answer) is stated


@pytest.mark.parametrize(
    ("rows", "stated"),
    [
        ([], "the data has no rows"),
        ([{"question": "q", "answer": ["12"]}], "row 1: the answer is a list, not a text"),
        ([{"question": {"a": 1}, "answer": "12"}], "row 1: the question is a dict, not a text"),
        (
            [{"question": "q", "answer": 13}, {"question": "q", "answer": 12}],
            "row 2: the question of row 1 has another answer here .'13', '12'.: keep one",
        ),
    ],
)
def test_questions_that_cannot_be_asked_are_refused(rows, stated):
    with pytest.raises(UserError, match=stated):
        questions_from(rows)


@pytest.mark.parametrize("blank", [None, float("nan"), "   ", ""])
def test_a_blank_solution_is_none(blank):
    (found,) = questions_from([{"question": "q", "answer": 0, "solution": blank}])
    assert found.solution is None and found.answer == "0"


@pytest.mark.parametrize(
    "changed", [{"solutions": 0}, {"batch": 0}, {"plans": 0}, {"adherence": 80}]
)
def test_sizes_that_make_no_sense_are_refused_before_a_file_is_written(tmp_path, changed):
    with pytest.raises(UserError, match=f"{next(iter(changed))} is "):
        make(tmp_path, model(), config=DataConfig(**changed))
    assert not (tmp_path / "rows.jsonl").exists()


def test_rows_of_another_seed_number_of_solutions_or_answer_are_not_continued(tmp_path):
    make(tmp_path, model(), QUESTIONS[:1])
    file = tmp_path / "rows.jsonl"
    with pytest.raises(UserError, match="made with another seed"):
        generate(QUESTIONS, model(), DataConfig(), file, seed=1, check=exact)
    with pytest.raises(UserError, match="made with another solutions"):
        make(tmp_path, model(), config=DataConfig(solutions=8))
    with pytest.raises(UserError, match="made with another answer to its question"):
        make(tmp_path, model(), [QUESTIONS[0]._replace(answer="14")])


def test_a_file_that_the_generator_did_not_write_is_not_continued(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"question": "q", "answer": "13"}\n')
    with pytest.raises(UserError, match="line 1, is no row that gen-data writes"):
        make(tmp_path, model())
    assert file.read_text() == '{"question": "q", "answer": "13"}\n'


def test_a_question_whose_request_was_refused_is_asked_again(tmp_path):
    make(tmp_path, model(), QUESTIONS[:1])
    file = tmp_path / "rows.jsonl"
    (row,) = map(json.loads, file.read_text().splitlines())
    lost = {name: row[name] for name in ("question", "answer", "source", "made_by")}
    file.write_text(json.dumps(lost | {"rejected": "no right solution", "errors": ["400"]}) + "\n")
    found = make(tmp_path, model(), QUESTIONS[:1])
    assert (found["questions"], found["rows"], found["rejected"]) == (1, 1, {})
    assert make(tmp_path, model(), QUESTIONS[:1]) == found  # and then no more


@pytest.mark.parametrize("post_hoc", [False, True])
def test_a_reference_solution_with_another_answer_is_no_solution(tmp_path, post_hoc):
    wrong = [QUESTIONS[0]._replace(solution="So \\boxed{14}")]
    found = make(tmp_path, model(), wrong, DataConfig(post_hoc=post_hoc))
    assert found["rows"] == 0 and found["rejected"] == {"no right solution": 1}
