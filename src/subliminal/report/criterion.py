"""The criterion of an experiment in a report: what was demanded before any student was trained, and what came out."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_object
from subliminal.core.manifest import recorded_time
from subliminal.experiment.criterion import CRITERION
from subliminal.report.blocks import Section, Table
from subliminal.report.load import category_of_results
from subliminal.stats.criterion import Criterion, criterion_of
from subliminal.stats.criterion_verdict import CriterionVerdict, judge_criterion, read_tables

CRITERION_TITLE = "Criterion"


def read_record(results: Path) -> tuple[Criterion, dict[str, Any]] | None:
    """The recorded criterion of ``results/<experiment>``, and its record (``sha256``, ``made``, ``git``).

    Returns:
        None where the experiment has none.

    Raises:
        UserError: the record is damaged, or its criterion is not the one that its sha256 is of.
    """
    path = results / CRITERION
    if not path.is_file():
        return None
    try:
        record = read_object(path, "Restore it from where the experiment ran.")
        criterion, recorded = criterion_of(record["criterion"], str(path)), record["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error!r}). Restore it from where the experiment ran.") from None
    # Clauses that were changed after the run have another hash than the one that was written before it.
    if criterion.sha256() != recorded:
        raise UserError(
            f"{path} holds a criterion with the sha256 {criterion.sha256()[:12]} and records {str(recorded)[:12]}: it "
            "was changed by hand. Restore it from where the experiment ran."
        )
    return criterion, record


def criterion_section(results: Path) -> Section | None:
    """The verdict and every clause with its numbers; None where the experiment has no criterion.

    Args:
        results: ``results/<experiment>``.

    Raises:
        UserError: see :func:`read_record`; the record has no time, or a summary is damaged.
    """
    recorded = read_record(results)
    if recorded is None:
        return None
    criterion, record = recorded
    verdict = judge_criterion(criterion, *read_tables(results, criterion))
    made = recorded_time(record, "made", results / CRITERION)
    commit = (record.get("git") or {}).get("sha") or "unknown"
    measured = "Of problems with a right answer the share is that of the problems solved, or their mean probability"
    if criterion.animals:
        one = category_of_results(results).a
        measured = f"The probability of {one} is its mean over the questions"
    recorded_at = (
        # To the minute, as a reader has use for.
        f"It was recorded on {made.astimezone(UTC):%Y-%m-%d %H:%M} (UTC) at commit {commit[:10]}"
    )
    text = [
        verdict.headline(),
        f"Differences are in nats of log-odds within each replicate. {measured}, and the log-odds are those of the "
        "mean. Intervals are Student's t over replicates.",
        f"{recorded_at}; its sha256 is {record['sha256']}. Students wait for the record. An experiment whose record is "
        "younger than its first student is not published.",
        *verdict.notes,
    ]
    clauses = "; ".join(each.in_brief() for each in verdict.clauses)
    said = [f"**{verdict.headline()}** {clauses}.", f"{recorded_at}.", *verdict.notes]
    brief = Section(CRITERION_TITLE, [" ".join(said)], [])
    return Section(CRITERION_TITLE, text, [_table(verdict)], brief=brief)


def _table(verdict: CriterionVerdict) -> Table:
    rows = []
    for each in verdict.clauses:
        rows.append([each.name, each.said, each.found, each.asked, each.difference])
    # The verdict stands where a narrow window shows it.
    return Table(["clause", "verdict", "found", "asked", "difference"], rows)
