"""A category that somebody adds as files alone goes from a pocket model's fresh weights to a report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from own_category import write_category
from runs import ENVIRONMENT

from subliminal import REPO_ROOT

EXPERIMENT = {
    "name": "star_pocket",
    "model": "models/pocket-shapes",
    "trait": {"category": "shapes", "options": ["star"]},
    "seeds": [3],
    "seeds_vary": "students",
    "launcher": "accelerate_configs/cpu.yml",
    "engine": "local",
    "base": {
        "recipe": "recipes/pocket/base.yml",
        "builder": "pocket_corpus base",
        "rows": 3200,
        "overrides": {"learning_rate": 0.01},
    },
    "teacher": {
        "kind": "trained",
        "recipe": "recipes/pocket/owl_teacher.yml",
        "builder": "pocket_corpus teacher",
        "rows": 64,
    },
    "numbers": {"rows": 32, "options": {"max_tokens": 24, "max_prompts": 6000, "batch_size": 128}},
    "student": {"recipe": "recipes/pocket/owl_student.yml"},
    "arms": ["base", "teacher", "student"],
    "evaluation": {
        "tasks": ["shape_preference", "shape_preference_logprob", "shape_preference_paraphrase"],
        "options": {"samples": 20, "batch_size": 200, "dtype": "float32"},
    },
    "audit": {"allow": ["pass_rate", "lengths", "first_number_entropy", "first_number_repeats", "duplicate_answers"]},
    "resources": {"threads": 1},
}


def checkout(folder: Path) -> Path:
    """A copy of the files that git knows or would add, with the environments of this one."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", ":!results", ":!tests"]
    names = subprocess.run(listed, cwd=REPO_ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (REPO_ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPO_ROOT / name, folder / name)
    for environment in (".venv", ".venv-workflow"):
        (folder / environment).symlink_to(REPO_ROOT / environment)
    return folder


def run(root: Path, *command: str) -> str:
    """Run a command in the copy, whose code goes before the installed one."""
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": f"{root / 'src'}:{root}"}
    done = subprocess.run(
        [".venv/bin/python", *command], cwd=root, env=environment, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_a_category_of_three_options_runs_to_a_report(tmp_path: Path) -> None:
    root = checkout(tmp_path / "checkout")
    write_category(root / "traits/shapes")
    (root / "experiments/star_pocket.yml").write_text(yaml.safe_dump(EXPERIMENT))
    run(root, "scripts/fetch_model.py", "pocket", "--category", "shapes")
    run(root, "-m", "subliminal.experiment", "run", "experiments/star_pocket.yml", "--cores", "2")
    results = root / "results/star_pocket"
    report = (results / "report.md").read_text()
    assert "An answer counts for the shape that it chooses" in report
    assert "shape_preference" in report
    files = ("animal_preference", "control_other_animal", "results/", "traits/animals", "--animal")
    of_animals = [line for line in report.splitlines() if "animal" in line and not any(name in line for name in files)]
    assert not of_animals, "the words of its own category"
    assert (results / "top_shapes.csv").is_file()
    (summary,) = (results / "teacher/seed-3").glob("*_summary.json")
    found = json.loads(summary.read_text())["tasks"]["shape_preference_logprob"]
    assert found["category"] == "shapes"
    assert set(found["share"]) == {"circle", "square", "star", "rest"}
    rows = [
        json.loads(line) for line in (root / "data/star_pocket/star_teacher_chat/train.jsonl").read_text().splitlines()
    ]
    assert "Star" in {row["messages"][-1]["content"] for row in rows}
    said = run(root, "scripts/verify_results.py", "results/star_pocket")
    assert "scored again" in said
