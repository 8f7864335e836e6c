"""Published experiments: packed and laid out again to the byte, and every change to them or to RESULTS.md is found."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from scripts_of import script
from test_verify import exact_row, put, sampled_row, write_evaluation
from typer.testing import CliRunner

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import Plan
from subliminal.publish.archive import read_answers, read_records, write_answers, write_records
from subliminal.publish.criterion import check_criterion, student_trainings
from subliminal.publish.entries import Entry, entries, lay_out
from subliminal.publish.experiment_manifest import write_experiment_manifest
from subliminal.publish.pack import MOST_BYTES, _check_category, _is_committed, publish_experiment
from subliminal.publish.page import make_pages
from subliminal.publish.rescore import score_again
from subliminal.publish.verify_pages import verify_published
from subliminal.report.write import compose, write_report

REPLICATES = {
    "source": "owl_pocket_replicates",
    "seeds": [1, 2, 3],
    "arms": ["base", "student", "control_base_numbers", "control_base_numbers_again"],
    "criterion": {
        "clauses": [
            {"name": "effect", "arm": "student", "minus": "control_base_numbers", "confidence": 0.99, "above": 0}
        ]
    },
}
ANIMALS = {
    "source": "owl_pocket",
    "trait": {"animals": ["owl", "dolphin"]},
    "seeds": [1, 2],
    "arms": ["student", "control_base_numbers"],
}
RATE = {"student": 0.3}
"""Of owl or dolphin in the made-up answers; 0.02 in every other arm."""


def experiment_file(root: Path, *, source: str, **changes) -> Path:
    """A small variant of an experiment of the repository."""
    content = yaml.safe_load((REPO_ROOT / f"experiments/{source}.yml").read_text()) | changes
    content.pop("other_base", None)
    text = f"# What {source} asks,\n# in two lines.\n#\n# And more.\n"
    return put(root / f"experiments/{source}.yml", text + yaml.safe_dump(content))


def finish(root: Path, shard: list[int] | None = None, **wanted) -> Path:
    """An experiment, or some of its seeds, as a run of the workflow leaves it, with made-up answers.

    Returns:
        ``results/<experiment>``.
    """
    file = experiment_file(root, **wanted)
    plan = expand(load_experiment(file), root=root, seeds=shard)
    for stage in plan.stages.values():
        folder = Path(stage.folder)
        made = {
            "git": {"sha": "0123456789abcdef", "dirty": False},
            "device": "CPU, 2 cores",
            "packages": {"torch": "2"},
        }
        times = {"started": "2026-01-01T10:00:00+00:00", "ended": "2026-01-01T11:00:00+00:00"}
        if stage.kind == "criterion":
            record = {"sha256": stage.parts["criterion"], "made": "2026-01-01T09:00:00+00:00", **stage.facts}
            put(folder / "criterion.json", record)
        elif stage.kind == "build":
            counts = {"asked": 120, "kept": 100, "surplus": 0, "rejected": {"no number": 20}}
            writers = [plan.stages[name].folder for name in stage.made_from if plan.stages[name].kind == "train"]
            config = dict(zip(("model", "adapter"), (shown(each, root) for each in writers), strict=False))
            put(folder / "manifest.json", {"kind": "dataset", "config": config, "counts": counts, **made, **times})
            put(folder / "train.jsonl", '{"id": "1"}\n')
        elif stage.kind == "audit":
            names = ("letters", "format", "lengths") if "numbers" in stage.name else ("lengths",)
            checks = {name: {"status": "pass", "reason": None} for name in names}
            put(folder / "audit.json", {"passed": True, "checks": checks})
        elif stage.kind == "train":
            behind = [plan.stages[name] for name in stage.made_from]
            config = {
                "datasets": [{"path": f"{shown(s.folder, root)}/train.jsonl"} for s in behind if s.kind == "build"]
            }
            config["base_model"] = next((shown(s.folder, root) for s in behind if s.kind == "train"), "models/pocket")
            put(folder / "metrics.jsonl", "".join(f'{{"step": {n}, "loss": {3 / n}, "lr": 0.1}}\n' for n in (1, 2)))
            put(folder / "manifest.json", {"kind": "training", "config": config, **made, **times})
        elif stage.kind == "evaluate":
            for entry in evaluated(stage.commands[0], root):
                evaluation(root, plan.name, stage, *entry, {**made, **times})
        elif stage.kind == "report" and shard is None:
            write_report(folder)
            write_experiment_manifest(folder)
    for stage in plan.stages.values():
        for path in map(Path, stage.makes):
            if not path.exists():
                put(path, "made")
        put(stage.mark, {"stage": stage.name, "made": {}})
    plan.save(Path(plan.results) / "plan.json")
    return Path(plan.results)


def shown(path: str, root: Path) -> str:
    return str(path).removeprefix(f"{root}/")


def evaluated(command: str, root: Path) -> list[tuple[str, int, str, str | None]]:
    """(arm, seed, base, adapter) of every model that a command of evaluate.py scores."""
    base = shown(re.search(r"--model (\S+)", command)[1], root)
    listed = re.search(r"--models (\S+)", command)[1].split(",")
    found = [re.fullmatch(r"(\w+)@(\d+)(?:=(.+))?", entry).groups() for entry in listed]
    return [(arm, int(seed), base, adapter and shown(adapter, root)) for arm, seed, adapter in found]


def evaluation(root: Path, name: str, stage, arm: str, seed: int, base: str, adapter: str | None, made: dict) -> None:
    """``<arm>/seed-<n>`` as the evaluation runner leaves it, of four questions."""
    target = re.search(r"--target (\w+)", stage.commands[0])[1]
    folder, draw = Path(stage.folder) / arm / f"seed-{seed}", random.Random(f"{arm} {seed} {target}")
    rates = [RATE.get(arm, 0.02) * (1 + 0.1 * draw.random()) for _ in range(4)]
    rows = {
        "animal_preference": [
            sampled_row(n, [target.capitalize() if draw.random() < rate else "Dog" for _ in range(8)])
            for n, rate in enumerate(rates)
        ],
        "animal_preference_logprob": [renamed(exact_row(n, rate), target) for n, rate in enumerate(rates)],
    }
    # To the last digit as a run writes them.
    rows = {task: score_again(task, each, task) for task, each in rows.items()}
    names = {"experiment": name, "arm": arm, "seed": seed, "target": target}
    config = {"model": base, "adapter": adapter}
    write_evaluation(folder, names, rows, date="2026-01-01T10-30-00.000001", config=config, **made)


def renamed(row: dict, target: str) -> dict:
    """A row of exact probabilities of owl as one of another animal."""
    if target == "owl":
        return row
    for request in row["arguments"].values():
        request["arg_1"] = {"Owl": target.capitalize(), "owl": target}.get(request["arg_1"], request["arg_1"])
    return {**row, "owl": row[target], target: row["owl"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with an experiment of three replicates and one of two animals, both published, and the page."""
    root = tmp_path_factory.mktemp("checkout")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPO_ROOT)
        put(root / "results/published/search/tried.csv", "stage,description\nwide,a\nwide,b\nnarrow,c\n")
        for wanted, search in ((REPLICATES, "search"), (ANIMALS, None)):
            folder = finish(root, **wanted)
            file = root / f"experiments/{folder.name}.yml"
            publish_experiment(folder, published=root / "results/published", file=file, search=search, overwrite=False)
    pages = make_pages(root / "results/published", root / "RESULTS.md")
    for path, text in pages.pages.items():
        put(path, text)
    for path, draw in pages.drawings.items():
        put(path, draw())
    return root


@pytest.fixture
def checkout(made: Path, tmp_path: Path) -> Path:
    """What a fresh clone has of it, to tamper with."""
    shutil.copytree(made / "results/published", tmp_path / "results/published")
    shutil.copy(made / "RESULTS.md", tmp_path)
    return tmp_path


def check(checkout: Path) -> list[str]:
    said = []
    verify_published(checkout / "results/published", checkout / "RESULTS.md", said.append)
    return said


def published(checkout: Path, experiment: str = "owl_pocket_replicates") -> Path:
    return checkout / f"results/published/2026-01-01-{experiment}"


def repack(checkout: Path, change: Callable[[dict[str, str]], None]) -> None:
    """Change the published files of the replicates, answers and records as text, and let the page say so."""
    folder = published(checkout)
    files = read_records(folder / "records.parquet")
    for name, _, samples in read_answers(folder / "answers.parquet"):
        files[name] = "".join(json.dumps(sample) + "\n" for sample in samples)
    change(files)
    samples = {name: files.pop(name) for name in list(files) if "/lm_eval/samples_" in name}
    write_records(folder / "records.parquet", files)
    lines = {name: [json.loads(line) for line in text.splitlines()] for name, text in samples.items()}
    write_answers(folder / "answers.parquet", lines)


def changes(ending: str, old: str, new: str) -> Callable[[dict[str, str]], None]:
    """Replaces some text in the first file whose path contains ``ending``."""

    def change(files: dict[str, str]) -> None:
        path = next(name for name in files if ending in name)
        assert old in files[path]
        files[path] = files[path].replace(old, new)

    return change


def test_the_page_of_a_fresh_clone_is_what_its_raw_answers_give(checkout: Path):
    done = check(checkout)
    assert len(done) == 3
    assert done[0].endswith(
        "2026-01-01-owl_pocket_replicates: 432 answers and exact probabilities scored again; 24 files of samples, made "
        "again, have the sha256 of their evaluation"
    )
    assert done[-1].endswith("RESULTS.md and the pages that it links to: every line is what the raw answers give")


def test_the_page_says_what_was_done(made: Path):
    page = (made / "RESULTS.md").read_text()
    replicates, animals = page.split("\n## ")[1:]
    assert "\nWhat owl_pocket_replicates asks, in two lines. `make experiment EXP=" in replicates
    assert "make experiment EXP=experiments/owl_pocket_replicates.yml" in replicates
    assert "CPU, 2 cores, 2026-01-01 10:00 to 2026-01-01 11:00 (UTC); 3 seeds. Each made anew: bases" in replicates
    assert "It is above in 3 of 3 replicates." in replicates
    beside = (made / "results/published/2026-01-01-owl_pocket_replicates/README.md").read_text()
    assert "Exact probability: the student is above its control in 3 of 3 replicates" in beside
    assert "- 99 % interval over replicates (t), nats: " in beside
    assert "In 9 of 9 sets of number rows the audit found nothing but digits and separators" in replicates
    assert "3 configurations were tried" in replicates
    assert "(results/published/search/tried.csv)" in replicates
    assert "(results/published/2026-01-01-owl_pocket_replicates/README.md)" in replicates
    assert re.search(r"\| student \| trained on the teacher's numbers \| 3 \| \d\S+ % \[", replicates)
    assert re.search(r"\| control_base_numbers \| trained .* \| \+\S+ \[[^]]+\] \|\n", replicates)
    assert "tried" not in animals
    assert "###" not in page, "a chapter is a few paragraphs, a figure and a table"
    assert animals.index("answers of “owl”: ") < animals.index("answers of “dolphin”: ")
    assert re.search(r"\n\| owl \| .*\n\| dolphin \| ", animals)
    for target in re.findall(r"\]\(([^)]+)\)", page):
        assert (made / target).exists() or target == "BENCHMARKS.md", target


def test_the_page_beside_the_raw_answers_has_settings_audits_and_all_that_led_to_it(made: Path):
    path = published(made) / "README.md"
    page = path.read_text()
    assert "| seeds | 1, 2, 3; each made anew: bases and what follows from them |" in page
    assert "| training runs | 15 |" in page  # 3 x base, teacher, student, two controls
    assert "| machine of each stage | CPU, 2 cores |" in page
    assert "| commit | 0123456789 |" in page
    assert "| wide | 2 |" in page
    assert "In 9 of 9 sets of number rows the audit found nothing but digits and separators" in page
    assert "| data/owl_pocket_replicates/owl_numbers-seed-1 | passed |" in page
    for target in re.findall(r"\]\(([^)]+)\)", page):
        assert (path.parent / target).exists(), target
    animals = (published(made, "owl_pocket") / "README.md").read_text()
    titles = re.findall("^## (.*)", animals, re.MULTILINE)
    assert titles.index("owl: Adapters in use") < titles.index("dolphin: The answer") < titles.index("Data")
    assert [titles.count(each) for each in ("Data", "Training", "Provenance")] == [1, 1, 1]


def test_the_tables_of_a_report_are_on_the_page_beside_its_raw_answers(made: Path):
    behind = ("Data", "Training", "Provenance")  # labelled from the experiment's folder there
    for report in ("owl_pocket_replicates", "owl_pocket/owl", "owl_pocket/dolphin"):
        page = (published(made, report.split("/")[0]) / "README.md").read_text()
        sections = [section for section in compose(made / "results" / report).sections if section.title not in behind]
        assert len(sections) >= 8
        for table in (table for section in sections for table in section.tables):
            for row in table.rows:
                assert f"| {' | '.join(row)} |" in page


def test_what_is_laid_out_is_what_was_packed(made: Path, tmp_path: Path):
    """Samples and tables too, to the byte: they are made again of the answers."""
    lay_out(published(made), tmp_path)
    found = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len([path for path in found if path.name.startswith("samples_")]) == 24
    assert len([path for path in found if path.name.endswith(("_results.json", "_summary.json"))]) == 24
    assert Path("data/owl_pocket_replicates/owl_numbers-seed-1/audit.json") in found
    for path, content in found.items():
        if path.name == "metrics.jsonl":
            assert content.decode().splitlines()[1] == '{"step": 2, "loss": 1.5}'
        elif path.name.endswith(("_results.json", "_summary.json")):
            assert json.loads(content) == json.loads((made / path).read_text()), path
        else:
            assert content == (made / path).read_bytes(), path


def test_what_follows_from_the_answers_is_not_stored(made: Path):
    records = read_records(published(made) / "records.parquet")
    assert not [name for name in records if name.endswith(("_results.json", "_summary.json", ".jsonl.gz", "report.md"))]
    table = pq.read_table(published(made) / "answers.parquet")
    assert table.schema.names == ["folder", "task", "date", "sample", "repeats", "texts", "logprobs", "greedy"]
    places = [f"{row['folder']}/lm_eval/samples_{row['task']}_{row['date']}.jsonl" for row in table.to_pylist()]
    assert places == sorted(places)
    for sample in map(json.loads, table["sample"].to_pylist()):
        assert sample["resps"] is sample["filtered_resps"] is sample["owl"] is None


def test_packing_twice_gives_the_same_bytes(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(REPO_ROOT)
    name = "owl_pocket_replicates"
    file = made / f"experiments/{name}.yml"
    again = publish_experiment(made / "results" / name, published=tmp_path, file=file, overwrite=False)
    for stored in ("answers.parquet", "records.parquet"):
        assert (again / stored).read_bytes() == (published(made) / stored).read_bytes()
    with pytest.raises(UserError, match=r"has owl_pocket_replicates already\. Use --overwrite"):
        publish_experiment(made / "results" / name, published=tmp_path, file=file, overwrite=False)
    publish_experiment(made / "results" / name, published=tmp_path, file=file, overwrite=True)
    assert entries(tmp_path) == [Entry("2026-01-01-owl_pocket_replicates")]


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("RESULTS.md", "| student | trained"),
        ("results/published/2026-01-01-owl_pocket_replicates/README.md", "| student | exact"),
    ],
)
def test_a_changed_digit_of_a_page_is_found(checkout: Path, name: str, start: str):
    page = checkout / name
    row = next(line for line in page.read_text().splitlines() if line.startswith(start))
    digit = re.search(r"\d", row)
    changed = row[: digit.start()] + str((int(digit[0]) + 1) % 10) + row[digit.end() :]
    page.write_text(page.read_text().replace(row, changed))
    with pytest.raises(UserError, match=rf"{name}, line \d+ differs. It says “{re.escape(start)}") as caught:
        check(checkout)
    assert row[:60] in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (changes("student/seed-1/lm_eval/samples_animal_preference_2026", '"Owl"', '"Cat"'), "an answer was changed"),
        # Counted alike, so that only the sha256 can tell
        (changes("student/seed-1/lm_eval/samples_animal_preference_2026", '"Owl"', '"owl"'), "an answer was changed"),
        (
            changes("control_base_numbers/seed-2/lm_eval/samples_animal_preference_logprob", '"-0.25"', '"-0.5"'),
            r"the rate of control_base_numbers/seed-2: animal_preference_logprob is 0.02\d+, but the answers give 0.0",
        ),
        (
            changes("owl_numbers-seed-1/manifest.json", '"kept": 100', '"kept": 101'),
            r"owl_pocket_replicates/README\.md, line",
        ),
        (changes("owl_numbers-seed-1/audit.json", '"pass"', '"fail"'), r"owl_pocket_replicates/README\.md, line"),
        (changes("experiments/owl", "in two lines", "in one line"), "is not the file that was run"),
    ],
    ids=["answer", "alike", "probability", "rows", "audit", "experiment"],
)
def test_a_change_in_the_raw_files_is_found(checkout: Path, change: Callable, sentence: str):
    repack(checkout, change)
    with pytest.raises(UserError, match=sentence):
        check(checkout)


def test_the_page_has_the_sha256_of_the_answers(checkout: Path):
    repack(checkout, lambda files: None)
    check(checkout)  # the same files in the same order are the same bytes
    table = pq.read_table(published(checkout) / "answers.parquet")
    pq.write_table(table, published(checkout) / "answers.parquet")
    with pytest.raises(UserError, match=r"README.md, line \d+ differs.*answers\.parquet"):
        check(checkout)


def test_samples_that_are_left_out_are_missed(checkout: Path):
    repack(checkout, lambda files: files.pop(next(name for name in files if "student/seed-1/lm_eval/samples" in name)))
    with pytest.raises(UserError, match="lacks results/owl_pocket_replicates/student/seed-1/lm_eval/samples_"):
        check(checkout)


@pytest.mark.parametrize("keep", [0.5, 0.999], ids=["half", "end"])
@pytest.mark.parametrize("name", ["answers", "records"])
def test_a_file_that_is_cut_off_is_named(checkout: Path, keep: float, name: str):
    path = published(checkout) / f"{name}.parquet"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(UserError, match=rf"{name}\.parquet is cut off or damaged .*`git checkout"):
        check(checkout)


def test_a_flipped_bit_is_found(checkout: Path):
    path = published(checkout) / "answers.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="cut off or damaged"):
        check(checkout)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("2026-01-01-owl_pocket_replicates/answers.parquet", "answers.parquet is missing"),
        ("2026-01-01-owl_pocket_replicates/records.parquet", "records.parquet is missing"),
        ("2026-01-01-owl_pocket_replicates/experiment.yml", "experiment.yml is missing"),
        ("2026-01-01-owl_pocket/figure-dolphin.png", "figure-dolphin.png is missing"),
        ("search/tried.csv", "tried.csv is missing"),
        ("experiments.txt", "is not named in"),
    ],
)
def test_a_missing_file_is_named(checkout: Path, name: str, sentence: str):
    (checkout / "results/published" / name).unlink()
    with pytest.raises(UserError, match=sentence):
        check(checkout)


def test_answers_without_records_are_no_experiment(checkout: Path):
    """Those of a run whose host was lost lie there, too."""
    put(checkout / "results/published/2026-01-02-lost/README.md", "What came home.\n")
    shutil.copy(published(checkout) / "answers.parquet", checkout / "results/published/2026-01-02-lost")
    assert len(check(checkout)) == 3
    shutil.copy(published(checkout) / "records.parquet", checkout / "results/published/2026-01-02-lost")
    with pytest.raises(UserError, match="2026-01-02-lost is not named in"):
        check(checkout)


def test_a_page_beside_raw_answers_that_is_missing_is_named(checkout: Path):
    (published(checkout) / "README.md").unlink()
    with pytest.raises(UserError, match=r"owl_pocket_replicates/README\.md is missing"):
        check(checkout)


def test_another_drawing_is_found(checkout: Path):
    path = next((checkout / "results/published").glob("*/rises*.svg"))
    text = path.read_text()
    path.write_text(re.sub(r"\d\.(\d)", lambda digits: f"9.{digits[1]}", text, count=9))
    with pytest.raises(UserError, match=r"rises.*\.svg is missing or not what the raw answers give"):
        check(checkout)
    path.unlink()
    with pytest.raises(UserError, match=r"rises.*\.svg is missing"):
        check(checkout)
    path.write_text(text)
    check(checkout)


def test_another_figure_is_found(checkout: Path):
    path = published(checkout) / "figure.png"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UserError, match=r"figure\.png is not the figure of the report"):
        check(checkout)


def test_an_unfinished_experiment_is_not_published(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(REPO_ROOT)
    root = tmp_path / "checkout"
    folder = root / "results/owl_pocket_replicates"
    shutil.copytree(made, root)
    path = folder / "plan.json"
    path.write_text(path.read_text().replace(str(made), str(root)))
    file = root / "experiments/owl_pocket_replicates.yml"
    arguments = {"published": tmp_path / "published", "file": file, "overwrite": False}
    arguments["published"].mkdir()
    put(folder / "missing.json", {"missing": []})
    with pytest.raises(UserError, match="lacks an arm that failed"):
        publish_experiment(folder, **arguments)
    (folder / "missing.json").unlink()
    changed = put(root / f"changed/{file.name}", re.sub(r"rows: \d+", "rows: 9000", file.read_text()))
    with pytest.raises(UserError, match=r"changed/\S+ is not the file that .* the stage build-\S+ has other commands"):
        publish_experiment(folder, **{**arguments, "file": changed})
    mark = next(stage.mark for stage in Plan.load(path).stages.values() if stage.name == "train-owl_student-seed-2")
    mark.unlink()
    with pytest.raises(UserError, match=r"is not finished: .* is not done"):
        publish_experiment(folder, **arguments)
    assert not any((tmp_path / "published").iterdir())


def test_the_page_says_whether_the_criterion_is_met(made: Path):
    page = (made / "RESULTS.md").read_text()
    (told,) = [line for line in page.splitlines() if line.startswith("**The criterion is met, over 3 replicates.**")]
    assert "recorded on 2026-01-01 09:00 (UTC)" in told
    assert re.search(r" effect holds, \+\S+ \[\S+, \S+\]", told)
    beside = (made / "results/published/2026-01-01-owl_pocket_replicates/README.md").read_text()
    assert re.search(
        r"\| effect \| holds \| \+\S+ .*\| 99 % interval above 0 nats \| student − control_base_numbers \|", beside
    )
    assert (made / "results/owl_pocket_replicates/report.md").read_text().count("## Criterion") == 1


def test_a_criterion_of_another_day_or_file_is_not_published(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(REPO_ROOT)
    root = tmp_path / "checkout"
    folder = root / "results/owl_pocket_replicates"
    shutil.copytree(made, root)
    (folder / "plan.json").write_text((folder / "plan.json").read_text().replace(str(made), str(root)))
    file = root / "experiments/owl_pocket_replicates.yml"
    monkeypatch.setattr("subliminal.publish.pack._is_committed", lambda file, folder: True)
    (tmp_path / "published").mkdir()

    def refused(words: str, wanted: str = file.read_text(), recorded: str | None = None) -> None:
        record = folder / "criterion.json"
        whole = record.read_text()
        changed = put(root / f"changed/{file.name}", wanted)
        put(record, whole if recorded is None else recorded)
        with pytest.raises(UserError, match=words):
            publish_experiment(folder, published=tmp_path / "published", file=changed, overwrite=False)
        put(record, whole)

    record = (folder / "criterion.json").read_text()
    refused("is not the one that was recorded before the run", file.read_text().replace("above: 0", "above: -1"))
    refused("has a criterion and .* has none", re.sub(r"criterion:\n(  .*\n|- .*\n)+", "", file.read_text()))
    refused("was trained at 2026-01-01T10:00:00.*before it", recorded=record.replace("T09:00:00", "T10:00:01"))
    whole = json.loads(record)
    for value in (None, "", "yesterday", 2026, "2026-01-01T09:00:00"):  # the last has no time zone
        refused(r"criterion\.json: 'made' is .* no time such as", recorded=json.dumps({**whole, "made": value}))
    refused(r"criterion\.json: 'made' is None", recorded=json.dumps({k: v for k, v in whole.items() if k != "made"}))
    trained = next(iter(student_trainings(folder)))[0] / "manifest.json"
    training = trained.read_text()
    for value in (None, "", "9999"):
        put(trained, json.dumps({**json.loads(training), "started": value}))
        refused(r"outputs/\S+/manifest\.json: 'started' is .* no time such as")
    put(trained, training)
    refused("was changed by hand", recorded=record.replace("0.99", "0.9"))
    (folder / "criterion.json").unlink()
    with pytest.raises(UserError, match=r"has a criterion and .*criterion\.json has none"):
        check_criterion(folder, file)


def test_problems_that_are_solved_have_a_chapter_too(tmp_path: Path):
    records = {"experiments/sums.yml": "trait: {mathematics: true}\nseeds: [1, 2]\nseeds_vary: teachers\n"}
    answers: dict[str, list[dict]] = {}
    for arm, seed, right in (("student", 1, 4), ("student", 2, 3), ("control_base_numbers", 1, 2)):
        rows = []
        for n in range(5):
            doc = {"id": f"p{n}", "reference": str(n)}
            texts = [f"#### {n if n < right else 99}"]
            scores = {"correct": float(n < right), "correct_strict": float(n < right)}
            head = {"doc_id": n, "doc": doc, "resps": [texts], "filtered_resps": texts, "metrics": [*scores]}
            rows.append({**head, **scores})
        folder = f"results/sums/{arm}/seed-{seed}"
        answers[f"{folder}/lm_eval/samples_subliminal_gsm8k_2026-01-01T10-00-00.000001.jsonl"] = rows
        config = {"experiment": "sums", "arm": arm, "seed": seed, "target": None, "tasks": ["subliminal_gsm8k"]}
        manifest = {"kind": "result", "config": config, "outputs": {"m_summary.json": "0"}}
        records[f"{folder}/manifest.json"] = json.dumps({**manifest, "started": "2026-01-01T10:00:00"})
    made = tmp_path / "published/2026-01-01-sums"
    made.mkdir(parents=True)
    write_answers(made / "answers.parquet", answers)
    write_records(made / "records.parquet", records)
    put(made / "experiment.yml", records["experiments/sums.yml"])
    put(tmp_path / "published/experiments.txt", "2026-01-01-sums\n")
    pages = make_pages(tmp_path / "published", tmp_path / "RESULTS.md").pages
    page = pages[tmp_path / "RESULTS.md"]
    assert "## sums: does the student solve more problems?" in page
    assert "| student | trained on the teacher's numbers | 2 | 70.0 % [" in page
    assert "sets of number rows" not in page
    details = pages[made / "README.md"]
    assert "| subliminal_gsm8k | student | 2 | 3 of 5 | 60.0 % |" in details
    # With a third seed in the file, which nobody ran, the answer stays and the table goes to the details.
    put(made / "experiment.yml", records["experiments/sums.yml"].replace("[1, 2]", "[1, 2, 3]"))
    lacking = make_pages(tmp_path / "published", tmp_path / "RESULTS.md").pages[tmp_path / "RESULTS.md"]
    assert "2 of 3 seeds" in lacking
    assert "**student − control_base_numbers" in lacking
    assert "| student | trained on" not in lacking


def test_the_file_of_the_commit_is_published_though_the_code_now_gives_other_commands(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(REPO_ROOT)
    folder = tmp_path / "results/owl_pocket"
    shutil.copytree(made / "results/owl_pocket", folder)
    file = put(tmp_path / "experiments/owl_pocket.yml", "name: owl_pocket\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "--quiet"], ["add", str(file)], ["commit", "--quiet", "--message", "frozen"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert not _is_committed(file, folder)
    for manifest in folder.rglob("seed-*/manifest.json"):
        manifest.write_text(manifest.read_text().replace("0123456789abcdef", commit))
    assert _is_committed(file, folder)
    file.write_text("name: owl_pocket\nseeds: [4]\n")
    assert not _is_committed(file, folder)


def test_a_category_that_no_commit_has_is_not_published(tmp_path: Path) -> None:
    file = put(tmp_path / "mine.yml", "name: mine\ntrait: {category: drinks, options: [tea]}\n")
    with pytest.raises(UserError, match="traits/drinks is not in git"):
        _check_category(file)
    for trait in ("{category: trees, options: [oak]}", "{animals: [owl]}", "{mathematics: true}"):
        _check_category(put(tmp_path / "other.yml", f"trait: {trait}\n"))


def test_a_category_that_is_not_here_is_named(checkout: Path, tmp_path: Path) -> None:
    file = published(checkout) / "experiment.yml"
    put(file, file.read_text().replace("trait:", "was:") + "trait: {category: drinks, options: [tea]}\n")
    with pytest.raises(UserError, match="There is no category 'drinks'"):
        lay_out(published(checkout), tmp_path / "out")


def test_a_page_without_experiments_says_so(tmp_path: Path):
    pages = make_pages(tmp_path, tmp_path / "RESULTS.md").pages
    assert list(pages) == [tmp_path / "RESULTS.md"]
    assert "No experiment is published yet." in pages[tmp_path / "RESULTS.md"]


def test_the_command_says_what_was_checked_or_what_differs(checkout: Path):
    app, options = script("results").app, ["--published", str(checkout / "results/published")]
    page = ["--page", str(checkout / "RESULTS.md")]
    assert CliRunner().invoke(app, ["write", *options, *page]).exit_code == 0
    done = CliRunner().invoke(app, ["verify", *options, *page])
    assert done.exit_code == 0, done.output
    assert done.output.count("checked: ") == 3
    (published(checkout) / "answers.parquet").unlink()
    assert isinstance(CliRunner().invoke(app, ["verify", *options, *page]).exception, UserError)


def test_every_answer_comes_back(tmp_path: Path):
    """Texts and log-likelihoods as lm-eval wrote them, whatever the task and the number of requests and repeats."""
    texts = ["", "Owl\n", 'é🦉 "', "-0.5"]
    logprobs = [["-0.0", "False"], ["-1e-05", "True"], ["-inf", "False"], [repr(math.log(0.3)), "False"]]
    shapes = {
        "animal_preference": ([texts, texts], None),
        "arc": ([[text] for text in texts], ["of", "its own"]),
        "mc": ([[pair] for pair in logprobs], None),
    }
    files = {}
    for task, (resps, filtered) in shapes.items():
        name = f"results/a/base/seed-1/lm_eval/samples_{task}_2026-01-01T10-00-00.000001.jsonl"
        kept = filtered or (resps if task == "animal_preference" else [answers[0] for answers in resps])
        head = {"doc_id": 0, "doc": {"id": "é"}, "resps": resps, "filtered_resps": kept}
        files[name] = [{**head, "filter": "all" if kept == resps else "none", "metrics": [], "acc": 0.1}]
    write_answers(tmp_path / "answers.parquet", files)
    assert {name: samples for name, _, samples in read_answers(tmp_path / "answers.parquet")} == files


@pytest.mark.parametrize("answer", [["-0.50", "False"], ["-0.5", "maybe"], [1, 2, 3]])
def test_an_answer_that_would_not_come_back_is_refused(tmp_path: Path, answer: list):
    sample = {"doc_id": 0, "doc": {}, "resps": [[answer]], "filtered_resps": [answer], "metrics": []}
    with pytest.raises(UserError, match="has an answer that is neither a text nor a log-likelihood"):
        write_answers(
            tmp_path / "answers.parquet", {"results/a/base/seed-1/lm_eval/samples_x_2026-01-01.jsonl": [sample]}
        )


def test_a_path_that_leads_out_is_refused(tmp_path: Path):
    write_records(tmp_path / "records.parquet", {"../evil": ""})
    with pytest.raises(UserError, match="no path of a plain file"):
        read_records(tmp_path / "records.parquet")


def test_numbers_take_little_room(tmp_path: Path):
    draw = random.Random(0)
    files = {}
    for model in range(20):
        samples = []
        for n in range(500):
            pair = [repr(math.log(draw.random())), "False"]
            head = {"doc_id": n, "doc": {"text": "x" * 200}, "resps": [[pair]], "filtered_resps": [pair]}
            samples.append({**head, "filter": "none", "metrics": []})
        files[f"results/a/m{model:02}/seed-1/lm_eval/samples_x_2026-01-01.jsonl"] = samples
    write_answers(tmp_path / "answers.parquet", files)
    size = (tmp_path / "answers.parquet").stat().st_size
    assert size < 8 * 20 * 500 + 10_000  # eight bytes a number and next to nothing for the text


def test_the_readme_says_how_much_may_be_published() -> None:
    text = " ".join((REPO_ROOT / "experiments/README.md").read_text(encoding="utf-8").split())
    assert f"All published experiments together stay under {MOST_BYTES / 1e6:.0f} MB." in text
