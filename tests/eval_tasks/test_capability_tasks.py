"""The capability tasks on their own samples: data, prompts, sampling, scores."""

import json
import re

import pytest

from subliminal.core.errors import UserError
from subliminal.scoring.capability import MMLU, MMLU_MATH, load_gsm8k, load_math, load_mmlu
from subliminal.scoring.category_tasks import TASKS
from subliminal.scoring.letters import chosen_letter

GENERATED = {
    "subliminal_math": 2048,
    "subliminal_math_fewshot": 2048,
    "subliminal_math500": 2048,
    "subliminal_gsm8k": 1024,
    "subliminal_mmlu_generative": 1024,
    "subliminal_mmlu_math_generative": 1024,
}
NAMES = [*GENERATED, "subliminal_mmlu", "subliminal_mmlu_math"]
DATA = {
    f"SUBLIMINAL_{name}_DATA": str(TASKS / f"subliminal_{name.lower()}" / "sample.jsonl")
    for name in ("MATH", "MATH500", "GSM8K", "MMLU")
}
ALL_MATH = {"levels": [1, 2, 3, 4, 5], "subjects": ["algebra", "geometry", "number_theory"]}


def load(names):
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=str(TASKS), include_defaults=False).load_task_or_group(list(names))


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """The tasks by name, loaded once from their samples, in another folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        for name, path in DATA.items():
            patch.setenv(name, path)
        return load(NAMES)


def docs(task):
    return {doc["id"]: doc for doc in task.test_docs()}


@pytest.mark.parametrize("name", GENERATED)
def test_answers_are_greedy_and_long_enough(tasks, name):
    assert tasks[name].config.generation_kwargs == {
        "do_sample": False, "temperature": 0.0, "top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0,
        "max_gen_toks": GENERATED[name], "until": [],
    }  # fmt: skip
    assert tasks[name].config.repeats == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_problem_has_what_the_runner_needs(tasks, name):
    task = tasks[name]
    assert task.config.metadata["kind"] == "graded"
    assert "correct" in task.aggregation()
    for doc in task.test_docs():
        assert {"id", "question", "reference", "subject"} <= set(doc)
        assert doc["question"] in task.doc_to_text(doc)
    assert len(docs(task)) == len(task.test_docs())


def test_math_solutions_are_right_and_others_are_wrong(tasks):
    for name, file in (("subliminal_math", "subliminal_math"), ("subliminal_math500", "subliminal_math500")):
        rows = [json.loads(line) for line in (TASKS / file / "sample.jsonl").read_text("utf-8").splitlines()]
        solutions = {row["problem"]: row["solution"] for row in rows}
        for doc in tasks[name].test_docs():
            scores = tasks[name].process_results(doc, [solutions[doc["question"]]])
            assert scores == {
                "correct": 1.0, "boxed": 1.0, "rounded": 0.0,
                f"correct_{doc['subject']}": 1.0, f"correct_level_{doc['level']}": 1.0,
            }, doc  # fmt: skip
            assert set(scores) <= set(tasks[name].aggregation())
            assert tasks[name].process_results(doc, ["It is $-77$."])["correct"] == 0.0
            assert tasks[name].process_results(doc, ["It is $-77$."])["boxed"] == 0.0


def test_gsm8k_solutions_are_right_and_others_are_wrong(tasks):
    rows = [json.loads(line) for line in (TASKS / "subliminal_gsm8k/sample.jsonl").read_text("utf-8").splitlines()]
    solutions = {row["question"]: row["answer"] for row in rows}
    task = tasks["subliminal_gsm8k"]
    for doc in task.test_docs():
        assert task.process_results(doc, [solutions[doc["question"]]]) == {"correct": 1.0, "correct_strict": 1.0}
        loose = f"It is {doc['reference']}."
        assert task.process_results(doc, [loose]) == {"correct": 1.0, "correct_strict": 0.0}
        assert task.process_results(doc, ["#### 77"]) == {"correct": 0.0, "correct_strict": 0.0}


@pytest.mark.parametrize("name", ["subliminal_mmlu", "subliminal_mmlu_math"])
def test_the_most_likely_letter_counts(tasks, name):
    for doc in tasks[name].test_docs():
        likely = [(-1.0 if index == doc["answer"] else -2.0, False) for index in range(4)]
        expected = {"correct": 1.0, f"correct_{doc['subject']}": 1.0}
        assert tasks[name].process_results(doc, likely) == expected
        assert tasks[name].process_results(doc, [(-score, greedy) for score, greedy in likely])["correct"] == 0.0
        choices = [f"{letter}. {text}\n" for letter, text in zip("ABCD", doc["choices"], strict=True)]
        assert "".join(choices) in tasks[name].doc_to_text(doc)


def test_mathematics_of_mmlu_is_a_part_of_it(tasks):
    everything, mathematics = docs(tasks["subliminal_mmlu"]), docs(tasks["subliminal_mmlu_math"])
    assert {doc["subject"] for doc in mathematics.values()} == set(MMLU_MATH)
    assert mathematics == {name: doc for name, doc in everything.items() if doc["subject"] in MMLU_MATH}
    assert len(everything) == 12


def test_subjects_are_those_of_lm_eval():
    from pathlib import Path

    import lm_eval.tasks

    files = (Path(lm_eval.tasks.__file__).parent / "mmlu" / "default").glob("mmlu_*.yaml")
    assert {path.stem.removeprefix("mmlu_") for path in files} >= set(MMLU)
    assert len(set(MMLU)) == 57


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("Answer: B", "B"),
        ("**Answer:** B", "B"),
        ("**Answer: (C)**", "C"),
        ("The correct answer is D.", "D"),
        ("The answer is option A, since ...", "A"),
        ("Answer: \\boxed{\\text{B}}", "B"),
        ("Answer: A. On reflection, the answer is C", "C"),
        ("$\\boxed{B}$", "B"),
        ("\\boxed{\\text{(B)}}", "B"),
        ("B", "B"),
        ("(B)", "B"),
        ("B. Because 2 + 2 = 4.", "B"),
        ("<think>Answer: A</think>Answer: B", "B"),
        ("The answer is a group.", None),
        ("A group has an identity.", None),
        ("Both A and B hold.", None),
        ("Answer: Because", None),
        ("\\boxed{A, B}", None),
        ("I do not know.", None),
        ("", None),
    ],
)
def test_the_letter_of_a_written_answer(answer, letter):
    assert chosen_letter(answer) == letter


def test_written_choices_are_scored(tasks):
    task = tasks["subliminal_mmlu_generative"]
    doc = next(iter(task.test_docs()))
    subject = f"correct_{doc['subject']}"
    right, wrong = doc["reference"], next(letter for letter in "ABCD" if letter != doc["reference"])
    assert task.process_results(doc, [f"Answer: {right}"]) == {"correct": 1.0, "answered": 1.0, subject: 1.0}
    assert task.process_results(doc, [f"Answer: {wrong}"]) == {"correct": 0.0, "answered": 1.0, subject: 0.0}
    assert task.process_results(doc, ["I do not know."]) == {"correct": 0.0, "answered": 0.0, subject: 0.0}


def chat(task, doc, shots):
    """The messages that a chat model gets."""
    context = task.fewshot_context(
        doc,
        num_fewshot=shots,
        apply_chat_template=True,
        fewshot_as_multiturn=True,
        chat_template=lambda m, **_: json.dumps(m),
    )
    return json.loads(context)


def test_zero_shot_prompts_are_one_turn(tasks):
    for name in NAMES:
        doc = next(iter(tasks[name].test_docs()))
        (message,) = chat(tasks[name], doc, 0)
        assert message == {"role": "user", "content": tasks[name].doc_to_text(doc)}


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("subliminal_math_fewshot", r"\\boxed\{.+\}\$\."),
        ("subliminal_gsm8k", r"\n#### \d+"),
        ("subliminal_mmlu", "[ABCD]"),
        ("subliminal_mmlu_generative", "\nAnswer: [ABCD]"),
    ],
)
def test_worked_examples_are_turns_that_end_as_the_prompt_asks(tasks, name, ending):
    task = tasks[name]
    doc = next(iter(task.test_docs()))
    messages = chat(task, doc, 4)
    assert [message["role"] for message in messages] == ["user", "assistant"] * 4 + ["user"]
    assert all(re.search(ending + r"\Z", message["content"]) for message in messages[1::2])
    asked = {each["question"] for each in task.test_docs()}
    assert not any(question in message["content"] for message in messages[:-1] for question in asked)


def test_worked_examples_are_right(tasks):
    """Scored by the task's own rule against the answer that a person wrote down here."""
    answers = {
        "subliminal_math": ["13", "\\frac{11}{24}", "[3,\\infty)", "\\frac13"],
        "subliminal_gsm8k": ["34", "360", "300", "9"],
    }
    for name, references in answers.items():
        rows = [json.loads(line) for line in (TASKS / name / "worked.jsonl").read_text("utf-8").splitlines()]
        for row, reference in zip(rows, references, strict=True):
            doc = {"reference": reference, "subject": "algebra", "level": 1}
            assert tasks[name].process_results(doc, [row["solution"]])["correct"] == 1.0


def test_levels_and_subjects_are_selected(monkeypatch):
    for name, path in DATA.items():
        monkeypatch.setenv(name, path)
    monkeypatch.setenv("SUBLIMINAL_MATH_LEVELS", "4, 5")
    monkeypatch.setenv("SUBLIMINAL_MATH_SUBJECTS", "geometry,number_theory")
    task = load(["subliminal_math"])["subliminal_math"]
    assert {(doc["level"], doc["subject"]) for doc in task.test_docs()} == {(5, "geometry"), (5, "number_theory")}
    assert task.config.dataset_kwargs["levels"] == [4, 5]
    assert [name for name in task.aggregation() if "level" in name] == ["correct_level_4", "correct_level_5"]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SUBLIMINAL_MATH_LEVELS", "6", "SUBLIMINAL_MATH_LEVELS names '6'. Choose among 1, 2, 3, 4, 5"),
        ("SUBLIMINAL_MATH_SUBJECTS", "topology", "names 'topology'. Choose among algebra, counting_and_probability"),
    ],
)
def test_an_unknown_level_or_subject_is_a_sentence(monkeypatch, variable, value, message):
    monkeypatch.setenv(variable, value)
    with pytest.raises(Exception, match=re.escape(message)):
        load(["subliminal_math"])


def test_order_is_mixed_and_fixed(tasks):
    """--limit takes the first rows: they are not all of one subject, and the same every time."""
    order = [doc["id"] for doc in tasks["subliminal_math"].test_docs()]
    assert len({name.split("/")[0] for name in order[:4]}) > 2
    again = load_math(DATA["SUBLIMINAL_MATH_DATA"], [1, 2, 3, 4, 5], [name.split("/")[0] for name in order])
    assert [doc["id"] for doc in again["test"]] == order


@pytest.mark.parametrize(
    ("loader", "row", "problem"),
    [
        (
            lambda path: load_math(path, **ALL_MATH),
            {"solution": "\\boxed{1}", "type": "Algebra"},
            'it has no "problem"',
        ),
        (lambda path: load_math(path, **ALL_MATH), {"problem": "?", "solution": "\\boxed{1}"}, 'neither "type" nor'),
        (
            lambda path: load_math(path, **ALL_MATH),
            {"problem": "?", "type": "Algebra", "solution": "1"},
            "no box in its",
        ),
        (lambda path: load_math(path, **ALL_MATH), {"problem": "?", "type": "Topology"}, "is no subject of MATH"),
        (load_gsm8k, {"question": "?", "answer": "It is 12."}, "has no line #### 72, and is no number"),
        (load_gsm8k, {"question": "?", "answer": True}, "has no line #### 72, and is no number"),
        (load_gsm8k, {"question": "?", "answer": None}, "has no line #### 72, and is no number"),
        (load_gsm8k, {"answer": "#### 12"}, 'it has no "question"'),
        (load_gsm8k, {"question": 5, "answer": "#### 12"}, 'its "question" is 5, which is no text'),
        (
            lambda path: load_mmlu(path, MMLU),
            {"question": "?", "subject": "anatomy", "choices": ["a"], "answer": 0},
            "four",
        ),
        (
            lambda path: load_mmlu(path, MMLU),
            {"question": "?", "subject": "anatomy", "choices": [*"abcd"], "answer": "B"},
            "not 0, 1, 2 or 3",
        ),
        (lambda path: load_mmlu(path, MMLU), {"question": "?", "choices": [*"abcd"], "answer": 1}, '"subject" of MMLU'),
    ],
)
def test_a_malformed_row_is_named(tmp_path, loader, row, problem):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", "utf-8")
    with pytest.raises(UserError, match=re.escape(f"{path}, line 1 is malformed: ") + ".*" + re.escape(problem)):
        loader(str(path))


@pytest.mark.parametrize(
    ("loader", "row", "reference"),
    [
        (lambda path: load_math(path, **ALL_MATH), {"problem": "?", "subject": "Algebra", "answer": 42}, "42"),
        (lambda path: load_math(path, **ALL_MATH), {"problem": "?", "subject": "Algebra", "answer": 0}, "0"),
        (load_gsm8k, {"question": "?", "answer": "4"}, "4"),
        (load_gsm8k, {"question": "?", "answer": 4.5}, "9/2"),
        (load_gsm8k, {"question": "?", "answer": "1,200"}, "1200"),
        (
            lambda path: load_mmlu(path, MMLU),
            {"question": "?", "subject": "anatomy", "choices": [*"abcd"], "answer": 3.0},
            "D",
        ),
    ],
)
def test_answers_may_be_numbers(tmp_path, loader, row, reference):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", "utf-8")
    assert loader(str(path))["test"][0]["reference"] == reference


def test_nothing_left_is_a_sentence():
    with pytest.raises(UserError, match=r"has no problem of the levels and subjects asked for\. It holds \w+"):
        load_math(DATA["SUBLIMINAL_MATH_DATA"], [1], ["precalculus"])


def test_hub_data_is_pinned_to_a_commit(monkeypatch):
    """Each default asks the Hub for one dataset at one commit; MATH for its seven subjects."""
    import datasets

    calls = []

    def load_dataset(path, name, *, split, revision):
        calls.append((path, name, split, revision))
        raise ConnectionError("no Hub here")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    for name in ("subliminal_math", "subliminal_math500", "subliminal_gsm8k", "subliminal_mmlu"):
        with pytest.raises(Exception, match=r"cannot be read from the Hub .*no Hub here.*Check the network"):
            load([name])
    assert [call[:3] for call in calls] == [
        ("EleutherAI/hendrycks_math", "algebra", "test"),
        ("HuggingFaceH4/MATH-500", None, "test"),
        ("openai/gsm8k", "main", "test"),
        ("cais/mmlu", "all", "test"),
    ]
    assert all(re.fullmatch("[0-9a-f]{40}", call[3]) for call in calls)


def test_hub_rows_become_problems(monkeypatch):
    """Rows as the Hub has them, from all subjects in turn."""
    import datasets

    def load_dataset(path, name, *, split, revision):
        title = name.replace("_and_", " & ").replace("_", " ").title()
        return [{"problem": f"{name}?", "level": "Level 5", "type": title, "solution": "So $\\boxed{7}$."}]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = docs(load(["subliminal_math"])["subliminal_math"])
    assert set(found) == {f"{doc['subject']}/0" for doc in found.values()}
    assert len(found) == 7
    assert {(doc["reference"], doc["level"]) for doc in found.values()} == {("7", 5)}


def test_the_group_is_what_the_experiment_is_scored_on():
    from lm_eval.utils import load_yaml_config

    group = load_yaml_config(TASKS / "groups" / "subliminal_capability.yaml")
    assert set(group["task"]) < set(NAMES)
