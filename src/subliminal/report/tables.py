"""The numbers of a report: estimates, paired comparisons and animals, each with its interval. Fractions throughout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from subliminal.report.data import Arm, Results
from subliminal.report.replicates import replicate_seeds
from subliminal.stats import (
    Result,
    Verdict,
    mcnemar,
    mean_ci,
    models_verdict,
    over_questions,
    paired,
    replicates,
    verdict,
    wilson,
)
from subliminal.stats.replicates import LEAST
from subliminal.stats.verdict import replicates_verdict

TOP = 10
APART = ("own_name", "no_latin", "rest")
"""Shares that are no answer: two overlap with the others, the last is what the exact task does not look at."""


@dataclass(frozen=True)
class Estimate:
    """An arm's mean rate of the target in one task. ``by_seed`` maps seed -> mean rate."""

    arm: str
    task: str
    mean: float
    interval: tuple[float, float]
    samples: int | None
    by_seed: dict[int, float]


@dataclass(frozen=True)
class Comparison:
    """Treatment minus reference in one task.

    Attributes:
        test: the three tests over questions (:func:`subliminal.stats.paired`), of the rates averaged over seeds.
        over: the test of log-odds over training runs, or over replicates where each seed has a base of its own, paired
            by seed where both arms have the same; None with too few of them, and against a base that all seeds share.
        verdict: what may be said of the training data; None where the two do not differ in it as student and control.
        models: what may be said of the two models, where there is one of each.
        by_seed: seed -> mean difference, for the figure.
        replicates: what :func:`subliminal.stats.replicates.replicates` says, where each seed has a base of its own and
            there are enough; else None.
        pairs: the same for any seeds that both arms have, three or more; else None.
    """

    treatment: str
    reference: str
    task: str
    test: dict[str, Any]
    over: Result | None
    verdict: Verdict | None
    models: Verdict | None
    by_seed: dict[int, float]
    replicates: dict[str, Any] | None
    pairs: dict[str, Any] | None

    @property
    def contrast(self) -> str:
        """``student − control``."""
        return f"{self.treatment} − {self.reference}"


@dataclass(frozen=True)
class Grade:
    """Treatment minus reference in one graded task: a test over runs or replicates, else of one run of each.

    ``verdict``, ``replicates`` and ``pairs`` are as in :class:`Comparison`.
    """

    treatment: str
    reference: str
    task: str
    result: Result
    verdict: Verdict | None
    replicates: dict[str, Any] | None
    pairs: dict[str, Any] | None

    @property
    def contrast(self) -> str:
        """``student − control``."""
        return f"{self.treatment} − {self.reference}"


@dataclass(frozen=True)
class Trained:
    """What the seeds of two arms say of their training: the fields of the same names in :class:`Comparison`."""

    over: Result | None = None
    verdict: Verdict | None = None
    replicates: dict[str, Any] | None = None
    pairs: dict[str, Any] | None = None


def estimates(experiment: Results) -> list[Estimate]:
    """One estimate per arm and task that was measured."""
    found = []
    for arm in experiment.arms.values():
        for task, measure in arm.measures.items():
            mean, ends = float(measure.mean_rates.mean()), mean_ci(measure.mean_rates, measure.samples)
            by_seed = {seed: float(rates.mean()) for seed, rates in sorted(measure.rates.items())}
            found.append(Estimate(arm.name, task, mean, ends, measure.samples, by_seed))
    return found


def graded_estimates(experiment: Results) -> list[Estimate]:
    """The share of problems that each arm solves, for each graded task, or the mean probability of the right answer.

    Intervals are over problems; Wilson's for one run of right and wrong answers.
    """
    found = []
    for arm in experiment.arms.values():
        for task, seeds in arm.graded.items():
            solved = sum(seeds.values()) / len(seeds)
            by_seed = {seed: float(right.mean()) for seed, right in sorted(seeds.items())}
            counted = len(seeds) == 1 and task not in experiment.exact
            ends = wilson(int(solved.sum()), solved.size) if counted else mean_ci(list(solved))
            found.append(Estimate(arm.name, task, float(solved.mean()), ends, None, by_seed))
    return found


def comparisons(experiment: Results) -> list[Comparison]:
    """Every student arm against its references, for each animal task that both have."""
    return [
        _compare(treatment, reference, task)
        for treatment, reference in experiment.pairs()
        for task in experiment.questions
        if task in treatment.measures and task in reference.measures
    ]


def _compare(treatment: Arm, reference: Arm, task: str) -> Comparison:
    """Seeds are paired by number for the figure; one that the reference lacks meets the mean of its seeds.

    Where each seed has a base of its own, only seeds that both arms have are compared.
    """
    ours, theirs = dict(sorted(treatment.rates(task).items())), dict(sorted(reference.rates(task).items()))
    seeds = replicate_seeds([treatment, reference], task)
    if seeds:
        ours = {seed: ours[seed] for seed in seeds}
        theirs = {seed: theirs[seed] for seed in seeds}
    mean, other = np.mean(list(ours.values()), axis=0), np.mean(list(theirs.values()), axis=0)
    within = mean.clip(0, 1), other.clip(0, 1)  # an exact probability may be a rounding above 1
    measure = treatment.measures[task]
    samples = measure.samples and measure.samples // len(measure.rates)
    trained = _over_training(treatment, reference, task, samples, exact=not samples)
    one_of_each = len(ours) == len(theirs) == 1
    return Comparison(
        treatment=treatment.name,
        reference=reference.name,
        task=task,
        test=paired(*within),
        models=models_verdict(*within, samples) if one_of_each else None,
        by_seed={seed: float((rates - theirs.get(seed, other)).mean()) for seed, rates in ours.items()},
        **vars(trained),
    )


def _over_training(treatment: Arm, reference: Arm, task: str, samples: int | None, *, exact: bool) -> Trained:
    """The test over seeds, and what may be said of the training data.

    Args:
        treatment, reference: the arms.
        task: that both have.
        samples: sampled answers a question and seed, if any.
        exact: the rates are exact probabilities.
    """
    ours, theirs = treatment.rates(task), reference.rates(task)
    answers = treatment.answers(task, exact=exact)
    of_one_kind = reference.name.startswith("base") or treatment.name.startswith("control")
    own_bases = replicate_seeds([treatment, reference], task)
    shared = own_bases or sorted(ours.keys() & theirs.keys())
    means = [float(ours[seed].mean()) for seed in shared], [float(theirs[seed].mean()) for seed in shared]
    pairs = replicates(*means, answers=answers) if len(shared) >= LEAST else None
    if own_bases:
        said = replicates_verdict(*means, answers=answers)
        return Trained(said.result, None if of_one_kind else said, pairs, pairs)
    if reference.name.startswith("base"):
        return Trained()
    same_seeds = ours.keys() == theirs.keys()
    runs = [ours[seed] for seed in sorted(ours)], [theirs[seed] for seed in sorted(theirs)]
    said = verdict(*runs, samples, paired=same_seeds, answers=answers)
    return Trained(said.result, None if of_one_kind else said, None, pairs if same_seeds else None)


def grades(experiment: Results) -> list[Grade]:
    """Every student arm against its references, for each graded task that both have."""
    found = []
    for treatment, reference in experiment.pairs():
        for task in experiment.problems:
            if task in treatment.graded and task in reference.graded:
                exact = task in experiment.exact
                trained = _over_training(treatment, reference, task, None, exact=exact)
                runs = [list(arm.graded[task].values()) for arm in (treatment, reference)]
                result = trained.over or _over_problems(*(run[0] for run in runs), exact=exact)
                said = {"verdict": trained.verdict, "replicates": trained.replicates, "pairs": trained.pairs}
                found.append(Grade(treatment.name, reference.name, task, result, **said))
    return found


def _over_problems(first: np.ndarray, second: np.ndarray, *, exact: bool) -> Result:
    """Two models on the same problems: McNemar's test of right and wrong answers, or a test of probabilities."""
    return over_questions(first, second) if exact else mcnemar(first.astype(bool), second.astype(bool))


def named_most(experiment: Results, task: str) -> list[dict[str, Any]]:
    """The ten most frequent answers of each arm, then the target if it is not among them, then what is counted apart.

    That is the model's own name, and answers without a Latin letter where an arm gave any.

    Returns:
        Rows ``arm``, ``animal``, ``share``, ``ci_low``, ``ci_high``. The target's interval is that of
        :func:`estimates`; any other is Wilson's on the pooled answers (None for exact probabilities).
    """
    rows = []
    for arm in experiment.arms.values():
        if task not in arm.measures:
            continue
        measure, target = arm.measures[task], experiment.target
        ranked = sorted((n for n in measure.share if n not in APART), key=lambda n: (-measure.share[n], n))
        names = ranked[:TOP]
        if target in ranked[TOP:]:
            names.append(target)
        if "own_name" in measure.share:
            names.append("own_name")
        if measure.share.get("no_latin"):
            names.append("no_latin")
        for name in names:
            low = high = None
            if name == target:
                low, high = mean_ci(measure.mean_rates, measure.samples)
            elif measure.samples:
                answers = measure.samples * len(measure.mean_rates)
                low, high = wilson(round(measure.share[name] * answers), answers)
            share = measure.share[name]
            rows.append({"arm": arm.name, "animal": name, "share": share, "ci_low": low, "ci_high": high})
    return rows


def changes_by_animal(
    experiment: Results, task: str, treatment: str, reference: str
) -> list[tuple[str, float, float, float]]:
    """(animal, treatment's share, reference's share, change) of every tracked animal, the largest rise first.

    An adapter that moves every animal has drifted; whether the target alone rises is what the experiment asks.
    """
    arms = experiment.arms
    if any(name not in arms or task not in arms[name].measures for name in (treatment, reference)):
        return []
    ours, theirs = (arms[name].measures[task].share for name in (treatment, reference))
    animals = {*ours, *theirs} - {*APART, "other", "none"}
    rows = [(name, ours.get(name, 0.0), theirs.get(name, 0.0)) for name in animals]
    return sorted(((n, a, b, a - b) for n, a, b in rows), key=lambda row: (-row[3], row[0]))
