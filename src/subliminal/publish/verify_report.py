"""Is a report what its raw answers say, and are its files the ones that made it?

    python scripts/verify_results.py results/owl_smollm2-135m

One rule: the raw answers are kept, and all else is made of them again and must be equal. lm-eval's samples give the
metrics, rows and summaries (:mod:`subliminal.publish.rescore`), the summaries give the report. The samples themselves
and all that they rest on must have the sha256 that the manifests record (:mod:`subliminal.publish.chain`,
:mod:`subliminal.publish.experiment_manifest`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import from_the_root, read_object, read_text
from subliminal.core.formatting import counted
from subliminal.core.manifest import read_manifest
from subliminal.core.repeated_runs import repeated_runs, repeats_sentence
from subliminal.evaluation.our_tasks import task_kind
from subliminal.publish.chain import check_chain
from subliminal.publish.experiment_manifest import manifest_differences
from subliminal.publish.rescore import (
    SUMMARY,
    Sample,
    aggregated_by_lm_eval,
    difference,
    lost_answers,
    read_samples,
    samples_files,
    score_again,
    tables_of,
    values_in,
)
from subliminal.report.load import load_results
from subliminal.report.pages import markdown
from subliminal.report.provenance.sections import BEHIND_RESULTS
from subliminal.report.provenance.trace import trace
from subliminal.report.write import compose


@dataclass
class Verification:
    """The outcome: ``problems`` are differences and raw answers that are gone, ``checked`` says what was done.

    ``absent`` is no problem: weights and rows are too large to keep everywhere, and tables can be made again.
    """

    problems: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)

    def lines(self, folder: Path) -> list[str]:
        """What to print: what is missing, what is explained, what differs, what was done, and the conclusion last."""
        told = (("missing", self.absent), ("note", self.notes), ("different", self.problems), ("checked", self.checked))
        lines = []
        for word, sentences in told:
            lines += [f"{word}: {sentence.rstrip('.')}." for sentence in sentences]
        outcome = "the same"
        if self.problems:
            outcome = f"not the same: {counted(len(self.problems), 'difference')}"
        return [*lines, f"{folder}: {outcome}"]


def verify(folder: Path) -> Verification:
    """Make the results of one experiment again and follow the sha256 of all that they rest on.

    Args:
        folder: ``results/<experiment>``, or its copy elsewhere.

    Raises:
        UserError: there are no results, or a file cannot be read (names it).
    """
    if not folder.is_dir():
        hint = from_the_root(folder) or " Name the results of an experiment, such as results/owl_demo."
        raise UserError(f"{folder} is not a folder.{hint}")
    verdict, experiment = Verification(), load_results(folder)
    verdict.problems += [repeats_sentence(repeat, first) for repeat, first in repeated_runs(folder).items()]
    values, whole, summaries = 0, 0, {}
    for path in sorted(folder.glob(f"*/seed-*/*{SUMMARY}")):
        tasks = _scored_again(verdict, path.parent)
        summaries[path] = _check_tables(verdict, path, tasks)
        # Nothing can be made again of answers that are gone, so that a number of theirs could be anybody's.
        if lost := lost_answers(path.parent):
            verdict.problems.append(lost)
            continue
        values += values_in(tasks)
        whole += 1
    verdict.checked.append(f"{values:,} answers and exact probabilities of {whole} evaluations scored again")
    _check_report(verdict, folder)
    manifests = trace(experiment).manifests
    chain = check_chain(manifests, folder)
    verdict.problems += chain.problems
    verdict.notes += chain.notes
    verdict.absent += [f"{path} is recorded and not here." for path in chain.absent]
    verdict.checked.append(f"{chain.checked} files have the sha256 that {len(manifests)} manifests record")
    # The summaries as the answers give them, not as they lie there: a rate that was changed in both is found.
    problems, absent = manifest_differences(folder, summaries)
    verdict.problems += problems
    verdict.absent += absent
    return verdict


def _scored_again(verdict: Verification, folder: Path) -> dict[str, list[Sample]]:
    """Task -> the samples of ``<arm>/seed-<n>`` with the metrics that their answers give."""
    tasks = {}
    for task, path in samples_files(folder).items():
        written = read_samples(path)
        tasks[task] = score_again(task, written, str(path))
        for line, (sample, again) in enumerate(zip(written, tasks[task], strict=True), start=1):
            metrics = {name: again[name] for name in again["metrics"]}
            if problem := difference(sample, metrics):
                question = sample["doc"].get("id", sample["doc_id"])
                # The first of a file is enough to say that it is not what its answers give.
                verdict.problems.append(f"{path}, line {line} (question {question}): {problem}")
                break
        if task_kind(task) is None:
            verdict.notes.append(f"{path}: {task} is none of our tasks; its metrics are as lm-eval logged them.")
    return tasks


def _check_tables(verdict: Verification, path: Path, tasks: dict[str, list[Sample]]) -> dict[str, Any]:
    """Compare an evaluation's tables with the ones that its samples give; returns the summary as they give it."""
    folder = path.parent
    aggregated: dict[str, Any] = {}
    for file in sorted((folder / "lm_eval").glob("results_*.json")):
        aggregated |= aggregated_by_lm_eval(read_text(file), str(file))
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise UserError(
            f"{manifest} is missing: without it nothing says what was asked. Restore it, or evaluate that arm again."
        )
    model, results, summary = tables_of(read_manifest(folder), str(manifest), aggregated, tasks)
    for name, table in ((f"{model}_results.json", results), (f"{model}{SUMMARY}", summary)):
        if not (folder / name).is_file():
            verdict.absent.append(f"{folder / name} is not here.")
        elif problem := difference(read_json(folder / name), table):
            verdict.problems.append(f"{folder / name}: {problem}")
    return summary


def _check_report(verdict: Verification, folder: Path) -> None:
    """Compare ``report.md`` with the one that the summaries give now."""
    path = folder / "report.md"
    if not path.is_file():
        verdict.absent.append(f"{path} is not here.")
        return
    written, again = _sections(read_text(path)), _sections(markdown(compose(folder).page))
    # Either may have a section that the other lacks.
    for title in written | again:
        pairs = zip_longest(written.get(title, []), again.get(title, []), fillvalue="(nothing)")
        for line, expected in pairs:
            # Lines behind a difference are mostly the same ones, moved.
            if line != expected:
                verdict.problems.append(
                    f"{path}: in “{title}” it says “{line[:300]}”, but the answers give “{expected[:300]}”."
                )
                break
    verdict.checked.append(f"{path.name} compared with the same written again from the answers")


def _sections(text: str) -> dict[str, list[str]]:
    """Heading -> the lines below it, of the sections that are made of the results alone; without quoted warnings.

    For what describes folders outside of the results the chain of sha256 stands.
    """
    sections: dict[str, list[str]] = {}
    title = None
    for line in text.splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ")
        elif title not in (None, *BEHIND_RESULTS) and line.strip() and not line.startswith(">"):
            sections.setdefault(title, []).append(line)
    return sections


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        UserError: it does not, or is cut off.
    """
    return read_object(path, "Restore the file, or evaluate that arm again.")
