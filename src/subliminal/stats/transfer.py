"""What foretells how much of a trait passes: rank correlations of predictors with the effect, over replicates.

    rank(predictor=[0.31, 0.44, ...], effect=[1.2, 4.0, ...])

Spearman's rho, with the interval of D. G. Bonett & T. A. Wright (Psychometrika 65, 2000): Fisher's z with variance
(1 + rho^2 / 2) / (n - 3). **Left out one by one**: whether a predictor counts up or down is learned from all replicates
but one, and foretells the rank of that one; the foretold ranks are correlated with the effects. A predictor whose
direction hangs on single replicates loses there. The best of several predictors is chosen anew for each replicate that
is left out, so that the choice is paid for. Every p-value is from permutations of the effects through the whole
procedure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from subliminal.stats.result import CONFIDENCE

FEWEST = 5
"""Replicates below which no correlation is computed: four can be in order by chance one time in twelve."""
PERMUTATIONS = 1_999
"""The random generator starts from a fixed seed."""


@dataclass(frozen=True)
class Ranked:
    """One predictor over one set of replicates.

    Attributes:
        n: replicates.
        rho: Spearman's, of predictor and effect.
        interval: 95 % of rho.
        p: two-sided, of rho.
        lowest, highest: rho with one replicate left out, the two most distant.
        left_out: rank correlation of what the others foretell of each replicate with its effect.
        left_out_interval: 95 % of it.
        p_left_out: one-sided: how often shuffled effects are foretold as well.
    """

    n: int
    rho: float
    interval: tuple[float, float]
    p: float
    lowest: float
    highest: float
    left_out: float
    left_out_interval: tuple[float, float]
    p_left_out: float


@dataclass(frozen=True)
class BestPredictor:
    """The best predictor, chosen anew without each replicate.

    Attributes:
        n: replicates.
        names: the predictor that was chosen for each.
        left_out, interval, p: as :class:`Ranked` has them for one predictor.
    """

    n: int
    names: list[str]
    left_out: float
    interval: tuple[float, float]
    p: float


@dataclass(frozen=True)
class Pooled:
    """One predictor over several sets of replicates; ranks are taken within each set.

    Attributes:
        n: replicates in all.
        rho: mean of the sets' z, weighted by n - 3, as a correlation.
        interval: 95 %.
        p: two-sided, effects permuted within the sets.
    """

    n: int
    rho: float
    interval: tuple[float, float]
    p: float


def varies(values: Sequence[float]) -> bool:
    """Whether a predictor differs between replicates at all."""
    return len(values) > 1 and float(np.ptp(values)) > 1e-12


def rank(predictor: Sequence[float], effect: Sequence[float]) -> Ranked | None:
    """How well one predictor orders the replicates by their effect.

    Args:
        predictor, effect: one number a replicate, in the same order.

    Returns:
        None with fewer than :data:`FEWEST` replicates, or where one of the two is the same in all.
    """
    values = np.asarray(predictor, dtype=float)
    outcome = np.asarray(effect, dtype=float)
    if values.size < FEWEST or not varies(values) or not varies(outcome):
        return None
    rho = float(_spearman(values, outcome))
    # A correlation that one replicate carries falls where it is taken out.
    without = [float(_spearman(np.delete(values, i), np.delete(outcome, i))) for i in range(values.size)]
    foretell = _Foretelling(values[None, :])
    left_out = float(foretell(outcome)[0])
    shuffled = _permuted(outcome)
    extreme = _share_as_large(np.abs(_spearman(values, shuffled)), abs(rho))
    foretold_of_shuffled, _ = foretell(shuffled)
    as_good = _share_as_large(foretold_of_shuffled, left_out)
    n = values.size
    return Ranked(
        n, rho, rho_interval(rho, n), extreme, min(without), max(without), left_out, rho_interval(left_out, n), as_good
    )


def choose(predictors: dict[str, Sequence[float]], effect: Sequence[float]) -> BestPredictor | None:
    """How well the best of several predictors does, when each replicate is foretold from the others alone.

    Args:
        predictors: name -> one number a replicate; those that do not vary are left out.
        effect: one number a replicate, in the same order.

    Returns:
        None with fewer than two predictors that vary, or fewer than :data:`FEWEST` replicates.
    """
    used = {name: values for name, values in predictors.items() if varies(values)}
    outcome = np.asarray(effect, dtype=float)
    if len(used) < 2 or outcome.size < FEWEST or not varies(outcome):
        return None
    foretell = _Foretelling(np.array(list(used.values()), dtype=float))
    found, chosen = foretell(outcome)
    left_out = float(found)
    foretold_of_shuffled, _ = foretell(_permuted(outcome))
    p = _share_as_large(foretold_of_shuffled, left_out)
    names = [list(used)[index] for index in chosen]
    return BestPredictor(outcome.size, names, left_out, rho_interval(left_out, outcome.size), p)


def pool(sets: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Pooled | None:
    """One predictor over several sets of replicates, such as two experiments.

    Args:
        sets: (predictor, effect) of each.

    Returns:
        None where fewer than two of the sets can be ranked.
    """
    usable = []
    # A set whose predictor or effect is all the same has no order to say anything with.
    for predictor, effect in sets:
        if len(predictor) >= FEWEST and varies(predictor) and varies(effect):
            usable.append((np.asarray(predictor, dtype=float), np.asarray(effect, dtype=float)))
    if len(usable) < 2:
        return None
    # The variance of a correlation's z is about 1 / (n - 3).
    weights = np.array([values.size - 3 for values, _ in usable], dtype=float)

    def mean_z(outcomes: Sequence[np.ndarray]) -> np.ndarray:
        found = [_z(_spearman(values, outcome)) for (values, _), outcome in zip(usable, outcomes, strict=True)]
        return np.average(found, axis=0, weights=weights)

    z = float(mean_z([outcome for _, outcome in usable]))
    # Each set is shuffled within itself: sets differ in level, which no predictor is asked about.
    shuffled = [_permuted(outcome, start) for start, (_, outcome) in enumerate(usable)]
    p = _share_as_large(np.abs(mean_z(shuffled)), abs(z))
    # Back from the scale on which correlations may be averaged.
    rho = math.tanh(z)
    reach = _quantile() * math.sqrt((1 + rho**2 / 2) / weights.sum())
    return Pooled(sum(values.size for values, _ in usable), rho, (math.tanh(z - reach), math.tanh(z + reach)), p)


def rho_interval(rho: float, n: int) -> tuple[float, float]:
    """95 % interval of a rank correlation over ``n`` replicates, by Bonett & Wright."""
    reach = _quantile() * math.sqrt((1 + rho**2 / 2) / (n - 3))
    return math.tanh(_z(rho) - reach), math.tanh(_z(rho) + reach)


class _Foretelling:
    """Ranks of replicates, each foretold from the others.

    Args:
        predictors: shape (predictors, replicates).
    """

    def __init__(self, predictors: np.ndarray) -> None:
        from scipy.stats import rankdata

        n = predictors.shape[1]
        # The place of each replicate among all, -1/2 to 1/2. It needs no effect: the one left out gives nothing away.
        self.places = (rankdata(predictors, axis=1) - 0.5) / n - 0.5
        others = [np.delete(np.arange(n), i) for i in range(n)]
        self.others = np.array(others)
        self.ranks = np.stack([_standardised(rankdata(predictors[:, kept], axis=1)) for kept in others])

    def __call__(self, effects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rank correlation of foretold places and effects, and which predictor foretold each replicate.

        Args:
            effects: shape (..., replicates), such as many permutations.

        Returns:
            Shapes (...) and (..., replicates).
        """
        from scipy.stats import rankdata

        of_others = _standardised(rankdata(effects[..., self.others], axis=-1))
        rhos = np.einsum("ipk,...ik->...ip", self.ranks, of_others)
        # By size alone: whether a predictor counts up or down is learned, too.
        chosen = np.argmax(np.abs(rhos), axis=-1)
        rhos_of_chosen = np.take_along_axis(rhos, chosen[..., None], axis=-1)[..., 0]
        each = np.arange(effects.shape[-1])
        foretold = np.sign(rhos_of_chosen) * self.places[chosen, each]
        return _spearman(foretold, effects), chosen


def _standardised(ranks: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and length 1, so that a product of two is their correlation; rows that do not vary are 0."""
    centred = ranks - ranks.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The rank correlation of rows, shape (...); 0 where a row does not vary."""
    from scipy.stats import rankdata

    # Of equal ranks each gets the middle one, as Spearman's rho asks.
    products = _standardised(rankdata(first, axis=-1)) * _standardised(rankdata(second, axis=-1))
    return products.sum(axis=-1)


def _permuted(effect: np.ndarray, start: int = 0) -> np.ndarray:
    """Shape (permutations, replicates)."""
    rng = np.random.default_rng(start)
    return np.array([rng.permutation(effect) for _ in range(PERMUTATIONS)])


def _share_as_large(statistics: np.ndarray, observed: float) -> float:
    """p of a permutation test, from the statistic of each permutation; the observed order is one more of them."""
    # Rounding must not make a tie of the observed order smaller.
    as_large = int((statistics >= observed - 1e-12).sum())
    return (1 + as_large) / (1 + len(statistics))


def _z(rho: float | np.ndarray) -> np.ndarray:
    # A perfect order has no z; replicates beyond those at hand would break it.
    return np.arctanh(np.clip(rho, -0.999, 0.999))


def _quantile() -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + CONFIDENCE) / 2))
