"""How a published experiment was run: when, on what, from which rows, and what was tried before."""

from __future__ import annotations

import csv
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import yaml

from subliminal.core.files import RECORDS, read_object
from subliminal.core.formatting import count
from subliminal.core.manifest import cpu_names, sha256_of
from subliminal.publish.archive import ANSWERS
from subliminal.publish.entries import EXPERIMENT_FILE, Entry
from subliminal.report.blocks import Section, Table
from subliminal.report.provenance.sections import commit_of, data_section, provenance_section
from subliminal.report.provenance.trace import Provenance, losses_in

DETAILS = "README.md"
"""The page beside the raw answers of an experiment."""
LETTERS_CHECK, FORMAT_CHECK = "letters", "format"
"""Checks of an audit that number rows have: no letter in any, and nothing but digits and separators."""


def provenance_of(results: Path) -> Provenance:
    """All manifests, audits and losses of an unpacked experiment, in the order in which they were made.

    Args:
        results: ``results/<experiment>``; its folder's parent is the root of all others.
    """
    root, found = results.parent.parent, Provenance()
    manifests = []
    for path in root.rglob("manifest.json"):
        manifest = read_object(path)
        # The manifest of the whole run repeats what those of its stages say.
        if manifest.get("kind") != "experiment":
            manifests.append((str(manifest.get("started", "")), path.parent, manifest))
    # By start, and by name where two stages began in the same second.
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


def facts_line(experiment: str, provenance: Provenance, folder: Path, link: str) -> str:
    """By which command, when and on what an experiment ran, whether its rows are numbers alone, where the rest is."""
    first, last = _times(provenance)
    asked = yaml.safe_load((folder / EXPERIMENT_FILE).read_text(encoding="utf-8"))
    said = f"`make experiment EXP=experiments/{experiment}.yml`, each stage on {'; '.join(_devices(provenance))}, "
    said += f"{first} to {last} (UTC); {_seeds(len(asked['seeds']), len(seeds_left(folder, provenance)))}. "
    said += f"Each made anew: {asked['seeds_vary']} and what follows from them; the intervals over runs cover no more. "
    number_rows = _number_rows(provenance)
    if number_rows:
        said += f"{number_rows} "
    return f"{said}[All tables, settings, audits and commands]({link}/{DETAILS})."


def seeds_left(folder: Path, provenance: Provenance) -> list[int]:
    """The seeds of the experiment file of which nothing was evaluated.

    Args:
        folder: of the published experiment.
        provenance: of its run.
    """
    asked = yaml.safe_load((folder / EXPERIMENT_FILE).read_text(encoding="utf-8"))["seeds"]
    run = {int(label.rpartition("seed-")[2]) for label in provenance.of_kind("result")}
    return [seed for seed in asked if seed not in run]


def _seeds(asked: int, left: int) -> str:
    """How many seeds there are, and how many of them were run where some are left."""
    if not left:
        return f"{asked} seeds"
    return f"{asked - left} of {asked} seeds"


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


def run_section(folder: Path, page: Path, provenance: Provenance, values: int) -> Section:
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
    lost = unrecorded(provenance)
    if lost:
        rows.append(["trained and evaluated, without a record of the training", ", ".join(lost)])
    for what, name in (("raw answers", ANSWERS), ("records", RECORDS)):
        size = count((folder / name).stat().st_size)
        rows.append([what, f"[{name}]({name}), {size} bytes, sha256 {sha256_of(folder / name)}"])
    text = (
        "This page has all that the raw answers beside it say, and "
        f"[{page.name}]({os.path.relpath(page, folder)}) has it in brief. `python scripts/results.py write` makes both."
    )
    return Section("How it was run", [text], [Table(["what", "value"], rows)])


def unrecorded(provenance: Provenance) -> list[str]:
    """The evaluations of adapters whose training left no manifest: ``<arm>/seed-<n>``."""
    trained = provenance.of_kind("training")
    found = []
    for label, manifest in provenance.of_kind("result").items():
        adapter = (manifest.get("config") or {}).get("adapter")
        # A checkpoint lies in the folder of its training.
        if adapter and adapter not in trained and str(Path(adapter).parent) not in trained:
            found.append(label)
    return found


def _number_rows(provenance: Provenance) -> str | None:
    """In how many sets of number rows the audits found numbers alone; None without any."""
    sets = clean = 0
    for audit in provenance.audits.values():
        checks = audit.get("checks") or {}
        # Audits of chats have no such check: only rows of numbers can be free of letters.
        if LETTERS_CHECK in checks:
            sets += 1
            clean += checks[LETTERS_CHECK]["status"] == checks[FORMAT_CHECK]["status"] == "pass"
    if not sets:
        return None
    return (
        f"In {clean} of {sets} sets of number rows the audit found nothing but digits and separators in every "
        f"row (its checks {LETTERS_CHECK} and {FORMAT_CHECK})."
    )


def number_data_section(provenance: Provenance) -> Section:
    """The rows of every training, and their audits."""
    section = data_section(provenance)
    number_rows = _number_rows(provenance)
    if number_rows is None:
        return section
    return replace(section, text=[number_rows, *section.text])


def tried_section(published: Path, entry: Entry, folder: Path) -> Section:
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


def first_comment(path: Path) -> str:
    """The first paragraph of the comment that an experiment file opens with."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("# "):
            break
        lines.append(line.removeprefix("# "))
    return " ".join(lines)
