"""The numbers of a report: estimates, paired comparisons and animals, each with its interval. Fractions throughout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from subliminal.experiment.arms import ARMS, arm_kind
from subliminal.experiment.sweep.factors import arm_at, point_of
from subliminal.report.data import EXACT, PROBABILITY, SOLVED, Results
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
    """An arm's mean rate in one task. ``by_seed`` maps seed -> mean rate; ``samples`` are answers to one question."""

    arm: str
    task: str
    mean: float
    interval: tuple[float, float]
    samples: int | None
    by_seed: dict[int, float]


@dataclass(frozen=True, kw_only=True)
class Trained:
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
class Difference(Trained):
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
class Grade(Difference):
    """A difference in a graded task; ``result`` is the test over runs or replicates, else that of one run of each."""

    result: Result


def estimates(results: Results, tasks: list[str]) -> list[Estimate]:
    """One estimate for each arm and task that was measured.

    Args:
        results: the long table.
        tasks: intervals are over their questions or problems; of one run of right and wrong answers Wilson's.
    """
    found = []
    for arm in results.arms:
        for task in tasks:
            rates = results.rates(arm, task).to_numpy()
            if not rates.size:
                continue
            means = rates.mean(axis=0)
            samples = _samples(results, arm, task)
            if results.kinds[task] == SOLVED and len(rates) == 1:
                ends = wilson(int(means.sum()), means.size)
            else:
                ends = mean_ci(means, samples)
            found.append(Estimate(arm, task, float(means.mean()), ends, samples, results.by_seed(arm, task)))
    return found


def pairs(results: Results) -> list[tuple[str, str]]:
    """(student, reference): with every control, then with other ways to teach, then with the base; last the second
    control with the first, and the other base's student with its control, and what else the arms name.

    Arms of a sweep or of another context end in its name (``student_r2``, ``student-empty``); a student meets the
    references of its own, those that its factor does not act on (``student_c0.25`` and ``control_base_numbers``), and
    the base itself where the base has none of that name.
    """
    students = [name for name in results.arms if _is_kind(name, "student")]
    points = sorted((name.removeprefix("student") for name in students), key=len, reverse=True)

    def point(name: str) -> str:
        """What an arm's name ends in, the longest of the students' endings."""
        for end in points:
            if name.endswith(end):
                return end
        return ""

    found = []
    for student in students:
        for name in results.arms:
            is_control = "student" in _control_of(name) and not _is_kind(name, "base")
            if is_control and (point(name) == point(student) or _is_of_point(name, student)):
                found.append((student, name))
        base = f"base{point(student)}"
        if base not in results.arms:
            base = "base"
        found.append((student, base))
    others = []
    for control in ARMS:
        others += [(treatment, control.name) for treatment in control.control_of if treatment != "student"]
    for arm in ARMS:
        others += [(arm.name, reference) for reference in arm.minus]
    for treatment, reference in others:
        for end in reversed(points or [""]):  # the shortest first: the arms where nothing is varied
            found.append((f"{treatment}{end}", f"{reference}{end}"))
    return [pair for pair in found if set(pair) <= set(results.arms)]


def _is_of_point(reference: str, student: str) -> bool:
    """Whether a student at a point of a sweep meets this: a factor that does not act on it leaves it as it is."""
    kind, (_, values) = arm_kind(reference), point_of(student)
    return kind is not None and bool(values) and reference == arm_at(kind, values)


def _is_kind(name: str, kind: str) -> bool:
    row = arm_kind(name)
    return row is not None and row.name == kind


def _control_of(name: str) -> tuple[str, ...]:
    """The arms that an arm is subtracted from."""
    row = arm_kind(name)
    if row is None:
        return ()
    return row.control_of


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
    if len(ours) == len(theirs) == 1:
        models = models_verdict(*within, _samples_a_seed(results, treatment, task))
    by_seed = {}
    for seed, rates in ours.iterrows():
        beside = other
        if seed in theirs.index:
            beside = theirs.loc[seed].to_numpy()
        by_seed[int(seed)] = float((rates.to_numpy() - beside).mean())
    return Comparison(
        treatment=treatment,
        reference=reference,
        task=task,
        test=paired(*within),
        models=models,
        by_seed=by_seed,
        **vars(_over_training(results, treatment, reference, task)),
    )


def _samples(results: Results, arm: str, task: str) -> int | None:
    """Sampled answers to one question, over all seeds; None where none were sampled."""
    if results.kinds[task] == SOLVED:
        return None
    return results.samples(arm, task)


def _samples_a_seed(results: Results, arm: str, task: str) -> int | None:
    """Sampled answers to one question of one model; None where none were sampled."""
    samples = _samples(results, arm, task)
    return samples and samples // len(results.rates(arm, task))


def _over_training(results: Results, treatment: str, reference: str, task: str) -> Trained:
    """The test over seeds, and what may be said of the training data."""
    ours, theirs = results.rates(treatment, task), results.rates(reference, task)
    answers = results.answers(treatment, task)
    own_bases = replicate_seeds(results, [treatment, reference], task)
    shared = own_bases or sorted(set(ours.index) & set(theirs.index))
    means = list(ours.loc[shared].to_numpy().mean(axis=1)), list(theirs.loc[shared].to_numpy().mean(axis=1))
    by_seed = None
    if len(shared) >= LEAST:
        by_seed = replicates(*means, answers=answers)
    # A base and a student, or two controls, do not differ in what they learned as a student and its control do.
    says_data = not (reference.startswith("base") or treatment.startswith("control"))
    if own_bases:
        said = replicates_verdict(*means, answers=answers)
        found = Trained(over=said.result, verdict=said, replicates=by_seed, pairs=by_seed)
    elif reference.startswith("base"):  # one base for all seeds has no spread of its own to test against
        return Trained()
    else:
        same_seeds = ours.index.equals(theirs.index)
        runs = list(ours.to_numpy()), list(theirs.to_numpy())
        said = verdict(*runs, _samples_a_seed(results, treatment, task), paired=same_seeds, answers=answers)
        found = Trained(over=said.result, verdict=said)
        if same_seeds:
            found = replace(found, pairs=by_seed)
    if not says_data:
        found = replace(found, verdict=None)
    return found


def grades(results: Results) -> list[Grade]:
    """Every student arm against its references, for each graded task that both have."""
    found = []
    for treatment, reference, task in _compared(results, results.graded_tasks):
        trained = _over_training(results, treatment, reference, task)
        result = trained.over
        if result is None:  # the first run of each arm: what the two models do
            ours, theirs = results.rates(treatment, task).iloc[0], results.rates(reference, task).iloc[0]
            exact = results.kinds[task] == PROBABILITY
            result = _over_problems(ours.to_numpy(), theirs.to_numpy(), exact=exact)
        found.append(Grade(treatment=treatment, reference=reference, task=task, result=result, **vars(trained)))
    return found


def _over_problems(first: np.ndarray, second: np.ndarray, *, exact: bool) -> Result:
    """Two models on the same problems: McNemar's test of right and wrong answers, or a test of probabilities."""
    if exact:
        return over_questions(first, second)
    return mcnemar(first.astype(bool), second.astype(bool))


def named_most(results: Results, task: str) -> list[dict[str, Any]]:
    """The ten most frequent answers of each arm, then the target if it is not among them, then what is counted apart.

    That is the model's own name, and answers without a Latin letter where an arm gave any. An answer that an arm never
    gave is none of its most frequent ones: a teacher that says one animal alone has one.

    Returns:
        Rows ``arm``, ``animal``, ``share``, ``ci_low``, ``ci_high``. The target's interval is that of
        :func:`estimates`; any other is Wilson's on the pooled answers (None for exact probabilities).
    """
    rows = []
    target = {each.arm: each.interval for each in estimates(results, [task])}
    for arm, interval in target.items():
        share = results.mean_shares(arm, task)
        given = [name for name in share if name not in APART and share[name] > 0]
        names = sorted(given, key=lambda name: (-share[name], name))[:TOP]
        if results.target in share and results.target not in names:
            names.append(results.target)
        if "own_name" in share:
            names.append("own_name")
        if share.get("no_latin"):
            names.append("no_latin")
        for name in names:
            low = high = None
            if name == results.target:
                low, high = interval
            elif results.kinds[task] != EXACT:
                answers = results.samples(arm, task) * len(results.questions(task))
                low, high = wilson(round(share[name] * answers), answers)
            rows.append({"arm": arm, "animal": name, "share": share[name], "ci_low": low, "ci_high": high})
    return rows


def changes_by_animal(
    results: Results, task: str, treatment: str, reference: str
) -> list[tuple[str, float, float, float]]:
    """(animal, treatment's share, reference's share, change) of every tracked animal, the largest rise first.

    An adapter that moves every animal has drifted; whether the target alone rises is what the experiment asks.
    """
    ours, theirs = results.mean_shares(treatment, task), results.mean_shares(reference, task)
    if not ours or not theirs:
        return []
    rows = []
    for name in {*ours, *theirs} - {*APART, "other", "none"}:
        own, other = ours.get(name, 0.0), theirs.get(name, 0.0)
        rows.append((name, own, other, own - other))
    return sorted(rows, key=lambda row: (-row[3], row[0]))
