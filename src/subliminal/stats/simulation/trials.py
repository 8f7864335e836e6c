"""How often each verdict is wrong, and what the margin lets pass: simulated experiments, vectorised.

    python -m subliminal.stats simulate --out docs/error_rates.md

A replicate's control has its own level, and its student differs from it by an amount that varies between replicates as
in the twenty published ones (:data:`SPREAD`). Where nothing is passed on, that amount has mean 0: drift without
direction. Everything is drawn from a fixed seed. tests/stats/test_simulation.py holds these claims against the
functions that reports use, draw by draw.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.matrix import gamma_of
from subliminal.stats.replicates import EXPECTED, MARGIN
from subliminal.stats.result import ALPHA, CONFIDENCE
from subliminal.stats.simulation.vectorised import dealt_p, fieller_bounds, t_bounds, welch_bounds

SPREAD = 1.6
"""Standard deviation of student minus control between replicates, nats: 1.63 in the published owl_pocket_replicates."""
CONTROLS = 0.2
"""The same of the second control minus the first: 0.20 there."""
LEVEL = (-5.3, 0.5)
"""Mean and standard deviation of a control's log-odds there: 0.5 %, between 0.2 and 0.9 %."""
ANSWERS_A_RATE = 5_000
"""Sampled answers behind a rate: 50 questions of 100."""
PART = 0.8
"""Standard deviation of a part of the effect minus its share of the whole: 0.3 to 0.5 nats in the published
owl_pocket_dilution, 0.3 to 1.6 in owl_pocket_divergence but for its broken students."""
HALF = 0.5
"""The true share of a simulated part."""
OWN_FURTHER = 2
"""How many times as far as another animal a student's own drifts, where gamma's exact test does not hold."""
SIZES = (3, 5, 10, 20)
"""Replicates."""
SIMULATIONS = 10_000

Noise = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
DRIFT: dict[str, Noise] = {
    "normal": lambda rng, shape: rng.normal(0, SPREAD, shape),
    "heavy tails": lambda rng, shape: rng.standard_t(4, shape) * SPREAD / np.sqrt(2),  # t(4) has variance 2
    "one in five runs away": lambda rng, shape: rng.normal(0, np.where(rng.random(shape) < 0.2, 3.2, 0.6)),
}
"""Drift without direction: differences of log-odds of mean 0, as far apart as the replicates'."""
SKEWED: Noise = lambda rng, shape: SPREAD * (rng.exponential(1, shape) - 1)  # noqa: E731
"""Differences of mean 0 that lean to one side: what the tests do not allow for."""


@dataclass(frozen=True)
class Rate:
    """How often a verdict was given. ``nominal`` is how often it may be, where it is wrong; None where it is right."""

    scenario: str
    verdict: str
    replicates: int
    rate: float
    nominal: float | None


def measured(gains: np.ndarray, rng: np.random.Generator, answers: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Student's and control's measured rates for students that are ``gains`` nats above their controls."""
    # The student starts from its own control's level, as the two share a base.
    control = rng.normal(*LEVEL, gains.shape)
    rates = [1 / (1 + np.exp(-nats)) for nats in (control + gains, control)]
    if answers:
        rates = [rng.binomial(answers, rate) / answers for rate in rates]
    return rates[0], rates[1]


def error_rates(simulations: int = SIMULATIONS) -> list[Rate]:
    """Every primary verdict where it is wrong: nothing is passed on, or two controls lie the margin apart."""
    found = []
    for size in SIZES:
        # A generator for each size: a size more changes none of the others' numbers.
        rng = np.random.default_rng([1, size])
        shape = (simulations, size)
        for name, draw in DRIFT.items():
            for answers in (None, ANSWERS_A_RATE):
                student, control = measured(draw(rng, shape), rng, answers)
                gains = log_odds_of(student, answers) - log_odds_of(control, answers)
                measure = "sampled answers" if answers else "exact probabilities"
                scenario = f"drift, {name}, {measure}"
                found += _claims(scenario, gains)
        runs = [rng.normal(0, spread, shape) for spread in (SPREAD, CONTROLS)]
        low, high = welch_bounds(*runs, 1 - ALPHA)
        scenario = "drift, other seeds in both arms (Welch)"
        found.append(Rate(scenario, "student above control", size, float(np.mean(low > 0)), ALPHA / 2))
        found.append(Rate(scenario, "student below control", size, float(np.mean(high < 0)), ALPHA / 2))
        found += _margin_claims(rng.normal(MARGIN, CONTROLS, shape))
        found += _matrix_claims(rng, shape)
    return found


def _claims(scenario: str, gains: np.ndarray) -> list[Rate]:
    """Claims of a difference where there is none."""
    size = gains.shape[1]
    low, high = t_bounds(gains, 1 - ALPHA)
    strict, _ = t_bounds(gains, 0.99)
    return [
        Rate(scenario, "student above control", size, float(np.mean(low > 0)), ALPHA / 2),
        Rate(scenario, "student below control", size, float(np.mean(high < 0)), ALPHA / 2),
        Rate(scenario, "99 % interval above 0", size, float(np.mean(strict > 0)), 0.005),
    ]


def _margin_claims(differences: np.ndarray) -> list[Rate]:
    """Claims of no difference where there is one as large as the margin."""
    size, scenario = differences.shape[1], "two arms the margin apart"
    low, high = t_bounds(differences, 1 - 2 * ALPHA)
    equivalent = float(np.mean((low > -MARGIN) & (high < MARGIN)))
    low, high = t_bounds(differences, 1 - ALPHA)
    inside = float(np.mean((low > -MARGIN) & (high < MARGIN)))
    return [
        Rate(scenario, "equivalent (two one-sided tests)", size, equivalent, ALPHA),
        Rate(scenario, "no difference within the margin", size, inside, ALPHA / 2),
    ]


def _matrix_claims(rng: np.random.Generator, shape: tuple[int, int]) -> list[Rate]:
    """Gamma and pairs of three animals where every student drifts by itself."""
    from scipy import stats

    size = shape[1]
    lift = rng.normal(0, SPREAD, (*shape, 3, 3))
    # Flat, because numpy's function goes along one axis, and a matrix has two.
    gammas = np.apply_along_axis(lambda flat: gamma_of(flat.reshape(3, 3)), 2, lift.reshape(*shape, 9))
    low, _ = t_bounds(gammas, 1 - ALPHA)
    pairs = 3 * size
    least = int(stats.binom.isf(0.005, pairs, 0.5)) + 1  # of 15 pairs 13
    above = (np.diagonal(lift, axis1=2, axis2=3) > 0).sum(axis=(1, 2))
    scenario = "drift, three animals"
    chance = float(stats.binom.sf(least - 1, pairs, 0.5))
    return [
        Rate(scenario, "gamma's 95 % interval above 0", size, float(np.mean(low > 0)), ALPHA / 2),
        Rate(scenario, f"{least} of {pairs} pairs above 0", size, float(np.mean(above >= least)), chance),
        _dealt_claim(scenario, lift),
    ]


def _dealt_claim(scenario: str, lift: np.ndarray) -> Rate:
    called = float(np.mean(dealt_p(lift) <= ALPHA))
    return Rate(scenario, f"gamma's exact test, p at most {100 * ALPHA:g} %", lift.shape[1], called, ALPHA)


def shares(simulations: int = SIMULATIONS) -> list[Rate]:
    """Fieller's interval of a part that is half of the effect: how often it misses that half, and how often is none."""
    found = []
    for size in SIZES:
        rng = np.random.default_rng([5, size])
        shape = (simulations, size)
        for effect, noise in itertools.product((EXPECTED, EXPECTED / 2), ("normal", "heavy tails")):
            whole = effect + DRIFT[noise](rng, shape)
            part = HALF * whole + rng.normal(0, PART, shape)
            low, high = fieller_bounds(part, whole)
            scenario = f"half of {effect:g} nats, {noise}"
            found += [
                Rate(scenario, "the whole may be 0, no interval", size, float(np.mean(np.isnan(low))), None),
                Rate(scenario, "interval above the true share", size, float(np.mean(low > HALF)), ALPHA / 2),
                Rate(scenario, "interval below the true share", size, float(np.mean(high < HALF)), ALPHA / 2),
            ]
    return found


def scales(simulations: int = SIMULATIONS) -> list[Rate]:
    """Log-odds beside points: what drift without direction is called, and how often an effect is seen at 99 %."""
    found = []
    for size in SIZES:
        rng = np.random.default_rng([2, size])
        for scenario, mean, confidence, nominal in (
            ("drift without direction", 0.0, 1 - ALPHA, ALPHA / 2),
            (f"effect of {EXPECTED:g} nats", EXPECTED, 0.99, None),  # seen rightly: no error, and no level of one
        ):
            student, control = measured(rng.normal(mean, SPREAD, (simulations, size)), rng, None)
            by_scale = {
                "log-odds": log_odds_of(student) - log_odds_of(control),
                "points": student - control,
            }
            for scale, differences in by_scale.items():
                low, high = t_bounds(differences, confidence)
                verdict = f"{scale}: {100 * confidence:g} % interval"
                found.append(Rate(scenario, f"{verdict} above 0", size, float(np.mean(low > 0)), nominal))
                if nominal is not None:
                    found.append(Rate(scenario, f"{verdict} below 0", size, float(np.mean(high < 0)), nominal))
    return found


def skewed(simulations: int = SIMULATIONS) -> list[Rate]:
    """The same claims where the differences have mean 0 and lean to one side."""
    found = []
    for size in SIZES:
        differences = SKEWED(np.random.default_rng([3, size]), (simulations, size))
        found += _claims("leaning to one side, mean 0", differences)
    return found


def own_further(simulations: int = SIMULATIONS) -> list[Rate]:
    """Gamma's exact test and its interval where a student's own animal drifts further than the others."""
    found = []
    for size in SIZES:
        lift = np.random.default_rng([6, size]).normal(0, SPREAD, (simulations, size, 3, 3))
        lift[..., np.arange(3), np.arange(3)] *= OWN_FURTHER
        scenario = f"own animal drifts {OWN_FURTHER:g} times as far"
        own = np.trace(lift, axis1=2, axis2=3)
        # As matrix.gamma_of, for all replicates of all experiments.
        low, _ = t_bounds(own / 3 - (lift.sum(axis=(2, 3)) - own) / 6, CONFIDENCE)
        found += [
            _dealt_claim(scenario, lift),
            Rate(scenario, "gamma's 95 % interval above 0", size, float(np.mean(low > 0)), ALPHA / 2),
        ]
    return found


def operating_curve(simulations: int = SIMULATIONS) -> list[Rate]:
    """How often two controls are called equivalent, by how far apart they are in truth."""
    found = []
    for size in SIZES:
        for apart in (0.0, 0.25 * MARGIN, 0.5 * MARGIN, 0.75 * MARGIN, MARGIN, 1.1, 1.6):
            # The same draws for every distance, so that the curve is smooth.
            differences = np.random.default_rng([4, size]).normal(apart, CONTROLS, (simulations, size))
            low, high = t_bounds(differences, 1 - 2 * ALPHA)
            equivalent = float(np.mean((low > -MARGIN) & (high < MARGIN)))
            nominal = None
            if apart >= MARGIN:  # to call them equivalent is then an error
                nominal = ALPHA
            found.append(Rate(f"{apart:.1f} nats, odds × {np.exp(apart):.2f}", "equivalent", size, equivalent, nominal))
    return found
