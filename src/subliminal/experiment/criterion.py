"""The criterion's record: ``results/<experiment>/criterion.json``, made before any student trains and never after.

It holds the criterion, its sha256, the time and the git commit. Every training on number rows waits for it, and
``scripts/results.py publish`` refuses an experiment whose record is younger than its first student's training.
"""

from __future__ import annotations

from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.files import read_object, write_json
from subliminal.core.manifest import git_state, utc_now
from subliminal.experiment.arms import arm_kind
from subliminal.experiment.plan import Plan
from subliminal.experiment.stage import Stage

CRITERION = "criterion.json"
RESTORE = "Restore it from where the experiment ran."


def record_criterion(plan: Plan, name: str) -> None:
    """Write the record, unless this very criterion is recorded already: then the first record stands.

    Args:
        plan: of the experiment.
        name: the criterion's stage; its facts hold the criterion.

    Raises:
        UserError: see :func:`refuse_late_criterion`.
    """
    refuse_late_criterion(plan)
    stage = plan.stages[name]
    path, sha256 = Path(stage.folder) / CRITERION, stage.parts["criterion"]
    if path.is_file() and read_object(path, RESTORE).get("sha256") == sha256:
        return
    record = {"sha256": sha256, "made": utc_now(), "git": git_state(), "criterion": stage.facts["criterion"]}
    write_json(path, record)


def refuse_late_criterion(plan: Plan) -> None:
    """Nothing, unless the plan's criterion is not the recorded one and a student is trained.

    Raises:
        UserError: it is so, or the record is damaged.
    """
    stage = next((stage for stage in plan.stages.values() if stage.kind == "criterion"), None)
    if stage is None:
        return
    path = Path(stage.folder) / CRITERION
    recorded = read_object(path, RESTORE).get("sha256") if path.is_file() else None
    trained = first_trained(plan, stage)
    if recorded == stage.parts["criterion"] or trained is None:
        return
    which = "Another criterion is recorded there" if recorded else "No criterion is recorded there"
    raise UserError(
        f"{path}: the experiment file has a criterion with the sha256 {stage.parts['criterion'][:12]}. {which}, and "
        f"{trained} is trained. A criterion that is made after a student was trained proves nothing: restore the "
        "experiment file, or give the experiment another name and seeds that were never used."
    )


def first_trained(plan: Plan, stage: Stage) -> Path | None:
    """A training on number rows that is finished, or the result of one; None if there is none."""
    for waiting in plan.stages.values():
        # By the file that a training writes last; a training that was begun proves nothing yet.
        if stage.name in waiting.after and waiting.proof and Path(waiting.proof).is_file():
            return Path(waiting.folder)
    results = Path(stage.folder)
    # With several animals the results lie one folder deeper.
    # Also results that were set aside since: `stale-seed-1`.
    for pattern in ("*/*seed-*/manifest.json", "*/*/*seed-*/manifest.json"):
        for path in sorted(results.glob(pattern)):
            if learns_numbers(path.parts[-3]):
                return path.parent
    return None


def learns_numbers(arm: str) -> bool:
    """Whether an arm is trained on number rows, a point of a sweep (``student_n1500``) too.

    That a base or a teacher was trained or scored decides nothing: ``base_b4096`` is a base at its point.
    """
    kind = arm_kind(arm)
    return kind is None or kind.rows is not None
