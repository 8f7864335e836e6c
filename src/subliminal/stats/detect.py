"""Which trait a data set would teach: scores of traits, held against those of neutral sets.

    judged = calibrate(scores, neutral)          # scores: trait -> number, neutral: the same of every neutral set
    judged.ranking[0], judged.p

Every set, the suspect one and each neutral one alike, is held against all the others: z = (score - their mean, trait by
trait) / their standard deviation, one for all traits. A spread of its own would put traits first that vary little over
neutral sets, rather than those that the set moves most. The statistic of a set is its largest z, and p is the share of
sets whose statistic is at least the suspect's, itself counted. If the suspect set is one more neutral set, no order of
them is likelier than another, so that p is at most alpha with probability alpha, however the scores are distributed
(V. Vovk, A. Gammerman & G. Shafer, "Algorithmic Learning in a Random World", 2005) and however many traits are asked
about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from subliminal.stats.result import ALPHA
from subliminal.stats.wording import CANNOT_TELL

LEAST_NEUTRAL = 19
"""Neutral sets below which no p-value can reach 0.05: the smallest is 1 / (sets + 1)."""
SURE = 0.95
"""How often the first trait must stay first when the rows are drawn anew, for the verdict to name it alone."""
DRAWS = 999
TEACHES, WHICH = "teaches", "teaches, cannot tell which"


@dataclass(frozen=True)
class TraitScore:
    """One trait. ``p`` is adjusted for the number of traits: against the largest z of each neutral set."""

    trait: str
    score: float
    z: float
    p: float


@dataclass(frozen=True)
class Calibrated:
    """All traits of the suspect set.

    Attributes:
        ranking: from the largest z on.
        neutral: how many sets it is held against.
        largest: the largest z of each of those.
    """

    ranking: list[TraitScore]
    neutral: int
    largest: list[float]

    @property
    def p(self) -> float:
        """Of the first trait, which is that of the whole set."""
        return self.ranking[0].p

    @property
    def smallest_p(self) -> float:
        """What p could be at best."""
        return 1 / (self.neutral + 1)


@dataclass(frozen=True)
class TraitVerdict:
    """``word`` is :data:`TEACHES`, :data:`WHICH` or :data:`CANNOT_TELL`; ``traits`` are those that it names."""

    word: str
    traits: list[str]
    sentence: str


def calibrate(scores: dict[str, float], neutral: Sequence[dict[str, float]]) -> Calibrated:
    """Hold the scores of a set against those of neutral sets.

    Args:
        scores: trait -> score of the suspect set.
        neutral: the same of each neutral set, two at least.
    """
    traits = list(scores)
    sets = score_table((scores, *neutral), traits)
    z = np.array([_standardised(sets, index) for index in range(len(sets))])
    largest = z[1:].max(axis=1)  # of each neutral set, the suspect one among its others
    found = []
    for place, trait in enumerate(traits):
        # The suspect set counts among the sets, so that p is never 0.
        p = (1 + int(np.sum(largest >= z[0, place]))) / (1 + len(neutral))
        found.append(TraitScore(trait, scores[trait], float(z[0, place]), p))
    found.sort(key=lambda each: -each.z)
    return Calibrated(found, len(neutral), largest.tolist())


def score_table(sets: Sequence[dict[str, float]], traits: Sequence[str]) -> np.ndarray:
    """Scores of sets, shape (sets, traits), the traits in this order."""
    rows = []
    for scores in sets:
        rows.append([scores[trait] for trait in traits])
    return np.array(rows)


def _standardised(sets: np.ndarray, index: int) -> np.ndarray:
    """The scores of one set against all others."""
    return _z(sets[index], np.delete(sets, index, axis=0))


def _z(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Scores, shape (..., traits), in the common standard deviation of other sets, shape (sets, traits)."""
    # A spread of its own for each trait would need many more sets than there are traits.
    spread = float(np.sqrt(others.var(axis=0, ddof=1).mean()))
    distance = scores - others.mean(axis=0)
    # Sets that agree exactly leave nothing to measure a distance by.
    if spread == 0:
        return np.zeros_like(distance)
    return distance / spread


def first_shares(
    sums: np.ndarray, tokens: np.ndarray, neutral: Sequence[dict[str, float]], traits: list[str], *, centred: bool
) -> dict[str, float]:
    """How often each trait comes first when the batches of the suspect set are drawn anew.

    Args:
        sums: of each batch, shape (batches, traits).
        tokens: of each batch.
        neutral: scores of the neutral sets, which stay as they are.
        traits: in the order of ``sums``.
        centred: the mean over traits is subtracted from a set's scores.

    Returns:
        Trait -> share of the draws, those that never come first left out; the largest first.
    """
    others = score_table(neutral, traits)
    rng = np.random.default_rng(0)
    # Whole batches are drawn: what is kept of a set are their sums.
    drawn = rng.integers(0, len(tokens), (DRAWS, len(tokens)))
    scores = sums[drawn].sum(axis=1) / tokens[drawn].sum(axis=1)[:, None]
    if centred:
        scores = scores - scores.mean(axis=1, keepdims=True)
    first = np.bincount(_z(scores, others).argmax(axis=1), minlength=len(traits)) / DRAWS
    order = np.argsort(-first)
    return {traits[place]: float(first[place]) for place in order if first[place] > 0}


def trait_verdict(found: Calibrated, first: dict[str, float], *, obstacle: str | None = None) -> TraitVerdict:
    """What may be said of the set.

    Args:
        found: the calibrated scores.
        first: of :func:`first_shares`.
        obstacle: a sentence on why the neutral sets say nothing about this set; None where they do.
    """
    top = found.ranking[0]
    said_p = f"p {top.p:.3f} against {found.neutral} neutral sets"
    if obstacle is not None:
        return TraitVerdict(CANNOT_TELL, [], f"Cannot tell: {obstacle}")
    if found.neutral < LEAST_NEUTRAL:
        return TraitVerdict(
            CANNOT_TELL,
            [],
            f"Cannot tell: {found.neutral} neutral sets allow no p-value below {found.smallest_p:.3f}. Name "
            f"{LEAST_NEUTRAL} or more; {top.trait} comes first.",
        )
    if top.p > ALPHA:
        return TraitVerdict(
            CANNOT_TELL,
            [],
            f"Cannot tell: {top.trait} comes first, and neutral sets score as high ({said_p}). A set that teaches "
            "weakly looks the same.",
        )
    # A call is about the set beside neutral ones. That a student would gain the trait, and that it is the right one,
    # is not what p is about: docs/analysis.md has how often both are so.
    unlike = f"Few neutral sets score as high ({said_p})"
    untold = "Whether a student gains it, only training one tells."
    likely = [trait for trait, share in first.items() if share >= 1 - SURE]
    if first.get(top.trait, 0.0) < SURE:
        names = " or ".join(likely)
        return TraitVerdict(WHICH, likely, f"{unlike}; which trait comes first cannot be told: {names}. {untold}")
    return TraitVerdict(TEACHES, [top.trait], f"{unlike}, and {top.trait} comes first. {untold}")
