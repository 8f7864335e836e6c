"""A report written again from recomputed rates, and where its numbers are not those of the one that is there."""

from __future__ import annotations

import csv
import io
import re
import shutil
import tempfile
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

from subliminal.core.files import write_json
from subliminal.evaluation.tasks import problem_key
from subliminal.experiment.criterion import CRITERION
from subliminal.publish.rescore import TaskScores, read_json, same
from subliminal.report.data import category_of_results

NOT_NUMBERS = ("Data", "Training", "Provenance")
"""Sections of a report that describe folders outside of the results: the chain of sha256 stands for them."""

_NUMBER = re.compile(r"[−-]?\d+(?:[.,]\d+)*")


def compared(folder: Path) -> tuple[str, str]:
    """The files of a report that are compared with the same written again."""
    return "report.md", f"top_{category_of_results(folder).name}.csv"


def differences_from_samples(folder: Path, scores: dict[Path, dict[str, TaskScores]]) -> tuple[list[str], list[str]]:
    """Compare ``report.md`` and ``top_<category>.csv``, where they are there, with what the samples give.

    Args:
        folder: ``results/<experiment>``.
        scores: path of each summary -> task -> its samples, scored again.

    Returns:
        (sentences about differences, sentences about what could not be compared).
    """
    from subliminal.report.write import write_report

    problems, notes = [], []
    with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
        again = Path(scratch) / "results" / folder.resolve().name
        for path, tasks in scores.items():
            target = again / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            for other in path.parent.glob("*.json"):
                shutil.copyfile(other, target.with_name(other.name))
            write_json(target, recomputed(read_json(path), tasks))
        if (folder / CRITERION).is_file():
            shutil.copyfile(folder / CRITERION, again / CRITERION)
        write_report(again)
        for name in compared(folder):
            if not (folder / name).is_file():
                continue
            texts = [(each / name).read_text(encoding="utf-8") for each in (folder, again)]
            if name.endswith(".md"):
                different, other_form = report_differences(*texts)
                notes += [f"{folder / name}: {sentence}" for sentence in other_form]
            else:
                different = csv_differences(*texts)
            problems += [f"{folder / name}: {sentence}" for sentence in different]
    return problems, notes


def recomputed(summary: dict[str, Any], scores: dict[str, TaskScores]) -> dict[str, Any]:
    """A ``{model}_summary.json`` with the rates that the samples give."""
    tasks = dict(summary["tasks"])
    for task, again in scores.items():
        if "target_rate" in tasks[task]:
            tasks[task] = {
                **tasks[task],
                "questions": again.questions,
                "target_rate": [each[summary["target"]] for each in again.metrics],
                "samples_per_question": again.answers,
                "share": {name: again.mean(name) for name in tasks[task].get("share") or again.metrics[0]},
            }
        elif key := problem_key(tasks[task]):
            tasks[task] = {**tasks[task], key: [each[key] for each in again.metrics]}
    return {**summary, "tasks": tasks}


def report_differences(written: str, again: str) -> tuple[list[str], list[str]]:
    """Where the numbers of one ``report.md`` are not those of the other.

    Tables are compared line by line, sentences where the other report has one of the same words. A section whose tables
    have other columns is of an older or newer kind of report and is left out.

    Args:
        written: the report that is there.
        again: the report written again.

    Returns:
        (the first difference of each section, a sentence for each section that was not compared).
    """
    ours, theirs = _sections(written), _sections(again)
    problems, notes = [], []
    for title, lines in ours.items():
        if title in NOT_NUMBERS:
            continue
        if title not in theirs or _headers(lines) != _headers(theirs[title]):
            notes.append(f"the section “{title}” has another form than reports have now: it was not compared.")
            continue
        expected = theirs[title]
        pairs = list(zip_longest(_tables(lines), _tables(expected), fillvalue=""))
        by_words = {_NUMBER.sub("#", line): line for line in expected}
        pairs += [(line, by_words.get(_NUMBER.sub("#", line), line)) for line in lines if not line.startswith("|")]
        for line, other in pairs:
            if _NUMBER.findall(line) != _NUMBER.findall(other):
                problems.append(f"in “{title}” it says “{line[:300]}”, but the samples give “{other[:300]}”.")
                break
    return problems, notes


def _tables(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("|")]


def _headers(lines: list[str]) -> list[str]:
    """The header line of each table."""
    return [line for line, below in pairwise(lines) if below.startswith("| ---")]


def csv_differences(written: str, again: str) -> list[str]:
    """The first line of ``top_<category>.csv`` that differs from the one written again."""
    ours, theirs = list(csv.reader(io.StringIO(written))), list(csv.reader(io.StringIO(again)))
    if len(ours) != len(theirs):
        return [f"it has {len(ours)} lines, but the samples give {len(theirs)}."]
    for number, (row, expected) in enumerate(zip(ours, theirs, strict=True), start=1):
        if len(row) != len(expected) or not all(map(_same_cell, row, expected)):
            return [f"line {number} is {','.join(row)}, but the samples give {','.join(expected)}."]
    return []


def _same_cell(one: str, other: str) -> bool:
    try:
        return one == other or same(float(one), float(other))
    except ValueError:
        return False


def _sections(text: str) -> dict[str, list[str]]:
    """Heading -> its lines that have text, without quoted warnings."""
    sections: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("## "):
            sections[line.removeprefix("## ")] = []
        elif sections and line.strip() and not line.startswith(">"):
            sections[next(reversed(sections))].append(line)
    return sections
