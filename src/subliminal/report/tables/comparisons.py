"""Two arms in one task: their difference, and what may be said of the two models and of what they learned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from subliminal.report.data import PROBABILITY, Results
from subliminal.report.replicates import replicate_seeds
from subliminal.report.tables.estimates import samples_behind
from subliminal.report.tables.pairs import pairs
from subliminal.stats import Result, Verdict, mcnemar, models_verdict, over_questions, paired, replicates, verdict
from subliminal.stats.replicates import LEAST
from subliminal.stats.verdict import replicates_verdict


@dataclass(frozen=True, kw_only=True)
class OverSeeds:
    """What the seeds of two arms say of their training.

    Attributes:
        over: the test of log-odds over training runs, or over replicates where each seed has a base of its own, paired
            by seed where both arms have the same; None with too few of them, and against a base that all seeds share.
        verdict: what may be said of the training data; None where the two do not differ in it as student and control.
        replicates: what :func:`subliminal.stats.replicates.replicates` says, where each seed has a base of its own and
            there are enough; else None.
        pairs: the same for any seeds that both arms have, three or more; else None.
    """

    over: Result | None = None
    verdict: Verdict | None = None
    replicates: dict[str, Any] | None = None
    pairs: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Difference(OverSeeds):
    """Treatment minus reference in one task."""

    treatment: str
    reference: str
    task: str

    @property
    def contrast(self) -> str:
        return f"{self.treatment} − {self.reference}"


@dataclass(frozen=True, kw_only=True)
class Comparison(Difference):
    """A difference in a preference task.

    Attributes:
        test: the three tests over questions (:func:`subliminal.stats.paired`), of the rates averaged over seeds.
        models: what may be said of the two models, where there is one of each.
        by_seed: seed -> mean difference, for the figure.
    """

    test: dict[str, Any]
    models: Verdict | None
    by_seed: dict[int, float]

    @property
    def result(self) -> Result | None:
        """The test over training runs or replicates where there is one, else that of the two models."""
        if self.over:
            return self.over
        if self.models:
            return self.models.result
        return None


@dataclass(frozen=True, kw_only=True)
class GradedComparison(Difference):
    """A difference in a graded task; ``result`` is the test over runs or replicates, else that of one run of each."""

    result: Result


def _compared(results: Results, tasks: list[str]) -> list[tuple[str, str, str]]:
    """(treatment, reference, task) of every pair, for each of the tasks that both have."""
    found = []
    for treatment, reference in pairs(results):
        for task in tasks:
            if not results.rates(treatment, task).empty and not results.rates(reference, task).empty:
                found.append((treatment, reference, task))
    return found


def comparisons(results: Results) -> list[Comparison]:
    """Every student arm against its references, for each preference task that both have."""
    return [_compare(results, *each) for each in _compared(results, results.preference_tasks)]


def _compare(results: Results, treatment: str, reference: str, task: str) -> Comparison:
    """Seeds are paired by number for the figure; one that the reference lacks meets the mean of its seeds.

    Where each seed has a base of its own, only seeds that both arms have are compared.
    """
    ours, theirs = results.rates(treatment, task), results.rates(reference, task)
    seeds = replicate_seeds(results, [treatment, reference], task)
    if seeds:
        ours, theirs = ours.loc[seeds], theirs.loc[seeds]
    mean, other = ours.to_numpy().mean(axis=0), theirs.to_numpy().mean(axis=0)
    within = mean.clip(0, 1), other.clip(0, 1)  # an exact probability may be a rounding above 1
    models = None
    # With more models of an arm a sentence about two of them would leave the others out.
    if len(ours) == len(theirs) == 1:
        models = models_verdict(*within, _samples_a_seed(results, treatment, task))
    by_seed = {}
    for seed, rates in ours.iterrows():
        beside = theirs.loc[seed].to_numpy() if seed in theirs.index else other
        # Seeds of a result are numpy's, which JSON does not take.
        by_seed[int(seed)] = float((rates.to_numpy() - beside).mean())
    return Comparison(
        treatment=treatment,
        reference=reference,
        task=task,
        test=paired(*within),
        models=models,
        by_seed=by_seed,
        **vars(_over_seeds(results, treatment, reference, task)),
    )


def _samples_a_seed(results: Results, arm: str, task: str) -> int | None:
    """Sampled answers to one question of one model; None where none were sampled."""
    samples = samples_behind(results, arm, task)
    if samples is None:
        return None
    # Counted over all seeds of the arm, each of which gave as many.
    return samples // len(results.rates(arm, task))


def _over_seeds(results: Results, treatment: str, reference: str, task: str) -> OverSeeds:
    """The test over seeds, and what may be said of the training data."""
    ours, theirs = results.rates(treatment, task), results.rates(reference, task)
    answers = results.answers(treatment, task)
    own_bases = replicate_seeds(results, [treatment, reference], task)
    # Two seeds with one base are no replicates of each other, but still pairs.
    shared = own_bases or sorted(set(ours.index) & set(theirs.index))
    means = list(ours.loc[shared].to_numpy().mean(axis=1)), list(theirs.loc[shared].to_numpy().mean(axis=1))
    by_seed = replicates(*means, answers=answers) if len(shared) >= LEAST else None
    # A base and a student, or two controls, do not differ in what they learned as a student and its control do.
    says_data = not (reference.startswith("base") or treatment.startswith("control"))
    if own_bases:
        said = replicates_verdict(*means, answers=answers)
        found = OverSeeds(over=said.result, verdict=said, replicates=by_seed, pairs=by_seed)
    elif reference.startswith("base"):  # one base for all seeds has no spread of its own to test against
        return OverSeeds()
    else:
        # Seeds that only one arm has leave nothing to pair by: the test is then that of two groups.
        same_seeds = ours.index.equals(theirs.index)
        runs = list(ours.to_numpy()), list(theirs.to_numpy())
        said = verdict(*runs, _samples_a_seed(results, treatment, task), paired=same_seeds, answers=answers)
        found = OverSeeds(over=said.result, verdict=said)
        if same_seeds:
            found = replace(found, pairs=by_seed)
    if not says_data:
        found = replace(found, verdict=None)
    return found


def graded_comparisons(results: Results) -> list[GradedComparison]:
    """Every student arm against its references, for each graded task that both have."""
    found = []
    for treatment, reference, task in _compared(results, results.graded_tasks):
        over_seeds = _over_seeds(results, treatment, reference, task)
        result = over_seeds.over
        if result is None:  # the first run of each arm: what the two models do
            ours, theirs = results.rates(treatment, task).iloc[0], results.rates(reference, task).iloc[0]
            exact = results.kinds[task] == PROBABILITY
            result = _over_problems(ours.to_numpy(), theirs.to_numpy(), exact=exact)
        names = {"treatment": treatment, "reference": reference, "task": task}
        found.append(GradedComparison(**names, result=result, **vars(over_seeds)))
    return found


def _over_problems(first: np.ndarray, second: np.ndarray, *, exact: bool) -> Result:
    """Two models on the same problems: McNemar's test of right and wrong answers, or a test of probabilities."""
    if exact:
        return over_questions(first, second)
    return mcnemar(first.astype(bool), second.astype(bool))
