"""Two runs of one experiment: are their verdicts the same? Figures may differ, and where they must not is said.

    python scripts/verify_results.py results/pocket_demo --like /tmp/other/results/pocket_demo

On one kind of CPU a run gives the same figures to the digit. Another kind (AVX2 for AVX-512) adds the same numbers in
another order: the base's training differs in the last bit from the first steps on, and so does all that follows. What
has to hold then is the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.formatting import points
from subliminal.core.manifest import cpu_names
from subliminal.report.data import Results
from subliminal.report.load import load_results
from subliminal.report.provenance.trace import trace
from subliminal.report.tables.comparisons import Comparison, comparisons


@dataclass
class Compared:
    """``different`` are verdicts that are not the same, ``notes`` what may differ and why, ``same`` how many agree."""

    different: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    same: int = 0

    def lines(self) -> list[str]:
        """What to print, the conclusion last."""
        lines = [f"note: {sentence}" for sentence in self.notes]
        lines += [f"different: {sentence}" for sentence in self.different]
        return [*lines, f"{self.same} verdicts are the same, {len(self.different)} are not"]


def compare_runs(folder: Path, other: Path) -> Compared:
    """Compare the verdicts of two runs of one experiment.

    Args:
        folder: ``results/<experiment>``, or the folder of one animal in it.
        other: the same of another run.

    Raises:
        UserError: there are no results, they are of two experiments, or they have no verdict in common.
    """
    run, again = load_results(folder), load_results(other)
    if (run.name, run.target) != (again.name, again.target):
        raise UserError(
            f"{folder} is of {run.name} ({run.target}) and {other} of {again.name} ({again.target}). Name two runs of "
            "one experiment."
        )
    found = Compared(notes=_cpu_notes(trace(run).manifests, trace(again).manifests))
    ours, theirs = _with_verdict(run), _with_verdict(again)
    # An arm that one of the runs lacks says nothing of whether they agree.
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        raise UserError(f"{folder} and {other} have no verdict in common. Evaluate the same arms and tasks in both.")
    for contrast, task in common:
        here, there = ours[contrast, task], theirs[contrast, task]
        # The claim alone: on another CPU the figures behind it differ.
        if here.verdict.claim == there.verdict.claim:
            found.same += 1
        else:
            found.different.append(f"{contrast}, {task}: here {_said(here)}, there {_said(there)}")
    return found


def _with_verdict(results: Results) -> dict[tuple[str, str], Comparison]:
    """(contrast, task) -> the comparison, of those that have a verdict."""
    found = {}
    for each in comparisons(results):
        if each.verdict:
            found[each.contrast, each.task] = each
    return found


def _said(comparison: Comparison) -> str:
    """The claim, with the mean difference in points."""
    return f"{comparison.verdict.claim} ({points(comparison.test['difference'])} points)"


def _cpu_notes(ours: dict[str, dict], theirs: dict[str, dict]) -> list[str]:
    """What the kinds of CPU let expect."""
    kinds = [sorted(cpu_names(manifests.values())) for manifests in (ours, theirs)]
    told = [" and ".join(each) or "an unknown CPU" for each in kinds]
    # Two runs that name no CPU are not known to be alike.
    if kinds[0] and kinds[0] == kinds[1]:
        return [f"Both ran on {told[0]}: figures should agree to the digit."]
    return [
        f"Here {told[0]}, there {told[1]}. Another kind of CPU trains other weights, from the last bit of the first "
        "steps on: rates may differ by as much as between seeds. Verdicts are compared."
    ]
