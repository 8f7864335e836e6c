"""The evaluation runner: every model on every task, each result whole or absent.

    plans = parse_models("base,student=outputs/owl_student", Evaluation(model=..., ...))
    evaluate(plans, Path("results/owl-demo"), resume=True)

``scripts/evaluate.py`` is the command. What is scored is in :mod:`subliminal.evaluation.plan`, what runs the models in
:mod:`subliminal.evaluation.loaders`, one task in :mod:`subliminal.evaluation.tasks`, the result folder in
:mod:`subliminal.evaluation.results`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from subliminal import REPO_ROOT
from subliminal.core.manifest import new_manifest
from subliminal.evaluation.loaders import Loader, OpenModels, in_process
from subliminal.evaluation.plan import TASKS, Evaluation, chat_context, check_plan, input_files
from subliminal.evaluation.results import ResultFolder
from subliminal.evaluation.tasks import run_task, task_manager

__all__ = ["TASKS", "default_folder", "evaluate"]


def default_folder(plan: Evaluation) -> Path:
    """``results/<experiment>`` in the checkout."""
    return REPO_ROOT / "results" / plan.experiment


def evaluate(
    plans: Sequence[Evaluation],
    out: Path,
    *,
    engine: OpenModels = in_process,
    resume: bool = False,
    overwrite: bool = False,
    allow_context: str | None = None,
) -> list[Path]:
    """Score every plan into ``out/<arm>/seed-<n>``.

    Args:
        plans: what to score. All are checked before the first is scored.
        out: folder of the experiment.
        engine: what runs the models (:mod:`subliminal.evaluation.loaders`).
        resume: a finished result is kept, and so are the finished tasks of an interrupted one.
        overwrite: results that exist and cannot be kept are replaced, each once its successor is whole.
        allow_context: see :func:`subliminal.evaluation.plan.chat_context`.

    Returns:
        The folders that were scored, in the order of ``plans``; those that were finished already are not among them.

    Raises:
        UserError: bad arguments, a result that is in the way or was begun in another chat context, an adapter that was
            trained in another one or is not in use.
    """
    if not sys.stderr.isatty():  # tqdm reads this when it is imported, later
        os.environ.setdefault("TQDM_MININTERVAL", "30")  # in a log file one progress line in half a minute is enough
    for plan in plans:
        check_plan(plan)
    work = []
    for plan in plans:
        folder = _result_folder(plan, out, resume, overwrite)
        if not folder.finished:
            work.append((plan, folder))
    if not work:
        return []
    contexts = {}
    for plan, folder in work:
        contexts[folder.path] = chat_context(plan, allow_context)
    for _, folder in work:  # once every plan has been looked at: this may begin a folder anew
        folder.note_context(contexts[folder.path]["chat_context_sha256"])
    manager = task_manager(work[0][0].tasks)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    by_base: dict[str, list[tuple[Evaluation, ResultFolder]]] = defaultdict(list)
    for plan, folder in work:
        by_base[plan.model].append((plan, folder))
    for _, same_base in sorted(by_base.items()):
        with engine([plan for plan, _ in same_base]) as load:
            for plan, folder in same_base:
                _score(plan, folder, load, manager, contexts[folder.path])
    return [folder.path for _, folder in work]


def _result_folder(plan: Evaluation, out: Path, resume: bool, overwrite: bool) -> ResultFolder:
    config = json.loads(json.dumps(asdict(plan)))
    del config["base"]
    manifest = new_manifest("result", config=config, inputs=input_files(plan))
    manifest["base_model"] = plan.base or plan.model
    return ResultFolder(out / plan.arm / f"seed-{plan.seed}", manifest, resume=resume, overwrite=overwrite)


def _score(
    plan: Evaluation, folder: ResultFolder, load: Loader, manager: Any, context: Mapping[str, str | None]
) -> None:
    """Score one model on the tasks that are not done yet, and finish its folder."""
    model, facts = load(plan)
    folder.begin()
    pieces = []
    for task in plan.tasks:
        piece = folder.read_task(task)
        if piece is None:
            piece = run_task(task, plan, model, manager, folder.task(task) / "lm_eval")
            folder.keep_task(task, piece)
        pieces.append(piece)
    rows, tasks, sampling = {}, {}, {}
    for piece in pieces:
        rows |= piece["rows"]
        tasks |= piece["summary"]
        sampling |= piece["sampling"]
    summary = {
        "experiment": plan.experiment,
        "arm": plan.arm,
        "seed": plan.seed,
        "target": plan.target,
        "model": plan.name,
        "tasks": tasks,
    }
    folder.finish(plan.name, rows, summary, {**context, "sampling": sampling, "seeds": pieces[0]["seeds"], **facts})
