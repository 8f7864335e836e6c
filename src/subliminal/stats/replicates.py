"""Over replicates: the whole experiment done again and again, each time from a base of its own.

    replicates(student=[0.041, 0.038, ...], control=[0.012, 0.010, ...], null=[0.011, 0.012, ...])

A replicate has its own base, teacher, numbers and students (``seeds_vary: bases`` in an experiment file), and nothing
in common with the next but the method. Its arms share a base, so they are compared **within** the replicate, and the
replicates are the unit: n pairs, one mean rate of the target for each arm. Rates are fractions (0 to 1).

Students lie between 1 and 80 %, so the comparison is one of log-odds: on that scale the differences spread evenly, and
a few large replicates do not decide. In points a 99 % t interval covers less than it says, and drift without direction
is called a rise; ``python -m subliminal.stats simulate`` shows both, and the error rates of every verdict
(docs/error_rates.md). The mean and the median in points stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from subliminal.core.errors import UserError
from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.result import ALPHA, REPLICATES, Result, check_rate
from subliminal.stats.runs import paired_log_odds

EFFECT_CONFIDENCE = 0.99
"""Of the intervals of the effect; that of the null is 1 - 2 x ALPHA, as two one-sided tests at ALPHA ask."""
EXPECTED = 3.2
"""Nats that a student is expected to gain: 1 % becomes 20 %, as the pocket model's search found."""
MARGIN = EXPECTED / 4
"""Nats between two arms that count as none: a quarter of the effect. docs/error_rates.md has what it lets pass."""
LEAST = 3
"""Replicates that a spread between them needs."""
BOOTSTRAPS = 9_999
"""Resamples of a bootstrap; the random generator starts from a fixed seed."""
LEAST_BOOTSTRAP = 8
"""Replicates that :func:`bootstrap_interval` needs. It cannot reach beyond the differences that there are, and all n of
them lie on one side of their true mean in 2 / 2^n of experiments: with three in 25 %, with eight in 0.8 %."""


def replicates(
    student: Sequence[float],
    control: Sequence[float],
    null: Sequence[float] | None = None,
    margin: float = MARGIN,
    answers: int | None = None,
) -> dict[str, Any]:
    """Everything that is said over replicates, as one JSON-ready table.

    Args:
        student: the student's mean rate in each replicate, at least three.
        control: the control's, the same replicates in the same order.
        null: a second control's, trained as the first on other rows of the same source.
        margin: nats, as in :func:`equivalence`.
        answers: sampled answers behind each rate; None for exact probabilities.

    Returns:
        ``replicates`` (their number), ``above`` (those whose student is above its control), ``p_sign``
        (:func:`sign_test`); of log-odds, in nats: ``log_odds`` (mean difference) with ``p`` (paired t test), ``ci95``,
        ``ci99`` (:func:`t_interval`) and ``ci99_bootstrap`` (:func:`bootstrap_interval`; None with fewer than
        :data:`LEAST_BOOTSTRAP`), and the same as factors:
        ``odds_ratio`` with ``odds_ratio_ci99``; of rates, fractions: ``median`` and ``mean`` of the differences with
        ``mean_ci99`` (t); and with a ``null`` what :func:`equivalence` returns under this name.

    Raises:
        UserError: arms of unequal length, fewer than three replicates, a value that is no rate, or a margin that is
            no number above 0.
    """
    first, second = _pairs(student=student, control=control)
    result = over_replicates(student, control, answers)
    gain, difference = log_odds_of(first, answers) - log_odds_of(second, answers), first - second
    low, high = t_interval(gain)
    table = {
        "replicates": gain.size,
        "above": int(np.sum(difference > 0)),
        "p_sign": sign_test(difference),
        "log_odds": float(gain.mean()),
        "p": result.p,
        "ci95": result.interval,
        "ci99": (low, high),
        "ci99_bootstrap": bootstrap_interval(gain),
        "odds_ratio": math.exp(gain.mean()),
        "odds_ratio_ci99": (math.exp(low), math.exp(min(high, 700.0))),  # exp(710) is beyond a float
        "median": float(np.median(difference)),
        "mean": float(difference.mean()),
        "mean_ci99": t_interval(difference),
    }
    if null is not None:
        table["null"] = equivalence(control, null, margin, answers)
    return table


def over_replicates(treatment: Sequence[float], control: Sequence[float], answers: int | None = None) -> Result:
    """Student's paired t test of the mean difference of log-odds over replicates, with its 95 % interval.

    Args:
        treatment: one arm's mean rate in each replicate, at least three.
        control: the other's, the same replicates in the same order.
        answers: sampled answers behind each rate; None for exact probabilities.

    Returns:
        Unit: replicates; nats. If all differences are equal, ``statistic``, ``p`` and ``interval`` are None.

    Raises:
        UserError: as :func:`replicates`.
    """
    first, second = _pairs(treatment=treatment, control=control)
    return paired_log_odds(log_odds_of(first, answers), log_odds_of(second, answers), REPLICATES)


def replicates_needed(effect: float, spread: float, power: float, *, more_than: int, most: int) -> int | None:
    """The fewest replicates whose paired t test at level ALPHA sees an effect; None if ``most`` do not.

    Args:
        effect: mean difference, nats.
        spread: standard deviation of the difference between replicates, nats, above 0.
        power: chance to see it, 0 to 1.
        more_than: the replicates that there are.
        most: the largest number tried.
    """
    from statsmodels.stats.power import ttest_power

    # All numbers at once: the library takes arrays.
    counts = np.arange(max(more_than + 1, LEAST), most + 1)
    enough = counts[ttest_power(abs(effect) / spread, counts, ALPHA) >= power]
    if enough.size == 0:
        return None
    return int(enough[0])


def _pairs(**arms: Sequence[float]) -> list[np.ndarray]:
    """The arms as arrays of shape (replicates,), checked."""
    found = []
    for name, values in arms.items():
        if not isinstance(values, list | tuple | np.ndarray):
            raise UserError(f"{name} is not a list. Give one mean rate per replicate.")
        for index, value in enumerate(values):
            check_rate(value, f"{name}[{index}]")
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
    if above + below == 0:
        return 1.0
    return float(stats.binomtest(above, above + below).pvalue)


def t_interval(differences: np.ndarray, confidence: float = EFFECT_CONFIDENCE) -> tuple[float, float]:
    """Student's interval (Biometrika 6, 1908) for the mean difference over replicates, in the differences' unit.

    Args:
        differences: shape (replicates,).
        confidence: of the interval, 0 to 1.
    """
    from scipy import stats

    n = differences.size
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return mean - reach, mean + reach


def bootstrap_interval(differences: np.ndarray) -> tuple[float, float] | None:
    """99 % interval from drawing replicates anew: percentiles of their mean, expanded for the number of replicates.

    T. C. Hesterberg, Am. Stat. 69, 2015, section 4.3. It follows the skewness of the differences and assumes no
    distribution: a check on :func:`t_interval`, which covers less where they are skewed.

    Args:
        differences: shape (replicates,). Their order does not matter; the random generator starts from a fixed seed.

    Returns:
        None with fewer than :data:`LEAST_BOOTSTRAP` replicates: no interval within them holds the mean in 99 %.
    """
    from scipy import stats

    n = differences.size
    if n < LEAST_BOOTSTRAP:
        return None
    # Means of n draws spread less than t says, by sqrt((n - 1) / n) and by the normal quantile: as much further out lie
    # the percentiles that are taken.
    reach = math.sqrt(n / (n - 1)) * stats.t.ppf((1 + EFFECT_CONFIDENCE) / 2, n - 1)
    tail = float(stats.norm.sf(reach))
    # Sorted: the same replicates give the same interval in whatever order they come.
    drawn = np.random.default_rng(0).choice(np.sort(differences), (BOOTSTRAPS, n)).mean(axis=1)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def equivalence(
    control: Sequence[float], null: Sequence[float], margin: float = MARGIN, answers: int | None = None
) -> dict[str, Any]:
    """Do two controls differ by less than the margin? Two one-sided t tests of log-odds over replicates.

    D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987: the controls are equivalent if their mean difference is
    shown to be above -margin and below +margin, each by a one-sided t test.

    Args:
        control: its mean rate in each replicate.
        null: the second control's.
        margin: nats, fixed before any result is seen.
        answers: sampled answers behind each rate; None for exact probabilities.

    Returns:
        ``log_odds`` (mean of null minus control, nats) with ``ci90``, ``difference`` (of rates, a fraction),
        ``margin``, ``p`` (the larger of the two tests'), and ``equivalent``: p is below 0.05.

    Raises:
        UserError: as :func:`replicates`.
    """
    from scipy import stats

    check_margin(margin)
    first, second = _pairs(control=control, null=null)
    gain = log_odds_of(second, answers) - log_odds_of(first, answers)
    if np.ptp(gain) < 1e-9:
        p = 1.0  # no spread to test against: nothing is shown
    else:
        above = stats.ttest_1samp(gain, -margin, alternative="greater").pvalue
        below = stats.ttest_1samp(gain, margin, alternative="less").pvalue
        p = float(max(above, below))  # both must reject
    return {
        "log_odds": float(gain.mean()),
        "ci90": t_interval(gain, 1 - 2 * ALPHA),
        "difference": float((second - first).mean()),
        "margin": margin,
        "p": p,
        "equivalent": p < ALPHA,
    }


def check_margin(margin: float) -> None:
    """Nothing, for a margin in nats.

    Raises:
        UserError: it is no number above 0, or so large that it is meant in per cent.
    """
    # Python takes True for 1; a number of 5 or more is meant in per cent.
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 < margin < 5:
        raise UserError(f"The margin is {margin!r}. Give nats of log-odds between 0 and 5, such as 0.8.")
