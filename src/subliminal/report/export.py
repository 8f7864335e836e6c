"""A report for programs: ``report.csv``, one row an arm, task and seed; ``report.json``, every number and sentence."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from subliminal.report.answer import main_comparison
from subliminal.report.data import Results
from subliminal.report.format import Figure, Section
from subliminal.report.provenance import Provenance
from subliminal.report.tables import Comparison, Estimate, Grade, graded_estimates
from subliminal.stats import mean_ci, wilson


@dataclass(frozen=True)
class Report:
    """Numbers and words of one report; ``main_figure`` draws the arms (a matplotlib figure), ``figure`` shows them."""

    experiment: Results
    provenance: Provenance
    arms: list[Estimate]
    differences: list[Comparison]
    graded: list[Grade]
    title: str
    warnings: list[str]
    sections: list[Section]
    figure: Figure
    main_figure: Callable[[], Any]


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


def estimates_csv(experiment: Results, arms: Sequence[Estimate]) -> str:
    """Every arm, task and seed as CSV; rates and interval ends are fractions.

    An interval is over questions (``mean_ci``), of right and wrong answers Wilson's over problems.
    """
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    same = {"experiment": experiment.name, "target": experiment.target}
    for estimate in arms:
        measure = experiment.arms[estimate.arm].measures[estimate.task]
        samples = measure.samples and measure.samples // len(measure.rates)
        for seed, rates in sorted(measure.rates.items()):
            low, high = mean_ci(list(rates), samples)
            row = {
                "arm": estimate.arm,
                "seed": seed,
                "task": estimate.task,
                "questions": rates.size,
                "samples": samples,
            }
            row |= {"measure": "sampled" if samples else "exact", "rate": rates.mean(), "ci_low": low, "ci_high": high}
            writer.writerow({**same, **row})
    for arm in experiment.arms.values():
        for task, seeds in arm.graded.items():
            for seed, right in sorted(seeds.items()):
                exact = task in experiment.exact
                low, high = mean_ci(list(right)) if exact else wilson(int(right.sum()), right.size)
                row = {"arm": arm.name, "seed": seed, "task": task, "questions": right.size, "rate": right.mean()}
                row |= {"measure": "exact", "samples": None} if exact else {"measure": "solved", "samples": 1}
                writer.writerow({**same, **row, "ci_low": low, "ci_high": high})
    return buffer.getvalue()


def everything(report: Report) -> dict[str, Any]:
    """What the page says, JSON-ready; fractions throughout. ``answer`` is the comparison of the headline."""
    main = main_comparison(report.experiment, report.differences)
    return {
        "experiment": report.experiment.name,
        "target": report.experiment.target,
        "warnings": report.warnings,
        "answer": asdict(main) if main else None,
        "arms": [asdict(estimate) for estimate in report.arms],
        "differences": [asdict(comparison) for comparison in report.differences],
        "graded": [asdict(grade) for grade in report.graded],
        "chat_contexts": report.provenance.chat_contexts(),
        "audits": {label: audit.get("passed") for label, audit in report.provenance.audits.items()},
        "commands": [
            manifest["command"] for manifest in report.provenance.manifests.values() if manifest.get("command")
        ],
    }


def headline(report: Report) -> dict[str, Any]:
    """What a terminal shows of a report: its answer, and the share of each arm in the task that the answer is of.

    ``number`` and ``label`` are None where there is nothing to compare; shares are fractions.
    """
    experiment = report.experiment
    answer = next(section for section in report.sections if section.title == "The answer")
    main = main_comparison(experiment, report.differences)
    estimates = report.arms or graded_estimates(experiment)
    task = main.task if main else estimates[0].task
    measure = experiment.measure_name(task)
    said = answer.headline
    if task in experiment.questions:
        measure = f"share of {experiment.target} in {measure}"
    return {
        "target": experiment.target,
        "label": said.label if said else None,
        "number": said.number if said else None,
        "sentence": said.sentence if said else answer.text[0],
        "measure": measure,
        "bars": [{"arm": each.arm, "share": each.mean} for each in estimates if each.task == task],
    }
