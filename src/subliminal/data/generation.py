"""The loop that all generating builders share: draw prompts, ask the engine, keep every answer, stop when enough pass.

Rows are numbered. Row i's prompt and sampling seed depend on (run seed, i) alone, and the rows kept are the first
``count`` by number that pass, so neither the order in which answers arrive nor an interruption changes the result.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from subliminal.core.errors import UserError
from subliminal.core.files import read_jsonl
from subliminal.core.manifest import new_manifest, read_manifest
from subliminal.data.card import dataset_card
from subliminal.data.folder import Content, DatasetFolder, RowVerdict
from subliminal.data.progress import RowProgress
from subliminal.engine import Completion, Engine, Request, Sampling, row_seed
from subliminal.engine.chat import user_messages

ROUND_ROWS = 20_000
"""Requests prepared at a time, so that a million rows do not fill the memory."""
FIRST_GUESS = 0.95
"""Pass rate assumed before any answer is in."""
HARDLY_ANY = 0.02
"""Pass rate below which more prompts cost much and bring little."""
SHOWN_CHARACTERS = 120
MORE_PROMPTS = "Run the same command with --resume and a higher --max-prompts; what was generated is kept."
EVERY_SOURCE = "every source"
"""What a row counts for where a job has no quotas."""


@dataclass(frozen=True)
class Draw:
    """One prompt. ``system`` is sent but never written to the training row; ``extra`` goes into the raw row."""

    prompt: str
    system: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """Everything that decides what a dataset folder will hold.

    Args:
        builder: module name, also the prefix of row ids.
        out: the dataset folder.
        config: settings as recorded; with ``count`` and ``max_prompts`` the ones that --resume may raise.
        draw: index -> prompt.
        verdict: raw row -> reason for rejection, or None.
        sampling: sampling values sent with every request.
        inputs: files the prompts come from, for the manifest.
        quotas: source (as a draw's ``extra`` names it) -> rows to keep of it; None takes the rows as they come.
        content: raw row -> the answer in its training row; None is the completion as it arrived.
    """

    builder: str
    out: Path
    config: dict[str, Any]
    draw: Callable[[int], Draw]
    verdict: RowVerdict
    sampling: Sampling
    inputs: dict[str, Path] = field(default_factory=dict)
    quotas: Mapping[str, int] | None = None
    content: Content | None = None


def run(job: Job, open_engine: Callable[[], Engine], *, resume: bool, overwrite: bool) -> None:
    """Make the dataset folder, or go on with it, and print its path last.

    Raises:
        UserError: the folder must not be written to; the engine fails; or ``max_prompts`` prompts gave too few rows.
    """
    folder = DatasetFolder(job.out)
    inputs = job.inputs | model_files(job.config.get("model"), job.config.get("adapter"))
    folder.check(job.config, inputs=inputs, resume=resume, overwrite=overwrite)
    # Before the engine is opened: to load a model takes minutes, and a server may not be there any more.
    if resume and folder.is_finished(job.config):
        print(f"{job.out} is finished already.")
        report_counts(job.out, read_manifest(job.out)["counts"], job.config["count"], MORE_PROMPTS)
        return
    with closing(open_engine()) as engine:
        manifest = new_manifest("dataset", config=job.config, inputs=inputs)
        manifest |= {"builder": job.builder, "engine": engine.describe(), "sampling": job.sampling.as_dict()}
        manifest["chat_context_sha256"] = manifest["engine"].get("chat_context_sha256")
        # Only the engine knows the template; the folder is not yet touched.
        if resume:
            folder.check_context(manifest["chat_context_sha256"])
        if hasattr(engine, "check"):  # what the template refuses must not cost the rows that --overwrite replaces
            engine.check(_request(job, 0).messages)
        with folder.hold(manifest, overwrite=overwrite):
            _generate(job, folder, engine)
            counts = folder.finalize(
                manifest, job.verdict, job.config["count"], dataset_card, quotas=job.quotas, content=job.content
            )
    report_counts(job.out, counts, job.config["count"], MORE_PROMPTS)


def write(
    builder: str,
    out: Path,
    config: dict[str, Any],
    rows: Iterable[dict[str, Any]],
    verdict: RowVerdict,
    *,
    inputs: dict[str, Path] | None = None,
    about: dict[str, Any] | None = None,
    resume: bool,
    overwrite: bool,
) -> None:
    """Make a dataset folder from raw rows that need no model, and print its path last.

    Args:
        builder: module name, for the manifest.
        out: the dataset folder.
        config: settings as recorded, with ``count``; None keeps every row that passes.
        rows: raw rows without ``id``, ``index`` and ``finish_reason``, in order; made again in full on --resume.
        verdict: raw row -> reason for rejection, or None.
        inputs: files the rows come from, for the manifest.
        about: what else the manifest says.

    Raises:
        UserError: the folder must not be written to, or too few rows pass.
    """
    folder = DatasetFolder(out)
    folder.check(config, inputs=inputs, resume=resume, overwrite=overwrite)
    if resume and folder.is_finished(config):
        print(f"{out} is finished already.")
        report_counts(out, read_manifest(out)["counts"], config["count"])  # too few rows are too few again
        return
    manifest = new_manifest("dataset", config=config, inputs=inputs) | {"builder": builder} | (about or {})
    with folder.hold(manifest, overwrite=overwrite):
        done = {row["index"] for row in folder.raw_rows()}
        with folder.appending() as append:
            for index, row in enumerate(tqdm(rows, desc=builder, unit="row", disable=None)):
                if index not in done:
                    append({"id": f"{builder}-{index:07d}", "index": index, "finish_reason": "stop", **row})
        counts = folder.finalize(manifest, verdict, config["count"], dataset_card)
    report_counts(out, counts, config["count"])


def report_counts(
    out: Path, counts: dict[str, Any], count: int | None, remedy: str = "Ask for fewer with --count."
) -> None:
    """Say what was kept and why the rest was not; the path comes last.

    Args:
        out: the dataset folder.
        counts: of its manifest.
        count: rows that were asked for; None asks for those that pass, however many.
        remedy: what can be done about too few, in the options of the command that ends here.

    Raises:
        UserError: fewer than ``count`` rows were kept. Where hardly any answer passed, it shows one that did not.
    """
    # Surplus rows were drawn in vain and are no part of the rate.
    judged = counts["kept"] + sum(counts["rejected"].values())
    rate = counts["kept"] / max(1, judged)
    print(f"kept {counts['kept']} of {judged} ({rate:.1%}), {counts['surplus']} more not needed")
    for reason, number in counts["rejected"].items():
        print(f"  rejected {number}: {reason}")
    if count is not None and counts["kept"] < count:
        if rate < HARDLY_ANY and (shown := _a_rejected_answer(out, counts["rejected"])):
            remedy = (
                f"{shown} More prompts will hardly help: use a model that follows the format (data_builders.warmup "
                "makes rows that teach it), or other sampling; all answers are in rejected.jsonl."
            )
        raise UserError(
            f"{out} has {counts['kept']} rows of the {count} asked for: {rate:.1%} of {judged} answers passed. {remedy}"
        )
    print(out)


def _a_rejected_answer(out: Path, rejected: Mapping[str, int]) -> str | None:
    """The commonest reason for which answers were rejected, with the first that was, on one line."""
    path = out / "rejected.jsonl"
    if not rejected or not path.is_file():
        return None
    reason = max(rejected, key=lambda each: rejected[each])
    for row in read_jsonl(path, allow_empty=True):
        if row.get("reason") == reason:
            # On one line: the message is a sentence, and an answer may have line breaks.
            text = " ".join(str(row.get("completion")).split())
            return f"{rejected[reason]} were rejected as “{reason}”, such as “{text[:SHOWN_CHARACTERS]}”."
    return None


def _generate(job: Job, folder: DatasetFolder, engine: Engine) -> None:
    """Ask in rounds until every source has its rows, or ``max_prompts`` prompts are drawn."""
    wanted = {EVERY_SOURCE: job.config["count"]}
    if job.quotas is not None:
        wanted = dict(job.quotas)
    # Index -> the source that the row counts for; None if it is rejected. Rows of an earlier run are not asked again.
    kept = {row["index"]: _source_of_kept(job, row) for row in folder.raw_rows()}
    end = 0
    limit = job.config["max_prompts"]
    with folder.appending() as append, RowProgress(job.builder, job.config["count"]) as progress:
        while end < limit:
            # Rows that a stopped run drew beyond these count when their turn comes, as they would have.
            passed = Counter(kept.get(index) for index in range(end))
            # More of one source than it has room for brings the whole no nearer.
            progress.show(sum(min(passed[source], number) for source, number in wanted.items()), end)
            if all(passed[source] >= number for source, number in wanted.items()):
                break
            # Sources are mixed in the order of the rows: the one that lacks most decides how many are drawn.
            end = max(next_end(end, passed[source], number, limit) for source, number in wanted.items())
            todo = [index for index in range(end) if index not in kept]
            for row in _asked(job, todo, engine):
                append(row)
                source = _source_of_kept(job, row)
                kept[row["index"]] = source
                progress.row(source is not None)


def _asked(job: Job, indexes: Sequence[int], engine: Engine) -> Iterator[dict[str, Any]]:
    """The raw rows of some prompts, in the order in which their answers come."""
    for start in range(0, len(indexes), ROUND_ROWS):
        requests = [_request(job, index) for index in indexes[start : start + ROUND_ROWS]]
        for completion in engine.generate(requests, job.sampling):
            yield _raw_row(job, completion)


def _source_of_kept(job: Job, row: dict[str, Any]) -> str | None:
    """The source that a raw row counts for; None if it is rejected."""
    if job.verdict(row) is not None:
        return None
    if job.quotas is None:
        return EVERY_SOURCE
    return row["source"]


def model_files(model: str | None, adapter: str | None) -> dict[str, Path]:
    """The weight files of a local model and adapter, so that a resumed run is known to use the same ones."""
    files = {
        "model": Path(model or "") / "model.safetensors",
        "adapter": Path(adapter or "") / "adapter_model.safetensors",
    }
    return {name: path for name, path in files.items() if path.is_file()}


def next_end(end: int, passed: int, count: int, limit: int) -> int:
    """How many prompts to have drawn after the next round.

    A function of what came before alone, so a resumed run draws the same rounds as an undisturbed one. The pass rate is
    taken as (passed + 1) / (end + 2), so that a rate near zero doubles the rounds and makes few of them.

    Args:
        end: prompts drawn so far.
        passed: rows kept of them (of one source, where sources have quotas).
        count: rows wanted.
        limit: prompts that may be drawn in all.
    """
    if passed >= count:
        return end
    rate = FIRST_GUESS
    if end:
        rate = (passed + 1) / (end + 2)
    # Two more than expected: a round that falls one row short costs another round for it.
    return min(limit, end + math.ceil((count - passed) / rate) + 2)


def _request(job: Job, index: int) -> Request:
    draw = job.draw(index)
    return Request(
        id=f"{job.builder}-{index:07d}",
        messages=user_messages(draw.prompt, draw.system),
        seed=row_seed(job.config["seed"], index),
    )


def _raw_row(job: Job, completion: Completion) -> dict[str, Any]:
    # Engines answer in any order: the id says which row this is.
    index = int(completion.id.rsplit("-", 1)[1])
    # A prompt follows from its index, so it is drawn again rather than kept for every open request.
    draw = job.draw(index)
    return {
        "id": completion.id,
        "index": index,
        "prompt": draw.prompt,
        "completion": completion.text,
        "finish_reason": completion.finish_reason,
        "seed": completion.seed,
        "model": completion.model,
        **draw.extra,
    }
