"""One self-contained HTML page of a dataset's rows: verdict, reason, loss mask, and scores where an analysis gave them.

    page = RowsPage(Path("data/pocket_demo/owl_numbers-seed-51"), limit=100)
    page.write(Path("rows.html"), MaskReader(Path("recipes/pocket/owl_student.yml")))

Texts are a model's or a stranger's: the template escapes them, and characters that nobody sees are shown as codes.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from subliminal.analysis.divergence import page as divergence_page
from subliminal.analysis.leak import page as leak_page
from subliminal.analysis.masks import MaskedRow, MaskReader
from subliminal.analysis.pages import visible, write_page
from subliminal.core.errors import UserError
from subliminal.core.files import chat_row_problem, read_jsonl
from subliminal.core.manifest import read_manifest
from subliminal.data.folder import DatasetFolder

KEPT_ROW, REJECTED_ROW, SURPLUS_ROW = "kept", "rejected", "not needed"
LEAK_KEYS = {"id", "pieces", "kinds", "teachers"}
DIVERGENCE_KEYS = {"id", "pieces", "kinds", "matches", "disagrees"}
"""Keys of a row of the ``scores.jsonl`` of these two analyses."""
SCORERS = "Name a folder that `python -m subliminal.analysis leak` or `divergence` wrote."


@dataclass(frozen=True)
class Judged:
    """A row with what the filter said of it.

    Attributes:
        id: the row's.
        verdict: :data:`KEPT_ROW`, :data:`REJECTED_ROW` or :data:`SURPLUS_ROW` (drawn, but enough were kept before it).
        reason: why it was rejected, or None.
        messages: the chat; of a row that is not kept, prompt and completion.
    """

    id: str
    verdict: str
    reason: str | None
    messages: list[dict[str, str]]


class RowsPage:
    """The rows of a dataset to show.

    Args:
        dataset: a dataset folder, or a JSONL file of chat rows.
        limit: how many rows, from the first on.
        only: ``kept`` or ``rejected``; None shows them in the order in which they were drawn.

    Raises:
        UserError: there is no such dataset, or its rows are malformed.
    """

    def __init__(self, dataset: Path, limit: int, only: str | None = None) -> None:
        folder, train = dataset.parent, dataset
        self.dataset = dataset
        self.counts: dict[str, Any] = {}
        has_raw = False  # rows of a file of one's own: what a model answered otherwise is not known
        if dataset.is_dir():
            folder, train = dataset, dataset / "train.jsonl"
            self.counts = read_manifest(folder).get("counts", {})
            has_raw = (folder / "raw.jsonl").is_file()
        if not train.is_file():
            raise UserError(f"{train} does not exist. Name a dataset folder that is finished, or a file of chat rows.")
        if only == REJECTED_ROW and not (folder / "rejected.jsonl").is_file():
            raise UserError(f"{folder} has no rejected.jsonl: its builder drew no rows that a filter could reject.")
        # Without raw rows there is no order of drawing, and there are kept rows alone.
        if only == KEPT_ROW or not has_raw:
            self.rows = list(islice(_kept(train), limit))
        elif only == REJECTED_ROW:
            self.rows = list(islice(_rejected(folder), limit))
        else:
            self.rows = _in_order(folder, limit)

    def write(self, path: Path, masks: MaskReader | None = None, scores: Path | None = None) -> None:
        """Write the page.

        Args:
            path: the file.
            masks: tokenises the kept rows; None shows them as text.
            scores: the folder that an analysis wrote, or the ``scores.jsonl`` in it.

        Raises:
            UserError: there are no such scores.
        """
        scored = None
        if scores is not None:
            scored = read_scores(scores, {row.id for row in self.rows})
        verdicts = Counter(row.verdict for row in self.rows)
        number_scored = len(scored) if scored is not None else None
        write_page(
            path,
            template="rows.html.j2",
            dataset=self.dataset,
            counts=self.counts,
            rows=[_shown(row, masks, scored or {}) for row in self.rows],
            verdicts={name: verdicts[name] for name in (KEPT_ROW, REJECTED_ROW, SURPLUS_ROW) if name in verdicts},
            masked=masks is not None,
            scored=number_scored,
            scale=_scale((scored or {}).values()),
        )


def _shown(row: Judged, masks: MaskReader | None, scored: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A row for the template."""
    shown: dict[str, Any] = {
        "row": row,
        "class": row.verdict.replace(" ", "-"),
        "mask": None,
        "tokens": [],
        "lines": {},
    }
    shown["messages"] = []
    for message in row.messages:
        shown["messages"].append((message["role"], visible(message["content"])))
    if masks is not None and row.verdict == KEPT_ROW:
        shown["mask"] = masks.read({"id": row.id, "messages": row.messages})
        shown["tokens"] = _mask_tokens(shown["mask"])
    if row.id in scored:
        shown["lines"] = _shaded_lines(scored[row.id])
    return shown


def read_scores(path: Path, wanted: Collection[str]) -> dict[str, dict[str, Any]]:
    """The scores of rows that an analysis wrote.

    Args:
        path: its folder, or the ``scores.jsonl`` in it.
        wanted: ids of the rows.

    Raises:
        UserError: there is no such file, or it holds no scores that rows can be shaded by.
    """
    file = path
    if path.is_dir():
        file = path / "scores.jsonl"
    if not file.is_file():
        raise UserError(f"{file} does not exist. {SCORERS}")
    found = {}
    for row in read_jsonl(file):
        if not (row.keys() >= LEAK_KEYS or row.keys() >= DIVERGENCE_KEYS):
            raise UserError(f"{file} holds no scores of tokens. {SCORERS}")
        if row["id"] in wanted:
            found[row["id"]] = row
    return found


def _shaded_lines(row: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Tokens of a row's answer with their shades, by the name that stands before them."""
    if row.keys() >= LEAK_KEYS:
        return leak_page.shaded(row)["lines"]
    return {"divergence": divergence_page.shaded(row)["tokens"]}


def _scale(rows: Iterable[dict[str, Any]]) -> str:
    """What a shade and an underline mean."""
    if any(row.keys() >= LEAK_KEYS for row in rows):
        return f"the token's KL, half at {leak_page.HALF_SHADE} nats. Underlined: the most likely token differs"
    return "the share of counterfactual teachers that disagree. Underlined: a divergence token"


def _kept(train: Path) -> Iterator[Judged]:
    for row in read_jsonl(train, chat_row_problem):
        yield Judged(row["id"], KEPT_ROW, None, row["messages"])


def _rejected(folder: Path) -> Iterator[Judged]:
    for row in read_jsonl(folder / "rejected.jsonl", allow_empty=True):
        yield Judged(row["id"], REJECTED_ROW, row["reason"], _drawn_chat(row))


def _in_order(folder: Path, limit: int) -> list[Judged]:
    """The first rows by index, whatever became of them."""
    # Answers of a server come in any order; only the first rows are held.
    drawn = heapq.nsmallest(limit, DatasetFolder(folder).raw_rows(), key=lambda row: row["index"])
    # Ids and not indices: a file of one's own has no index.
    wanted = {row["id"] for row in drawn}
    judged = {}
    for row in (*_kept(folder / "train.jsonl"), *_rejected(folder)):
        if row.id in wanted:
            judged[row.id] = row
    found = []
    for row in drawn:
        found.append(judged.get(row["id"]) or Judged(row["id"], SURPLUS_ROW, None, _drawn_chat(row)))
    return found


def _drawn_chat(row: dict[str, Any]) -> list[dict[str, str]]:
    return [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]


def _mask_tokens(mask: MaskedRow) -> list[dict[str, Any]]:
    """Tokens for the template."""
    tokens = []
    for piece, trained in zip(mask.pieces, mask.trained, strict=True):
        kind = "loss" if trained else "given"
        tokens.append({"text": visible(piece), "class": kind})
    return tokens
