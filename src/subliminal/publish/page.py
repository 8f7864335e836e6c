"""``RESULTS.md`` and, for each published experiment, the page beside its raw answers: made of these answers alone.

    python scripts/results.py write

Every rate is computed again from the answers and probabilities in ``answers.parquet``; tables, intervals, verdicts and
words are those of the experiment's own report (:func:`subliminal.report.write.compose`). ``RESULTS.md`` has a chapter
of each in some lines: question, answer, verdict of the criterion, a figure and a table of arms, made of the sections'
brief forms. ``README.md`` beside the raw answers has all of it, with settings, audits and provenance.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from subliminal.publish.entries import EXPERIMENT_FILE, Entry, LaidOut, entries, figure_name, unpacked
from subliminal.publish.run_facts import (
    DETAILS,
    facts_line,
    first_comment,
    number_data_section,
    provenance_of,
    run_section,
    seeds_left,
    tried_section,
)
from subliminal.report.blocks import Section
from subliminal.report.by_factor.section import FACTOR_TITLE
from subliminal.report.criterion import CRITERION_TITLE
from subliminal.report.main_sections import warnings
from subliminal.report.options_table import options_section
from subliminal.report.pages import markdown
from subliminal.report.provenance.sections import BEHIND_RESULTS, provenance_section, training_section
from subliminal.report.rises import tells_rises
from subliminal.report.write import Report, compose, overview_sections

Inspect = Callable[[Entry, LaidOut], None]
INTRODUCTION = """\
What the experiments of this repository found, in brief; each links to all of its tables, settings and audits. No line
is written by hand: `python scripts/results.py write` makes the pages of the raw answers in `results/published/`, and
`python scripts/results.py verify` scores them again and fails if a digit differs. Shares are means over the runs of an
arm, and their 95 % intervals are over questions, so that they say nothing of other runs; of sums solved over problems,
with one greedy answer each. How far the student is above an arm is told in log-odds of the table's last measure, with a
95 % interval over training runs or replicates. A criterion was recorded before the first student was trained; its
clauses are in nats, with the interval that each asks for. A clause that fails was not shown, which does not show its
opposite. Of an experiment that lacks seeds figure and table are on its own page alone. One target in one kind of base
model shows neither that an effect is specific nor that it is general. Speed and memory:
[BENCHMARKS.md](BENCHMARKS.md)."""
ANSWER_TITLE = "The answer"
"""What ``RESULTS.md`` has of each option of an experiment of several; the rest is beside the raw answers."""
MOST_ANSWERS = 3
"""Of more options than this ``RESULTS.md`` has the table alone."""


@dataclass
class Made:
    """``RESULTS.md``, a ``README.md`` for each experiment, and their drawings.

    Attributes:
        pages: path -> text.
        drawings: path -> what draws it, as SVG: it takes longer than the pages, and a page that differs ends a check.
    """

    pages: dict[Path, str] = field(default_factory=dict)
    drawings: dict[Path, Callable[[], str]] = field(default_factory=dict)


def make_pages(published: Path, page: Path, inspect: Inspect | None = None) -> Made:
    """``RESULTS.md`` and the pages beside the raw answers, as the published experiments give them.

    Args:
        published: the folder with the packed experiments.
        page: where ``RESULTS.md`` lies, for its links.
        inspect: is called for each experiment while its files are laid out in the current folder.

    Raises:
        UserError: see :func:`subliminal.publish.entries.entries` and :func:`subliminal.publish.entries.unpacked`.
    """
    published, page = published.absolute(), page.absolute()
    made = Made()
    chapters = [_chapter(published, entry, page, made, inspect) for entry in entries(published)]
    text = [INTRODUCTION.replace("\n", " ")]
    if not chapters:
        text.append("No experiment is published yet.")
    made.pages[page] = markdown(Section("Results", text, parts=tuple(chapters)))
    return made


def _chapter(published: Path, entry: Entry, page: Path, made: Made, inspect: Inspect | None) -> Section:
    """What ``RESULTS.md`` says of one experiment; the page beside its raw answers and its drawings go to ``made``."""
    folder = published / entry.name
    link = os.path.relpath(folder, page.parent)
    with unpacked(published, entry) as laid:
        # Here, because the files are gone when the block ends.
        if inspect:
            inspect(entry, laid)
        # While it is laid out the current folder is a checkout that holds this experiment alone.
        results = Path("results") / entry.experiment
        provenance = provenance_of(results)
        reports = {report: compose(report) for report in laid.reports}
        said = _sections(reports, results)
        made.drawings |= _drawings(said, folder)
    told = []
    for report, composed in reports.items():
        for sentence in warnings(composed.found.results, provenance):
            told.append(f"{_prefix(report, results)}{sentence}")
    title = f"{entry.experiment}: do students name their teacher's animal more often?"
    if results in reports:
        title = reports[results].title
    # Once for the experiment, although each report has its own: they describe folders and not results.
    behind = [number_data_section(provenance), training_section(provenance), provenance_section(provenance)]
    behind = [replace(section, figures=()) for section in behind]  # of some hundred runs
    facts = [facts_line(entry.experiment, provenance, folder, link)]
    if entry.search:
        facts.append(tried_section(published, entry, page.parent).text[0])
        behind.insert(0, tried_section(published, entry, folder))
    parts = (run_section(folder, page, provenance, laid.values), *said, *behind)
    everything = Section(f"{entry.experiment}: all tables, settings and audits", notes=tuple(told), parts=parts)
    made.pages[folder / DETAILS] = markdown(everything)
    asked = " ".join([first_comment(folder / EXPERIMENT_FILE), *facts])
    brief = _in_brief(said, [report.name for report in reports if report != results])
    if seeds_left(folder, provenance):
        # What the file asks cannot be answered yet, and its table is on the page beside the answers.
        brief = replace(brief, figures=(), tables=())
    figures = tuple(replace(figure, file=f"{link}/{figure.file}") for figure in brief.figures)
    return replace(brief, title=title, notes=tuple(told), lead=(asked, *brief.lead), figures=figures)


def _drawings(said: Sequence[Section], folder: Path) -> dict[Path, Callable[[], str]]:
    """Path -> what draws it, of the sections' figures."""
    figures = [figure for section in said for figure in section.figures]
    # The PNG beside the raw answers is the report's own, and is not drawn again.
    return {folder / figure.file: figure.draw for figure in figures if figure.file.endswith(".svg")}


def _sections(reports: dict[Path, Report], results: Path) -> list[Section]:
    """What the reports of an experiment say, those of all its animals together first."""
    said = []
    if results not in reports:  # there are several animals, each with a report of its own
        found = [composed.found for composed in reports.values()]
        together = overview_sections(results, [each.results for each in found])
        together.append(options_section(found))
        said = [_placed(section, "", results, results) for section in together]
    for report, composed in reports.items():
        for section in composed.sections:
            if section.title not in BEHIND_RESULTS:  # an experiment of several animals has these once
                said.append(_placed(section, _prefix(report, results), report, results))
    return said


def _prefix(report: Path, results: Path) -> str:
    """What the titles and warnings of a report begin with beside those of other animals."""
    if report == results:
        return ""
    return f"{report.name}: "


def _in_brief(said: Sequence[Section], options: Sequence[str] = ()) -> Section:
    """What ``RESULTS.md`` has of a chapter: a paragraph for each of some sections, one figure and one table.

    What other animals do ends the paragraph of the answer.
    Of a sweep these sections are the criterion and the one by factor, which says of every point what the others say of
    one. Of several options each has its answer, all in one paragraph; figure and table are those of all together.

    Args:
        said: all sections of the chapter.
        options: those that have a report of their own.
    """
    told = [section for section in said if section.brief and _is_told(section, options)]
    by_factor = [section for section in told if section.title.startswith(FACTOR_TITLE)]
    # A chapter of RESULTS.md is read in a minute: the sections of single points would repeat the one by factor.
    if by_factor:
        told = [section for section in told if section.title == CRITERION_TITLE] + by_factor[:1]
    paragraphs, figures, tables = [], [], []
    answer: int | None = None  # its paragraph
    for section in told:
        if section.brief.text:
            text = " ".join(section.brief.text)
            # The options' answers are one paragraph, and so are an answer and its rank among animals: a shorter page.
            belongs = section.title.partition(": ")[0] in options or tells_rises(section.title)
            if belongs and answer is not None:
                paragraphs[answer] += f" {text}"
            else:
                paragraphs.append(text)
            if section.title.endswith(ANSWER_TITLE) and answer is None:
                answer = len(paragraphs) - 1
        figures += section.brief.figures
        tables += section.brief.tables
    return Section("", lead=tuple(paragraphs), figures=tuple(figures[:1]), tables=tables[:1])


def _is_told(section: Section, options: Sequence[str]) -> bool:
    """Whether a section is of all options together, or the answer of one among a few."""
    option, _, title = section.title.partition(": ")
    if option not in options:
        return True
    return title == ANSWER_TITLE and len(options) <= MOST_ANSWERS


def _placed(section: Section, prefix: str, report: Path, results: Path) -> Section:
    """A section of a report, and its brief form, as they stand on a page beside the published figures.

    Args:
        section: of the report; of its figures those that the brief form has are published.
        prefix: of its title.
        report, results: folders of the report and of the experiment, for the names of figures.
    """
    title = f"{prefix}{section.title}"
    brief = section.brief
    figures = ()
    if brief:
        figures = tuple(replace(each, file=figure_name(report, results, each.file)) for each in brief.figures)
        brief = replace(brief, title=title, figures=figures)
    return replace(section, title=title, figures=figures, brief=brief)
