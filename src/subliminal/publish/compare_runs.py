"""Two runs of one experiment: are their verdicts the same, and their figures?

    python scripts/verify_results.py results/pocket_demo --like /tmp/other/results/pocket_demo

On one kind of CPU a run gives the same figures to the digit. Another kind (AVX2 for AVX-512) adds the same numbers in
another order: the base's training differs in the last bit from the first steps on, and so does all that follows. What
has to hold then is the verdict. Every figure that is not the same is named nevertheless.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.formatting import percent, points
from subliminal.core.manifest import cpu_names
from subliminal.publish.rescore import same
from subliminal.report.data import Results
from subliminal.report.load import load_results
from subliminal.report.provenance.trace import trace
from subliminal.report.tables.comparisons import Comparison, comparisons


@dataclass
class Compared:
    """What two runs have in common.

    Attributes:
        different: sentences about verdicts that are not the same.
        notes: what may differ and why.
        same: how many verdicts are the same.
        apart: sentences about figures that are not the same: the mean rate of one model in one task.
        figures: how many figures both runs have.
        to_the_digit: whether figures must be the same, too: both runs computed on one kind of CPU, and on no GPU.
    """

    different: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    same: int = 0
    apart: list[str] = field(default_factory=list)
    figures: int = 0
    to_the_digit: bool = False

    @property
    def agree(self) -> bool:
        """Whether all is the same that must be."""
        return not self.different and not (self.to_the_digit and self.apart)

    def lines(self) -> list[str]:
        """What to print, the conclusion last."""
        lines = [f"note: {sentence}" for sentence in self.notes]
        lines += [f"different: {sentence}" for sentence in self.different]
        lines += [f"figures disagree: {sentence}" for sentence in self.apart]
        verdicts = f"{self.same} verdicts are the same, {len(self.different)} are not"
        return [*lines, f"{verdicts}; {len(self.apart)} of {self.figures} figures disagree"]


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
    note, to_the_digit = _expected(trace(run).manifests, trace(again).manifests)
    found = Compared(notes=[note], to_the_digit=to_the_digit)
    _compare_figures(found, run, again)
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


def _compare_figures(found: Compared, run: Results, again: Results) -> None:
    """Compare the mean rates that both runs have, model by model."""
    for arm in run.manifests:
        for task in run.kinds:
            here, there = run.by_seed(arm, task), again.by_seed(arm, task)
            for seed in sorted(here.keys() & there.keys()):
                found.figures += 1
                if not same(here[seed], there[seed]):
                    shown = [percent(rates[seed]) for rates in (here, there)]
                    # Rounded alike they would look like one figure.
                    if shown[0] == shown[1]:
                        shown = [f"{100 * rates[seed]:.9g} %" for rates in (here, there)]
                    found.apart.append(f"{arm}/seed-{seed}, {task}: here {shown[0]}, there {shown[1]}")


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


def _expected(ours: dict[str, dict], theirs: dict[str, dict]) -> tuple[str, bool]:
    """What the machines let expect, as a sentence, and whether figures must agree to the digit."""
    kinds = [sorted(cpu_names(manifests.values())) for manifests in (ours, theirs)]
    told = [" and ".join(each) or "an unknown CPU" for each in kinds]
    # Two runs that name no CPU are not known to be alike.
    if not kinds[0] or kinds[0] != kinds[1]:
        note = (
            f"Here {told[0]}, there {told[1]}. Another kind of CPU trains other weights, from the last bit of the "
            "first steps on: rates may differ by as much as between seeds. Verdicts are compared."
        )
        return note, False
    for manifest in [*ours.values(), *theirs.values()]:
        if not str(manifest.get("device") or "CPU").startswith("CPU"):
            return f"Both ran on {told[0]}, and on a GPU, where figures may differ. Verdicts are compared.", False
    return f"Both ran on {told[0]}: figures should agree to the digit.", True
