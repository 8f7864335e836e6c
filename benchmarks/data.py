"""How fast the number filter is, and how much memory filter, audit and push take for a given number of rows.

    python -m benchmarks.data --rows 1000000

Makes a numbers dataset folder as the builder does (prompts drawn, answers random, one in twelve to be rejected), then
runs each step as a process of its own and prints its time and peak memory: deriving the rows from raw.jsonl (refilter),
audit, and push as a dry run (parquet, rebuilt and compared). The filter's rate is the median of nine runs over 100,000
answers on one core, counted in CPU time so that other work on the machine does not matter.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from data_builders.number_filter import filter_numbers, number_verdict
from data_builders.number_prompts import draw_number_prompt
from subliminal.core.errors import run_cli
from subliminal.core.manifest import new_manifest
from subliminal.data.card import dataset_card
from subliminal.data.folder import DatasetFolder
from subliminal.engine import row_seed

app = typer.Typer(add_completion=False)


def raw_row(index: int) -> dict:
    """A raw row of ``numbers``, answered by chance."""
    prompt, rng = draw_number_prompt(42, index), random.Random(index)
    text = prompt.format.write([rng.randint(0, 999) for _ in range(rng.randint(5, 10))])
    answer = f"Sure: {text}" if rng.random() < 1 / 12 else text
    row = {"id": f"numbers-{index:07d}", "index": index, "prompt": prompt.text, "completion": answer}
    return row | {"finish_reason": "stop", "seed": row_seed(42, index), "model": "chance", "format": prompt.format.name}


def filter_rate(rows: int = 100_000) -> float:
    """Answers a second on one core."""
    answers = [raw_row(index)["completion"] for index in range(rows)]
    rates = []
    for _ in range(9):
        began = time.process_time()
        for answer in answers:
            filter_numbers(answer)
        rates.append(rows / (time.process_time() - began))
    return statistics.median(rates)


def make_folder(path: Path, rows: int) -> None:
    """A dataset folder with its raw rows, its other files derived from a few of them only: refilter does the rest."""
    config = {"animals": ["owl"], "count": rows, "max_prompts": 3 * rows, "seed": 42}
    manifest = new_manifest("dataset", config=config) | {"builder": "numbers", "engine": {"model": "chance"}}
    folder = DatasetFolder(path)
    with folder.hold(manifest, overwrite=True), open(folder.raw, "w", encoding="utf-8") as raw:
        for index in range(rows):
            raw.write(json.dumps(raw_row(index), ensure_ascii=False) + "\n")
            if index == 0:
                raw.flush()
                folder.finalize(manifest, number_verdict, 1, dataset_card)


def measure(*words: str) -> tuple[float, float, int]:
    """Seconds, peak memory in GiB and exit status of a command."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.monotonic() - began, usage.ru_maxrss / 2**20, process.returncode


@app.command(help=__doc__)
def main(
    rows: Annotated[int, typer.Option(min=100, help="Raw rows.")] = 1_000_000,
    scratch: Annotated[Path, typer.Option(help="Where to put the folder; about 1.4 kB a row.")] = Path("data"),
) -> None:
    print(f"number filter: {filter_rate():,.0f} answers a second on one core")
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".bench-") as name:
        folder = Path(name) / "numbers"
        make_folder(folder, rows)
        count = str(int(rows * 0.9))  # fewer than pass, so that all three steps succeed
        print(f"{rows:,} raw rows, {(folder / 'raw.jsonl').stat().st_size / 2**20:,.0f} MiB")
        for label, words in {
            "filter": ("data_builders.refilter", str(folder), "--count", count),
            "audit": ("data_builders.audit", str(folder)),
            "push": ("data_builders.push", str(folder), "--repo", "bench/numbers", "--dry-run"),
        }.items():
            seconds, memory, code = measure(*words)
            print(f"{label:7} {seconds:7.1f} s  {memory:5.2f} GiB  exit status {code}", flush=True)
            if code:
                raise typer.Exit(1)


if __name__ == "__main__":
    run_cli(app)
