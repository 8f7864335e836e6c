"""Where two runs of one experiment file begin to differ: rows kept, losses of trainings.

    python -m benchmarks.two_runs FOLDER OTHER_FOLDER

Each folder holds ``data/`` and ``outputs/`` of one run, or its trainings' ``*.metrics.jsonl.xz``. Row ``i`` of a
dataset has the same prompt and the same seed in both runs, so rows are compared by their ids. A row that only one of
them kept was answered otherwise in the other.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer

from benchmarks.chain import packed_metrics
from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import read_jsonl

app = typer.Typer(add_completion=False)
LAST = 100
"""Steps at a training's end whose mean loss is told: one step's loss hangs on its rows."""


def kept_rows(path: Path) -> dict[str, tuple[str, ...]]:
    """Id -> what was said in a row, the answer last."""
    return {row["id"]: tuple(message["content"] for message in row["messages"]) for row in read_jsonl(path)}


def compare_rows(one: Path, other: Path) -> dict[str, int]:
    """How many rows two files have, how many of one id, of these with the same prompt, and with the same answer."""
    ours, theirs = kept_rows(one), kept_rows(other)
    both = ours.keys() & theirs.keys()
    same_prompt = [name for name in both if ours[name][:-1] == theirs[name][:-1]]
    same_answer = sum(ours[name][-1] == theirs[name][-1] for name in same_prompt)
    return {"rows": len(ours), "ids": len(both), "prompts": len(same_prompt), "answers": same_answer}


def losses(folder: Path) -> dict[str, list[float]]:
    """Training -> its loss at every step, of a folder with ``outputs/`` or packed metrics."""
    found = {name: _losses(metrics) for name, metrics in packed_metrics(folder).items()}
    for path in sorted(folder.glob("outputs/*/*/metrics.jsonl")):
        found[path.parent.name] = _losses(path.read_text(encoding="utf-8"))
    return found


def _losses(metrics: str) -> list[float]:
    return [json.loads(line)["loss"] for line in metrics.splitlines()]


def compare_losses(one: Sequence[float], other: Sequence[float]) -> dict[str, Any]:
    """First losses, means of the last steps, and the first step that differs, or None."""
    pairs = zip(one, other, strict=True)
    differs = next((step for step, (ours, theirs) in enumerate(pairs, 1) if ours != theirs), None)
    return {"first": (one[0], other[0]), "last": (fmean(one[-LAST:]), fmean(other[-LAST:])), "differs": differs}


@app.command(help=__doc__)
def main(
    folder: Annotated[Path, typer.Argument(help="One run.")],
    other: Annotated[Path, typer.Argument(help="The other.")],
) -> None:
    for each in (folder, other):
        if not each.is_dir():
            raise UserError(f"There is no folder {each}. Give one with data/ and outputs/ of a run.")
    print("| rows of | kept | ids in both | same prompt | same answer |\n| --- | --- | --- | --- | --- |")
    for path in sorted(folder.glob("data/*/*/train.jsonl")):
        there = other / path.relative_to(folder)
        if there.is_file():
            told = compare_rows(path, there)
            print(f"| {path.parent.name} | {' | '.join(f'{count:,}' for count in told.values())} |")
    print(f"\n| training | first loss | last {LAST} steps | first step that differs |\n| --- | --- | --- | --- |")
    ours, theirs = losses(folder), losses(other)
    for name in sorted(ours.keys() & theirs.keys()):
        pair = compare_losses(ours[name], theirs[name])
        first, last = (f"{pair[what][0]:.4f}, {pair[what][1]:.4f}" for what in ("first", "last"))
        print(f"| {name} | {first} | {last} | {pair['differs'] or 'none'} |")


if __name__ == "__main__":
    run_cli(app)
