"""Is a report what its raw answers say, and are its files the ones that made it?

    python scripts/verify_results.py results/owl_smollm2-135m

Three questions, answered from the files alone. Do the samples give every rate that was written
(:mod:`subliminal.publish.rescore`)? Does a report written again from them have the same numbers
(:mod:`subliminal.publish.recomputed`)? Do the recorded sha256 hold, from the samples back to the base model
(:mod:`subliminal.publish.chain`, :mod:`subliminal.publish.experiment_manifest`)?
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.files import from_the_root
from subliminal.core.trainings import repeated_runs, repeats_sentence
from subliminal.publish.chain import check_chain
from subliminal.publish.experiment_manifest import manifest_differences
from subliminal.publish.recomputed import compared, differences_from_samples
from subliminal.publish.rescore import (
    TaskScores,
    lm_eval_problems,
    read_json,
    results_problems,
    samples_file,
    score_again,
    summary_problems,
)
from subliminal.report.data import load_results
from subliminal.report.provenance import trace


@dataclass
class Verification:
    """The outcome: ``problems`` are differences, ``absent`` and ``notes`` are not, ``checked`` says what was done."""

    problems: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)

    def lines(self, folder: Path) -> list[str]:
        """What to print: what is missing, what is explained, what differs, what was done, and the conclusion last."""
        lines = [f"missing: {sentence}" for sentence in self.absent]
        lines += [f"note: {sentence}" for sentence in self.notes]
        lines += [f"different: {sentence}" for sentence in self.problems]
        lines += [f"checked: {sentence}." for sentence in self.checked]
        count = len(self.problems)
        outcome = "the same" if not count else f"not the same: {count} difference{'s' if count > 1 else ''}"
        return [*lines, f"{folder}: {outcome}"]


def verify(folder: Path) -> Verification:
    """Recompute the results of one experiment and follow the sha256 of all that they rest on.

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
    scores = {path: _verify_evaluation(verdict, path) for path in sorted(folder.glob("*/seed-*/*_summary.json"))}
    values = sum(len(task.questions) * (task.answers or 1) for tasks in scores.values() for task in tasks.values())
    verdict.checked.append(f"{values:,} answers and exact probabilities of {len(scores)} evaluations scored again")
    present = [name for name in compared(folder) if (folder / name).is_file()]
    verdict.absent += [f"{folder / name} is not here." for name in compared(folder) if name not in present]
    if present:
        problems, notes = differences_from_samples(folder, scores)
        verdict.problems += problems
        verdict.notes += notes
        left_out = f", but for the {len(notes)} sections named above" if notes else ""
        verdict.checked.append(
            f"{' and '.join(present)} compared with the same written again from the samples{left_out}"
        )
    manifests = trace(experiment).manifests
    chain = check_chain(manifests, folder)
    verdict.problems += chain.problems
    verdict.notes += chain.notes
    verdict.absent += [f"{path} is recorded and not here." for path in chain.absent]
    verdict.checked.append(f"{chain.checked} files have the sha256 that {len(manifests)} manifests record")
    problems, absent = manifest_differences(folder, scores)
    verdict.problems += problems
    verdict.absent += absent
    return verdict


def _verify_evaluation(verdict: Verification, path: Path) -> dict[str, TaskScores]:
    """Score one ``<arm>/seed-<n>`` again; returns task -> scores."""
    folder, summary, scores = path.parent, read_json(path), {}
    for task in summary["tasks"]:
        samples = samples_file(folder, task)
        if samples is None:
            verdict.absent.append(f"{folder}/lm_eval has no samples of {task}: its numbers cannot be recomputed.")
            continue
        scores[task] = score_again(samples)
        verdict.problems += scores[task].problems[:1]
        if not scores[task].rescored:
            verdict.notes.append(f"{samples}: {task} is none of our tasks; its metrics are as lm-eval logged them.")
    verdict.problems += summary_problems(path, summary, scores)
    for written in sorted(folder.glob("*_results.json")):
        verdict.problems += results_problems(written, read_json(written), scores)
    for written in sorted((folder / "lm_eval").glob("results_*.json")):
        verdict.problems += lm_eval_problems(written, read_json(written), scores)
    return scores
