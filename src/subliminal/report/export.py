"""A report for programs: ``report.csv``, one row an arm, task and seed; ``report.json``, every number and sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from subliminal.report.data import PROBABILITY, SOLVED, Results
from subliminal.report.findings import Findings
from subliminal.report.format import Section
from subliminal.stats import mean_ci, wilson


@dataclass(frozen=True)
class Report:
    """What was found, and the page that says it."""

    found: Findings
    title: str
    warnings: list[str]
    sections: list[Section]

    @property
    def page(self) -> Section:
        """The whole page."""
        return Section(self.title, notes=tuple(self.warnings), parts=tuple(self.sections))


CSV, JSON = "report.csv", "report.json"
COLUMNS = (
    "experiment",
    "target",
    "arm",
    "seed",
    "task",
    "measure",
    "questions",
    "samples",
    "rate",
    "ci_low",
    "ci_high",
)


def estimates_csv(results: Results) -> str:
    """Every arm, task and seed as CSV; rates and interval ends are fractions.

    An interval is over questions (``mean_ci``), of right and wrong answers Wilson's over problems.
    """
    table = []
    tasks = [*results.preference_tasks, *results.graded_tasks]
    for (arm, task, seed), rows in results.rows.groupby(["arm", "task", "seed"], sort=False):
        kind, rates = results.kinds[task], rows["rate"].to_numpy()
        samples = None if rows["samples"].isna().any() else int(rows["samples"].iloc[0])
        low, high = wilson(int(rates.sum()), rates.size) if kind == SOLVED else mean_ci(list(rates), samples)
        measure = "exact" if kind == PROBABILITY else kind
        model = [results.name, results.target, arm, seed, task, measure]
        table.append([*model, rates.size, samples, rates.mean(), low, high])
    # Preference tasks stand before graded ones, and arms and tasks in the order of reports.
    graded = set(results.graded_tasks)
    table.sort(key=lambda row: (row[4] in graded, results.arms.index(row[2]), tasks.index(row[4]), row[3]))
    return pd.DataFrame(table, columns=COLUMNS).astype({"samples": "Int64"}).to_csv(index=False)


def everything(report: Report) -> dict[str, Any]:
    """What the page says, JSON-ready; fractions throughout. ``answer`` is the comparison of the headline."""
    found = report.found
    manifests, audits = found.provenance.manifests, found.provenance.audits
    return {
        "experiment": found.results.name,
        "target": found.results.target,
        "warnings": report.warnings,
        "answer": asdict(found.main) if found.main else None,
        "arms": [asdict(estimate) for estimate in found.arms],
        "differences": [asdict(comparison) for comparison in found.differences],
        "graded": [asdict(grade) for grade in found.graded],
        "chat_contexts": found.provenance.chat_contexts(),
        "audits": {label: audit.get("passed") for label, audit in audits.items()},
        "commands": [manifest["command"] for manifest in manifests.values() if manifest.get("command")],
    }


def headline(report: Report) -> dict[str, Any]:
    """What a terminal shows of a report: its answer, and the share of each arm in the task that the answer is of.

    ``number`` and ``label`` are None where there is nothing to compare; shares are fractions.
    """
    found, results = report.found, report.found.results
    answer = next(section for section in report.sections if section.title == "The answer")
    estimates = found.arms or found.graded_arms
    task = found.main.task if found.main else estimates[0].task
    measure = results.measure_name(task)
    said = answer.headline
    if task in results.preference_tasks:
        measure = f"share of {results.target} in {measure}"
    return {
        "target": results.target,
        "label": said.label if said else None,
        "number": said.number if said else None,
        "sentence": said.sentence if said else answer.text[0],
        "measure": measure,
        "bars": [{"arm": each.arm, "share": each.mean} for each in estimates if each.task == task],
    }
