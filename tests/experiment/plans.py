"""Plans of the experiments of this repository, with other values in their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from subliminal import REPO_ROOT
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import Plan

FILES = sorted((REPO_ROOT / "experiments").glob("*.yml"))
DEMO = REPO_ROOT / "experiments" / "owl_demo.yml"
ANIMALS = REPO_ROOT / "experiments" / "animals_qwen2.5-coder-0.5b.yml"
OWL_REAL = REPO_ROOT / "experiments" / "owl_qwen2.5-coder-0.5b.yml"
QWEN = REPO_ROOT / "experiments" / "owl_qwen2.5-7b.yml"

ABOVE = {"name": "effect", "arm": "student", "minus": "control_base_numbers", "confidence": 0.99, "above": 0}


def changed(source: Path, folder: Path, **changes: Any) -> Path:
    """A copy of an experiment file with other values; a dotted key reaches into a section."""
    content = yaml.safe_load(source.read_text())
    for dotted, value in changes.items():
        *parents, key = dotted.split("__")
        section = content
        for parent in parents:
            section = section[parent]
        section[key] = value
    path = folder / source.name
    path.write_text(yaml.safe_dump(content))
    return path


def plan_of(source: Path, tmp_path: Path, **changes: Any) -> Plan:
    """The plan of a copy of an experiment file with other values."""
    return expand(load_experiment(changed(source, tmp_path, **changes)), root=tmp_path)


def keys_of(plan: Plan) -> dict[str, str]:
    """Stage -> its key."""
    return {name: stage.key for name, stage in plan.stages.items()}


def differing(before: Plan, after: Plan) -> set[str]:
    """The stages of two plans with the same stages whose keys are not the same."""
    old, new = keys_of(before), keys_of(after)
    assert old.keys() == new.keys()
    return {name for name in old if old[name] != new[name]}
