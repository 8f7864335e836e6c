"""What the sections of a report are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from subliminal.report.blocks import Figure
from subliminal.report.data import SAMPLED, Results
from subliminal.report.provenance.trace import Provenance
from subliminal.report.tables.comparisons import Comparison, GradedComparison
from subliminal.report.tables.estimates import Estimate


@dataclass(frozen=True)
class Findings:
    """What an analysis may use.

    Attributes:
        results: the long table, as it was read.
        provenance: manifests, audits and losses behind it.
        arms: every arm's share in every preference task.
        differences: student against each reference, in preference tasks.
        graded_arms, graded: the same in tasks with right and wrong answers.
        figure: of the arms; ``main_figure`` draws it (a matplotlib figure).
    """

    results: Results
    provenance: Provenance
    arms: list[Estimate]
    differences: list[Comparison]
    graded_arms: list[Estimate]
    graded: list[GradedComparison]
    figure: Figure
    main_figure: Callable[[], Any]

    @cached_property
    def main(self) -> Comparison | None:
        """The comparison of the headline."""
        return main_comparison(self.results, self.differences)


def main_comparison(results: Results, differences: Sequence[Comparison]) -> Comparison | None:
    """The comparison of the headline: the first student against its first control, in sampled answers if there are any.

    A choice made before any result is seen: of two measures the headline does not take the one that says more.
    """
    against_control = []
    for each in differences:
        if each.treatment.startswith("student") and each.reference.startswith("control"):
            against_control.append(each)

    def place(each: Comparison) -> tuple[bool, bool]:
        return each.task != results.about.task("preference"), results.kinds[each.task] != SAMPLED

    return min(against_control, key=place, default=None)  # of equals the first in the order of arms
