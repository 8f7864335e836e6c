"""Predictors that need weights, measured on what an experiment left: a CSV for ``transfer --predictors``.

- **coverage** (arXiv 2606.22019): cosine of the student's first update on its rows, without the optimiser's scaling,
  and of the teacher's weights minus the base's, over all weights of the base.
- **first-order rise**: by how much a small step on the rows raises the teacher's animal above the mean of all animals,
  as ``detect`` scores it with data and base alone, in the weights that the student's recipe trains; the same minus the
  control's rows on the same base.
- **steering**: by how much the teacher's vector, added to the middle layer of the base, raises its animal above the
  mean of all animals, nats (:mod:`subliminal.analysis.steering.vectors`); from the prompts of the control's rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from subliminal.analysis.transfer.predictors import Replicate, read_replicates
from subliminal.core.files import read_jsonl, write_csv
from subliminal.core.option_checks import read_by
from subliminal.evaluation.lineage import learned_rows, root_of, scored_weights
from subliminal.scoring.category_tasks import category_of_task, check_main_task
from subliminal.stats.log_odds import CONTROL, EXACT_TASK, read_table
from subliminal.traits.category import ANIMALS

MEASURED_FIELDS = (
    *("experiment", "animal", "seed"),
    *("coverage", "first-order rise", "first-order rise above control", "steering"),
)


def measure_command(
    results: Annotated[list[Path], typer.Argument(help="results/<experiment>, run here.")],
    out: Annotated[Path, typer.Option(help="The CSV to write; scored sets are kept in the folder OUT.scores.")],
    task: Annotated[
        str, typer.Option(help="Whose answers say which replicates there are.", callback=read_by(check_main_task))
    ] = EXACT_TASK,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows of each set; default all.")] = None,
) -> None:
    """Measure coverage, the first-order rise, and steering of each replicate, for transfer --predictors.

    Needs base, teacher and rows of each replicate; one that lacks them has empty cells. Replaces an older file.
    """
    from tqdm import tqdm

    scores = out.with_name(f"{out.name}.scores")
    lines = []
    for folder in results:
        replicates = read_replicates(folder, read_table(folder, task))
        for replicate in tqdm(replicates, desc=folder.name, unit="replicate", disable=None):
            lines.append(measure(folder, replicate, scores, limit, category_of_task(task) or ANIMALS))
    write_csv(out, MEASURED_FIELDS, lines)
    print(out)


def measure(
    results: Path, replicate: Replicate, scores: Path, limit: int | None, category: str = ANIMALS
) -> dict[str, Any]:
    """One line of the CSV.

    Args:
        results: ``results/<experiment>``.
        replicate: its seed.
        scores: where scored sets are kept.
        limit: rows of each set; None is all of the student's.
        category: of the target.
    """
    # Imported within, so that `--help` does not wait for torch.
    from subliminal.analysis.detect.scores import SetScorer
    from subliminal.analysis.models import is_adapter
    from subliminal.analysis.steering.run import middle_rise
    from subliminal.analysis.trait_queries import tracked_options
    from subliminal.analysis.transfer.coverage import coverage

    line: dict[str, Any] = dict.fromkeys(MEASURED_FIELDS)
    line |= {"experiment": results.resolve().name, "animal": replicate.target, "seed": replicate.seed}
    root = root_of(results)
    config = (replicate.trainings.get("student") or {}).get("config") or {}
    rows, control = _rows(root, replicate, "student"), _rows(root, replicate, CONTROL)
    base = root / str(config.get("base_model"))
    # Whichever is missing leaves its cells empty: of a published archive neither weights nor rows are there.
    if rows is None or control is None or not base.is_dir():
        return line
    # As many of the control's rows as of the student's, so that the two rises can be subtracted.
    count = limit or sum(1 for _ in read_jsonl(rows))
    patterns = list(config.get("unfrozen_parameters") or [])  # the weights that its student trained
    scorer = SetScorer(str(base), {}, tracked_options(category), patterns, scores, count)
    # The same rows at the same base are scored once for all replicates: the folder keeps them.
    rise = scorer.score(rows).scores()[replicate.target]
    line["first-order rise"] = rise
    line["first-order rise above control"] = rise - scorer.score(control).scores()[replicate.target]
    teacher = _teacher(root, replicate)
    if teacher is not None:
        if not is_adapter(str(teacher)):  # coverage compares whole models
            line["coverage"] = coverage(str(base), str(teacher), rows, count)
        line["steering"] = middle_rise(str(base), str(teacher), control, count, replicate.target, category)
    return line


def _rows(root: Path, replicate: Replicate, arm: str) -> Path | None:
    path = learned_rows(replicate.trainings.get(arm) or {})
    if path is None or not (root / path).is_file():
        return None
    return root / path


def _teacher(root: Path, replicate: Replicate) -> Path | None:
    weights = scored_weights(replicate.folder / "teacher" / f"seed-{replicate.seed}")
    if not weights or not (root / weights).is_dir():
        return None
    return root / weights
