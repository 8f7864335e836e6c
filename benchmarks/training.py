"""Measure training on this machine's GPUs, with models of the true shape and random weights. No network is needed.

\b
    python -m benchmarks.training prepare ceilings losses speed two-gpus --work /tmp/bench --out results/bench

runs the named parts in the order given and prints their tables. Results are kept in WORK/results.jsonl as they come,
with a copy in OUT; the same command again goes on where it stopped. --tiny rehearses on a CPU with a small model.

\b
prepare   rows, and with random weights 7B and 8B models and 2 and 4 layers of Llama-3-70B (about 60 GB in WORK)
ceilings  bf16 matrix products and the memory's speed, on each GPU
losses    several runs at a time on a card: FSDP2, ZeRO-3, ZeRO-2; kill -9 in a step and in a checkpoint, and resume
speed     the 7B student in many settings and with TRL, other recipes, 4-bit: tokens/s, memory, losses
two-gpus  data parallel
report    nothing is run: the tables, and from them with --serving the time of the whole owl experiment
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import write_text

PARTS = ("prepare", "ceilings", "losses", "speed", "two-gpus", "report")
app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(help=__doc__)
def main(
    parts: Annotated[list[str], typer.Argument(help=f"Any of: {', '.join(PARTS)}.")],
    work: Annotated[Path, typer.Option(help="Folder for rows, models, runs and results.")] = Path("outputs/bench"),
    out: Annotated[Path | None, typer.Option(help="Folder that gets a copy of the results.")] = None,
    gpus: Annotated[str, typer.Option(help="CUDA indices, comma-separated.")] = "0",
    minutes: Annotated[float, typer.Option(help="Stop after this long.")] = 600,
    only: Annotated[list[str] | None, typer.Option(help="Variant by name; repeat for more. Default: all.")] = None,
    serving: Annotated[
        list[Path], typer.Option(help="Results of benchmarks.serving and benchmarks.evaluation, for the sum of stages.")
    ] = [],  # noqa: B006
    rows: Annotated[int, typer.Option(help="Number rows to train on.")] = 4000,
    tiny: Annotated[bool, typer.Option(help="Rehearse: small model, two steps, CPU.")] = False,
) -> None:
    from benchmarks import parts as bench_parts
    from benchmarks.report import report
    from benchmarks.runs import read_rows
    from benchmarks.workspace import Bench

    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise UserError(f"There is no part {unknown[0]!r}. Name any of: {', '.join(PARTS)}.")
    cards = () if tiny else tuple(gpus.split(","))
    bench = Bench(work.resolve(), out.resolve() if out else None, cards, time.monotonic() + 60 * minutes)
    for part in parts:
        if part == "prepare":
            bench_parts.prepare(bench, rows, tiny=tiny)
        elif part == "ceilings":
            bench_parts.ceilings(bench)
        elif part == "losses":
            bench_parts.losses(bench, tiny=tiny)
        elif part != "report":
            bench_parts.run_part(bench, part, only or [], tiny=tiny)
    bench_parts.wait_for_models(bench)
    text = report(bench.results(), [row for path in serving for row in read_rows(path)])
    write_text((bench.out or bench.work) / "report.md", text + "\n")
    print(text)
    print((bench.out or bench.work) / "report.md")


if __name__ == "__main__":
    run_cli(app)
