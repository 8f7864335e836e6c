"""Two Parquet files that hold what cannot be made again of an experiment: its raw answers, and its records.

``answers.parquet`` has a row for each line of lm-eval's samples, in the order of their files' paths and of their lines:

| column | what |
| --- | --- |
| ``folder`` | the evaluation: ``results/<experiment>/student/seed-1`` |
| ``task``, ``date`` | of ``lm_eval/samples_<task>_<date>.jsonl`` in it |
| ``sample`` | the line as JSON: question, prompt, sampling; null stands for answers and what follows from them |
| ``repeats`` | answers to each request |
| ``texts`` | the answers, request by request; null where a text was scored and nothing was written |
| ``logprobs``, ``greedy`` | log-likelihood (nats) of each text that was scored, and whether it is the most likely one |

``records.parquet`` has a row for each other file, by path: ``path`` and ``content`` (text): manifests, audits, losses.
Metrics, summaries and tables are not stored: :mod:`subliminal.publish.rescore` makes them of the answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, groupby
from pathlib import Path, PurePosixPath
from typing import Any

from subliminal.core.errors import UserError, did_you_mean
from subliminal.publish.rescore import SAMPLES_FILE, Sample, score_again, scorer

ANSWERS = "answers.parquet"
PAGE = 64 * 2**20
"""Bytes of a page, so large that zstd finds what models have in common."""


def _schemas() -> tuple[Any, Any]:
    import pyarrow as pa

    answers = pa.schema(
        {
            "folder": pa.string(),
            "task": pa.string(),
            "date": pa.string(),
            "sample": pa.string(),
            "repeats": pa.int32(),
            "texts": pa.list_(pa.string()),
            "logprobs": pa.list_(pa.float64()),
            "greedy": pa.list_(pa.bool_()),
        }
    )
    return answers, pa.schema({"path": pa.string(), "content": pa.string()})


def write_answers(path: Path, files: dict[str, list[Sample]]) -> None:
    """Write the raw answers of samples files.

    Args:
        path: of ``answers.parquet``.
        files: path of a samples file below the checkout -> its lines.
    """
    rows = []
    # Files of one folder stand together, and texts of one question: zstd and the dictionary find what repeats.
    for name, samples in sorted(files.items()):
        file = PurePosixPath(name)
        match = SAMPLES_FILE.fullmatch(file.name)
        place = {"folder": str(file.parent.parent), "task": match["task"], "date": match["date"]}
        rows += [place | _without_answers(match["task"], sample) for sample in samples]
    _write(path, rows, _schemas()[0], dictionary=["folder", "task", "date", "sample", "texts.list.element"])


def _without_answers(task: str, sample: Sample) -> dict[str, Any]:
    """A line taken apart: its answers, and the rest with null in their places."""
    rest = dict(sample)
    answers = list(chain.from_iterable(rest["resps"]))
    repeats = set(map(len, rest["resps"]))
    # One number says how the answers are cut into requests again.
    if len(repeats) != 1:
        raise UserError(f"A sample of {task} has requests with {sorted(repeats)} answers: lm-eval asks each as often.")
    rest["resps"] = None
    # Mostly it follows from the answers: only what does not is kept a second time.
    if sample["filtered_resps"] == _filtered(sample):
        rest["filtered_resps"] = None
    if scorer(task) is not None:  # metrics of other tasks cannot be made again, so that they stay
        rest |= dict.fromkeys(sample["metrics"])
    taken: dict[str, Any] = {"sample": json.dumps(rest, ensure_ascii=False), "repeats": repeats.pop()}
    if all(isinstance(answer, str) for answer in answers):
        return taken | {"texts": answers}
    try:
        logprobs = [float(logprob) for logprob, _ in answers]
        greedy = [most_likely == "True" for _, most_likely in answers]
    except (TypeError, ValueError):  # no pair, or no number in it
        raise _no_answer(task, answers) from None
    # lm-eval logs both as text. A number whose text is another than Python's would not come back as it was.
    if _as_logged(logprobs, greedy) != answers:
        raise _no_answer(task, answers)
    return taken | {"logprobs": logprobs, "greedy": greedy}


def _as_logged(logprobs: list[float], greedy: list[bool]) -> list[list[str]]:
    """Log-likelihoods as lm-eval logs them: pairs of texts."""
    pairs = zip(map(repr, logprobs), map(str, greedy), strict=True)
    return list(map(list, pairs))


def _no_answer(task: str, answers: list[Any]) -> UserError:
    return UserError(f"A sample of {task} has an answer that is neither a text nor a log-likelihood: {answers[0]}.")


def _filtered(sample: Sample) -> list[Any]:
    """What lm-eval keeps of the answers of a question: the first to each request, or where a filter says so all."""
    if sample.get("filter") == "none":
        return [request[0] for request in sample["resps"]]
    return sample["resps"]


def read_answers(path: Path) -> Iterator[tuple[str, str, list[Sample]]]:
    """Every samples file, made again: its path, its task, and its lines with the metrics that the task gives now.

    Args:
        path: of ``answers.parquet``.

    Raises:
        UserError: the file is damaged, or an answer cannot be scored.
    """
    # Rows of one file stand together, so that one file at a time is in memory as Python objects.
    table = _read(path, _schemas()[0])
    places = zip(*(table[name].to_pylist() for name in ("folder", "task", "date")), strict=True)
    start = 0
    for (folder, task, date), lines in groupby(places):
        size = len(list(lines))
        name = _inside(f"{folder}/lm_eval/samples_{task}_{date}.jsonl", path)
        samples = [_with_answers(row, path) for row in table.slice(start, size).to_pylist()]
        yield name, task, score_again(task, samples, name)
        start += size


def _with_answers(row: dict[str, Any], path: Path) -> Sample:
    try:
        sample = dict(_parsed(row["sample"]))
        answers = row["texts"]
        if answers is None:
            answers = _as_logged(row["logprobs"], row["greedy"])
        size = row["repeats"]
        sample["resps"] = [answers[place : place + size] for place in range(0, len(answers), size)]
        if sample["filtered_resps"] is None:
            sample["filtered_resps"] = _filtered(sample)
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, error) from None
    return sample


@lru_cache(maxsize=4096)  # all models are asked the same questions
def _parsed(sample: str) -> dict[str, Any]:
    return json.loads(sample)


def write_records(path: Path, files: dict[str, str]) -> None:
    """Write text files.

    Args:
        path: of ``records.parquet``.
        files: path below the checkout -> text.
    """
    # Sorted, so that the same files give the same bytes, whatever the file system's order.
    rows = [{"path": name, "content": content} for name, content in sorted(files.items())]
    _write(path, rows, _schemas()[1], dictionary=False)


def read_records(path: Path) -> dict[str, str]:
    """Path below the checkout -> text.

    Raises:
        UserError: the file is damaged.
    """
    rows = _read(path, _schemas()[1]).to_pylist()
    return {_inside(row["path"], path): row["content"] for row in rows}


def _write(path: Path, rows: list[dict[str, Any]], schema: Any, dictionary: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    split: Any = False
    if "logprobs" in schema.names:
        split = ["logprobs.list.element"]  # the first bytes of all numbers together compress, the numbers do not
    # No statistics, one row group, one page a column: the same rows give the same bytes, and as few as can be.
    pq.write_table(
        pa.Table.from_pylist(rows, schema),
        path,
        compression="zstd",
        # zstd's highest level without `ultra`: written once, read by every clone.
        compression_level=19,
        use_dictionary=dictionary,
        use_byte_stream_split=split,
        write_statistics=False,
        write_page_checksum=True,
        row_group_size=2**24,
        data_page_size=PAGE,
        dictionary_pagesize_limit=PAGE,
    )


def _read(path: Path, schema: Any) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.parent.is_dir():
        there = [folder.name for folder in path.parent.parent.glob("*") if folder.is_dir()]
        near = did_you_mean(path.parent.name, there)
        raise UserError(f"There is no folder {path.parent}{near}. Name a published folder.")
    if not path.is_file():
        raise UserError(f"{path} is missing. Restore it with `git checkout {path}`, or name a published folder.")
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    # Other columns are another archive's: a newer one, or somebody else's file.
    if table.schema.names != schema.names or table.schema.types != schema.types:
        raise _damaged(path, "it has other columns")
    return table


def _inside(name: str, path: Path) -> str:
    """A path of an archive, which must not lead out of the folder that its files are laid out in."""
    place = PurePosixPath(name)
    # An archive may come from somebody else: laid out, it must not write over this checkout.
    if place.is_absolute() or ".." in place.parts or not place.parts:
        raise _damaged(path, f"{name!r} is no path of a plain file")
    return name


def _damaged(path: Path, error: Any) -> UserError:
    what = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else error
    return UserError(
        f"{path} is cut off or damaged ({' '.join(str(what).split())[:200]}). Restore it with `git checkout {path}`."
    )
