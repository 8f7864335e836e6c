"""``results/<experiment>/overview.md``: what the animals of one experiment say together.

    python scripts/report.py results/owl_pocket

Each animal has a report of its own in its folder; what compares animals, or needs all of them, is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.files import write_text
from subliminal.report.criterion import criterion_section
from subliminal.report.data import category_of_results
from subliminal.report.format import Section
from subliminal.report.rises import matrix_section
from subliminal.report.write import render_page


@dataclass(frozen=True)
class Overview:
    """What :func:`subliminal.report.write.render_page` takes of a report."""

    title: str
    sections: list[Section]
    warnings: tuple[str, ...] = ()


def animals_in(results: Path) -> list[str]:
    """The animals whose results lie in folders of their own; empty for an experiment of one."""
    return sorted({path.parents[2].name for path in results.glob("*/*/seed-*/*_summary.json")})


def overview_sections(results: Path) -> list[Section]:
    """Everything that is said of all animals together.

    Args:
        results: ``results/<experiment>``.
    """
    found = [criterion_section(results), matrix_section(results, animals_in(results))]
    return [section for section in found if section]


def write_overview(results: Path) -> Path:
    """Write ``overview.md`` into an experiment of several animals; returns its path.

    Raises:
        UserError: there are no folders of animals, or a result is damaged.
    """
    animals = animals_in(results)
    if not animals:
        raise UserError(f"{results} has no folders of animals. Evaluate an arm first, or name another folder.")
    about = category_of_results(results)
    links = [f"[{animal}]({animal}/report.md)" for animal in animals]
    sections = [
        *overview_sections(results),
        Section("Reports", [f"Each {about.singular} by itself: {', '.join(links)}."], []),
    ]
    for figure in (figure for section in sections for figure in section.figures if figure.file):
        write_text(results / figure.file, figure.draw())
    path = results / "overview.md"
    write_text(path, render_page("report.md.j2", Overview(f"{results.name}: all {about.plural}", sections)))
    return path
