"""A plan of shell commands, for tests of how stages are run; as a program it is ``subliminal.experiment run`` on one.

python tests/workflow/shell_plan.py ROOT NAME '{"train-teacher": "sleep 1"}' GPUS
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from subliminal.experiment.plan import Plan
from subliminal.experiment.stage import Stage, digest


def shell_plan(
    root: Path,
    name: str = "shell",
    failed: Mapping[str, Any] | None = None,
    commands: Mapping[str, str] | None = None,
    gpus: int = 0,
) -> Plan:
    """Chats, a teacher, two students, an evaluation of those that are there, and a report.

    Every stage adds its name to ``ROOT/ran-NAME`` when its command (``commands``, default none) has ended well.
    """
    plan = Plan(name, str(root / "results" / name), failed)

    def add(kind: str, subject: str, made_from: list[str], **more: Any) -> str:
        folder = root / "outputs" / name / subject
        command = (commands or {}).get(f"{kind}-{subject}", "true")
        command += f" && echo {kind}-{subject} >> {root}/ran-{name} && echo done > {folder}/made"
        stage = Stage(
            f"{kind}-{subject}", kind, str(folder), [command], [f"{folder}/made"], made_from, threads=1, **more
        )
        return plan.add(stage)

    chat = add("build", "chat", [])
    add("audit", "chat", [chat])
    teacher = add("train", "teacher", [chat], gpus=gpus)
    students = {seed: add("train", f"student-{seed}", [teacher], gpus=gpus) for seed in (1, 2)}
    for seed, student in students.items():
        if student in plan.lost:
            plan.missing.append({"arm": "student", "seed": seed, **plan.failed[plan.lost[student]]})
    kept = [student for student in students.values() if student in plan.stages]
    if kept:
        evaluated = add("evaluate", "all", kept)
        missing = plan.missing
        planned = {"arms": ["student"], "seeds": [1, 2]}
        facts = {"missing": missing, "planned": planned}
        add("report", "all", [evaluated], facts=facts, parts={"missing.json": digest(missing)})
    return plan


def main(root: str, name: str, commands: str, gpus: str) -> None:
    from subliminal.experiment import driver, load
    from subliminal.experiment.__main__ import app

    def expand(experiment: Any, *, root: Path, failed: Mapping[str, Any] | None = None, seeds: Any = None) -> Plan:
        return shell_plan(root, name, failed or {}, json.loads(commands), int(gpus))

    driver.expand = expand
    load.load_experiment = lambda path: SimpleNamespace(name=name, pinned_models={}, model_folders=[])
    app(["run", "any.yml", "--root", root, "--cores", "2"])


if __name__ == "__main__":
    main(*sys.argv[1:])
