"""The teacher's gate: score it, and climb the experiment's ladder until a teacher has enough of the trait."""

from __future__ import annotations

import os
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.files import read_object, write_json
from subliminal.experiment.plan import Plan
from subliminal.experiment.run import run_stage


def run_gate(plan: Plan, name: str) -> None:
    """Train and score one rung after another until one passes; then ``facts["passed"]`` is a link to that teacher.

    Every rung's stages are stages like any other: a rung that is done is not done again. ``gate.json`` in the gate's
    folder records the share that each rung reached.

    Raises:
        UserError: no rung passes; the message gives all shares.
    """
    stage = plan.stages[name]
    facts, tried = stage.facts, []
    for number, rung in enumerate(facts["rungs"]):
        # Only now: a rung is trained if no rung before it has passed.
        _ensure(plan, name, rung["score"])
        share = teacher_share(Path(plan.stages[rung["score"]].folder), facts["task"])
        tried.append({"rung": number, "weights": rung["weights"], "share": share})
        passed = share >= facts["at_least"]
        record = {"passed": passed, "at_least": facts["at_least"], "task": facts["task"], "tried": tried}
        # After each rung, so that what was reached is told even if the next one fails.
        write_json(Path(stage.folder) / "gate.json", record)
        reached, asked = 100 * share, 100 * facts["at_least"]
        print(f"rung {number}: {reached:.1f} % of the answers show the trait; the gate is {asked:.1f} %", flush=True)
        if passed:
            _link(Path(facts["passed"]), Path(rung["weights"]))
            return
    shares = ", ".join(f"{100 * each['share']:.1f} %" for each in tried)
    raise UserError(
        f"The teacher {name.removeprefix('gate-')} shows the trait in {shares} of its answers, and the gate is "
        f"{100 * facts['at_least']:.0f} %. Its ladder has no further rung: add one to `teacher.gate.ladder` with more "
        "rows, more epochs or a higher learning rate, or lower `at_least`."
    )


def _ensure(plan: Plan, gate: str, name: str) -> None:
    """Run a stage of the gate after those of the gate that it needs."""
    stage = plan.stages[name]
    for needed in [*stage.made_from, *stage.after]:
        if plan.stages[needed].job == gate:
            _ensure(plan, gate, needed)
    run_stage(plan, name)


def teacher_share(folder: Path, task: str) -> float:
    """The mean share of the target over the questions, from the summary that an evaluation wrote below ``folder``."""
    # One seed and one task: the gate's folder holds one summary.
    path = next(folder.glob("teacher/seed-*/*_summary.json"))
    rates = read_object(path, "Evaluate that teacher again.")["tasks"][task]["target_rate"]
    return sum(rates) / len(rates)


def _link(link: Path, target: Path) -> None:
    """Point ``link`` at its neighbour ``target``, in place of what it pointed at before."""
    draft = link.with_name(f".{link.name}.new")  # put in place by rename: the link is never absent
    draft.unlink(missing_ok=True)
    # A relative link, as the whole folder may be copied to another machine.
    draft.symlink_to(os.path.relpath(target, link.parent))
    draft.replace(link)
