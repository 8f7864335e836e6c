"""Statistics of evaluations: the public face (``python -m subliminal.stats`` takes JSON and gives JSON).

Rates are fractions (0 to 1). What is computed over what:

- over **questions**, "these two models differ" (:mod:`subliminal.stats.questions`): :func:`over_questions`,
  :func:`paired`, :func:`question_interval`, :func:`mean_ci`, :func:`specificity`;
- over **training runs**, "the teacher's data did it" (:mod:`subliminal.stats.runs`): :func:`over_runs`,
  :func:`specificity_over_runs`;
- **counts** (:mod:`subliminal.stats.counts`): :func:`wilson`, :func:`mcnemar` (over problems), :func:`holm`;
- **what may be said** (:mod:`subliminal.stats.verdict`): :func:`verdict`, :func:`models_verdict`;
- over **replicates**, each with a base of its own (:mod:`subliminal.stats.replicates`): :func:`replicates`;
- **how much is enough** (:mod:`subliminal.stats.power`): :func:`smallest_effect`, :func:`needed`.
"""

from __future__ import annotations

from typing import Any

from subliminal.stats.counts import holm, mcnemar, wilson
from subliminal.stats.power.design import Design, design_of
from subliminal.stats.power.detection import POWER, Needed, detection_power, needed, smallest_effect
from subliminal.stats.questions import (
    EXACT_UP_TO,
    RESAMPLES,
    mean_ci,
    over_questions,
    paired,
    question_interval,
    sign_flip_test,
    specificity,
)
from subliminal.stats.replicates import replicates
from subliminal.stats.result import ALPHA, CONFIDENCE, QUESTIONS, RUNS, Result
from subliminal.stats.runs import over_runs, specificity_over_runs
from subliminal.stats.verdict import MARGIN, MARGIN_POINTS, Verdict, models_verdict, verdict
from subliminal.stats.wording import assumptions_sentence, needed_sentence, smallest_sentence

__all__ = [
    "ALPHA",
    "CONFIDENCE",
    "EXACT_UP_TO",
    "MARGIN",
    "MARGIN_POINTS",
    "POWER",
    "QUESTIONS",
    "RESAMPLES",
    "RUNS",
    "Design",
    "Needed",
    "Result",
    "Verdict",
    "design_of",
    "detection_power",
    "holm",
    "mcnemar",
    "mean_ci",
    "models_verdict",
    "needed",
    "needed_sentence",
    "over_questions",
    "over_runs",
    "paired",
    "power_table",
    "question_interval",
    "replicates",
    "sign_flip_test",
    "smallest_effect",
    "specificity",
    "specificity_over_runs",
    "verdict",
    "wilson",
]


def power_table(
    design: Design, power: float = POWER, alpha: float = ALPHA, effect: float | None = None
) -> dict[str, Any]:
    """What a design can see and, for an effect, what would do; JSON-ready.

    Returns:
        ``smallest_effect`` (per unit, a fraction or None), ``sentences``, ``design`` (assumptions included), ``power``,
        ``alpha``, and with an effect ``needed``: per unit ``seeds``, ``questions``, ``samples`` and ``power`` (the
        chance that the design as it is sees the effect).
    """
    smallest = {unit: smallest_effect(design, unit, power, alpha) for unit in (RUNS, QUESTIONS)}
    sentences = [smallest_sentence(value, design, unit, power) for unit, value in smallest.items()]
    table = {"smallest_effect": smallest, "design": vars(design), "power": power, "alpha": alpha}
    if effect is not None:
        found = {unit: needed(effect, design, unit, power, alpha) for unit in (RUNS, QUESTIONS)}
        sentences += [f"Over {unit}: {needed_sentence(value, design, power)}" for unit, value in found.items()]
        table["needed"] = {}
        for unit, value in found.items():
            sizes = {"seeds": value.seeds, "questions": value.questions, "samples": value.samples}
            table["needed"][unit] = {**sizes, "power": detection_power(effect, design, unit, alpha)}
    return {**table, "sentences": [*sentences, assumptions_sentence(design)]}
