"""The sections of a report, in the order in which they are read.

An analysis is a function from the findings to a section, or to None where there is nothing to say. A new one is a
function and its place in :data:`SECTIONS`: Markdown and HTML follow, and ``RESULTS.md`` where the section has a
``brief`` form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from subliminal.report.animals import animals_section, other_students_section, specificity_section
from subliminal.report.answer import answer_section, main_comparison
from subliminal.report.carrier import carrier_section
from subliminal.report.criterion import criterion_section
from subliminal.report.damage import damage_section
from subliminal.report.data import Results
from subliminal.report.format import Figure, Section
from subliminal.report.leak import leak_section
from subliminal.report.provenance import Provenance, data_section, provenance_section, training_section
from subliminal.report.replicates import replicates_section
from subliminal.report.rises import rises_section
from subliminal.report.tables import Comparison, Estimate, Grade, graded_estimates
from subliminal.report.text import (
    adapters_section,
    arms_section,
    differences_section,
    graded_section,
    questions_section,
)


@dataclass(frozen=True)
class Findings:
    """What an analysis may use.

    Attributes:
        experiment: the results as they were read, arm by arm.
        provenance: manifests, audits and losses behind them.
        arms: every arm's share in every animal task.
        differences: student against each reference, in animal tasks.
        graded: the same in tasks with right and wrong answers.
        figure: the figure of the arms.
    """

    experiment: Results
    provenance: Provenance
    arms: list[Estimate]
    differences: list[Comparison]
    graded: list[Grade]
    figure: Figure

    @property
    def main(self) -> Comparison | None:
        """The comparison of the headline."""
        return main_comparison(self.experiment, self.differences)


Analysis = Callable[[Findings], Section | None]


def _answer(found: Findings) -> Section:
    return answer_section(found.experiment, found.differences, found.graded)


def _criterion(found: Findings) -> Section | None:
    return criterion_section(found.experiment.folder)


def _arms(found: Findings) -> Section | None:
    if not found.experiment.questions:
        return None
    return arms_section(found.experiment, found.arms, found.figure, found.main, found.differences)


def _questions(found: Findings) -> Section | None:
    if not found.experiment.questions or found.main is None:
        return None
    return questions_section(found.experiment, found.main, found.differences)


def _differences(found: Findings) -> Section | None:
    if not found.experiment.questions:
        return None
    return differences_section(found.experiment, found.differences)


def _replicates(found: Findings) -> Section | None:
    return replicates_section(found.experiment)


def _graded(found: Findings) -> Section | None:
    if not found.experiment.problems:
        return None
    figures = () if found.experiment.questions else (found.figure,)  # else it stands with the arms
    arms = graded_estimates(found.experiment)
    return graded_section(found.experiment, arms, found.graded, figures)


def _animals(found: Findings) -> Section | None:
    if not found.experiment.questions:
        return None
    return animals_section(found.experiment)


def _damage(found: Findings) -> Section | None:
    if not found.experiment.questions:
        return None
    return damage_section(found.experiment)


def _carrier(found: Findings) -> Section | None:
    return carrier_section(found.experiment)


def _specificity(found: Findings) -> Section | None:
    if not found.experiment.questions:
        return None
    return specificity_section(found.experiment, found.main, found.differences)


def _rises(found: Findings) -> Section | None:
    if not found.experiment.questions:
        return None
    return rises_section(found.experiment)


def _other_students(found: Findings) -> Section | None:
    if not found.experiment.questions or found.main is None:
        return None
    return other_students_section(found.experiment, found.main.task)


def _adapters(found: Findings) -> Section:
    return adapters_section(found.experiment)


def _data(found: Findings) -> Section:
    return data_section(found.provenance)


def _training(found: Findings) -> Section:
    return training_section(found.provenance)


def _provenance(found: Findings) -> Section:
    return provenance_section(found.provenance)


def _leak(found: Findings) -> Section | None:
    return leak_section(found.experiment.folder)


SECTIONS: tuple[Analysis, ...] = (
    _answer,
    _criterion,
    _arms,
    _questions,
    _differences,
    _replicates,
    _carrier,
    _graded,
    _damage,
    _animals,
    _specificity,
    _rises,
    _other_students,
    _leak,
    _adapters,
    _data,
    _training,
    _provenance,
)


def sections(found: Findings) -> list[Section]:
    """What there is to say, in order."""
    said = (analysis(found) for analysis in SECTIONS)
    return [section for section in said if section is not None]
