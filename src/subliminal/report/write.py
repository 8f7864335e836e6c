"""``results/<experiment>/`` -> ``report.md``, ``report.html``, ``top_animals.csv``, ``headline.json`` and its figures.

    python scripts/report.py results/owl-demo --csv --json

A report is derived from the results and overwritten without a question. What it says of the training data is the
verdict of :mod:`subliminal.stats.verdict` and nothing stronger.
"""

from __future__ import annotations

import json
import os
from functools import cache, partial
from pathlib import Path

import pandas as pd

from subliminal.core.errors import UserError
from subliminal.core.files import from_the_root, write_text
from subliminal.experiment.display.outcome import HEADLINE
from subliminal.report.data import SAMPLED, Results, load_results
from subliminal.report.export import CSV, JSON, Report, estimates_csv, everything, headline
from subliminal.report.figure import arms_figure, png, svg
from subliminal.report.findings import Findings, main_comparison
from subliminal.report.format import Figure
from subliminal.report.pages import html, markdown
from subliminal.report.provenance import trace
from subliminal.report.sections import sections
from subliminal.report.tables import comparisons, estimates, grades, named_most
from subliminal.report.text import figure_words, title, warnings

CSV_COLUMNS = ("arm", "animal", "share", "ci_low", "ci_high", "task")


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
    figures = [figure for section in report.sections for figure in section.figures]
    drawings = {figure.file: figure.draw() for figure in figures}
    text = markdown(report.page)
    texts = {"report.md": text, "report.html": html(text, drawings), "top_animals.csv": _csv(report.found.results)}
    texts |= {Path(name).with_suffix(".svg").name: drawing for name, drawing in drawings.items()}
    texts[HEADLINE] = json.dumps(headline(report), indent=2, ensure_ascii=False) + "\n"
    if as_csv:
        texts[CSV] = estimates_csv(report.found.results)
    if as_json:
        texts[JSON] = json.dumps(everything(report), indent=2, ensure_ascii=False) + "\n"
    _write_bytes(folder / "figure.png", png(report.found.main_figure()))
    for name, text in texts.items():
        write_text(folder / name, text)
    return folder / "report.html"


def compose(folder: Path) -> Report:
    """Everything that a report says, nothing drawn or written yet.

    Raises:
        UserError: see :func:`write_report`.
    """
    if not folder.is_dir():
        hint = from_the_root(folder) or " Name the results of an experiment, such as results/owl-demo."
        raise UserError(f"{folder} is not a folder.{hint}")
    results = load_results(folder)
    arms, graded_arms = estimates(results, results.preference_tasks), estimates(results, results.graded_tasks)
    differences = comparisons(results)
    shown = arms or graded_arms
    main = main_comparison(results, differences)
    main_figure = cache(partial(arms_figure, results, shown, differences, main))
    found = Findings(
        results=results,
        provenance=trace(results),
        arms=arms,
        differences=differences,
        graded_arms=graded_arms,
        graded=grades(results),
        figure=Figure(lambda: svg(main_figure(), "arms"), figure_words(shown, differences), "figure.png"),
        main_figure=main_figure,
    )
    return Report(found, title(results), warnings(results, found.provenance), sections(found))


def _csv(results: Results) -> str:
    """Top answers as fractions; sampled tasks, or the exact ones where nothing was sampled."""
    tasks = [task for task in results.preference_tasks if results.kinds[task] == SAMPLED]
    rows = []
    for task in tasks or results.preference_tasks:
        rows += [{**row, "task": task} for row in named_most(results, task)]
    return pd.DataFrame(rows, columns=CSV_COLUMNS).to_csv(index=False)


def _write_bytes(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
