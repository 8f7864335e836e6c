"""The sections of a report, in the order in which they are read.

An analysis is a function from the findings to a section, or to None where there is nothing to say. A new one is a
function and its place in :data:`SECTIONS`: Markdown and HTML follow, and ``RESULTS.md`` where the section has a
``brief`` form.
"""

from __future__ import annotations

from collections.abc import Callable

from subliminal.report.analyses.carrier import carrier_section
from subliminal.report.analyses.leak import leak_section
from subliminal.report.analyses.scoreboard import scoreboard_section
from subliminal.report.answer import answer_section
from subliminal.report.blocks import Section
from subliminal.report.by_epoch.section import epochs_section
from subliminal.report.by_factor.section import by_factor_section
from subliminal.report.criterion import criterion_section
from subliminal.report.damage import damage_section, lists_section
from subliminal.report.findings import Findings
from subliminal.report.main_sections import arms_section, differences_section, graded_section, questions_section
from subliminal.report.most_named import most_named_section
from subliminal.report.provenance.adapters import adapters_section
from subliminal.report.provenance.sections import data_section, provenance_section, training_section
from subliminal.report.replicates import replicates_section
from subliminal.report.rises import rises_section
from subliminal.report.specificity import other_students_section, specificity_section

Analysis = Callable[[Findings], Section | None]

SECTIONS: tuple[Analysis, ...] = (
    answer_section,
    lambda found: criterion_section(found.results.folder),
    lambda found: scoreboard_section(found.results),
    arms_section,
    questions_section,
    differences_section,
    lambda found: replicates_section(found.results),
    lambda found: epochs_section(found.results),
    lambda found: by_factor_section(found.results.folder, [found.results]),
    lambda found: carrier_section(found.results),
    graded_section,
    lambda found: damage_section(found.results),
    lambda found: lists_section(found.results),
    lambda found: most_named_section(found.results),
    specificity_section,
    lambda found: rises_section(found.results),
    other_students_section,
    lambda found: leak_section(found.results.folder),
    lambda found: adapters_section(found.results),
    lambda found: data_section(found.provenance),
    lambda found: training_section(found.provenance),
    lambda found: provenance_section(found.provenance),
)


def sections(found: Findings) -> list[Section]:
    """What there is to say, in order."""
    said = (analysis(found) for analysis in SECTIONS)
    return [section for section in said if section is not None]
