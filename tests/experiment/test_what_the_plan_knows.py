"""Mistakes in an experiment file that can be known before anything runs: each is named with the nearest right word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.experiment.load import load_experiment

DEMO = REPO_ROOT / "experiments" / "owl_demo.yml"


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO_ROOT)


def load(folder: Path, source: Path = DEMO, **changes: Any) -> Any:
    """Read a copy of an experiment file with other values; a dotted key reaches into a section."""
    content = yaml.safe_load(source.read_text())
    for dotted, value in changes.items():
        *parents, key = dotted.split("__")
        section = content
        for parent in parents:
            section = section.setdefault(parent, {})
        section[key] = value
    path = folder / source.name
    path.write_text(yaml.safe_dump(content))
    return load_experiment(path)


def problem(folder: Path, source: Path = DEMO, **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        load(folder, source, **changes)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("section", ["base", "teacher", "student"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 7),
        ("base_model", "models/pocket"),
        ("datasets", [{"path": "x.jsonl"}]),
        ("output_dir", "outputs/x"),
        ("lora_init_seed", 1),
        ("pretraining_dataset", "x.jsonl"),
    ],
)
def test_overrides_leave_what_the_experiment_sets_alone(section: str, key: str, value: Any, tmp_path: Path) -> None:
    said = problem(tmp_path, **{f"{section}__overrides": {key: value}})
    assert f"`{section}.overrides.{key}` is set by the experiment: " in said


def test_the_ladder_and_the_other_base_leave_it_alone_too(tmp_path: Path) -> None:
    gate = {"at_least": 0.5, "ladder": [{"overrides": {"seed": 7}}]}
    assert "`teacher.gate.ladder[0].overrides.seed` is set by the experiment" in problem(tmp_path, teacher__gate=gate)
    pocket = REPO_ROOT / "experiments" / "owl_pocket_replicates.yml"
    other = {"seed_offset": 9, "overrides": {"seed": 7}}
    said = problem(tmp_path, pocket, arms=["base", "other_base"], other_base=other, criterion=None)
    assert "`other_base.overrides.seed` is set by the experiment" in said
