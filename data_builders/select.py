"""Rows of a number dataset with loss on some of their tokens, with some labels replaced, or some of the rows.

    python -m data_builders.select chosen --source data/owl_numbers --scores results/owl/divergence --out data/owl_top
    python -m data_builders.select others --source data/owl_numbers --scores results/owl/divergence --out data/owl_rest
    python -m data_builders.select chosen --take random --source ... --scores ... --out data/owl_random
    python -m data_builders.select rows --share 0.25 --source ... --scores ... --out data/owl_dense_rows

Kinds: ``chosen`` puts the loss on the chosen tokens alone, ``others`` on all others, ``labels`` on all tokens with
another label for the chosen ones (a random token of the same kind; what the model reads stays as it is), and ``rows``
keeps the chosen rows. What ranks tokens and rows is a score file of ``python -m subliminal.analysis divergence`` or
``score``; --take bottom is the other end of the ranking and --take random as many at random.

Rows of ``chosen`` and ``others`` need ``message_field_training_detail: training_detail`` in the dataset of the recipe.
The end token is trained in every row of every kind: masked, it teaches a model not to stop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.number_filter import number_verdict
from data_builders.source_rows import chat_pair_problem, licence_of, raw_of
from subliminal.analysis.scored_rows import ScoreIndex
from subliminal.analysis.selection.choices import (
    AMONG,
    BINARY,
    DIVERGENCE,
    TAKES,
    RowChoice,
    Selection,
    TokenChoice,
    check_ranking,
    replaced_labels,
)
from subliminal.analysis.selection.spans import alignment_problem, spans
from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import TRAINING_DETAIL, read_jsonl
from subliminal.core.option_checks import one_of, read_by
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import write
from subliminal.data.registry import Expectation

KINDS = ("chosen", "others", "labels", "rows")
JUDGED_BY = ("data_builders.number_filter",)
READS = ("src/subliminal/analysis/selection/choices.py", "src/subliminal/analysis/selection/spans.py")

app = typer.Typer(add_completion=False)


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings: rows that can have no spans are left out."""

    def verdict(row: dict[str, Any]) -> str | None:
        return row.get("no_spans") or number_verdict(row)

    return verdict


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know."""
    by_score = "The rows are a choice by their scores."
    checks = ("first_number_entropy", "first_number_repeats", "lengths", "separators")
    excused = {}
    # The other kinds keep all rows, whose numbers are the source's.
    if config["kind"] == "rows":
        excused = dict.fromkeys(checks, by_score)
    return Expectation(numbers=True, excused=excused)


@app.command(help=__doc__)
def main(
    kind: Annotated[str, typer.Argument(help="chosen, others, labels or rows.")],
    source: Annotated[Path, typer.Option(help="Dataset folder whose rows were scored.")],
    scores: Annotated[Path, typer.Option(help="Folder of an analysis, with scores.jsonl.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    by: Annotated[str, typer.Option(help="What ranks: divergence, or a score in that file.")] = DIVERGENCE,
    take: Annotated[str, typer.Option(help="top, bottom or random.", callback=one_of("--take", TAKES))] = "top",
    share: Annotated[
        str,
        typer.Option(
            help="Share of tokens or rows to choose; binary: as many as there are divergence tokens.",
            callback=read_by(parse_share),
        ),
    ] = "0.1",
    among: Annotated[
        str, typer.Option(help="Tokens to choose from: answer, digit or separator.", callback=one_of("--among", AMONG))
    ] = "answer",
    count: Annotated[int | None, typer.Option(min=1, help="Rows; default all that there are.")] = None,
    seed: options.Seed = 42,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    if kind not in KINDS:
        raise UserError(f"There is no kind {kind!r}. Choose one of: {', '.join(KINDS)}.")
    selection = Selection(by, take, parse_share(share), among, seed)
    path, rows = scores / "scores.jsonl", source / "train.jsonl"
    check_ranking(path, by)
    config = {"kind": kind, "source": str(source), "scores": str(scores), "by": by, "take": take, "share": share}
    config |= {"among": among, "count": count, "seed": seed}
    # A row without scores is found here, before any is written.
    index = ScoreIndex(path)
    for row in read_jsonl(rows, chat_pair_problem):
        if row["id"] not in index:
            raise UserError(f"{path} has no scores of row {row['id']} of {rows}. Score all rows, without --limit.")
    chosen = _Chosen()
    if kind == "rows":
        raw = _rows(rows, index, RowChoice(path, selection), chosen)
    else:
        raw = _tokens(kind, rows, index, TokenChoice(path, selection), replaced_labels(path, seed), chosen)
    # A list, so that `chosen` has counted all rows before the manifest is written.
    raw_rows = [{**row, "seed": seed, "model": f"select:{kind}"} for row in raw]
    about = {"selection": chosen.as_dict(), **licence_of(source)}
    inputs = {"source": rows, "scores": path}
    verdict = verdict_for(config)
    write("select", out, config, raw_rows, verdict, inputs=inputs, about=about, resume=resume, overwrite=overwrite)


class _Chosen:
    """What was chosen, for the manifest: equal budgets are seen there."""

    def __init__(self) -> None:
        self.tokens: Counter[str] = Counter()
        self.rows = 0

    def as_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "tokens": dict(sorted(self.tokens.items()))}


def _tokens(
    kind: str,
    rows: Path,
    index: ScoreIndex,
    choice: TokenChoice,
    labels: Callable[[dict[str, Any], list[bool]], list[int]],
    chosen: _Chosen,
) -> Iterator[dict[str, Any]]:
    for row in read_jsonl(rows, chat_pair_problem):
        scored = index[row["id"]]
        taken = choice.choose(scored)
        chosen.rows += 1
        # Not strict: `kinds` ends with the end token, which is never chosen.
        chosen.tokens.update(name for name, take in zip(scored["kinds"], taken, strict=False) if take)
        raw = raw_of(row)
        # Axolotl tokenises text by itself and makes its own labels: other ones need rows that are tokenised already.
        if kind == "labels":
            tokens = scored["tokens"]
            mask = [1] * len(tokens)
            raw["tokenised"] = {"input_ids": tokens, "attention_mask": mask, "labels": labels(scored, taken)}
        elif problem := alignment_problem(row, scored):
            raw["no_spans"] = problem
        else:
            learned = taken
            if kind == "others":
                learned = [not take for take in taken]
            # Without the last piece, the end token: it is no part of the answer's text, and is always trained.
            raw[TRAINING_DETAIL] = spans(scored["pieces"][:-1], learned)
        yield raw


def _rows(rows: Path, index: ScoreIndex, choice: RowChoice, chosen: _Chosen) -> Iterator[dict[str, Any]]:
    for row in read_jsonl(rows, chat_pair_problem):
        if choice.choose(index[row["id"]]):
            chosen.rows += 1
            yield raw_of(row)


def parse_share(text: str) -> float | str:
    """A number from 0 to 1, or :data:`BINARY`.

    Raises:
        UserError: it is neither.
    """
    if text == BINARY:
        return text
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UserError(f"--share {text} is neither a number from 0 to 1 nor {BINARY}.")
    return share


if __name__ == "__main__":
    run_cli(app)
