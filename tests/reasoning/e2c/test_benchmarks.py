"""Adapters on hand-made files in the published layouts, evaluation with resume, and files that do
not fit.
"""

import csv
import json

import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c import evaluate as evaluation
from reasoning.e2c.answers import exact
from reasoning.e2c.backends.scripted import Scripted
from reasoning.e2c.benchmarks import BENCHMARKS, load
from reasoning.e2c.policies.settings import Settings
from reasoning.e2c.records import write_records

FOUR = {"opa": "kidney", "opb": "liver", "opc": "heart", "opd": "lung"}
RECORDS = {
    "aime": ({"id": 60, "problem": "Find it.", "answer": "033"}, "33"),
    "amc": ({"question": "Find it.", "answer": 27.0}, "27"),
    "math500": (
        {
            "problem": "p",
            "answer": "\\frac{1}{2}",
            "level": 3,
            "subject": "Algebra",
            "unique_id": "a/1.json",
        },
        "\\frac{1}{2}",
    ),
    "gsm8k": ({"question": "q", "answer": "48/2 = 24\n#### 1,072"}, "1072"),
    "medqa": ({"question": "q", "options": {"A": "x", "B": "y"}, "answer_idx": "B"}, "B"),
    "medmcqa": ({"question": "q", **FOUR, "cop": 2, "id": "e"}, "C"),
    "mmlu": ({"question": "q", "choices": ["w", "x", "y", "z"], "answer": 3}, "D"),
}


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_records_become_problems_with_their_answers(tmp_path, name, suffix):
    record, answer = RECORDS[name]
    path = tmp_path / f"file{suffix}"
    path.write_text(json.dumps(record) + "\n" if suffix == ".jsonl" else json.dumps([record]))
    (task,) = load(name, path)
    assert task.answer == answer and BENCHMARKS[name].check(answer, task.answer)
    if name in ("medqa", "medmcqa", "mmlu"):
        assert "\nB. " in task.question


def test_tables_of_comma_separated_values(tmp_path):
    path = tmp_path / "mmlu.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["question", "A", "B", "C", "D", "answer"], ["q, or r", "1", "2", "3", "4", "C"]]
        )
    (task,) = load("mmlu", path)
    assert task.answer == "C" and "D. 4" in task.question


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.Table.from_pylist([RECORDS["mmlu"][0]]), tmp_path / "m.parquet")
    assert load("mmlu", tmp_path / "m.parquet")[0].answer == "D"


def test_other_field_names_are_mapped(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"Problem": "p", "Answer": "7"}) + "\n")
    assert load("aime", path, {"problem": "Problem", "answer": "Answer"})[0] == ("p", "7", "")


@pytest.mark.parametrize(
    "name, text, stated",
    [
        ("aime", '{"problem": "p"}\n', "record 1, does not fit aime: no field 'answer'"),
        ("aime", '{"problem": "p", "answer": "x + 1"}\n', "is no number"),
        ("gsm8k", '{"question": "q", "answer": "7"}\n', "no ####"),
        ("medmcqa", json.dumps({"question": "q", **FOUR, "cop": 7}), "names none of 4 options"),
        ("aime", '{"problem": "p", "answer": 1}\nnot JSON\n', "line 2, is not JSON"),
        ("aime", "[1]\n", "line 1, is no JSON object"),
        ("aime", "", "no problems"),
        ("trivia", "{}", "is no benchmark"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(tmp_path, name, text, stated):
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=stated):
        load(name, path)


@pytest.mark.parametrize(
    "name, stated",
    [
        ("none.jsonl", "is not there"),
        ("file.txt", "unknown kind"),
        ("none.parquet", "is not there"),
    ],
)
def test_files_that_are_not_there(tmp_path, name, stated):
    with pytest.raises(UserError, match=stated):
        load("aime", tmp_path / name)


def tasks_of(tmp_path, count=4):
    path = tmp_path / "aime.jsonl"
    path.write_text(
        "".join(json.dumps({"problem": f"p{n}", "answer": n}) + "\n" for n in range(count))
    )
    return load("aime", path)


def script(ask, number):
    """Right on p0 always, on p1 in every other sample, else wrong."""
    place = int(ask.prompt.user[1])
    right = place == 0 or (place == 1 and ask.seed % 2 == 0)
    return f"so \\boxed{{{place if right else 99}}}"


def evaluate(tasks, policy, backend, settings, out, **how):
    asked = evaluation.Evaluation(policy, settings, exact, **how)
    return evaluation.evaluate(tasks, backend, asked, out)


def test_evaluation_counts_and_resumes(tmp_path):
    tasks, backend = tasks_of(tmp_path), Scripted(script)
    found = evaluate(
        tasks, "greedy", backend, Settings(), tmp_path / "run.json", samples=2, batch=3
    )
    assert found["problems"] == 4 and found["one_problem"] == 0.25
    assert found["pass@1"]["mean"] == pytest.approx(
        0.5
    )  # greedy asks have seed 0: p1 is right each time
    assert found["pass@2"]["mean"] == 0.5 and found["maj@2"]["mean"] == 0.5
    assert found["generated"] == 3.0 and found["generated_by_phase"] == {"chain": 3.0}
    before = len(backend.asked)
    assert evaluate(tasks, "greedy", backend, Settings(), tmp_path / "run.json", samples=2) == found
    assert before == 8 == len(backend.asked)
    more = evaluate(tasks, "greedy", backend, Settings(), tmp_path / "run.json", samples=3)
    assert len(backend.asked) == 12 and more["samples"] == 3
    assert json.loads((tmp_path / "run.json").read_text())["policy"] == "greedy"
    fewer = evaluate(tasks[:2], "greedy", backend, Settings(), tmp_path / "run.json")
    assert len(backend.asked) == 12 and fewer["problems"] == 2 and fewer["pass@1"]["mean"] == 1.0
    with pytest.raises(UserError, match="another policy"):
        evaluate(tasks, "sc", backend, Settings(), tmp_path / "run.json")


def test_the_published_tables_without_a_header_lose_no_problem(tmp_path):
    path = tmp_path / "mmlu.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["q1", "1", "1", "3", "A", "D"], ["q2", "w", "x", "y", "z", "B"]]
        )
    first, second = load("mmlu", path)
    assert (
        first.answer == "D"
        and first.question.startswith("q1\nA. 1\nB. 1\nC. 3\nD. A")
        and second.answer == "B"
    )


def test_outcomes_of_a_file_that_changed_are_not_taken_for_the_new_ones(tmp_path):
    tasks, backend, out = tasks_of(tmp_path, 2), Scripted(script), tmp_path / "run.json"
    evaluate(tasks, "greedy", backend, Settings(), out)
    for changed in (tasks[1]._replace(question="other"), tasks[1]._replace(answer="7")):
        with pytest.raises(UserError, match="line 2, is about another problem 1"):
            evaluate([tasks[0], changed], "greedy", backend, Settings(), out)
    evaluate(tasks[:1], "greedy", backend, Settings(), out)


def test_a_source_is_named_with_all_that_changes_what_it_says(tmp_path):
    from reasoning.e2c.__main__ import name_of
    from reasoning.e2c.backends.endpoint import EndpointConfig
    from reasoning.e2c.commands import Source
    from reasoning.e2c.llm.config import LocalModel

    sources = [
        Source(),
        Source(EndpointConfig(api="chat")),
        Source(EndpointConfig(extra='{"key": "SECRET"}')),
        Source(EndpointConfig(template="{user}{prefill}")),
        Source(local=LocalModel(path=tmp_path)),
        Source(local=LocalModel(path=tmp_path, trained=tmp_path / "sft")),
        Source(local=LocalModel(path=tmp_path, trained=tmp_path / "ef-sft")),
        Source(local=LocalModel(path=tmp_path, chat=False)),
    ]
    names = [name_of(source) for source in sources]
    assert len(set(names)) == len(names) and names[0] == "default" and names[4] == str(tmp_path)
    assert "SECRET" not in "".join(names)
    assert name_of(Source(EndpointConfig("http://127.0.0.1:1/v1", retries=0))) == names[0]


def test_outcomes_of_other_settings_are_not_taken_for_these(tmp_path):
    tasks, backend, out = tasks_of(tmp_path, 1), Scripted(script), tmp_path / "run.json"
    evaluate(tasks, "sc", backend, Settings(k=2), out, source="one")
    for changed, stated in (
        ({"budget": 20_000}, "budget"),
        ({"chains": "plain"}, "chains"),
        ({"judge": "likelihood"}, "judge"),
    ):
        with pytest.raises(UserError, match=f"line 1, was found with another {stated}"):
            evaluate(tasks, "sc", backend, Settings(k=2, **changed), out, source="one")
    with pytest.raises(UserError, match="another source"):
        evaluate(tasks, "sc", backend, Settings(k=2), out, source="other")
    for name, stated in (("react", "keeps no budget"), ("guess", "is no policy")):
        with pytest.raises(UserError, match=stated):
            evaluate(tasks, name, backend, Settings(budget=20_000), tmp_path / "b.json")


def test_votes_are_counted_over_the_first_samples(tmp_path):
    turn = [0]

    def alternating(ask, number):
        turn[0] += 1
        return f"so \\boxed{{{0 if turn[0] % 4 != 2 else 9}}}"  # right, wrong, right, right

    found = evaluate(
        tasks_of(tmp_path, 1),
        "greedy",
        Scripted(alternating),
        Settings(),
        tmp_path / "r.json",
        samples=4,
        batch=1,
    )
    assert [found[f"maj@{k}"]["mean"] for k in (1, 2, 4)] == [1.0, 1.0, 1.0] and found["pass@1"][
        "mean"
    ] == 0.75


@pytest.mark.parametrize(
    "name, record, empty",
    [
        ("math500", {"problem": "p", "answer": None}, "answer"),
        ("math500", {"problem": " ", "answer": "1"}, "question"),
        (
            "medqa",
            {"question": "q", "options": {"A": "a", "B": "b"}, "answer_idx": ""},
            "answer_idx",
        ),
        ("amc", {"problem": "", "question": None, "answer": 1}, "question"),
    ],
)
def test_a_record_without_question_or_answer_is_refused(name, record, empty, tmp_path):
    write_records(tmp_path / "a.jsonl", [record])
    with pytest.raises(UserError, match=f"record 1, does not fit {name}: its {empty} is empty"):
        load(name, tmp_path / "a.jsonl")


def test_an_answer_of_zero_and_a_question_under_the_other_name_are_read(tmp_path):
    write_records(tmp_path / "a.jsonl", [{"problem": "", "question": "q", "answer": 0}])
    assert load("amc", tmp_path / "a.jsonl")[0][:2] == ("q", "0")
