"""``results/<experiment>/`` -> ``report.md``, ``report.html``, ``top_animals.csv``, ``headline.json`` and its figures.

    python scripts/report.py results/owl-demo --csv --json

A report is derived from the results and overwritten without a question. What it says of the training data is the
verdict of :mod:`subliminal.stats.verdict` and nothing stronger.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd

from subliminal.core.errors import UserError
from subliminal.core.files import atomic_write, from_the_root, write_text
from subliminal.experiment.display.outcome import HEADLINE
from subliminal.report.arms_figure import arms_figure
from subliminal.report.blocks import Figure, Section
from subliminal.report.by_epoch.found import ByEpoch, by_epoch
from subliminal.report.by_epoch.section import EPOCHS_FILE, epochs_csv, epochs_of_options
from subliminal.report.by_factor.found import by_factor
from subliminal.report.by_factor.section import BY_FACTOR_FILE, by_factor_csv, by_factor_section
from subliminal.report.criterion import criterion_section
from subliminal.report.data import PROBABILITY, SAMPLED, SOLVED, Results
from subliminal.report.figure import png, svg
from subliminal.report.findings import Findings, main_comparison
from subliminal.report.load import category_of_results, load_results
from subliminal.report.main_sections import figure_words, title, warnings
from subliminal.report.options_table import options_section
from subliminal.report.pages import html, markdown
from subliminal.report.provenance.trace import trace
from subliminal.report.rises import matrix_section
from subliminal.report.sections import sections
from subliminal.report.tables.comparisons import comparisons, graded_comparisons
from subliminal.report.tables.estimates import estimates, named_most
from subliminal.stats import mean_ci, wilson

TOP_ANSWER_COLUMNS = ("arm", "animal", "share", "ci_low", "ci_high", "task")
CSV, JSON = "report.csv", "report.json"
ESTIMATE_COLUMNS = (
    *("experiment", "target", "arm", "seed", "task", "measure"),
    *("questions", "samples", "rate", "ci_low", "ci_high"),
)


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


def write_report(folder: Path, *, as_csv: bool = False, as_json: bool = False) -> Path:
    """Read the results of one experiment and write its report beside them.

    Args:
        folder: ``results/<experiment>``, or ``results/<experiment>/<animal>`` where there are several.
        as_csv: write ``report.csv`` too: every arm, task and seed.
        as_json: write ``report.json`` too: every number and sentence.

    Returns:
        The path of ``report.html``.

    Raises:
        UserError: there are no results, or they are malformed or do not belong together. Nothing is written then.
    """
    report = compose(folder)
    drawings = _drawings(report.sections)
    text = markdown(report.page)
    texts = {"report.md": text, "report.html": html(text, drawings)}
    texts[f"top_{report.found.results.category}.csv"] = _top_csv(report.found.results)
    for name, drawing in drawings.items():
        # SVG beside the PNG, whose name the page has.
        texts[Path(name).with_suffix(".svg").name] = drawing
    texts[HEADLINE] = json.dumps(headline(report), indent=2, ensure_ascii=False) + "\n"
    texts |= _factor_csv(folder, [report.found.results])
    texts |= _epochs_csv([by_epoch(report.found.results)])
    if as_csv:
        texts[CSV] = estimates_csv(report.found.results)
    if as_json:
        texts[JSON] = json.dumps(everything(report), indent=2, ensure_ascii=False) + "\n"
    # Only now: what can fail has been made, and nothing was written yet.
    with atomic_write(folder / "figure.png", binary=True) as handle:
        handle.write(png(report.found.main_figure()))
    for name, text in texts.items():
        write_text(folder / name, text)
    return folder / "report.html"


def _drawings(sections: list[Section]) -> dict[str, str]:
    """File as the text names it -> SVG."""
    drawings = {}
    for section in sections:
        for figure in section.figures:
            drawings[figure.file] = figure.draw()
    return drawings


def compose(folder: Path) -> Report:
    """Everything that a report says, nothing drawn or written yet.

    Raises:
        UserError: see :func:`write_report`.
    """
    if not folder.is_dir():
        hint = from_the_root(folder) or " Name the results of an experiment, such as results/owl_demo."
        raise UserError(f"{folder} is not a folder.{hint}")
    results = load_results(folder)
    arms, graded_arms = estimates(results, results.preference_tasks), estimates(results, results.graded_tasks)
    differences = comparisons(results)
    shown = arms or graded_arms
    main = main_comparison(results, differences)
    # Drawn once, for the SVG and the PNG.
    main_figure = cache(partial(arms_figure, results, shown, differences, main))
    found = Findings(
        results=results,
        provenance=trace(results),
        arms=arms,
        differences=differences,
        graded_arms=graded_arms,
        graded=graded_comparisons(results),
        figure=Figure(lambda: svg(main_figure(), "arms"), figure_words(shown, differences), "figure.png"),
        main_figure=main_figure,
    )
    return Report(found, title(results), warnings(results, found.provenance), sections(found))


def estimates_csv(results: Results) -> str:
    """Every arm, task and seed as CSV; rates and interval ends are fractions.

    An interval is over questions (``mean_ci``), of right and wrong answers Wilson's over problems.
    """
    table = []
    tasks, names = list(results.kinds), list(results.manifests)  # of checkpoints, too
    for (arm, task, seed), rows in results.rows.groupby(["arm", "task", "seed"], sort=False):
        kind, rates = results.kinds[task], rows["rate"].to_numpy()
        samples = None  # the rates are exact
        if rows["samples"].notna().all():
            samples = int(rows["samples"].iloc[0])
        if kind == SOLVED:
            low, high = wilson(int(rates.sum()), rates.size)
        else:
            low, high = mean_ci(list(rates), samples)
        measure = "exact" if kind == PROBABILITY else kind
        model = [results.name, results.target, arm, seed, task, measure]
        table.append([*model, rates.size, samples, rates.mean(), low, high])
    # Preference tasks stand before graded ones, and arms and tasks in the order of reports.
    graded = {task for task, kind in results.kinds.items() if kind in (SOLVED, PROBABILITY)}
    table.sort(key=lambda row: (row[4] in graded, names.index(row[2]), tasks.index(row[4]), row[3]))
    # The number of samples is a whole one or missing, which plain integers of pandas cannot be.
    return pd.DataFrame(table, columns=ESTIMATE_COLUMNS).astype({"samples": "Int64"}).to_csv(index=False)


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
    if task in results.preference_tasks:
        measure = f"share of {results.target} in {measure}"
    label, number, sentence = None, None, answer.text[0]
    said = answer.headline
    if said:
        label, number, sentence = said.label, said.number, said.sentence
    return {
        "target": results.target,
        "label": label,
        "number": number,
        "sentence": sentence,
        "measure": measure,
        "bars": [{"arm": each.arm, "share": each.mean} for each in estimates if each.task == task],
    }


def _factor_csv(folder: Path, of_options: Sequence[Results]) -> dict[str, str]:
    """The numbers of the section by factor, by the file's name; nothing where nothing was swept."""
    found = by_factor(folder, of_options)
    if found is None:
        return {}
    return {BY_FACTOR_FILE: by_factor_csv(found)}


def _epochs_csv(found: Iterable[ByEpoch | None]) -> dict[str, str]:
    """The numbers of the section by epoch, by the file's name; nothing where no checkpoints were scored."""
    curves = [each for each in found if each]
    if not curves:
        return {}
    return {EPOCHS_FILE: epochs_csv(curves)}


def _top_csv(results: Results) -> str:
    """Top answers as fractions; sampled tasks, or the exact ones where nothing was sampled."""
    tasks = [task for task in results.preference_tasks if results.kinds[task] == SAMPLED]
    rows = []
    for task in tasks or results.preference_tasks:
        for row in named_most(results, task):
            rows.append({**row, "task": task})
    return pd.DataFrame(rows, columns=TOP_ANSWER_COLUMNS).to_csv(index=False)


def animals_in(results: Path) -> list[str]:
    """The animals whose results lie in folders of their own; empty for an experiment of one."""
    return sorted({path.parents[2].name for path in results.glob("*/*/seed-*/*_summary.json")})


def overview_sections(results: Path, of_options: Sequence[Results]) -> list[Section]:
    """Everything that is said of all animals together.

    Args:
        results: ``results/<experiment>``.
        of_options: the results of each animal.
    """
    by_name = sorted(of_options, key=lambda each: each.folder.name)  # also where a report has an order of its own
    found = [
        criterion_section(results),
        by_factor_section(results, by_name),
        matrix_section(results, by_name),
        epochs_of_options(epochs_in(by_name)),
    ]
    return [section for section in found if section]


def epochs_in(of_options: Sequence[Results]) -> list[ByEpoch]:
    """What was found by epoch of every animal whose checkpoints were scored."""
    found = [by_epoch(results) for results in of_options]
    return [each for each in found if each]


def write_overview(results: Path) -> Path:
    """Write ``overview.md`` and ``overview.html`` into an experiment of several animals; returns the first's path.

    Raises:
        UserError: there are no folders of animals, or a result is damaged.
    """
    animals = animals_in(results)
    if not animals:
        raise UserError(f"{results} has no folders of animals. Evaluate an arm first, or name another folder.")
    about = category_of_results(results)
    links = [f"[{animal}]({animal}/report.md)" for animal in animals]
    reports = Section("Reports", [f"The report of each {about.singular}: {', '.join(links)}."])
    found = [compose(results / animal).found for animal in animals]
    of_options = [each.results for each in found]
    together = overview_sections(results, of_options)
    together.append(options_section(found))
    sections = [*together, reports]
    drawings = _drawings(sections)
    text = markdown(Section(f"{results.name}: all {about.plural}", parts=tuple(sections)))
    texts = {**drawings, **_factor_csv(results, of_options), **_epochs_csv(epochs_in(of_options))}
    # A page for a browser leads to pages for a browser.
    texts["overview.html"] = html(text.replace("/report.md)", "/report.html)"), drawings)
    texts["overview.md"] = text  # the last: what waits for the page finds all of it
    for name, content in texts.items():
        write_text(results / name, content)
    return results / "overview.md"
