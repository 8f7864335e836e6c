"""The evaluation runner: every model on every task, each result whole or absent.

    specs = parse_models("base,student=outputs/owl_student", EvaluationSpec(model=..., ...))
    evaluate(specs, Path("results/owl-demo"), resume=True)

``scripts/evaluate.py`` is the command. What is scored is in :mod:`subliminal.evaluation.spec`, what runs the models in
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
from subliminal.evaluation.context import chat_context
from subliminal.evaluation.loaders import Loader, OpenModels, in_process
from subliminal.evaluation.results import ResultFolder
from subliminal.evaluation.spec import EvaluationSpec, check_spec, input_files
from subliminal.evaluation.tasks import describe_machine, run_task, task_manager


def default_folder(spec: EvaluationSpec) -> Path:
    """``results/<experiment>`` in the checkout."""
    return REPO_ROOT / "results" / spec.experiment


def evaluate(
    specs: Sequence[EvaluationSpec],
    out: Path,
    *,
    engine: OpenModels = in_process,
    resume: bool = False,
    overwrite: bool = False,
    allow_context: str | None = None,
) -> list[Path]:
    """Score every spec into ``out/<arm>/seed-<n>``.

    Args:
        specs: what to score. All are checked before the first is scored.
        out: folder of the experiment.
        engine: what runs the models (:mod:`subliminal.evaluation.loaders`).
        resume: a finished result is kept, and so are the finished tasks of an interrupted one.
        overwrite: results that exist and cannot be kept are replaced, each once its successor is whole.
        allow_context: see :func:`subliminal.evaluation.context.chat_context`.

    Returns:
        The folders that were scored, in the order of ``specs``; those that were finished already are not among them.

    Raises:
        UserError: bad arguments, a result that is in the way or was begun in another chat context, an adapter that was
            trained in another one or is not in use.
    """
    if not sys.stderr.isatty():  # tqdm reads this when it is imported, later
        os.environ.setdefault("TQDM_MININTERVAL", "30")  # in a log file one progress line in half a minute is enough
    for spec in specs:
        check_spec(spec)
    work = []
    for spec in specs:
        folder = _result_folder(spec, out, resume, overwrite)
        if not folder.finished:
            work.append((spec, folder))
    if not work:
        return []
    contexts = {folder.path: chat_context(spec, allow_context) for spec, folder in work}
    for _, folder in work:  # once every spec has been looked at: this may begin a folder anew
        folder.note_context(contexts[folder.path]["chat_context_sha256"])
    manager = task_manager(work[0][0].tasks)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    describe_machine()  # while the first model is loaded
    # A base is loaded once, and its adapters take turns on it.
    by_base: dict[str, list[tuple[EvaluationSpec, ResultFolder]]] = defaultdict(list)
    for spec, folder in work:
        by_base[spec.model].append((spec, folder))
    for _, same_base in sorted(by_base.items()):
        with engine([spec for spec, _ in same_base]) as load:
            for spec, folder in same_base:
                _score(spec, folder, load, manager, contexts[folder.path])
    return [folder.path for _, folder in work]


def _result_folder(spec: EvaluationSpec, out: Path, resume: bool, overwrite: bool) -> ResultFolder:
    # As it will be read from the manifest, where a tuple is a list.
    config = json.loads(json.dumps(asdict(spec)))
    del config["base"]  # names the replicate and is no setting of the evaluation
    manifest = new_manifest("result", config=config, inputs=input_files(spec))
    manifest["base_model"] = spec.base or spec.model
    return ResultFolder(out / spec.arm / f"seed-{spec.seed}", manifest, resume=resume, overwrite=overwrite)


def _score(
    spec: EvaluationSpec, folder: ResultFolder, load: Loader, manager: Any, context: Mapping[str, str | None]
) -> None:
    """Score one model on the tasks that are not done yet, and finish its folder."""
    model, facts = load(spec)
    folder.begin()
    pieces = []
    for task in spec.tasks:
        piece = folder.read_task(task)
        if piece is None:
            piece = run_task(task, spec, model, manager, folder.task(task) / "lm_eval")
            folder.keep_task(task, piece)
        pieces.append(piece)
    rows = {}
    tasks = {}
    sampling = {}
    for piece in pieces:
        rows |= piece["rows"]
        tasks |= piece["summary"]
        sampling |= piece["sampling"]
    summary = {
        "experiment": spec.experiment,
        "arm": spec.arm,
        "seed": spec.seed,
        "target": spec.target,
        "model": spec.name,
        "tasks": tasks,
    }
    folder.finish(spec.name, rows, summary, {**context, "sampling": sampling, "seeds": pieces[0]["seeds"], **facts})
