"""``RESULTS.md`` and, for each published experiment, the page beside its raw answers: made of these answers alone.

    python scripts/results.py write

Every rate is computed again from the answers and probabilities in ``answers.parquet``; tables, intervals, verdicts and
words are those of the experiment's own report (:func:`subliminal.report.write.compose`). ``RESULTS.md`` has a chapter
of each in some lines: question, answer, verdict of the criterion, a figure and a table of arms, made of the sections'
brief forms. ``README.md`` beside the raw answers has all of it, with settings, audits and provenance.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from subliminal.core.files import read_object
from subliminal.core.manifest import cpu_names, sha256_of
from subliminal.core.numbers import count
from subliminal.publish.archive import ANSWERS, RECORDS
from subliminal.publish.entries import EXPERIMENT_FILE, Entry, LaidOut, entries, figure_name, unpacked
from subliminal.report.by_factor.section import FACTOR_TITLE
from subliminal.report.criterion import CRITERION_TITLE
from subliminal.report.format import Section, Table
from subliminal.report.of_options import options_section
from subliminal.report.pages import markdown
from subliminal.report.provenance import (
    BEHIND_RESULTS,
    Provenance,
    commit_of,
    data_section,
    losses_in,
    provenance_section,
    training_section,
)
from subliminal.report.text import warnings
from subliminal.report.write import Report, compose, overview_sections

Inspect = Callable[[Entry, LaidOut], None]
DETAILS = "README.md"
"""The page beside the raw answers of an experiment."""
INTRODUCTION = """\
What the experiments of this repository found, in brief; each links to all of its tables, settings and audits. No line
is written by hand: `python scripts/results.py write` makes the pages of the raw answers in `results/published/`, and
`python scripts/results.py verify` scores them again and fails if a digit differs. Shares are means over the runs of an
arm, and their 95 % intervals are over questions; of sums solved over problems, with one greedy answer each. How far the
student is above an arm is told in log-odds of the table's last measure, with a 95 % interval over training runs or
replicates. A criterion was recorded before the first student was trained; its clauses are in nats, with the interval
that each asks for. One target in one kind of base model shows neither that an effect is specific nor that it is
general. Speed and memory: [BENCHMARKS.md](BENCHMARKS.md)."""
LETTERS, FORMAT = "letters", "format"
"""Checks of an audit that number rows have: no letter in any, and nothing but digits and separators."""
ANSWER = "The answer"
"""What ``RESULTS.md`` has of each option of an experiment of several; the rest is beside the raw answers."""
ANSWERS_OF = 3
"""Of more options than this ``RESULTS.md`` has the table alone."""
COMMAND = "`make experiment EXP=experiments/{}.yml`, each stage on {}"


@dataclass
class Made:
    """Path -> text of the drawings (SVG) and pages: ``RESULTS.md``, and a ``README.md`` for each experiment."""

    pages: dict[Path, str] = field(default_factory=dict)
    drawings: dict[Path, str] = field(default_factory=dict)


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
    text = [INTRODUCTION]
    if not chapters:
        text.append("No experiment is published yet.")
    made.pages[page] = markdown(Section("Results", text, parts=tuple(chapters)))
    return made


def provenance_of(results: Path) -> Provenance:
    """All manifests, audits and losses of an unpacked experiment, in the order in which they were made.

    Args:
        results: ``results/<experiment>``; its folder's parent is the root of all others.
    """
    root, found = results.parent.parent, Provenance()
    manifests = []
    for path in root.rglob("manifest.json"):
        manifest = read_object(path)
        if manifest.get("kind") != "experiment":
            manifests.append((str(manifest.get("started", "")), path.parent, manifest))
    manifests.sort(key=lambda each: (each[0], str(each[1])))
    for _, folder, manifest in manifests:
        label = folder.relative_to(root).as_posix()
        if folder.is_relative_to(results):
            label = folder.relative_to(results).as_posix()
        found.manifests[label] = manifest
        if (folder / "audit.json").is_file():
            found.audits[label] = read_object(folder / "audit.json")
        if manifest.get("kind") == "training":
            found.losses[label] = losses_in(folder / "metrics.jsonl")
    return found


def _chapter(published: Path, entry: Entry, page: Path, made: Made, inspect: Inspect | None) -> Section:
    """What ``RESULTS.md`` says of one experiment; the page beside its raw answers and its drawings go to ``made``."""
    folder = published / entry.name
    with unpacked(published, entry) as laid:
        if inspect:
            inspect(entry, laid)
        values, results = laid.values, Path("results") / entry.experiment
        provenance = provenance_of(results)
        composed_of = {report: compose(report) for report in laid.reports}
        said = _sections(composed_of, results)
        told, title = [], f"{entry.experiment}: do students name their teacher's animal more often?"
        for report, composed in composed_of.items():
            if report == results:
                title = composed.title
            for sentence in warnings(composed.found.results, provenance):
                told.append(f"{_prefix(report, results)}{sentence}")
        for section in said:
            for figure in section.figures:
                if figure.file.endswith(".svg"):
                    made.drawings[folder / figure.file] = figure.draw()
    # Once for the experiment, although each report has its own: they describe folders and not results.
    behind = [_data(provenance), training_section(provenance), provenance_section(provenance)]
    behind = [replace(section, figures=()) for section in behind]  # of some hundred runs
    link = os.path.relpath(folder, page.parent)
    facts = [COMMAND.format(entry.experiment, _facts(provenance, folder, link))]
    if entry.search:
        facts.append(_tried(published, entry, page.parent).text[0])
        behind.insert(0, _tried(published, entry, folder))
    parts = (_run(folder, page, provenance, values), *said, *behind)
    everything = Section(f"{entry.experiment}: all tables, settings and audits", notes=tuple(told), parts=parts)
    made.pages[folder / DETAILS] = markdown(everything)
    asked = " ".join([_first_comment(folder / EXPERIMENT_FILE), *facts])
    brief = _in_brief(said, [report.name for report in composed_of if report != results])
    figures = tuple(replace(figure, file=f"{link}/{figure.file}") for figure in brief.figures)
    return replace(brief, title=title, notes=tuple(told), lead=(asked, *brief.lead), figures=figures)


def _sections(composed_of: dict[Path, Report], results: Path) -> list[Section]:
    """What the reports of an experiment say, those of all its animals together first."""
    said = []
    if results not in composed_of:  # there are several animals, each with a report of its own
        together = overview_sections(results)
        together.append(options_section([composed.found for composed in composed_of.values()]))
        said = [_placed(section, "", results, results) for section in together]
    for report, composed in composed_of.items():
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

    Of a sweep these sections are the criterion and the one by factor, which says of every point what the others say of
    one. Of several options each has its answer; figure and table are those of all together.

    Args:
        said: all sections of the chapter.
        options: those that have a report of their own.
    """
    told = [section for section in said if section.brief and _is_told(section, options)]
    by_factor = [section for section in told if section.title.startswith(FACTOR_TITLE)]
    if by_factor:
        told = [section for section in told if section.title == CRITERION_TITLE] + by_factor[:1]
    paragraphs, figures, tables = [], [], []
    for section in told:
        if section.brief.text:
            paragraphs.append(" ".join(section.brief.text))
        figures += section.brief.figures
        tables += section.brief.tables
    return Section("", lead=tuple(paragraphs), figures=tuple(figures[:1]), tables=tables[:1])


def _is_told(section: Section, options: Sequence[str]) -> bool:
    """Whether a section is of all options together, or the answer of one among a few."""
    option, _, title = section.title.partition(": ")
    if option not in options:
        return True
    return title == ANSWER and len(options) <= ANSWERS_OF


def _placed(section: Section, prefix: str, report: Path, results: Path) -> Section:
    """A section of a report, and its brief form, as they stand on a page beside the published figures.

    Args:
        section: of the report; of its figures those that the brief form has are published.
        prefix: of its title.
        report, results: folders of the report and of the experiment, for the names of figures.
    """
    title, brief, figures = f"{prefix}{section.title}", section.brief, ()
    if brief:
        figures = tuple(replace(each, file=figure_name(report, results, each.file)) for each in brief.figures)
        brief = replace(brief, title=title, figures=figures)
    return replace(section, title=title, figures=figures, brief=brief)


def _facts(provenance: Provenance, folder: Path, link: str) -> str:
    """When and on what an experiment ran, whether its numbers are numbers alone, and where all the rest is."""
    first, last = _times(provenance)
    asked = yaml.safe_load((folder / EXPERIMENT_FILE).read_text(encoding="utf-8"))
    said = f"{'; '.join(_devices(provenance))}, {first} to {last} (UTC); {_seeds(asked['seeds'], provenance)}. "
    said += f"Each made anew: {asked['seeds_vary']} and what follows from them; the intervals over runs cover no more. "
    number_rows = _number_rows(provenance)
    if number_rows:
        said += f"{number_rows} "
    return f"{said}[All tables, settings, audits and commands]({link}/{DETAILS})."


def _seeds(asked: list[int], provenance: Provenance) -> str:
    """How many seeds there are, and how many of them were run where some are left."""
    run = {int(label.rpartition("seed-")[2]) for label in provenance.of_kind("result")}
    if run.issuperset(asked):
        return f"{len(asked)} seeds"
    return f"{len(run.intersection(asked))} of {len(asked)} seeds"


def _times(provenance: Provenance) -> tuple[str, str]:
    """First start and last end, to the minute; a model that was fetched on another day is none of the run."""
    times = []
    for manifest in provenance.manifests.values():
        if manifest.get("kind") != "model":
            times += filter(None, (manifest.get("started"), manifest.get("ended")))
    return _minute(min(times)), _minute(max(times))


def _minute(time: str) -> str:
    # ISO 8601 up to the minute.
    return time[:16].replace("T", " ")


def _devices(provenance: Provenance) -> list[str]:
    made = list(provenance.manifests.values())
    devices: dict[str, None] = {}  # each once, in the order in which they were used
    for manifest in made:
        if manifest.get("device"):
            devices[manifest["device"]] = None
    return list(devices | dict.fromkeys(cpu_names(made)))


def _run(folder: Path, page: Path, provenance: Provenance, values: int) -> Section:
    """Where, when and with what the experiment was run, and how much of it there is."""
    asked = yaml.safe_load((folder / EXPERIMENT_FILE).read_text(encoding="utf-8"))
    states = {commit_of(manifest) for manifest in provenance.manifests.values()}
    first, last = _times(provenance)
    seeds = ", ".join(map(str, asked["seeds"]))
    trainings, evaluations = len(provenance.of_kind("training")), len(provenance.of_kind("result"))
    versions = []
    for table in provenance_section(provenance).tables:
        if table.header[0] == "package":
            versions += map(" ".join, table.rows)
    rows = [
        ["machine of each stage", "; ".join(_devices(provenance))],
        ["run (UTC)", f"{first} to {last}"],
        ["commit", ", ".join(sorted(states))],
        ["versions", ", ".join(versions)],
        ["seeds", f"{seeds}; each made anew: {asked['seeds_vary']} and what follows from them"],
        ["training runs", count(trainings)],
        ["evaluations", f"{count(evaluations)} models, {count(values)} answers and exact probabilities"],
        ["experiment file", f"[{EXPERIMENT_FILE}]({EXPERIMENT_FILE})"],
    ]
    for what, name in (("raw answers", ANSWERS), ("records", RECORDS)):
        size = count((folder / name).stat().st_size)
        rows.append([what, f"[{name}]({name}), {size} bytes, sha256 {sha256_of(folder / name)}"])
    text = (
        "This page has all that the raw answers beside it say, and "
        f"[{page.name}]({os.path.relpath(page, folder)}) has it in brief. `python scripts/results.py write` makes both."
    )
    return Section("How it was run", [text], [Table(["what", "value"], rows)])


def _number_rows(provenance: Provenance) -> str | None:
    """In how many sets of number rows the audits found numbers alone; None without any."""
    sets = clean = 0
    for audit in provenance.audits.values():
        checks = audit.get("checks") or {}
        if LETTERS in checks:
            sets += 1
            clean += checks[LETTERS]["status"] == checks[FORMAT]["status"] == "pass"
    if not sets:
        return None
    return (
        f"In {clean} of {sets} sets of number rows the audit found nothing but digits and separators in every "
        f"row (its checks {LETTERS} and {FORMAT})."
    )


def _data(provenance: Provenance) -> Section:
    """The rows of every training, and their audits."""
    section = data_section(provenance)
    number_rows = _number_rows(provenance)
    if number_rows is None:
        return section
    return replace(section, text=[number_rows, *section.text])


def _tried(published: Path, entry: Entry, folder: Path) -> Section:
    """How many configurations were tried before this one, by stage of the search, with a link from ``folder``."""
    path = published / entry.search / "tried.csv"
    with open(path, encoding="utf-8", newline="") as handle:
        stages = Counter(row["stage"] for row in csv.DictReader(handle))
    text = (
        f"{count(stages.total())} configurations were tried before this one was frozen; "
        f"[{path.name}]({os.path.relpath(path, folder)}) has them all, with what came of each."
    )
    rows = [[stage, count(number)] for stage, number in stages.items()]
    return Section("What was tried before", [text], [Table(["stage of the search", "configurations"], rows)])


def _first_comment(path: Path) -> str:
    """The first paragraph of the comment that an experiment file opens with."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("# "):
            break
        lines.append(line.removeprefix("# "))
    return " ".join(lines)
