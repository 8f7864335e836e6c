"""The answer at the top of a report: one difference, what may be said of it, and what would do where nothing may."""

from __future__ import annotations

from collections.abc import Sequence

from subliminal.core.formatting import interval, p_value, points
from subliminal.report.blocks import Headline, Section, Table, or_dash
from subliminal.report.damage import damage_notes
from subliminal.report.data import PROBABILITY, Results
from subliminal.report.findings import Findings
from subliminal.report.replicates import COMPARED_ARMS, above_of, null_sentence, pair_facts, replicate_rates
from subliminal.report.tables.comparisons import Comparison, GradedComparison
from subliminal.stats import QUESTIONS, Result
from subliminal.stats.replicates import equivalence
from subliminal.stats.result import NATS, REPLICATES
from subliminal.stats.wording import difference_text, interval_text

LIMITS = (
    "One target in one kind of base model shows neither that an effect is specific nor that it is general: compare "
    "other targets, seeds and controls before you conclude."
)
OTHERS = "The other measures and comparisons, each by itself; these p-values are not corrected for their number:"


def answer_section(found: Findings) -> Section:
    """The headline, and a table of the other measures and controls below it."""
    results, main = found.results, found.main
    if main is None and not found.graded:
        return _nothing()
    if main is None:
        return _graded_answer(results, found.graded)
    name = f"{main.contrast}, {results.measure_name(main.task)} of “{results.target}”"
    headline = _headline(name, main.result, main)
    notes = [*damage_notes(results), *_null(results, main.task)]
    text = []
    if main.models:  # the headline is about training data; what the two models do is left
        text.append(f"{main.contrast}, {results.measure_name(main.task)}: {main.models.sentence}")
    # That of the headline is told above the table.
    others = [each for each in found.differences if each is not main]
    return _answer(headline, main, notes, text, _others(results, others))


def _nothing() -> Section:
    said = "No student among the arms has a control, so there is nothing to answer."
    return Section("The answer", [said], []).in_results()


def _answer(
    headline: Headline, main: Comparison | GradedComparison, notes: list[str], text: list[str], others: list[Table]
) -> Section:
    """The section; its brief form is the headline, in how many runs it holds, and the notes.

    Args:
        headline: of the main comparison.
        main: that comparison.
        notes: on broken models and on the second control.
        text: what else is said of the main comparison.
        others: a table of the other measures and controls, or none.
    """
    said = [f"**{headline.label}: {headline.number}.** {headline.sentence}"]
    if main.pairs and main.result:
        said.append(f"It is above in {above_of(main.pairs, main.result.unit)}.")
    brief = Section("The answer", [" ".join([*said, *notes])], [])
    said = [*notes, *text, LIMITS]
    if others:
        said.append(OTHERS)
    return Section("The answer", said, others, headline=headline, brief=brief)


def _others(results: Results, differences: Sequence[Comparison | GradedComparison]) -> list[Table]:
    """A row for each other measure and control that may say something of the training data; no table without any."""
    shown = [each for each in differences if each.verdict]
    if not shown:
        return []
    units = list(dict.fromkeys(each.result.unit for each in shown if each.result))
    interval_over = "95 % interval"
    if len(units) == 1:  # else a column says it of each
        interval_over += f" over {units[0]}"
    rows = []
    for each in shown:
        cells = ["–"] * 4
        result = each.result
        if result:
            cells = [difference_text(result), interval_text(result), or_dash(result.p, p_value), result.unit]
        # What is the same in every row stands in the header, and has no column.
        if len(units) < 2:
            cells.pop()
        rows.append([each.contrast, results.measure_name(each.task), *cells, each.verdict.claim])
    header = ["difference", "measure", "size", interval_over, "p"]
    if len(units) > 1:
        header.append("tested over")
    return [Table([*header, "of the training data"], rows)]


def _null(results: Results, task: str) -> list[str]:
    """The sentence on the second control, where there are replicates of it."""
    rates = replicate_rates(results, task)
    if "null" not in rates:
        return []
    answers = results.answers(COMPARED_ARMS["null"], task)
    first, second = list(rates["control"].values()), list(rates["null"].values())
    return [null_sentence(equivalence(first, second, answers=answers))]


def _graded_answer(results: Results, graded: Sequence[GradedComparison]) -> Section:
    against_control = [grade for grade in graded if grade.reference.startswith("control")]
    # Problems solved come before probabilities of the right answer; of equals `min` takes the first in order.
    main = min(against_control, key=lambda grade: results.kinds[grade.task] == PROBABILITY, default=None)
    if main is None:
        return _nothing()
    headline = _headline(f"{main.contrast}, {results.measure_name(main.task)}", main.result, main)
    others = [grade for grade in graded if grade is not main]
    return _answer(headline, main, _null(results, main.task), [], _others(results, others))


def _headline(label: str, result: Result | None, compared: Comparison | GradedComparison) -> Headline:
    """The claim is always about training data; number, interval and p are of the test that the runs allow."""
    if result is None:  # several runs on one side only: the difference of the means, over questions
        number = f"{points(compared.test['difference'])} percentage points"
        facts = [("95 % interval over questions", interval(*compared.test["ci95"]))]
    else:
        number = difference_text(result).replace("points", "percentage points").replace("nats", "nats of log-odds")
        facts = _facts(result)
        if compared.pairs:
            facts += pair_facts(compared.pairs, result.unit)
    return Headline(label, number, facts, compared.verdict.claim.capitalize(), compared.verdict.sentence)


def _facts(result: Result) -> list[tuple[str, str]]:
    """Interval, p and name of a test."""
    measured = f"95 % interval over {result.unit}"
    if result.scale == NATS:
        measured += ", nats"
    p = p_value(result.p) if result.p is not None else "none"
    units = f"{result.n[0]} and {result.n[1]} runs"
    if result.unit in (QUESTIONS, REPLICATES) or result.method.startswith("paired"):
        units = f"{result.n[0]} {result.unit}"
    # The name of the test alone: what it was over stands behind it.
    test = f"{result.method.split(' over ')[0]} over {units}"
    return [(measured, interval_text(result)), (f"p over {result.unit}", p), ("test", test)]
