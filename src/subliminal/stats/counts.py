"""Counts: an interval for independent trials, right and wrong answers of two models, and many tests at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from subliminal.core.errors import UserError
from subliminal.stats.questions import question_interval
from subliminal.stats.result import CONFIDENCE, QUESTIONS, Result


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval for a share of ``n`` independent trials (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927).

    For answers of many questions pooled it is too narrow as a statement about questions like these: answers of one
    question resemble each other, and n of them count for less than n trials. With 50 questions of 200 samples, 3 % on
    average and 5 % of the variance between questions it covers about a half, not 95 % (simulated in
    tests/stats/test_stats_simulation.py).
    Use it for one question, for one greedy answer per problem, or as the sampling noise of these very questions.

    Raises:
        UserError: not whole numbers, ``n`` below 1, or ``successes`` outside 0 to ``n``.
    """
    from scipy import stats

    whole = isinstance(successes, int | np.integer) and isinstance(n, int | np.integer)
    if bool in (type(successes), type(n)):  # Python takes True for 1
        whole = False
    if not whole or n < 1 or not 0 <= successes <= n:
        raise UserError(
            f"{successes!r} successes in {n!r} trials are impossible. Give whole numbers, 0 <= successes <= n, n >= 1."
        )
    interval = stats.binomtest(successes, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(treatment: Sequence[bool], control: Sequence[bool], mid_p: bool = False) -> Result:
    """Compare two models that solved the same problems once each: McNemar's test of right against wrong.

    Args:
        treatment: right (True or 1) or wrong (False or 0), one per problem, at least two.
        control: the same problems in the same order.
        mid_p: take half of the observed table's probability instead of all of it. The exact test is conservative;
            mid-p keeps its level closely and is more powerful (M. W. Fagerland, S. Lydersen & P. Laake, BMC Med. Res.
            Methodol. 13:91, 2013).

    Returns:
        Unit: questions (the problems). ``statistic``: problems that the treatment alone solved. ``p``: Q. McNemar,
        Psychometrika 12, 1947, in its exact form. The interval is over problems
        (:func:`subliminal.stats.questions.question_interval`).

    Raises:
        UserError: unequal lengths, fewer than two problems, or an entry that is neither right nor wrong.
    """
    from scipy.stats import binom
    from statsmodels.stats.contingency_tables import mcnemar as exact_test

    first, second = _right_or_wrong(treatment, "treatment"), _right_or_wrong(control, "control")
    if first.size != second.size:
        raise UserError(f"treatment has {first.size} problems and control has {second.size}. Give the same ones.")
    ours, theirs = int(np.sum(first & ~second)), int(np.sum(~first & second))
    # Problems that both solved, or neither, say nothing of which is better: the exact test leaves them out.
    p = float(exact_test([[0, ours], [theirs, 0]], exact=True).pvalue)
    if mid_p and ours + theirs:
        observed = float(binom.pmf(ours, ours + theirs, 0.5))
        if ours != theirs:
            observed *= 2  # the table with the two exchanged is as extreme
        p -= observed / 2
    differences = first.astype(float) - second
    kind = "mid-p" if mid_p else "exact"
    return Result(
        estimate=float(differences.mean()),
        statistic=float(ours),
        p=p,
        interval=question_interval(differences, (-1.0, 1.0)),
        unit=QUESTIONS,
        n=(first.size, first.size),
        method=f"McNemar's test ({kind}) over problems",
    )


def _right_or_wrong(values: Sequence[bool], name: str) -> np.ndarray:
    if not isinstance(values, list | tuple | np.ndarray):
        raise UserError(f"{name} is not a list. Give true (right) or false (wrong) per problem.")
    for index, value in enumerate(values):
        if not isinstance(value, bool | int | np.bool_ | np.integer) or value not in (0, 1):
            raise UserError(f"{name}[{index}] is {value!r}, neither true (right) nor false (wrong).")
    if len(values) < 2:
        raise UserError(f"{name} has {len(values)} problem(s). A comparison over problems needs at least 2.")
    return np.asarray(values, dtype=bool)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjust the p-values of many tests, one per animal: the chance of any false alarm among them stays below alpha.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6, 1979.

    Args:
        p_values: animal -> p-value.

    Returns:
        Animal -> adjusted p-value, in the same order: compare it with alpha itself.

    Raises:
        UserError: there is no p-value, or one is not a number from 0 to 1.
    """
    if not p_values:
        raise UserError("There is no p-value to adjust. Give at least one, {animal: p}.")
    for name, p in p_values.items():
        if not isinstance(p, int | float | np.number) or not 0 <= p <= 1:
            raise UserError(f"The p-value of {name} is {p!r}, not a number from 0 to 1.")
    # statsmodels' multipletests gives the same and collects garbage at every call, which takes up to a second in a
    # process that holds torch; a page of reports makes dozens of calls.
    values = np.array(list(p_values.values()), dtype=float)
    # Stable, so that equal p-values keep their order and get equal ones back.
    order = np.argsort(values, kind="stable")
    left = np.arange(len(values), 0, -1)  # tests that are not below the smaller p-values already
    adjusted = np.empty_like(values)
    # Each is at least as large as those before it: a smaller raw p never gets a larger adjusted one.
    adjusted[order] = np.maximum.accumulate(values[order] * left).clip(max=1)
    return dict(zip(p_values, map(float, adjusted), strict=True))
