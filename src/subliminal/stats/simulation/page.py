"""The page of the simulated error rates: ``docs/error_rates.md``, made by ``python -m subliminal.stats simulate``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from subliminal.stats.replicates import EXPECTED, MARGIN
from subliminal.stats.simulation.trials import (
    ANSWERS_A_RATE,
    CONTROLS,
    OWN_FURTHER,
    PART,
    SIMULATIONS,
    SIZES,
    SPREAD,
    Rate,
    error_rates,
    operating_curve,
    own_further,
    scales,
    shares,
    skewed,
)

HEAD = (
    "Simulated; no line here is written by hand: `python -m subliminal.stats simulate --out docs/error_rates.md` makes "
    "the page."
)
SCALES = (
    "The same experiments on both scales. In points drift without direction is a rise, because a rate of 0.5 % cannot "
    "fall as far as it can rise; and an effect is seen less often, because a few large replicates make its interval "
    "wide."
)
CURVE = (
    "How often two controls are called equivalent, by how far apart they are in truth: at the margin and beyond it "
    "that is an error."
)
SHARES = (
    "Fieller's interval for the share that a part is of the whole effect, where the part is half of it in truth. "
    'Reports say "half or more" where it lies above a half, and "less than half" where it lies below. Where the whole '
    "effect may be 0 there is no interval, and nothing is said."
)
OWN = (
    "Gamma's exact test deals students to animals, so it takes a student's own animal to vary as much as the others. "
    "Where that drifts further, the test errs more often than it says, and gamma's interval over replicates does not."
)
LIMITS = (
    "A t test asks whether the *mean* of the log-odds differs. Differences of mean 0 that lean to one side (an "
    "exponential distribution) are called below more often than they may be. Welch's test, for arms of other seeds, "
    "has the same null: equal mean log-odds, not equal mean rates."
)
STANDARD_ERRORS = 3
"""A rate above its nominal level by more than so many standard errors is an error of the verdict."""


def too_often(rate: Rate, simulations: int) -> bool:
    """Whether a wrong verdict was given more often than its nominal level and chance in the simulation allow."""
    if rate.nominal is None:
        return False
    error = math.sqrt(rate.nominal * (1 - rate.nominal) / simulations)
    return rate.rate > rate.nominal + STANDARD_ERRORS * error


def page(simulations: int = SIMULATIONS) -> str:
    """The whole page as Markdown."""
    rates = error_rates(simulations)
    wrong = [rate for rate in rates if too_often(rate, simulations)]
    said = f"Of {len(rates)} rates {len(wrong)} lie above their nominal level plus three standard errors."
    parts = [
        "# How often the verdicts are wrong",
        f"{HEAD} {simulations:,} experiments a cell, fixed seeds; per cent of experiments. A student differs from its "
        f"control by an amount that varies between replicates with a standard deviation of {SPREAD:g} nats, as in the "
        f"twenty published replicates; two controls differ with one of {CONTROLS:g}.",
        "## Primary verdicts where they are wrong",
        "Drift without direction: the differences have mean 0 in log-odds. Sampled answers: "
        f"{ANSWERS_A_RATE:,} a rate, half an answer added to each side. {said}",
        _table(rates),
        "## Why log-odds and not points",
        f"{SCALES} The effect of {EXPECTED:g} nats is asked for at 99 %.",
        _table(scales(simulations)),
        f"## What the margin of {MARGIN:g} nats lets pass",
        f"The margin is a quarter of the effect that is expected ({EXPECTED:g} nats), fixed in the code. {CURVE}",
        _table(operating_curve(simulations)),
        "## Shares of an effect",
        f"{SHARES} A part differs from its share of the whole with a standard deviation of {PART:g} nats.",
        _table(shares(simulations)),
        "## Where the tests do not hold",
        LIMITS,
        _table(skewed(simulations)),
        f"{OWN} Here it drifts {OWN_FURTHER:g} times as far.",
        _table(own_further(simulations)),
    ]
    return "\n\n".join(parts) + "\n"


def _table(rates: Sequence[Rate]) -> str:
    """A row for each scenario and verdict, a column for each number of replicates."""
    rows: dict[tuple[str, str], dict[int, Rate]] = {}
    for rate in rates:
        verdict = rate.verdict
        if rate.nominal is not None and " pairs" in verdict:  # "13 of 15 pairs": another count for each size, one row
            verdict = "pairs above 0, as many as in 0.5 %"
        rows.setdefault((rate.scenario, verdict), {})[rate.replicates] = rate
    lines = ["| scenario | verdict | nominal | " + " | ".join(f"{size} replicates" for size in SIZES) + " |"]
    lines.append("|" + " --- |" * (3 + len(SIZES)))
    for (scenario, verdict), by_size in rows.items():
        nominal = [rate.nominal for rate in by_size.values()]
        told = "–"
        if nominal[0] is not None:
            # The level of a count hangs on the number of replicates: the largest is told.
            told = f"{100 * max(nominal):.2g} %"
        cells = [f"{100 * by_size[size].rate:.2f} %" for size in SIZES]
        lines.append(f"| {scenario} | {verdict} | {told} | {' | '.join(cells)} |")
    return "\n".join(lines)
