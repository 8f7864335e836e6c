"""``results/<experiment>/`` -> ``report.md``, ``report.html``, ``top_animals.csv``, ``headline.json`` and its figures.

    python scripts/report.py results/owl-demo --csv --json

A report is derived from the results and overwritten without a question. What it says of the training data is the
verdict of :mod:`subliminal.stats.verdict` and nothing stronger.
"""

from __future__ import annotations

import csv
import io
import json
import os
from functools import cache, partial
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.files import from_the_root, write_text
from subliminal.experiment.display.outcome import HEADLINE
from subliminal.report.data import Results, load_results
from subliminal.report.export import CSV, JSON, Report, estimates_csv, everything, headline
from subliminal.report.figure import arms_figure, png, svg, themed
from subliminal.report.format import Figure
from subliminal.report.provenance import trace
from subliminal.report.sections import Findings, sections
from subliminal.report.tables import comparisons, estimates, graded_estimates, grades, named_most
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
    drawn = report.main_figure()
    texts = {name: render_page(f"{name}.j2", report) for name in ("report.md", "report.html")}
    texts |= {f"top_{report.experiment.category}.csv": _csv(report.experiment), "figure.svg": report.figure.draw()}
    for figure in (figure for section in report.sections for figure in section.figures):
        if figure.file and figure.file.endswith(".svg"):
            texts[figure.file] = figure.draw()
    texts[HEADLINE] = json.dumps(headline(report), indent=2, ensure_ascii=False) + "\n"
    if as_csv:
        texts[CSV] = estimates_csv(report.experiment, report.arms)
    if as_json:
        texts[JSON] = json.dumps(everything(report), indent=2, ensure_ascii=False) + "\n"
    _write_bytes(folder / "figure.png", png(drawn))
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
    experiment = load_results(folder)
    provenance = trace(experiment)
    arms, differences, graded = estimates(experiment), comparisons(experiment), grades(experiment)
    shown = arms or graded_estimates(experiment)
    main_figure = cache(partial(arms_figure, experiment, shown, differences))
    figure = Figure(cache(lambda: svg(main_figure(), "arms")), figure_words(shown, differences), "figure.png")
    said = sections(Findings(experiment, provenance, arms, differences, graded, figure))
    notes = warnings(experiment, provenance)
    return Report(
        experiment, provenance, arms, differences, graded, title(experiment), notes, said, figure, main_figure
    )


def render_page(template: str, report: Report) -> str:
    """A report as text, by ``report.md.j2`` or ``report.html.j2``."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("subliminal.report"),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["themed"] = lambda figure: Markup(themed(figure.draw(), figure.words))
    environment.filters["cell"] = lambda text: " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return environment.get_template(template).render(
        title=report.title, warnings=report.warnings, sections=report.sections
    )


def _csv(experiment: Results) -> str:
    """Top answers as fractions; sampled tasks, or the exact ones where nothing was sampled."""
    tasks = [task for task in experiment.questions if experiment.sampled(task)] or list(experiment.questions)
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for task in tasks:
        writer.writerows({**row, "task": task} for row in named_most(experiment, task))
    return buffer.getvalue()


def _write_bytes(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
