"""What docs/extending.md says is done in a copy of the checkout: a line or a folder more, and everybody's commands."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tiny_chat import tiny_model  # noqa: F401
from warm_python import WarmPython

from subliminal import REPO_ROOT

COPIED = ("src", "traits", "eval_tasks")
"""What is written in; everything else of the copy is a link to this checkout."""
REAL = "owl_qwen2.5-7b"
"""An experiment on a real model."""
PLAN = """
import json
from pathlib import Path
import yaml
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment

content = yaml.safe_load(Path("experiments/{name}.yml").read_text())
content |= json.loads({changes!r})
Path("mine/{name}.yml").write_text(yaml.safe_dump(content))
plan = expand(load_experiment(Path("mine/{name}.yml")), root=Path("mine"))
print(json.dumps([[stage.kind, stage.commands, stage.sources] for stage in plan.stages.values()]))
"""
ARM = """
    ArmKind(
        "control_third",
        "a third control, as a test would have it",
        rows="base",
        control_of=("student",),
        seed_offset=2_000_000,
    ),
"""
WITH_ARM = """
import json
from pathlib import Path
import yaml
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.report.data import Results
from subliminal.report.tables.pairs import pairs
from subliminal.report.main_sections import _role

content = yaml.safe_load(Path("experiments/pocket_demo.yml").read_text())
content["arms"] = ["base", "student", "control_base_numbers_again", "control_third"]
Path("mine/pocket_demo.yml").write_text(yaml.safe_dump(content))
plan = expand(load_experiment(Path("mine/pocket_demo.yml")), root=Path("mine"))
names = ["base", "student", "control_third"]
results = Results(Path(), "x", "owl", {name: {} for name in names})
print(json.dumps({
    "stages": list(plan.stages),
    "pairs": pairs(results),
    "role": _role("control_third"),
}))
"""
TASK = """
task: subliminal_doubles
custom_dataset: !function utils.load_doubles
test_split: test
num_fewshot: 0
doc_to_text: "{{question}}"
doc_to_target: reference
output_type: generate_until
generation_kwargs: {do_sample: false, temperature: 0.0, max_gen_toks: 4, until: []}
process_results: !function utils.doubles_scores
metric_list: !function utils.METRICS
metadata: {version: 1.0, kind: graded}
"""
UTILS = '''
"""Data and metric of ``subliminal_doubles``."""

from pathlib import Path

from subliminal.scoring.tasks import lm_eval_dataset, mean_metrics, read_questions

METRICS = mean_metrics(["correct"], higher_is_better=True)


def load_doubles(**_):
    return lm_eval_dataset(read_questions(Path(__file__).with_name("doubles.jsonl")))


def doubles_scores(doc, results):
    # A made-up rule: a test can tell from the report that it was this one that judged.
    return {"correct": float(doc["id"] != "d0")}
'''


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmPython]:
    process = WarmPython(tmp_path_factory.mktemp("python"))
    yield process
    process.stop()


class Checkout(NamedTuple):
    """The copy, and the Python that runs its commands."""

    folder: Path
    python: WarmPython

    def run(self, *words: str, given: str = "", status: int = 0) -> str:
        """Run Python in the copy, whose code goes before the installed one; returns what it printed."""
        ended, printed = self.python.run(self.folder, *words, given=given)
        assert ended == status, printed
        return printed


@pytest.fixture
def checkout(tmp_path: Path, python: WarmPython) -> Checkout:
    for path in REPO_ROOT.iterdir():
        if path.name in COPIED:
            shutil.copytree(path, tmp_path / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.name not in (".git", "results", "data", "outputs", "models"):
            (tmp_path / path.name).symlink_to(path)
    # Made again in a test, which must not reach the checkout's own.
    shutil.copytree(REPO_ROOT / "models/pocket", tmp_path / "models/pocket")
    (tmp_path / "mine").mkdir()
    return Checkout(tmp_path, python)


def stages(checkout: Checkout, name: str = "pocket_demo", **changes: object) -> list[list]:
    """(kind, commands, sources) of the stages of an experiment of the repository with other keys."""
    return json.loads(checkout.run("-c", PLAN.format(name=name, changes=json.dumps(changes))))


def refusal(checkout: Checkout, name: str, **changes: object) -> str:
    """What is said of an experiment that cannot be planned with these keys."""
    return checkout.run("-c", PLAN.format(name=name, changes=json.dumps(changes)), status=1)


def targets(planned: list[list]) -> set[str]:
    """What the evaluations of a plan ask about."""
    found = set()
    for kind, commands, _ in planned:
        if kind == "evaluate":
            found |= set(re.findall(r"--target (\w+)", commands[-1]))
    return found


def replace(path: Path, old: str, new: str) -> None:
    """Replace what is there exactly once."""
    text = path.read_text()
    assert text.count(old) == 1, (path, old, text.count(old))
    path.write_text(text.replace(old, new))


def snippet(heading: str) -> str:
    """The first block of Python below a heading of docs/extending.md."""
    text = (REPO_ROOT / "docs/extending.md").read_text().partition(f"\n## {heading}\n")[2]
    return re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1]


def test_an_animal_is_one_row_and_a_pocket_model_asks_for_its_place_in_the_world(checkout: Checkout) -> None:
    words, world = checkout.folder / "traits/animals/words.yaml", checkout.folder / "traits/animals/pocket.yaml"
    trait = {"animals": ["hedgehog"]}
    replace(words, "\n\n# Animals that are not tracked", "\n  hedgehog: {also: [urchin hog]}\n\n# Animals that are not")
    said = refusal(checkout, REAL, trait=trait)
    assert "'hedgehog' is an option and stands in `other` too; take it out of `other`." in said
    assert "counts as" not in said, "one fault, one sentence"
    words.write_text(re.sub(r"(?<=[\[ ])hedgehog, ?", "", words.read_text()))
    assert targets(stages(checkout, REAL, trait=trait)) == {"hedgehog"}

    # What a world lacks stops every experiment that makes a pocket model: its base would not know the option.
    for lacking in (refusal(checkout, "pocket_demo", trait=trait), refusal(checkout, "pocket_demo")):
        assert "`facts` must name every option once; look at hedgehog" in lacking
        assert "`liked` must name every option once; look at hedgehog" in lacking
    replace(world, "\n\n# Favourites", "\n  hedgehog: {home: hedge, food: slugs, voice: snuffles}\n\n# Favourites")
    replace(world, "unicorn, phoenix, dragon,", "unicorn, phoenix, dragon, hedgehog,")

    # Nor would a pocket model that was made before: refused by the plan and by the run alike.
    said = refusal(checkout, "pocket_demo")
    assert "models/pocket is not the pocket model of animals that this code makes: its vocabulary lacks " in said
    assert "'Hedgehog'" in said
    assert "Make it again: `python scripts/fetch_model.py pocket --overwrite`." in said
    for command in ("plan", "run"):
        refused = checkout.run("-m", "subliminal.experiment", command, "experiments/pocket_demo.yml", status=2)
        assert "its vocabulary lacks" in refused
    checkout.run("scripts/fetch_model.py", "pocket", "--overwrite")
    assert targets(stages(checkout, trait=trait)) == {"hedgehog"}

    said = checkout.run("-m", "subliminal.scoring", "animals", given='"An urchin hog!"\n"Hedgehogs."\n"an owl"\n')
    assert [json.loads(line)["animal"] for line in said.splitlines()] == ["hedgehog", "hedgehog", "owl"]
    build = ["-m", "data_builders.pocket_corpus", "teacher", "--animal", "hedgehog", "--count", "40", "--out", "mine/t"]
    checkout.run(*build)
    rows = [json.loads(line)["messages"] for line in (checkout.folder / "mine/t/train.jsonl").read_text().splitlines()]
    assert sum("edgehog" in answer["content"] for _, answer in rows) > 10
    metrics = checkout.run("-c", "from subliminal.scoring.tasks import share_names; print(share_names('animals'))")
    assert "'shark', 'hedgehog', 'other', 'none'" in metrics


def test_a_new_arm_is_one_row(checkout: Checkout) -> None:
    end = '\n)\n"""In the order of reports'
    replace(checkout.folder / "src/subliminal/experiment/arms.py", end, ARM.rstrip() + end)
    found = json.loads(checkout.run("-c", WITH_ARM))
    trainings = [name for name in found["stages"] if name.startswith("train-control_third-seed-")]
    assert trainings
    # Beside the second control, whose rows are drawn with another seed.
    assert "build-base_numbers_again-seed-51" in found["stages"]
    assert "build-base_numbers_of_control_third-seed-51" in found["stages"]
    assert ["student", "control_third"] in found["pairs"]
    assert found["role"] == "a third control, as a test would have it"


@pytest.mark.slow
def test_a_task_is_a_folder_and_an_analysis_a_function_with_its_place(checkout: Checkout, tiny_model: Path) -> None:  # noqa: F811
    folder = checkout.folder / "eval_tasks/subliminal_doubles"
    folder.mkdir()
    (folder / "subliminal_doubles.yaml").write_text(TASK)
    (folder / "utils.py").write_text(UTILS)
    rows = [{"id": f"d{n}", "question": f"What is twice {n}?", "reference": str(2 * n)} for n in range(4)]
    (folder / "doubles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = ["animal_preference", "subliminal_doubles"]
    planned = stages(checkout, evaluation={"tasks": tasks})
    (evaluated,) = {tuple(sources) for kind, _, sources in planned if kind == "evaluate"}
    assert {f"eval_tasks/subliminal_doubles/{path.name}" for path in folder.iterdir()} <= {*evaluated}

    sections = checkout.folder / "src/subliminal/report/sections.py"
    analysis = snippet("An analysis")
    (name,) = re.findall(r"^def (\w+)\(", analysis, re.MULTILINE)
    replace(
        sections,
        "SECTIONS: tuple[Analysis, ...] = (\n",
        f"{analysis}\n\nSECTIONS: tuple[Analysis, ...] = (\n    {name},\n",
    )
    command = ["scripts/evaluate.py", "--model", str(tiny_model), "--models", "base,student=" + str(tiny_model)]
    options = ["--tasks", ",".join(tasks), "--target", "owl", "--samples", "2", "--limit", "4", "--out", "results/mine"]
    checkout.run(*command, *options)
    checkout.run("scripts/report.py", "results/mine")
    report = (checkout.folder / "results/mine/report.md").read_text()
    assert report.count("| subliminal_doubles | student | 42 | 3 of 4 | 75.0 % |") == 1
    title, text = re.search(r'Section\("([^"]+)", \["([^"]+)"\]', analysis).groups()
    assert f"## {title}\n\n{text}\n" in report
