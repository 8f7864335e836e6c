"""An experiment of several options in one table: what each one's student is above its control."""

from __future__ import annotations

from collections.abc import Sequence

from subliminal.core.formatting import interval, nats, percent
from subliminal.report.blocks import Section, Table, or_dash
from subliminal.report.findings import Findings
from subliminal.stats.wording import interval_text

TITLE = "Each by itself"
FIRST_COLUMNS = ("base", "teacher", "student")
CONTROL_COLUMN = "control"


def options_section(found: Sequence[Findings]) -> Section:
    """A row an option: the shares of base, teacher, student and control, and the difference of the last two.

    The measure is the last one, exact probabilities where they were computed.

    Args:
        found: of the report of each option, in the order of the rows.
    """
    about, rows = found[0].results.about, [_row(each) for each in found]
    measure = "–"
    if found[0].arms:
        measure = found[0].results.measure_name(found[0].arms[-1].task)
    text = (
        f"The share of each {about.singular} in the arms of its own report, {measure}, with intervals over questions; "
        "and the student above its control in log-odds, with intervals over training runs or replicates."
    )
    header = [about.singular, *FIRST_COLUMNS, CONTROL_COLUMN, "student − control, nats"]
    return Section(TITLE, [text], [Table(header, rows)], brief=Section(TITLE, [], [Table(header, rows)]))


def _row(found: Findings) -> list[str]:
    main, arms = found.main, {}
    for estimate in found.arms:  # of an arm's measures the last one stays
        arms[estimate.arm] = f"{percent(estimate.mean)} {interval(*estimate.interval)}"
    control = main.reference if main else CONTROL_COLUMN
    cells = [or_dash(arms.get(name)) for name in (*FIRST_COLUMNS, control)]
    difference = "–"
    for each in found.differences:  # and of a difference's
        if main and each.contrast == main.contrast and each.over and each.over.interval:
            difference = f"{nats(each.over.estimate)} {interval_text(each.over)}"
    return [str(found.results.target), *cells, difference]
