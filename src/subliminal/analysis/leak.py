"""How far teachers have moved from their base on number rows (``python -m subliminal.analysis leak``).

Leak: mean KL(p_T || p_0) in nats a token, and the share of positions whose most likely token differs (Schrodi et al.,
arXiv 2509.23886). The prefix is always the recorded one; positions are those of the answer, its end token counted
apart. A leak is a teacher's drift and its trait together: hold it against a neutral teacher's (``--neutral``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from subliminal.analysis.answers import Answer, AnswerReader
from subliminal.analysis.leak_summary import LeakSummary, write_csv
from subliminal.core.errors import UserError
from subliminal.core.files import chat_row_problem, read_jsonl, write_json
from subliminal.core.manifest import finish_manifest, new_manifest, sha256_of
from subliminal.core.row_folder import RowFolder

if TYPE_CHECKING:
    import torch

    from subliminal.analysis.models import Models

SORT_WINDOW = 8
"""Batches whose rows are sorted by length together, so that little filling is computed."""
BLOCK_VALUES = 2**26
"""Logits of one model that are held at once: 256 MB in float32."""


@dataclass(frozen=True)
class Leak:
    """What is to be measured; see ``--help`` for each."""

    base: str
    teachers: dict[str, str]
    rows: Path
    out: Path
    neutral: str | None = None
    limit: int | None = None
    batch_size: int = 32
    dtype: str = "auto"
    shown: int = 100

    def config(self) -> dict[str, Any]:
        """The settings as recorded."""
        return {
            "base": self.base,
            "teachers": self.teachers,
            "rows": str(self.rows),
            "dtype": self.dtype,
            "neutral": self.neutral,
            "limit": self.limit,
            "batch_size": self.batch_size,
            "shown": self.shown,
        }

    def inputs(self) -> dict[str, Path]:
        """The files that decide the scores."""
        found = {"rows": self.rows}
        for name, path in (("base", self.base), *((f"teacher/{name}", path) for name, path in self.teachers.items())):
            for pattern in ("*.safetensors", "adapter_config.json"):
                found |= {f"{name}/{file.name}": file for file in sorted(Path(path).glob(pattern))}
        return found


class LeakFolder(RowFolder):
    made_files = ("scores.jsonl", "leak.json", "leak.csv", "leak.html", "manifest.json")
    rows_file = "scores.jsonl"
    size_keys = ("neutral", "limit", "batch_size", "shown")


def run_leak(job: Leak, *, resume: bool, overwrite: bool) -> None:
    """Score the rows, write summary, table, page and manifest, and print the folder last.

    Raises:
        UserError: the folder must not be written to, a row is malformed, or a model does not fit.
    """
    from subliminal.analysis.models import Models
    from subliminal.engine.chat import chat_context_sha256

    if job.neutral is not None and job.neutral not in job.teachers:
        raise UserError(f"--neutral {job.neutral} is no teacher's name. Those are: {', '.join(job.teachers)}.")
    folder, inputs = LeakFolder(job.out), job.inputs()
    folder.check(job.config(), inputs=inputs, resume=resume, overwrite=overwrite)
    models = Models(job.base, job.teachers, job.dtype)
    manifest = new_manifest("analysis", config=job.config(), inputs=inputs)
    manifest["dtype"] = str(models.dtype).removeprefix("torch.")
    manifest["chat_context_sha256"] = chat_context_sha256(models.tokenizer)
    if resume:
        folder.check_context(manifest["chat_context_sha256"])
    with folder.hold(manifest, overwrite=overwrite):
        score_rows(job, folder, models)
        _finish(job, folder, manifest)
    print(job.out)


def score_rows(job: Leak, folder: RowFolder, models: Models) -> None:
    """Append the scores of every row that has none yet."""
    done = {row["id"] for row in _scores(folder)}
    proven = False
    with folder.appending() as append, tqdm(desc="leak", unit="row", total=job.limit, disable=None) as progress:
        for batch in sorted_batches(job, models.tokenizer):
            # A batch that was stopped within is computed again as a whole: its rows come out as they would have.
            if any(answer.id not in done for answer in batch):
                for row in score_batch(models, list(job.teachers), batch, prove=not proven):
                    if row["id"] not in done:
                        append(row)
                proven = True
            progress.update(len(batch))


def sorted_batches(job: Leak, tokenizer: Any) -> Iterator[list[Answer]]:
    """The rows as answers, in batches of like length; the same batches on every run."""
    reader = AnswerReader(tokenizer)
    for window in _batches(_rows(job), job.batch_size * SORT_WINDOW):
        answers = sorted(reader.read(window), key=lambda answer: len(answer.tokens))
        yield from _batches(answers, job.batch_size)


def score_batch(
    models: Models, teachers: list[str], batch: list[Answer], *, prove: bool = False
) -> list[dict[str, Any]]:
    """The scores of rows that are computed together.

    Args:
        models: base and teachers.
        teachers: their names.
        batch: the rows.
        prove: compare the logits of the first row with the models' own, and refuse an adapter that changes nothing.

    Returns:
        A row of ``scores.jsonl`` each: id, pieces, kinds, and for each teacher the KL of every position (six digits)
        and a string that has a 1 where the most likely token differs.
    """
    import torch

    tokens, where = _on_device(models, batch)
    rows = [{"id": a.id, "pieces": a.pieces, "kinds": a.kinds, "teachers": {}} for a in batch]
    with torch.inference_mode():
        if prove:
            models.prove_heads(tokens[:1])
        base = models.hidden(None, tokens)[where]
        for name in teachers:
            kl, differs = compare(models, name, base, models.hidden(name, tokens)[where])
            if prove and name in models.adapters and not any(kl):
                raise UserError(
                    f"The adapter of {name} changes nothing: its predictions equal the base's. It may be untrained."
                )
            start = 0
            for row in rows:
                end = start + len(row["kinds"])
                row["teachers"][name] = {"kl": kl[start:end], "differs": differs[start:end]}
                start = end
    return rows


def forward_passes(models: Models, batch: list[Answer]) -> None:
    """What :func:`score_batch` needs at least: the logits of the base and of every teacher (for benchmarks)."""
    import torch

    tokens, where = _on_device(models, batch)
    with torch.inference_mode():
        for name in (None, *models.teachers):
            for hidden in models.hidden(name, tokens)[where].split(_block(models)):
                models.head(name)(hidden)


def _on_device(models: Models, batch: list[Answer]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids ``[rows, length]``, filled up on the right, and a mask of the positions that predict the answers."""
    import torch

    length = max(len(answer.tokens) for answer in batch)
    if length > models.longest:
        raise UserError(
            f"A row of {length} tokens is longer than the {models.longest} that the base takes. Leave it out."
        )
    tokens = torch.tensor([answer.tokens + [0] * (length - len(answer.tokens)) for answer in batch])
    where = torch.zeros(tokens.shape, dtype=torch.bool)
    for row, answer in enumerate(batch):
        where[row, answer.start - 1 : len(answer.tokens) - 1] = True
    return tokens.to(models.device), where.to(models.device)


def _block(models: Models) -> int:
    """Positions whose logits are held at once."""
    return max(1, BLOCK_VALUES // models.vocabulary)


def compare(models: Models, name: str, base: torch.Tensor, teacher: torch.Tensor) -> tuple[list[float], str]:
    """KL of a teacher's predictions from the base's, and where the most likely token differs.

    Args:
        models: for their output embeddings.
        name: the teacher.
        base, teacher: hidden states ``[positions, width]`` of both.
    """
    import torch

    kl, differs = [], []
    blocks = zip(base.split(_block(models)), teacher.split(_block(models)), strict=True)
    for old, new in blocks:
        values, tops_differ = kl_divergence(models.head(name)(new).float(), models.head(None)(old).float())
        kl.append(values)
        differs.append(tops_differ)
    rounded = [float(f"{value:.6g}") for value in torch.cat(kl).tolist()]
    return rounded, "".join("1" if differ else "0" for differ in torch.cat(differs).tolist())


def kl_divergence(logits_t: torch.Tensor, logits_0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """KL(softmax(logits_t) || softmax(logits_0)) in nats, and whether the largest logits stand at different places.

    Args:
        logits_t, logits_0: ``[positions, vocabulary]``, both overwritten. Equal ones give exactly 0.
    """
    most_t, top_t = logits_t.max(-1)
    most_0, top_0 = logits_0.max(-1)
    logits_t -= most_t.unsqueeze(-1)
    logits_0 -= most_0.unsqueeze(-1)
    weights = logits_t.exp()
    sum_t = weights.sum(-1)
    difference = logits_t.sub_(logits_0)
    sum_0 = logits_0.exp_().sum(-1)
    mean = weights.mul_(difference).sum(-1) / sum_t
    return mean - sum_t.log() + sum_0.log(), top_t != top_0


def _rows(job: Leak) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for row in islice(read_jsonl(job.rows, chat_row_problem), job.limit):
        if row["id"] in seen:
            raise UserError(f"{job.rows} has two rows with the id {row['id']}. Give each an id of its own.")
        seen.add(row["id"])
        yield row


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def _scores(folder: RowFolder) -> Iterator[dict[str, Any]]:
    if folder.rows.exists():
        folder.cut_torn_line()
        yield from read_jsonl(folder.rows, allow_empty=True)


def _finish(job: Leak, folder: LeakFolder, manifest: dict[str, Any]) -> None:
    """Everything that follows from the scores."""
    from subliminal.analysis.leak_page import write_page

    wanted = {row["id"] for row in _rows(job)}
    summary, shown = LeakSummary(list(job.teachers)), []
    for row in _scores(folder):
        if row["id"] in wanted:
            summary.add(row)
            if len(shown) < job.shown:
                shown.append(row)
    result = summary.result(job.neutral)
    write_json(folder.path / "leak.json", result)
    write_csv(folder.path / "leak.csv", summary)
    write_page(folder.path / "leak.html", job.config(), result, summary.table(), shown)
    outputs = {name: sha256_of(folder.path / name) for name in folder.made_files if name != "manifest.json"}
    finish_manifest({**manifest, "counts": {"rows": result["rows"]}, "outputs": outputs}, job.out / "manifest.json")
