"""What each arm answers: its rate in a task with an interval, and the animals that it names. Fractions throughout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from subliminal.report.data import EXACT, SOLVED, Results
from subliminal.stats import mean_ci, wilson

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
            samples = samples_behind(results, arm, task)
            # Right or wrong answers of one run are a binomial count; the mean of several runs is none.
            if results.kinds[task] == SOLVED and len(rates) == 1:
                ends = wilson(int(means.sum()), means.size)
            else:
                ends = mean_ci(means, samples)
            found.append(Estimate(arm, task, float(means.mean()), ends, samples, results.by_seed(arm, task)))
    return found


def samples_behind(results: Results, arm: str, task: str) -> int | None:
    """Sampled answers to one question, over all seeds; None where none were sampled."""
    if results.kinds[task] == SOLVED:
        return None
    return results.samples(arm, task)


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
        # By name where two are as frequent, so that a table does not change from run to run.
        names = sorted(given, key=lambda name: (-share[name], name))[:TOP]
        if results.target in share and results.target not in names:
            names.append(results.target)
        # Shown in any case: a model that answers with its own name names no animal, which makes its shares low.
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
