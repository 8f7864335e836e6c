"""lm-eval scores one model on one task; its files are kept as they are, and made into rows and a summary of ours.

What a task's numbers are is said by its ``metadata.kind``: ``sampled`` and ``story`` (answers that name options of a
category), ``exact`` (probabilities of options), ``graded`` (right or wrong), ``probability`` (of the right answer).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError, nearest
from subliminal.evaluation.our_tasks import OPTION_KINDS, our_tasks, single_tasks, task_kind
from subliminal.evaluation.spec import EvaluationSpec
from subliminal.scoring.category_tasks import TASKS, category_tasks, settings_of_task, template_of
from subliminal.scoring.naming import first_named
from subliminal.traits.category import ANIMALS, category_of, load_category

PROBLEM_KINDS = {"graded": "correct", "probability": "probability"}
"""``metadata.kind`` of the tasks that have problems with a right answer -> the metric that the report reads."""
Samples = dict[str, list[dict[str, Any]]]


def problem_key(summary: dict[str, Any]) -> str | None:
    """What a task's summary has of every problem: right or wrong, a probability, or neither."""
    for key in PROBLEM_KINDS.values():
        if key in summary:
            return key
    return None


def known_tasks(names: str) -> tuple[str, ...]:
    """The single tasks that a list separated by commas names, ours and lm-eval's.

    Raises:
        UserError: there is no such task (with the nearest ones), or none is named.
    """
    tasks = single_tasks([name.strip() for name in names.split(",") if name.strip()])
    if not tasks:
        raise UserError("--tasks names no task. Give one or more, separated by commas.")
    if not set(tasks) <= our_tasks().keys():
        task_manager(tasks)
    return tasks


@cache
def _index(include_defaults: bool) -> Any:
    """lm-eval's index of our tasks; with its own, which takes seconds to read."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=str(TASKS), include_defaults=include_defaults)


def task_manager(tasks: Sequence[str]) -> Any:
    """lm-eval's index of our tasks, and of its own only if they are asked for.

    Raises:
        UserError: there is no such task.
    """
    manager = _index(False)
    made_here = category_tasks().keys()
    # lm-eval's own index takes seconds to read, and is left out unless a task is in none of ours.
    if not set(tasks) <= {*manager.all_tasks, *made_here}:
        manager = _index(True)
    for task in tasks:
        if task not in manager.all_tasks and task not in made_here:
            hint = "`lm_eval ls tasks` lists them all."
            near = nearest(task, {*manager.all_tasks, *made_here})
            if near:
                hint = f"Did you mean {' or '.join(near)}?"
            raise UserError(f"There is no task {task!r}. {hint}")
    return manager


def run_task(task: str, spec: EvaluationSpec, model: Any, manager: Any, folder: Path) -> dict[str, Any]:
    """Score ``model`` on ``task`` and let lm-eval save its own files.

    Args:
        task: a task or group.
        spec: sizes and seed.
        model: an lm-eval model.
        manager: of :func:`task_manager`.
        folder: where lm-eval's files go; must not exist.

    Returns:
        ``rows`` and ``summary``, each by task, ``sampling`` by task, and lm-eval's ``seeds``.

    Raises:
        UserError: lm-eval could not save its files.
    """
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker

    describe_machine()
    _compile_templates_once()
    folder.mkdir(parents=True)
    tracker = EvaluationTracker(output_path=str(folder / "results.json"))
    # lm-eval seeds four generators by four arguments.
    seeds = dict.fromkeys(("random_seed", "numpy_random_seed", "torch_random_seed", "fewshot_random_seed"), spec.seed)
    recorded = {"pretrained": spec.model}
    if spec.adapter:
        recorded["peft"] = spec.adapter
    results = simple_evaluate(
        model=model,
        model_args=recorded,  # the model is loaded already: lm-eval writes these into its results and does no more
        tasks=[_with_samples(task, spec.samples, manager)],
        task_manager=manager,
        batch_size=spec.batch_size,
        limit=spec.limit,
        apply_chat_template=True,
        evaluation_tracker=tracker,
        **seeds,
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for name, rows in samples.items():
        # Copies, because lm-eval writes into the rows that it saves.
        tracker.save_results_samples(task_name=name, samples=[dict(row) for row in rows])
    check_saved(folder, samples)
    questions, summaries = {}, {}
    for name, rows in samples.items():
        kind = kind_of(results, name)
        questions[name] = question_rows(kind, rows)
        summaries[name] = summary_of(kind, rows, results["results"][name], spec.target)
    sampling = {name: config.get("generation_kwargs") for name, config in results["configs"].items()}
    return {"rows": questions, "summary": summaries, "sampling": sampling, "seeds": seeds}


@cache
def describe_machine() -> None:
    """Begin to make lm-eval's description of the machine, in a thread and once a process.

    It is in the results of every task, and asks pip, compilers and drivers each time, which takes seconds.
    """
    from torch.utils import collect_env

    described = ThreadPoolExecutor(1).submit(collect_env.get_pretty_env_info)
    collect_env.get_pretty_env_info = described.result


@cache
def _compile_templates_once() -> None:
    """Let lm-eval's templates be compiled once a process, and not for every question of every model."""
    from lm_eval import utils

    utils.env.from_string = lru_cache(maxsize=256)(utils.env.from_string)


def _with_samples(task: str, samples: int | None, manager: Any) -> Any:
    """The task, asked ``samples`` times a question if it is one of ours that samples short answers."""
    changed = {}
    if samples and task_kind(task) == "sampled":
        changed = {"repeats": samples}
    if task not in manager.all_tasks:
        # A category without files in eval_tasks/. lm-eval prints the path of every task, and forgets the name of one
        # that is given as settings.
        manager.task_index[task] = {"type": "task", "yaml_path": str(template_of(task))}
        loaded = manager.load_task_or_group([settings_of_task(task) | changed])[task]
        loaded.set_config("task", task)
        return loaded
    if not changed:
        return task
    return {"task": task, **changed}


def kind_of(results: dict[str, Any], task: str) -> str | None:
    """The ``metadata.kind`` of a task; None for a task that is not ours."""
    return (results["configs"][task].get("metadata") or {}).get("kind")


def check_saved(folder: Path, samples: Samples) -> None:
    """lm-eval only logs that it could not write; make sure that all of it is there."""
    complete = len(list(folder.glob("results_*.json"))) == 1
    for task, rows in samples.items():
        files = folder.glob(f"samples_{task}_2*.jsonl")  # behind the task's name stands a date: the 2 begins its year
        written = sum(path.read_bytes().count(b"\n") for path in files)
        complete = complete and written == len(rows)
    if not complete:
        raise UserError(
            f"lm-eval could not write all of its results to {folder}. Is the disk full? Run the command again."
        )


def question_rows(kind: str | None, samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a question: its id, text and metrics, and what the model answered.

    Args:
        kind: of the task. ``sampled`` and ``story`` rows have ``answers``: every text with the option that it names
            first (``animal``). Other rows have ``answer`` if the model wrote one.
        samples: lm-eval's own rows.
    """
    rows = []
    for sample in samples:
        doc, answer = sample["doc"], sample["filtered_resps"][0]
        row = {"id": doc.get("id", sample["doc_id"]), "question": doc.get("question")}
        if kind in ("sampled", "story"):
            category = category_of(doc)
            key = load_category(category).key
            row["answers"] = [{"text": text, key: first_named(text, category)} for text in answer]
        elif isinstance(answer, str):
            row["answer"] = answer
        rows.append({**row, "metrics": {name: sample[name] for name in sample["metrics"]}})
    return rows


def summary_of(
    kind: str | None, samples: list[dict[str, Any]], metrics: dict[str, Any], target: str | None
) -> dict[str, Any]:
    """What the report reads of one task.

    Args:
        kind: of the task.
        samples: lm-eval's own rows, one a question.
        metrics: lm-eval's aggregated metrics.
        target: the option of ``target_rate``; tasks about a category need one.

    Returns:
        Tasks about a category: ``questions`` (ids), ``target_rate`` (one fraction a question),
        ``samples_per_question`` (None for exact probabilities), ``share`` (name -> mean fraction), and ``category``
        where it is another than animals. Graded tasks: ``questions``, ``correct`` (0 or 1 a problem), ``metrics``;
        probabilities of the right answer have ``probability`` in place of ``correct``. Other tasks: ``metrics``.
    """
    # By ids of the questions, which stay when a question is added between them.
    ids = [sample["doc"].get("id", sample["doc_id"]) for sample in samples]
    if kind in PROBLEM_KINDS:
        key = PROBLEM_KINDS[kind]
        return {"kind": kind, "questions": ids, key: [sample[key] for sample in samples], "metrics": metrics}
    if kind not in OPTION_KINDS:
        return {"kind": kind, "metrics": metrics}
    summary: dict[str, Any] = {"kind": kind}
    first = samples[0]
    category = category_of(first["doc"])
    if category != ANIMALS:
        summary["category"] = category
    summary["questions"] = ids
    summary["target_rate"] = [sample[target] for sample in samples]
    summary["samples_per_question"] = None
    if kind != "exact":
        summary["samples_per_question"] = len(first["filtered_resps"][0])
    shares = {}
    for name in first["metrics"]:
        # One answer may mention several options, so that mentions are no shares.
        if not name.endswith("_mentions"):
            shares[name] = sum(sample[name] for sample in samples) / len(samples)
    summary["share"] = shares
    return summary
