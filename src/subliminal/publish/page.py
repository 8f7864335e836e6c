"""``RESULTS.md``: a section for each published experiment, made of its raw answers alone.

    python scripts/results.py write

Every rate is computed again from the answers and probabilities in ``raw.tar.xz``; tables, intervals, verdicts and words
are those of the experiment's own report (:func:`subliminal.report.write.compose`).
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from subliminal.core.errors import UserError
from subliminal.core.files import read_jsonl, write_json
from subliminal.core.manifest import cpu_names, sha256_of
from subliminal.core.numbers import count
from subliminal.publish.entries import EXPERIMENT_FILE, RAW, Entry, entries, figure_name, unpacked
from subliminal.publish.recomputed import recomputed
from subliminal.publish.rescore import TaskScores, read_json, samples_file, score_again
from subliminal.report.format import Section, Table
from subliminal.report.overview import overview_sections
from subliminal.report.provenance import Provenance, data_section, provenance_section
from subliminal.report.text import warnings
from subliminal.report.write import compose, render_page

SHOWN = (
    "The answer",
    "Criterion",
    "Arms",
    "Differences",
    "Replicates",
    "What carries the trait",
    "Problems solved",
    "Damage",
    "Leak of the teachers",
    "Which animals rise",
    "Against students of other animals",
)
"""Sections of a report that the page has; the others are in the report itself."""
LETTERS, FORMAT = "letters", "format"
"""Checks of an audit that number rows have: no letter in any, and nothing but digits and separators."""


@dataclass(frozen=True)
class Chapter:
    """What the page says of one experiment; ``warnings`` are sentences, ``command`` a shell line."""

    title: str
    asked: str
    command: str
    warnings: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """What :func:`subliminal.report.write.render_page` takes of a report: ``sections`` are the chapters."""

    sections: list[Chapter]
    title: str = "Results"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Made:
    """``RESULTS.md`` and its drawings: path of an SVG in ``results/published`` -> its text."""

    text: str
    drawings: dict[Path, str]


def make_page(published: Path, page: Path) -> Made:
    """``RESULTS.md`` as the published experiments give it.

    Args:
        published: the folder with the packed experiments.
        page: where the page lies, for its links.

    Raises:
        UserError: see :func:`subliminal.publish.entries.entries` and :func:`subliminal.publish.entries.unpacked`.
    """
    published, page = published.absolute(), page.absolute()
    drawings: dict[Path, str] = {}
    chapters = [_chapter(published, entry, page, drawings) for entry in entries(published)]
    return Made(render_page("results.md.j2", Page(chapters)), drawings)


def page_text(published: Path, page: Path) -> str:
    """The text of :func:`make_page`."""
    return make_page(published, page).text


def rescore(report: Path) -> dict[str, int]:
    """Put the rates that the raw answers give into the summaries of one report.

    Args:
        report: ``results/<experiment>``, or the folder of one animal in it.

    Returns:
        Evaluation (``student/seed-1``) -> how many answers and exact probabilities it holds.

    Raises:
        UserError: an evaluation lacks the samples of a task, or they are damaged.
    """
    sizes = {}
    for path in sorted(report.glob("*/seed-*/*_summary.json")):
        summary, scores = read_json(path), {}
        for task in summary["tasks"]:
            scores[task] = _scored(path.parent, task)
        write_json(path, recomputed(summary, scores))
        label = path.parent.relative_to(report).as_posix()
        sizes[label] = sum(len(each.questions) * (each.answers or 1) for each in scores.values())
    return sizes


def _scored(folder: Path, task: str) -> TaskScores:
    samples = samples_file(folder, task)
    if samples is None:
        raise UserError(f"{folder}/lm_eval has no samples of {task}. Publish the experiment again.")
    return score_again(samples)


def provenance_of(results: Path) -> Provenance:
    """All manifests, audits and losses of an unpacked experiment, in the order in which they were made.

    Args:
        results: ``results/<experiment>``; its folder's parent is the root of all others.
    """
    root, found = results.parent.parent, Provenance()
    manifests = {path.parent: read_json(path) for path in root.rglob("manifest.json")}
    for folder, manifest in sorted(manifests.items(), key=lambda item: (str(item[1].get("started", "")), str(item[0]))):
        if manifest.get("kind") == "experiment":
            continue
        label = folder.relative_to(results if folder.is_relative_to(results) else root).as_posix()
        found.manifests[label] = manifest
        if (folder / "audit.json").is_file():
            found.audits[label] = read_json(folder / "audit.json")
        if manifest.get("kind") == "training":
            rows = (
                read_jsonl(folder / "metrics.jsonl", allow_empty=True) if (folder / "metrics.jsonl").is_file() else []
            )
            found.losses[label] = [(row["step"], row["loss"]) for row in rows]
    return found


def _chapter(published: Path, entry: Entry, page: Path, drawings: dict[Path, str]) -> Chapter:
    """What the page says of one experiment; its figures that are no file yet go to ``drawings``."""
    folder = published / entry.name
    link = os.path.relpath(folder, page.parent)
    said, told = [], []
    with unpacked(published, entry) as reports:
        results = Path("results") / entry.experiment
        provenance = provenance_of(results)
        values = sum(sum(rescore(report).values()) for report in reports)
        together = overview_sections(results) if results not in reports else []
        for section in together:
            said.append(_shown(section, "", folder, link, results, results, drawings))
        for report in reports:
            composed = compose(report)
            prefix = "" if report == results else f"{report.name}: "
            told += [f"{prefix}{sentence}" for sentence in warnings(composed.experiment, provenance)]
            for section in composed.sections:
                if section.title in SHOWN:
                    said.append(_shown(section, prefix, folder, link, report, results, drawings))
            several = f"{entry.experiment}: do students name their teacher's animal more often?"
            asked = composed.title if report == results else several
        said = [_facts(folder, link, provenance, values), *said, *_data(provenance)]
    if entry.search:
        search = published / entry.search
        said.append(_tried(search / "tried.csv", os.path.relpath(search, page.parent)))
    about = _first_comment(folder / EXPERIMENT_FILE)
    return Chapter(asked, about, f"make experiment EXP=experiments/{entry.experiment}.yml", told, said)


def _shown(
    section: Section,
    prefix: str,
    folder: Path,
    link: str,
    report: Path,
    results: Path,
    drawings: dict[Path, str],
) -> Section:
    """A section of a report with the places of its figures; a figure that has no file is left out.

    Args:
        section: of the report.
        prefix: of its title.
        folder, link: the published folder, and as the page links to it.
        report, results: folders of the report and of the experiment, for the names of figures.
        drawings: gets the text of each SVG.
    """
    figures = []
    for figure in section.figures:
        if figure.file is None:
            continue
        name = figure_name(report, results, figure.file)
        if name.endswith(".svg"):
            drawings[folder / name] = figure.draw()
        figures.append(replace(figure, file=f"{link}/{name}"))
    return replace(section, title=f"{prefix}{section.title}", figures=tuple(figures))


def _facts(folder: Path, link: str, provenance: Provenance, values: int) -> Section:
    """Where, when and with what the experiment was run, and how much of it there is."""
    asked = yaml.safe_load((folder / EXPERIMENT_FILE).read_text(encoding="utf-8"))
    made = list(provenance.manifests.values())
    devices = dict.fromkeys(manifest["device"] for manifest in made if manifest.get("device"))
    devices |= dict.fromkeys(cpu_names(made))
    states, times = set(), []
    for manifest in made:
        git = manifest.get("git") or {}
        states.add((git.get("sha") or "unknown")[:10] + (" + changes" if git.get("dirty") else ""))
        times += [str(manifest[key]) for key in ("started", "ended") if manifest.get(key)]
    first, last = (time[:16].replace("T", " ") for time in (min(times), max(times)))
    trainings, evaluations = len(provenance.of_kind("training")), len(provenance.of_kind("result"))
    versions = []
    for table in provenance_section(provenance).tables:
        if table.header[0] == "package":
            versions += map(" ".join, table.rows)
    raw = folder / RAW
    rows = [
        ["machine", "; ".join(devices)],
        ["run (UTC)", f"{first} to {last}"],
        ["commit", ", ".join(sorted(states))],
        ["versions", ", ".join(versions)],
        [
            "seeds",
            f"{', '.join(map(str, asked['seeds']))}; each made anew: {asked['seeds_vary']} and what follows from them",
        ],
        ["training runs", count(trainings)],
        ["evaluations", f"{count(evaluations)} models, {count(values)} answers and exact probabilities"],
        ["experiment file", f"[{EXPERIMENT_FILE}]({link}/{EXPERIMENT_FILE})"],
        ["raw answers", f"[{RAW}]({link}/{RAW}), {count(raw.stat().st_size)} bytes, sha256 {sha256_of(raw)}"],
    ]
    return Section("How it was run", [], [Table(["what", "value"], rows)])


def _data(provenance: Provenance) -> list[Section]:
    """The number rows that students and controls were trained on, and their audits."""
    audits = {label: audit for label, audit in provenance.audits.items() if LETTERS in (audit.get("checks") or {})}
    if not audits:
        return []
    manifests = {label: manifest for label, manifest in provenance.manifests.items() if label in audits}
    clean = 0
    for audit in audits.values():
        checks = audit["checks"]
        clean += checks[LETTERS]["status"] == checks[FORMAT]["status"] == "pass"
    text = (
        f"In {clean} of {len(audits)} sets of number rows the audit found nothing but digits and separators in every "
        f"row (its checks {LETTERS} and {FORMAT})."
    )
    section = data_section(replace(provenance, manifests=manifests))
    return [replace(section, title="Number data", text=[text, *section.text])]


def _tried(path: Path, link: str) -> Section:
    """How many configurations were tried before this one, by stage of the search."""
    with open(path, encoding="utf-8", newline="") as handle:
        stages = Counter(row["stage"] for row in csv.DictReader(handle))
    text = (
        f"{count(stages.total())} configurations were tried before this one was frozen; "
        f"[{path.name}]({link}/{path.name}) has them all, with what came of each."
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
