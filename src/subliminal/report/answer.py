"""The answer at the top of a report: one difference, what may be said of it, and what would do where nothing may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from subliminal.core.numbers import interval, p_value, points
from subliminal.report.damage import damage_notes
from subliminal.report.data import Results
from subliminal.report.format import Headline, Section
from subliminal.report.replicates import TWO_ARMS, null_sentence, pair_facts, replicate_rates
from subliminal.report.tables import Comparison, Grade
from subliminal.stats import QUESTIONS, Result
from subliminal.stats.replicates import equivalence
from subliminal.stats.result import NATS, REPLICATES
from subliminal.stats.wording import difference_text, interval_text

LIMITS = (
    "One target in one kind of base model shows neither that an effect is specific nor that it is general: compare "
    "other targets, seeds and controls before you conclude."
)


def answer_section(experiment: Results, differences: Sequence[Comparison], graded: Sequence[Grade]) -> Section:
    """The headline, and the sentences of the other measures and controls below it."""
    main = main_comparison(experiment, differences)
    if main is None and not graded:
        return _nothing()
    if main is None:
        return _graded_answer(experiment, graded)
    headline = _headline(
        f"{main.contrast}, {experiment.measure_name(main.task)} of “{experiment.target}”", _result(main), main
    )
    told = [c for c in differences if c.verdict and (c is not main or c.models)]
    text = [_said(c, f"{c.contrast}, {experiment.measure_name(c.task)}") for c in told]
    notes = [*damage_notes(experiment), *_null(experiment, main.task)]
    return _answer(headline, main, notes, text)


def _nothing() -> Section:
    said = "There is no student with a control yet, so there is nothing to answer."
    return Section("The answer", [said], []).in_results()


def _answer(headline: Headline, main: Comparison | Grade, notes: list[str], others: list[str]) -> Section:
    """The section; its brief form leaves out what the sentence says already, and the other measures and controls.

    Args:
        headline: of the main comparison.
        main: that comparison.
        notes: on broken models and on the second control.
        others: sentences of the other measures and controls.
    """
    result = _result(main) if isinstance(main, Comparison) else main.result
    facts = pair_facts(main.pairs, result.unit) if main.pairs and result else []
    more = ["; ".join(f"{name}: {value}" for name, value in facts) + "."] if facts else []
    noted = [" ".join(notes)] if notes else []
    brief = Section("The answer", [*more, *noted], [], headline=replace(headline, facts=[]))
    return Section("The answer", [*notes, *others, LIMITS], [], headline=headline, brief=brief)


def _null(experiment: Results, task: str) -> list[str]:
    """The sentence on the second control, where there are replicates of it."""
    rates = replicate_rates(experiment, task)
    if "null" not in rates:
        return []
    answers = experiment.arms[TWO_ARMS["null"]].answers(task, exact=task in experiment.exact)
    return [null_sentence(equivalence(*(list(rates[arm].values()) for arm in ("control", "null")), answers=answers))]


def main_comparison(experiment: Results, differences: Sequence[Comparison]) -> Comparison | None:
    """The comparison of the headline: the first student against its first control, in sampled answers if there are any.

    A choice made before any result is seen: of two measures the headline does not take the one that says more.
    """
    against_control = [
        c for c in differences if c.treatment.startswith("student") and c.reference.startswith("control")
    ]
    return min(
        against_control,
        key=lambda c: (c.task != experiment.about.task("preference"), not experiment.sampled(c.task)),
        default=None,
    )


def _graded_answer(experiment: Results, graded: Sequence[Grade]) -> Section:
    against_control = [grade for grade in graded if grade.reference.startswith("control")]
    main = min(against_control, key=lambda grade: grade.task in experiment.exact, default=None)
    if main is None:
        return _nothing()
    headline = _headline(f"{main.contrast}, {experiment.measure_name(main.task)}", main.result, main)
    others = [f"{g.contrast}, {g.task}: {g.verdict.sentence}" for g in graded if g.verdict and g is not main]
    return _answer(headline, main, _null(experiment, main.task), others)


def _said(comparison: Comparison, label: str) -> str:
    """With one run of each arm only the models can be compared, else the sentence is about training data."""
    return f"{label}: {(comparison.models or comparison.verdict).sentence}"


def _result(comparison: Comparison) -> Result | None:
    """The test over training runs or replicates where there is one, else the one over questions."""
    if comparison.over:
        return comparison.over
    return comparison.models.result if comparison.models else None


def _headline(label: str, result: Result | None, compared: Comparison | Grade) -> Headline:
    """The claim is always about training data; number, interval and p are of the test that the runs allow."""
    if result is None:  # several runs on one side only: the difference of the means, over questions
        test = compared.test
        number, facts = f"{points(test['difference'])} percentage points", []
        facts.append(("95 % interval over questions", interval(*test["ci95"])))
    else:
        number = difference_text(result).replace("points", "percentage points").replace("nats", "nats of log-odds")
        paired = result.unit in (QUESTIONS, REPLICATES) or result.method.startswith("paired")
        units = f"{result.n[0]} {result.unit}" if paired else f"{result.n[0]} and {result.n[1]} runs"
        unit = ", nats" if result.scale == NATS else ""
        facts = [
            (f"95 % interval over {result.unit}{unit}", interval_text(result)),
            (f"p over {result.unit}", p_value(result.p) if result.p is not None else "none"),
            ("test", f"{result.method.split(' over ')[0]} over {units}"),
        ]
        facts += pair_facts(compared.pairs, result.unit) if compared.pairs else []
    return Headline(label, number, facts, compared.verdict.claim.capitalize(), compared.verdict.sentence)
