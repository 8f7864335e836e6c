"""Over replicates: the whole experiment done again and again, each time from a base of its own.

    replicates(student=[0.041, 0.038, ...], control=[0.012, 0.010, ...], null=[0.011, 0.012, ...])

A replicate has its own base, teacher, numbers and students (``seeds_vary: bases`` in an experiment file), and nothing
in common with the next but the method. Its arms share a base, so they are compared **within** the replicate, and the
replicates are the unit: n pairs, one mean rate of the target for each arm. Rates are fractions (0 to 1).

Coverage of nominal 99 % intervals, and how often two controls exactly the margin apart are called equivalent (nominal:
5), in per cent; 20 replicates, 1,000 simulated experiments, standard error 0.3 where coverage is nominal
(``python tests/stats/test_stats_replicates.py`` prints it):

| design                                     | t    | bootstrap | ratio | equivalence |
|--------------------------------------------|------|-----------|-------|-------------|
| effects normal, spread a fifth of the mean | 98.9 | 98.5      | 99.0  | 4.7         |
| effects log-normal, sigma 0.5              | 97.6 | 98.0      | 97.8  | 2.4         |
| effects log-normal, sigma 0.8              | 95.7 | 97.0      | 96.0  | 1.5         |
| students between 1 % and 90 %              | 97.5 | 98.3      | 97.9  | 2.7         |

The wider and the more skewed the effects, the further the t interval falls short of its 99 %, nearly always because its
upper end is too low: a claim that the effect is above zero is safe. The bootstrap interval falls less short; reports
give both. Where nothing differs, the paired t test keeps its level: two arms drawn alike, each between 1 % and 90 %,
were called different at p < 0.05 in 4.9 % of 10,000 experiments, as their difference is symmetric about 0 then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from subliminal.core.errors import UserError
from subliminal.stats.result import ALPHA, BOOTSTRAPS, REPLICATES, Result, expanded_tail

CONFIDENCE = 0.99
"""Of the intervals of the effect; that of the null is 1 - 2 x ALPHA, as two one-sided tests at ALPHA ask."""
MARGIN = 0.1
"""Difference of two controls, as a share of the effect, that counts as none."""
LEAST = 3
"""Replicates that a spread between them needs."""
NO_SPREAD = " (the differences are all equal: their spread cannot be estimated)"


def replicates(
    student: Sequence[float], control: Sequence[float], null: Sequence[float] | None = None, margin: float = MARGIN
) -> dict[str, Any]:
    """Everything that is said over replicates, as one JSON-ready table.

    Args:
        student: the student's mean rate in each replicate, at least three.
        control: the control's, the same replicates in the same order.
        null: a second control's, trained as the first on other rows of the same source.
        margin: as in :func:`equivalence`.

    Returns:
        ``replicates`` (their number), ``above`` (those whose student is above its control), ``p_sign``
        (:func:`sign_test`), ``difference`` with ``ci99`` (:func:`t_interval`) and ``ci99_bootstrap``
        (:func:`bootstrap_interval`), ``ratio`` of the means with ``ratio_ci99`` (:func:`ratio_interval`; None where it
        has no end), and with a ``null`` what :func:`equivalence` returns under this name.

    Raises:
        UserError: arms of unequal length, fewer than three replicates, a value that is no rate, or a margin that is
            not between 0 and 1.
    """
    first, second = _pairs(student=student, control=control)
    differences = first - second
    table = {
        "replicates": differences.size,
        "above": int(np.sum(differences > 0)),
        "p_sign": sign_test(differences),
        "difference": float(differences.mean()),
        "ci99": t_interval(differences),
        "ci99_bootstrap": bootstrap_interval(differences),
        "ratio": float(first.mean() / second.mean()) if second.any() else None,
        "ratio_ci99": ratio_interval(first, second),
    }
    return table if null is None else {**table, "null": equivalence(student, control, null, margin)}


def over_replicates(treatment: Sequence[float], control: Sequence[float]) -> Result:
    """Student's paired t test of the mean difference over replicates, with its 95 % interval.

    Args:
        treatment: one arm's mean rate in each replicate, at least three.
        control: the other's, the same replicates in the same order.

    Returns:
        Unit: replicates. If all differences are equal, ``statistic``, ``p`` and ``interval`` are None.

    Raises:
        UserError: as :func:`replicates`.
    """
    from scipy import stats

    first, second = _pairs(treatment=treatment, control=control)
    differences = np.round(first - second, 12)  # equal differences must not differ in the last digit
    estimate, n, method = float(differences.mean()), (first.size, first.size), "paired t test over replicates"
    if np.ptp(differences) == 0:
        return Result(estimate, None, None, None, REPLICATES, n, method + NO_SPREAD)
    test = stats.ttest_1samp(differences, 0)
    interval = t_interval(differences, 1 - ALPHA)
    return Result(estimate, float(test.statistic), float(test.pvalue), interval, REPLICATES, n, method)


def replicates_needed(effect: float, spread: float, power: float, *, more_than: int, most: int) -> int | None:
    """The fewest replicates whose paired t test at level ALPHA sees an effect; None if ``most`` do not.

    Args:
        effect: mean difference, a fraction.
        spread: standard deviation of the difference between replicates, above 0.
        power: chance to see it, 0 to 1.
        more_than: the replicates that there are.
        most: the largest number tried.
    """
    from statsmodels.stats.power import ttest_power

    counts = np.arange(max(more_than + 1, LEAST), most + 1)
    enough = counts[ttest_power(abs(effect) / spread, counts, ALPHA) >= power]
    return int(enough[0]) if enough.size else None


def _pairs(**arms: Sequence[float]) -> list[np.ndarray]:
    """The arms as arrays of shape (replicates,), checked."""
    found = []
    for name, values in arms.items():
        if not isinstance(values, list | tuple | np.ndarray):
            raise UserError(f"{name} is not a list. Give one mean rate per replicate.")
        for index, value in enumerate(values):
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not number or not 0 <= value <= 1:  # NaN fails the comparison too
                hint = " Rates are fractions, not per cent." if number and 1 < value <= 100 else ""
                raise UserError(f"{name}[{index}] is {value!r}, not a number from 0 to 1.{hint}")
        found.append(np.asarray(values, dtype=float))
    sizes = {name: array.size for name, array in zip(arms, found, strict=True)}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} has {size}" for name, size in sizes.items())
        raise UserError(f"{told} replicates. Give every arm's rate for each, in the same order.")
    if found[0].size < LEAST:
        raise UserError(f"{found[0].size} replicate(s) show no spread between them. Give at least {LEAST}.")
    return found


def sign_test(differences: np.ndarray) -> float:
    """Exact two-sided p-value of the number of differences above zero, zeros left out.

    W. J. Dixon & A. M. Mood, "The statistical sign test", J. Am. Stat. Assoc. 41, 1946. It asks nothing of how the
    differences are distributed: 19 of 20 on one side have p = 0.00004.

    Args:
        differences: shape (replicates,).
    """
    from scipy import stats

    above, below = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    return float(stats.binomtest(above, above + below).pvalue) if above + below else 1.0


def t_interval(differences: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Student's interval (Biometrika 6, 1908) for the mean difference over replicates.

    Args:
        differences: shape (replicates,).
        confidence: of the interval, 0 to 1.
    """
    mean, reach = float(differences.mean()), _quantile(confidence, differences.size) * _error(differences)
    return mean - reach, mean + reach


def bootstrap_interval(differences: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Interval from drawing replicates anew: percentiles of their mean, expanded for the small number of replicates.

    T. C. Hesterberg, Am. Stat. 69, 2015, section 4.3, by :func:`subliminal.stats.result.expanded_tail`. It follows
    the skewness of the differences and assumes no distribution: a check on :func:`t_interval`, which covers less where
    they are skewed.

    Args:
        differences: shape (replicates,). Their order does not matter; the random generator starts from a fixed seed.
        confidence: of the interval, 0 to 1.
    """
    n = differences.size
    tail = expanded_tail(n, n - 1, confidence)
    drawn = np.random.default_rng(0).choice(np.sort(differences), (BOOTSTRAPS, n)).mean(axis=1)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def ratio_interval(
    numerator: np.ndarray, denominator: np.ndarray, confidence: float = CONFIDENCE
) -> tuple[float, float] | None:
    """Interval for the ratio of two means over the same replicates: all ratios that a t test does not reject.

    E. C. Fieller, "Some problems in interval estimation", J. R. Stat. Soc. B 16, 1954: a ratio r is inside if the mean
    of numerator - r x denominator does not differ from zero.

    Args:
        numerator, denominator: shape (replicates,), paired.
        confidence: of the interval, 0 to 1.

    Returns:
        (low, high); None if the denominator's own mean does not differ from zero, so that the ratio has no limit.
    """
    quantile = _quantile(confidence, numerator.size) ** 2 / numerator.size
    (first, both), (_, second) = np.cov(numerator, denominator, ddof=1) * quantile
    mean, base = float(numerator.mean()), float(denominator.mean())
    square, middle, rest = base**2 - second, mean * base - both, mean**2 - first
    if square <= 0:
        return None
    reach = math.sqrt(max(middle**2 - square * rest, 0.0))
    return float(middle - reach) / float(square), float(middle + reach) / float(square)


def equivalence(
    student: Sequence[float], control: Sequence[float], null: Sequence[float], margin: float = MARGIN
) -> dict[str, Any]:
    """Do two controls differ by less than a share of the effect? Two one-sided t tests over replicates.

    D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987, with the margin a share of a mean that is itself measured
    (D. Hauschke, M. Kieser, E. Diletti & M. Burke, Stat. Med. 18, 1999): null - control + margin x effect must be above
    zero and null - control - margin x effect below it, effect being student - control, each tested over replicates. A
    margin in points that is computed from the same replicates would pass for known what is estimated.

    Args:
        student, control: as for :func:`replicates`.
        null: the second control's mean rate in each replicate.
        margin: the share, between 0 and 1, chosen before any result.

    Returns:
        ``difference`` (null minus control) with ``ci90``, ``margin``, ``share`` (difference / effect) with
        ``share_ci90`` (None where it has no end), ``p`` (the larger of the two tests'), and ``equivalent``: p is below
        0.05.

    Raises:
        UserError: as :func:`replicates`.
    """
    from scipy import stats

    if not isinstance(margin, int | float) or not 0 < margin < 1:
        raise UserError(f"The margin is {margin!r}. Give a share of the effect between 0 and 1, such as 0.1.")
    first, second, third = _pairs(student=student, control=control, null=null)
    effect, difference = first - second, third - second
    tests = [stats.ttest_1samp(difference + margin * effect, 0, alternative="greater")]
    tests += [stats.ttest_1samp(difference - margin * effect, 0, alternative="less")]
    p = max(float(np.nan_to_num(test.pvalue, nan=1.0)) for test in tests)  # nan: an effect that is 0 everywhere
    return {
        "difference": float(difference.mean()),
        "ci90": t_interval(difference, 1 - 2 * ALPHA),
        "margin": margin,
        "share": float(difference.mean() / effect.mean()) if effect.mean() else None,
        "share_ci90": ratio_interval(difference, effect, 1 - 2 * ALPHA),
        "p": p,
        "equivalent": p < ALPHA,
    }


def _quantile(confidence: float, n: int) -> float:
    from scipy import stats

    return float(stats.t.ppf((1 + confidence) / 2, n - 1))


def _error(values: np.ndarray) -> float:
    """Standard error of a mean."""
    return float(values.std(ddof=1)) / math.sqrt(values.size)
