"""Over questions: do these two models differ? One rate per question goes in, and questions are the unit.

Samples of one question resemble each other, so the question and not the answer is what counts as independent. Nothing
here says what another training run would do: for that see :mod:`subliminal.stats.runs`.

**Which interval.** Rates of a rare answer are skewed and full of zeros, and a plain t interval covers too little there.
:func:`question_interval` is the union of the t interval with Hall's transformation of it, which undoes the skewness
(P. Hall, "On the removal of skewness by transformation", J. R. Stat. Soc. B 54, 1992). Where the questions do not
differ at all, it asks instead how many unlike questions a sample of this size could have missed.

Coverage in per cent of nominal 95 % intervals for a mean difference, 4,000 simulated experiments a cell
(``python tests/stats/test_stats.py`` prints it; standard error 0.4, where coverage is low 0.8):

| design (see the test)                | 10 questions   | 20             | 50             |
|--------------------------------------|----------------|----------------|----------------|
| student 5 %, control 1 %, skewed     | 92.8 (t: 88.7) | 94.1 (t: 91.5) | 95.5 (t: 93.6) |
| one question in ten moves            | 97.2 (t: 53.0) | 95.3 (t: 71.1) | 96.6 (t: 83.5) |
| no effect, skewed, 3 %               | 98.2 (t: 98.2) | 96.4 (t: 96.4) | 95.2 (t: 95.2) |
| teacher 95 % against control 1 %     | 97.4 (t: 91.5) | 96.0 (t: 92.7) | 96.4 (t: 94.5) |
| exact probabilities, long tail       | 92.7 (t: 90.5) | 93.0 (t: 91.6) | 93.7 (t: 92.2) |
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from subliminal.core.errors import UserError
from subliminal.stats.result import CONFIDENCE, QUESTIONS, Result, question_rates

EXACT_UP_TO = 20
"""Differences other than zero up to which all 2^n patterns of signs are tried."""
RESAMPLES = 99_999
"""Random patterns of signs beyond that."""


def over_questions(treatment: Sequence[float], control: Sequence[float], method: str = "permutation") -> Result:
    """Test whether two models that answered the same questions differ.

    Args:
        treatment: one rate per question, fractions 0 to 1, at least two.
        control: the same questions in the same order.
        method: "permutation" (:func:`sign_flip_test`; statistic: the mean difference), "t" (paired t test: Student,
            Biometrika 6, 1908) or "wilcoxon" (signed ranks, zeros dropped: Wilcoxon, Biometrics Bulletin 1, 1945; it is
            about ranks and not about the mean: where one question in ten rises by nine points and the others fall by
            one, it calls 13 % of simulated experiments with 50 questions significant, the other two 7 %).

    Returns:
        Unit: questions. The interval is :func:`question_interval` whatever the method. Differences that are all zero
        give p = 1; a constant difference other than zero gives p = 0 with "t", its limit for a vanishing spread.

    Raises:
        UserError: unequal lengths, fewer than two questions, a value that is not a number from 0 to 1, or a method
            that does not exist.
    """
    differences = _differences(treatment, control)
    statistic, p = _test(differences, method)
    return Result(
        estimate=float(differences.mean()),
        statistic=statistic,
        p=p,
        interval=question_interval(differences, (-1.0, 1.0)),
        unit=QUESTIONS,
        n=(differences.size, differences.size),
        method=f"{METHODS[method]} over questions",
    )


METHODS = {"permutation": "paired permutation test", "t": "paired t test", "wilcoxon": "Wilcoxon signed-rank test"}


def paired(treatment: Sequence[float], control: Sequence[float]) -> dict[str, Any]:
    """All three tests of :func:`over_questions` as one JSON-ready table.

    Returns:
        ``difference`` (mean of treatment minus control), ``ci95`` (low, high), ``p_permutation``, ``p_t``,
        ``p_wilcoxon`` and ``unit`` ("questions").

    Raises:
        UserError: see :func:`over_questions`.
    """
    differences = _differences(treatment, control)
    low, high = question_interval(differences, (-1.0, 1.0))
    p_values = {f"p_{method}": _test(differences, method)[1] for method in METHODS}
    return {"difference": float(differences.mean()), "ci95": [low, high], **p_values, "unit": QUESTIONS}


def _differences(treatment: Sequence[float], control: Sequence[float]) -> np.ndarray:
    first, second = question_rates(treatment, "treatment"), question_rates(control, "control")
    if first.size != second.size:
        raise UserError(
            f"treatment has {first.size} rates and control has {second.size}. "
            "A paired test needs one rate per question from both, in the same order."
        )
    # 12 decimals, so that 0.15 - 0.10 and 0.10 - 0.05 are the tie that they are.
    return np.round(first - second, 12)


def _test(differences: np.ndarray, method: str) -> tuple[float | None, float]:
    """Statistic and two-sided p-value of one method."""
    from scipy import stats

    if method not in METHODS:
        raise UserError(f"There is no method {method!r} over questions. Choose one of {', '.join(METHODS)}.")
    if method == "permutation":
        return float(differences.mean()), sign_flip_test(differences)
    if not differences.any():
        return 0.0, 1.0
    if method == "t":
        # The limit: scipy would divide by a spread of 0.
        if np.ptp(differences) == 0:
            return None, 0.0
        test = stats.ttest_1samp(differences, 0.0)
    else:
        test = stats.wilcoxon(differences)
    return float(test.statistic), float(test.pvalue)


def sign_flip_test(differences: np.ndarray) -> float:
    """Two-sided p-value of the mean difference under random signs, which the null makes as likely as the observed ones.

    Exact up to 20 differences other than zero, else 99,999 random flips from a fixed seed and the observed one
    (R. A. Fisher, "The Design of Experiments", 1935, section 21; counting the observed one: B. Phipson & G. K. Smyth,
    Stat. Appl. Genet. Mol. Biol. 9, 2010). scipy's ``permutation_test`` gives the same p-values (tested); this
    enumerates a million patterns in milliseconds, and the order of the questions does not change a random result.

    Args:
        differences: shape (questions,). Their order and a change of all signs leave the result as it is.
    """
    sizes = np.sort(np.abs(differences[differences != 0]))  # in an order that does not hang on the questions'
    observed = abs(float(differences.sum())) - 1e-9  # rounding must not turn a tie into a smaller sum
    if sizes.size <= EXACT_UP_TO:
        # The sums of all 2^n patterns of signs: each size doubles them.
        sums = np.zeros(1)
        for size in sizes:
            sums = np.concatenate([sums - size, sums + size])
        return float(np.mean(np.abs(sums) >= observed))
    rng, extreme, left = np.random.default_rng(0), 0, RESAMPLES
    while left:
        flips = min(left, 1 + 1_000_000 // sizes.size)  # blocks of 8 MB
        # 0 and 1 for - and +: 2 x the sum of those with 1, less the sum of all, is the signed sum.
        signs = rng.integers(0, 2, (flips, sizes.size), dtype=np.int8)
        extreme += int(np.count_nonzero(np.abs(2 * (signs @ sizes) - sizes.sum()) >= observed))
        left -= flips
    return (extreme + 1) / (RESAMPLES + 1)


def question_interval(values: Sequence[float] | np.ndarray, bounds: tuple[float, float]) -> tuple[float, float]:
    """95 % interval for the mean over questions like these, from the spread between the questions.

    Args:
        values: one number per question, at least two.
        bounds: the least and greatest value possible; the interval stays inside.

    Returns:
        (low, high), never narrower than the t interval except where ``bounds`` cut it. If all n values equal c, up to
        q = 1 - 0.025 ** (1 / n) of all questions may be unlike them without one in the sample (Clopper-Pearson at 0
        of n), and the interval reaches from c to where q of the questions at either bound would pull the mean: wide,
        and all that such data say.
    """
    from scipy import stats

    values = np.asarray(values, dtype=float)
    n, mean, spread = values.size, float(values.mean()), float(values.std(ddof=1))
    if np.ptp(values) < 1e-12:
        unseen = 1 - ((1 - CONFIDENCE) / 2) ** (1 / n)  # Clopper-Pearson's upper end for 0 of n
        return tuple(mean + unseen * (bound - mean) for bound in bounds)
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) / math.sqrt(n)
    skewness = float(stats.skew(values, bias=n < 3))  # the unbiased one divides by n - 2
    # At each end the further of the two intervals counts.
    low = mean - spread * max(reach, _undo_skewness(reach, skewness, n))
    high = mean + spread * max(reach, -_undo_skewness(-reach, skewness, n))
    return max(low, bounds[0]), min(high, bounds[1])


def _undo_skewness(quantile: float, skewness: float, n: int) -> float:
    """Hall's inverse transformation: a quantile of (mean - true mean) / spread from that of symmetric data."""
    # Without skewness it divides by 0, and in the limit changes nothing.
    if abs(skewness) < 1e-6:
        return quantile
    return 3 / skewness * (math.cbrt(1 + skewness * (quantile - skewness / (6 * n))) - 1)


def mean_ci(rates: Sequence[float], samples_per_question: int | None = None) -> tuple[float, float]:
    """95 % interval for an arm's mean rate over questions, inside 0 to 1.

    Args:
        rates: one rate per question, fractions, at least two.
        samples_per_question: answers behind each rate. With it the interval is at least as wide as the
            Clopper-Pearson interval of all answers pooled (C. J. Clopper & E. S. Pearson, Biometrika 26, 1934), so an
            arm that never gave the answer in N samples gets the upper limit 3.7 / N and not 0 (for these very
            questions). None for exact probabilities, where the spread between questions is all there is.

    Raises:
        UserError: see :func:`over_questions`.
    """
    values = question_rates(rates, "rates")
    if samples_per_question is None:
        return question_interval(values, (0.0, 1.0))
    from scipy import stats

    answers = values.size * samples_per_question
    # Rates are counts divided by the samples, so that their mean gives the count back.
    pooled = stats.binomtest(round(float(values.mean()) * answers), answers).proportion_ci(CONFIDENCE, method="exact")
    # Equal rates show no spread between questions: the pooled answers are all that says anything.
    if np.ptp(values) < 1e-12:
        return float(pooled.low), float(pooled.high)
    low, high = question_interval(values, (0.0, 1.0))
    return min(low, float(pooled.low)), max(high, float(pooled.high))


def specificity(target: Sequence[float], others: Mapping[str, Sequence[float]]) -> Result:
    """Is the target's rise its own? The target student's rate minus the mean of the other animals' students.

    All are rates of the *same* animal: how often the owl student says owl, and how often the cat and dog students do.
    What any training on numbers does to owl is in both and cancels (the contrast is that of A. Cloud et al.,
    arXiv 2507.14805, 2025; test and interval are those of :func:`over_questions` with method "permutation").

    Args:
        target: the target animal's rate per question in its own student.
        others: animal -> the target animal's rate per question in that animal's student, same questions and order.

    Returns:
        Unit: questions. For a claim about training data see :func:`subliminal.stats.runs.specificity_over_runs`.

    Raises:
        UserError: there is no other student; else see :func:`over_questions`.
    """
    own = question_rates(target, "target")
    if not isinstance(others, Mapping) or not others:
        raise UserError("others names no student of another animal. Give at least one, {animal: rates per question}.")
    rates = {animal: question_rates(values, f"others[{animal!r}]") for animal, values in others.items()}
    for animal, values in rates.items():
        if values.size != own.size:
            raise UserError(f"target has {own.size} questions and others[{animal!r}] has {values.size}. Ask the same.")
    return over_questions(own, np.mean(list(rates.values()), axis=0))
