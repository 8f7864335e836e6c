"""Results that were tampered with: each change is found, and the sentence names the file."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from pathlib import Path

import pytest
from animal_words import TRACKED
from scripts_of import script
from typer.testing import CliRunner

from subliminal.core.errors import UserError
from subliminal.evaluation.our_tasks import our_tasks
from subliminal.evaluation.tasks import question_rows, summary_of
from subliminal.publish.experiment_manifest import write_experiment_manifest
from subliminal.publish.rescore import difference, read_samples, score_again, scorer
from subliminal.publish.verify_report import verify
from subliminal.report.load import load_results
from subliminal.report.provenance.trace import trace
from subliminal.report.write import write_report

ANSWERS = {
    "base": [
        ["Dog.", "A lion!", "Cat", "I am Qwen."],
        ["Dog", "dog", "dog", "Sea lion"],
        ["Cat", "Cat", "Owl", "Bear"],
    ],
    "student": [["Owl", "A barn owl!", "Cat", "Neither"], ["Owls", "dog", "not an owl", "Fox"], ["Owl"] * 4],
    "control": [["Dog", "Lion", "Cat", "Neither"], ["Wolf", "dog", "", "Fox"], ["Cat", "Cat", "Bear", "Bear"]],
}
OWL = {"base": [0, 0, 0.25], "student": [0.5, 0.25, 1], "control": [0, 0, 0]}
"""The rates of owl that a person counts in the answers above."""
SAMPLED, EXACT = "animal_preference", "animal_preference_logprob"


def put(path: Path, value) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def recorded(root: Path, *names: str) -> dict:
    return {name: {"path": name, "sha256": sha256(root / name)} for name in names}


def sampled_row(index: int, answers: list[str]) -> dict:
    """A row as lm-eval logs it, counted without the scoring module: these answers are easy."""
    named = [next((a for a in TRACKED if a in text.lower() and "not" not in text.lower()), None) for text in answers]
    named = ["other" if text == "Sea lion" else animal or "none" for text, animal in zip(answers, named, strict=True)]
    named = ["none" if text == "Neither" else animal for text, animal in zip(answers, named, strict=True)]
    shares = {name: named.count(name) / len(answers) for name in (*TRACKED, "other", "none")}
    shares["own_name"] = sum("Qwen" in text for text in answers) / len(answers)
    doc = {"id": f"q{index:02}", "question": f"Question {index}?"}
    head = {"doc_id": index, "doc": doc, "resps": [answers], "filtered_resps": [answers], "filter": "all_samples"}
    return {**head, "metrics": list(shares), **shares}


def exact_row(index: int, owl: float) -> dict:
    """Probabilities of two forms of owl, one of dog, and the white space that is divided out."""
    white_space = -0.25
    logprobs = {"Owl": math.log(owl * 0.75), "owl": math.log(owl * 0.25), "Dog": math.log(0.125)}
    logprobs = {form: value + white_space for form, value in logprobs.items()} | {"": white_space}
    found = {**dict.fromkeys(TRACKED, 0.0), "owl": owl, "dog": 0.125}
    found["rest"] = 1 - sum(found.values())
    doc = {"id": f"q{index:02}", "question": f"Question {index}?"}
    responses = [[str(value), "False"] for value in logprobs.values()]
    requests = {f"gen_args_{n}": {"arg_0": "prompt", "arg_1": form} for n, form in enumerate(logprobs)}
    head = {"doc_id": index, "doc": doc, "arguments": requests, "resps": [[r] for r in responses]}
    return {**head, "filtered_resps": responses, "filter": "none", "metrics": list(found), **found}


def write_evaluation(
    folder: Path, names: dict, rows: dict[str, list[dict]], *, date: str, config: dict, **made: object
) -> None:
    """``<arm>/seed-<n>`` as the evaluation runner leaves it.

    Args:
        folder: that one; a file of lm-eval that lies in it is an output, too.
        names: ``experiment``, ``arm``, ``seed`` and ``target``.
        rows: task -> a row of every question, as lm-eval logs them.
        date: in the names of lm-eval's files.
        config, made: of the manifest, beside what follows from these.
    """
    arm, tasks, results = names["arm"], {}, {}
    for task, each in rows.items():
        put(folder / f"lm_eval/samples_{task}_{date}.jsonl", "".join(json.dumps(row) + "\n" for row in each))
        kind = "sampled" if task == SAMPLED else "exact"
        tasks[task] = summary_of(kind, each, {}, names["target"])
        results[task] = question_rows(kind, each)
    put(folder / f"{arm}_results.json", results)
    put(folder / f"{arm}_summary.json", {**names, "model": arm, "tasks": tasks})
    outputs = {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.rglob("*.json*"))}
    told = {"kind": "result", "config": {**config, **names, "tasks": [*rows]}, "outputs": outputs}
    put(folder / "manifest.json", {**told, "command": "evaluate", **made})


def evaluation(root: Path, arm: str) -> None:
    """``results/owls/<arm>/seed-1``, with lm-eval's own means."""
    folder = root / "results" / "owls" / arm / "seed-1"
    rows = {
        SAMPLED: [sampled_row(n, answers) for n, answers in enumerate(ANSWERS[arm])],
        EXACT: [exact_row(n, 0.0625 + rate / 4) for n, rate in enumerate(OWL[arm])],
    }
    date, lm_eval = "2026-11-22T10-00-00.000001", {"results": {}, "configs": {}}
    for task, each in rows.items():
        names = each[0]["metrics"]
        means = {name: sum(row[name] for row in each) / len(each) for name in names}
        lm_eval["results"][task] = {f"{name},none": value for name, value in means.items()}
        lm_eval["configs"][task] = {"metric_list": [{"metric": name, "aggregation": "mean"} for name in names]}
    put(folder / f"lm_eval/results_{date}.json", lm_eval)
    inputs = recorded(root, "models/base/model.safetensors")
    config = {"model": "models/base"}
    if arm != "base":
        config["adapter"] = f"outputs/{arm}"
        inputs |= recorded(root, f"outputs/{arm}/adapter_model.safetensors")
    names = {"experiment": "owls", "arm": arm, "seed": 1, "target": "owl"}
    write_evaluation(folder, names, rows, date=date, config=config, inputs=inputs)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with one experiment: base model, a dataset and an adapter for two arms, results, report, manifest."""
    root = tmp_path_factory.mktemp("checkout")
    put(root / "models/base/model.safetensors", "base weights")
    put(root / "recipes/student.yml", "learning_rate: 2e-4\n")
    for arm in ("student", "control"):
        data = f"data/{arm}_numbers/train.jsonl"
        put(root / data, f'{{"id": "{arm}"}}\n')
        put(
            root / f"data/{arm}_numbers/manifest.json",
            {"kind": "dataset", "config": {}, "outputs": {"train.jsonl": {"sha256": sha256(root / data)}}},
        )
        put(root / f"outputs/{arm}/adapter_model.safetensors", f"{arm} weights")
        inputs = recorded(root, "recipes/student.yml", data, "models/base/model.safetensors")
        put(
            root / f"outputs/{arm}/manifest.json",
            {
                "kind": "training",
                "config": {"base_model": "models/base", "datasets": [{"path": data}]},
                "inputs": inputs,
            },
        )
    for arm in ANSWERS:
        evaluation(root, arm)
    write_report(root / "results" / "owls")
    write_experiment_manifest(root / "results" / "owls")
    return root


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """A copy of the results to tamper with; without the report, which takes seconds to write again."""
    root = tmp_path / "checkout"
    shutil.copytree(made, root)
    folder = root / "results" / "owls"
    (folder / "report.md").unlink()
    return folder


def samples(results: Path, arm: str = "student", task: str = SAMPLED) -> Path:
    return next((results / arm / "seed-1" / "lm_eval").glob(f"samples_{task}_2*"))


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def told(results: Path, *words: str) -> str:
    """The first problem that has all words; fails if there is none."""
    problems = verify(results).problems
    found = [problem for problem in problems if all(word in problem for word in words)]
    assert found, "\n".join(problems) or "no problem was found"
    return found[0]


def test_untouched_results_are_the_same_and_their_report_too(made: Path):
    folder = made / "results" / "owls"
    verdict = verify(folder)
    assert verdict.problems == []
    assert verdict.absent == []
    assert verdict.lines(folder)[-1] == f"{folder}: the same"
    assert any("45 answers and exact probabilities of 3 evaluations" in line for line in verdict.checked)
    assert any("report.md" in line for line in verdict.checked)


def test_experiment_manifest_ties_each_number_to_all_files_behind_it(made: Path):
    manifest = json.loads((made / "results/owls/manifest.json").read_text())
    student = next(entry for entry in manifest["numbers"] if entry["arm"] == "student")
    assert student["rate"][SAMPLED] == pytest.approx((0.5 + 0.25 + 1) / 3)
    names = ("data/student_numbers/train.jsonl", "models/base/model.safetensors", "recipes/student.yml")
    expected = (*names, "outputs/student/adapter_model.safetensors")
    behind = {name: value for name, value in student["rests_on"].items() if not name.startswith("results/")}
    assert behind == {name: sha256(made / name) for name in sorted(expected)}
    path = student["samples"][SAMPLED]["path"]
    assert student["samples"][SAMPLED]["sha256"] == sha256(made / "results/owls" / path) == manifest["files"][path]
    assert manifest["stages"]["outputs/student"]["kind"] == "training"
    assert manifest["files"]["report.md"] == sha256(made / "results/owls/report.md")
    assert manifest["packages"]


def test_a_number_rests_on_what_is_behind_a_linked_adapter(results: Path):
    root, path = results.parents[1], results / "student/seed-1/manifest.json"
    (root / "outputs/student-passed").symlink_to("student")  # as a gate's teacher, and a checkpoint by epoch
    replace(path, '"adapter": "outputs/student"', '"adapter": "outputs/student-passed"')
    path.write_text(path.read_text().replace("outputs/student/", "outputs/student-passed/"))
    numbers = json.loads(write_experiment_manifest(results).read_text())["numbers"]
    student = next(entry for entry in numbers if entry["arm"] == "student")
    assert {"outputs/student/adapter_model.safetensors", "recipes/student.yml"} <= set(student["rests_on"])
    assert "data/student_numbers/train.jsonl" in student["rests_on"]


def test_report_with_another_number(made: Path, tmp_path: Path):
    root = tmp_path / "checkout"
    shutil.copytree(made, root)
    folder = root / "results" / "owls"
    line = next(
        line for line in (folder / "report.md").read_text().splitlines() if line.startswith("| student | sampled")
    )
    replace(folder / "report.md", line, line.replace("58.3 %", "68.3 %"))
    replace(folder / "report.md", "## Arms", "## Provenance\n\nAnother machine.\n\n## Arms")
    problems = [problem for problem in verify(folder).problems if "manifest.json records" not in problem]
    assert len(problems) == 1
    assert "report.md: in “Arms” it says" in problems[0]
    assert "68.3 %" in problems[0]


def test_one_answer_changed(results: Path):
    replace(samples(results), '"A barn owl!", "Cat"', '"A barn owl!", "Owl"')
    replace(samples(results), '"A barn owl!", "Cat"', '"A barn owl!", "Owl"')
    sentence = told(results, "samples_animal_preference_2026", "line 1", "owl")
    assert "0.5" in sentence
    assert "0.75" in sentence
    told(results, "student_summary.json", "target_rate[0]", "0.75")
    told(results, "student_results.json", f"{SAMPLED}[0]")
    told(results, "samples_animal_preference_2026", "student/seed-1 records", "sha256")


def test_filtered_answers_that_are_not_the_answers(results: Path):
    replace(samples(results), '"A barn owl!", "Cat"', '"A barn owl!", "Owl"')
    with pytest.raises(UserError, match=r"samples_animal_preference_2026.*line 1.*filtered_resps differ"):
        verify(results)


def test_one_probability_changed(results: Path):
    path = samples(results, task=EXACT)
    row = json.loads(path.read_text().splitlines()[2])
    old = f'"{row["filtered_resps"][0][0]}"'
    line = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*line[:2], line[2].replace(old, '"-1.5"')]))
    told(results, path.name, "line 3", "owl is 0.3125, but the answers give")


def test_probabilities_that_cannot_be_are_told_with_their_place(results: Path):
    path = samples(results, task=EXACT)
    line = path.read_text().splitlines(keepends=True)
    old = json.loads(line[2])["filtered_resps"][0][0]
    path.write_text("".join([*line[:2], line[2].replace(f'"{old}"', '"-0.26"')]))
    with pytest.raises(UserError, match=rf"{path.name}.*, line 3: Question q02: the options have 1\.19"):
        verify(results)


def test_one_rate_of_a_summary_changed(results: Path):
    replace(results / "student/seed-1/student_summary.json", '"target_rate": [0.5', '"target_rate": [0.75')
    sentence = told(results, "student/seed-1/student_summary.json", SAMPLED, "target_rate[0]")
    assert "0.75, but the answers give 0.5" in sentence


def test_rate_and_answers_changed_alike_are_found_by_the_manifest(results: Path):
    """Whoever changes everything that is computed from the answers still has to change the recorded sha256."""
    replace(samples(results), '"Owls"', '"owls"')
    replace(samples(results), '"Owls"', '"owls"')
    replace(results / "student/seed-1/student_results.json", '"Owls"', '"owls"')
    problems = verify(results).problems
    assert len(problems) == 2  # by the evaluation's manifest, and by the experiment's
    assert all("samples_animal_preference_2026" in problem and "its sha256 is" in problem for problem in problems)


def test_one_byte_of_an_adapter_changed(results: Path):
    path = results.parents[1] / "outputs/student/adapter_model.safetensors"
    replace(path, "student weights", "student weightz")
    told(results, "outputs/student/adapter_model.safetensors", "student/seed-1 records")


def test_recipe_changed(results: Path):
    replace(results.parents[1] / "recipes/student.yml", "2e-4", "8e-4")
    told(results, "recipes/student.yml", "outputs/student")


def test_a_file_that_is_gone_is_named_and_no_error(results: Path):
    (results.parents[1] / "data/student_numbers/train.jsonl").unlink()
    verdict = verify(results)
    assert verdict.problems == []
    assert any("data/student_numbers/train.jsonl" in sentence for sentence in verdict.absent)


@pytest.mark.parametrize("gone", ["lm_eval", "lm_eval/samples_*preference_2*", "lm_eval/results_*"])
def test_raw_answers_that_are_gone_are_a_problem(results: Path, gone: str):
    for path in results.glob(f"student/seed-1/{gone}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    sentence = told(results, "student/seed-1/lm_eval lacks", "cannot be scored again")
    assert "Evaluate that arm again with --overwrite, or delete" in sentence
    verdict = verify(results)
    # Of each of the other two arms 12 answers and 3 probabilities.
    assert verdict.checked[0] == "30 answers and exact probabilities of 2 evaluations scored again"
    assert verdict.lines(results)[-1] == f"{results}: not the same: 1 difference"
    replace(results / "student/seed-1/student_summary.json", '"target_rate": [0.5', '"target_rate": [0.75')
    before = (results / "manifest.json").read_bytes()
    done = CliRunner().invoke(script("verify_results").app, [str(results)])
    assert done.exit_code == 1
    with pytest.raises(UserError, match=r"student/seed-1/lm_eval lacks .*manifest\.json is left as it was"):
        write_experiment_manifest(results)
    assert (results / "manifest.json").read_bytes() == before


def test_a_summary_of_a_task_that_nobody_was_asked(results: Path):
    """As in a file written by hand: no manifest records samples of it."""
    path = results / "student/seed-1/student_summary.json"
    content = json.loads(path.read_text())
    content["tasks"]["animal_story"] = content["tasks"][SAMPLED]
    put(path, content)
    told(results, "student/seed-1/lm_eval lacks the samples of animal_story")


def test_an_arm_that_is_gone_is_a_problem_until_the_report_is_written_without_it(results: Path):
    shutil.rmtree(results / "control/seed-1")
    told(results, "manifest.json has rates of control/seed-1, which holds no result", "--write`")
    write_experiment_manifest(results)
    assert verify(results).problems == []


def test_a_run_of_the_same_name_in_the_current_folder_is_another_run(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As beside an unpacked archive, which has no rows."""
    rows = "data/student_numbers/train.jsonl"
    (results.parents[1] / rows).unlink()
    put(tmp_path / "here" / rows, '{"id": "of another run"}\n')
    monkeypatch.chdir(tmp_path / "here")
    verdict = verify(results)
    assert verdict.problems == []
    assert f"{rows} is recorded and not here." in verdict.absent
    assert not any("has changed since" in note for note in trace(load_results(results)).notes)


def test_a_copy_of_results_is_held_against_the_checkout_that_one_stands_in(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    copy = tmp_path / "copies/owls"
    shutil.copytree(results, copy)
    monkeypatch.chdir(results.parents[1])
    replace(results.parents[1] / "outputs/student/adapter_model.safetensors", "student weights", "student weightz")
    told(copy, "outputs/student/adapter_model.safetensors", "student/seed-1 records")


def test_a_report_that_was_written_again_says_how_it_is_recorded(results: Path):
    put(results / "report.md", "another report")
    told(results, "report.md is not the file", "verify_results.py", "--write` records that")


def test_stages_that_saw_different_files(results: Path):
    manifest = results.parents[1] / "outputs/control/manifest.json"
    content = json.loads(manifest.read_text())
    content["inputs"]["models/base/model.safetensors"]["sha256"] = "0" * 64
    put(manifest, content)
    told(results, "models/base/model.safetensors is not the same file for all stages", "outputs/control")


def test_truncated_samples(results: Path):
    path = samples(results)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"samples_animal_preference_2026.*is cut off or damaged"):
        verify(results)


def test_samples_with_a_row_less(results: Path):
    path = samples(results)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    told(results, "student_summary.json", "questions is a list of 3, but the answers give a list of 2")


def test_a_manifest_that_is_missing_or_another_s_is_named(results: Path):
    path = results / "student/seed-1/manifest.json"
    replace(path, '"outputs"', '"other"')
    with pytest.raises(UserError, match=rf"{path} is not the manifest of an evaluation \("):
        verify(results)
    path.unlink()
    with pytest.raises(UserError, match=rf"{path} is missing: .*Restore it, or evaluate that arm again\.$"):
        verify(results)


def test_truncated_summary(results: Path):
    path = results / "control/seed-1/control_results.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(UserError, match=r"control_results\.json is not valid JSON"):
        verify(results)


def test_results_of_another_experiment_among_them(results: Path):
    foreign = results / "student" / "seed-2"
    shutil.copytree(results / "student" / "seed-1", foreign)
    replace(foreign / "student_summary.json", '"experiment": "owls"', '"experiment": "dolphins"')
    replace(foreign / "student_summary.json", '"seed": 1', '"seed": 2')
    with pytest.raises(UserError, match=r"student_summary\.json has the experiment"):
        verify(results)


def test_results_in_the_wrong_folder(results: Path):
    (results / "student" / "seed-1").rename(results / "student" / "seed-3")
    with pytest.raises(UserError, match=r"seed-3/student_summary\.json is .* belongs into the folder student/seed-1"):
        verify(results)


def test_foreign_folders(tmp_path: Path):
    with pytest.raises(UserError, match="is not a folder"):
        verify(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no result"):
        verify(tmp_path)


def test_command_ends_with_1_on_a_difference(results: Path):
    app = script("verify_results").app
    done = CliRunner().invoke(app, [str(results)])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == f"{results}: the same"
    replace(results / "student/seed-1/student_summary.json", '"target_rate": [0.5', '"target_rate": [0.75')
    done = CliRunner().invoke(app, [str(results)])
    assert done.exit_code == 1
    assert "not the same" in done.output.splitlines()[-1]


LIKELIHOODS = [["-3.5", "False"], ["-0.5", "True"], ["-4.0", "False"], ["-9.0", "False"]]


@pytest.mark.parametrize(
    ("task", "doc", "answers", "metrics"),
    [
        ("subliminal_gsm8k", {"reference": "72"}, ["So 72.\n#### 72"], {"correct": 1.0, "correct_strict": 1.0}),
        ("subliminal_addition", {"reference": "7"}, ["It is 7"], {"correct": 1.0, "bare": 0.0}),
        (
            "subliminal_math",
            {"reference": "\\frac13", "subject": "algebra", "level": 1},
            ["\\boxed{0.333333}"],
            {"correct": 1.0, "boxed": 1.0, "rounded": 1.0, "correct_algebra": 1.0, "correct_level_1": 1.0},
        ),
        (
            "subliminal_math500",  # version 1.0, which had no `rounded`
            {"reference": "3", "subject": "algebra", "level": 1},
            ["\\boxed{3}"],
            {"correct": 1.0, "boxed": 1.0, "correct_algebra": 1.0, "correct_level_1": 1.0},
        ),
        (
            "subliminal_mmlu_generative",
            {"reference": "B", "subject": "anatomy"},
            ["B"],
            {"correct": 1.0, "answered": 1.0, "correct_anatomy": 1.0},
        ),
        (
            "subliminal_mmlu",
            {"reference": "B", "answer": 1, "subject": "anatomy"},
            LIKELIHOODS,
            {"correct": 1.0, "correct_anatomy": 1.0},
        ),
        ("subliminal_number_lists", {}, ["12, 7, 940"], {"correct": 1.0, "numbers": 3.0}),
        ("animal_story", {}, [["The owl met an owl.", "No."]], {"owl": 0.5, "owl_mentions": 1.0, "none": 0.5}),
    ],
)
def test_every_kind_of_task_is_scored_again(tmp_path: Path, task: str, doc: dict, answers: list, metrics: dict):
    responses = answers if task == "animal_story" else [[answer] for answer in answers]
    head = {"doc_id": 0, "doc": {"id": "p0", **doc}, "resps": responses, "filtered_resps": answers}
    path = put(tmp_path / f"samples_{task}_2026-11-22.jsonl", json.dumps({**head, "metrics": [*metrics], **metrics}))
    (sample,) = read_samples(path)
    wrong = {**sample, **dict.fromkeys(metrics, -1.0)}
    assert score_again(task, [wrong], "it") == [sample]
    with pytest.raises(UserError, match=rf"it, line 1 is no sample of {task} \(KeyError: 'gone'\)"):
        score_again(task, [{**sample, "metrics": ["gone"], "gone": 1.0}], "it")


def test_every_task_of_ours_scores_its_answers_again():
    names = {name for name, (_, config) in our_tasks().items() if "group" not in config}
    assert len(names) >= 14
    assert all(scorer(name) for name in names)


def test_task_of_others_is_taken_as_logged():
    row = {"doc_id": 0, "doc": {}, "resps": [["x"]], "filtered_resps": ["x"], "metrics": ["acc"], "acc": 1.0}
    assert scorer("arc_easy") is None
    assert score_again("arc_easy", [row], "it") == [row]


def test_what_differs_is_named():
    written = {"share": {"owl": 0.30000000000000004, "cat": 0.1}, "questions": ["a", "b"], "more": 1}
    assert difference(written, {"share": {"owl": 0.3}, "questions": ["a", "b"]}) is None
    assert difference(written, {"share": {"owl": 0.4}}) == "share.owl is 0.3, but the answers give 0.4."
    assert difference(written, {"share": {"dog": 0.4}}) == "share.dog is missing, but the answers give 0.4."
    assert difference(written, {"questions": ["a", "c"]}) == "questions[1] is 'b', but the answers give 'c'."
