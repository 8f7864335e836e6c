"""What a run of a whole experiment on GPUs took: its stages, its trainings, and how busy the cards were.

    python -m benchmarks.chain results/published/2026-11-28-h200-owl

Reads from the folder, as far as they are there:

    driver.log          what `python -m subliminal.experiment run` printed
    *.metrics.jsonl.xz  metrics.jsonl of trainings, packed by xz and named after them
    gpu.csv             nvidia-smi --query-gpu=timestamp,index,utilization.gpu,memory.used
                        --format=csv,noheader,nounits -l 2
    stages.csv          stage, begun and ended, of the times of the marks that a stage leaves

The share of a card's time is nvidia-smi's: the part of it in which any kernel ran, however small.
"""

import csv
import json
import lzma
import re
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Annotated, NamedTuple

import typer

from subliminal.core.errors import UserError, run_cli

app = typer.Typer(add_completion=False)

STAGE = re.compile(r"^ *\d+ of \d+  (?P<stage>\S+) +(?P<time>(?:\d+ h )?(?:\d+ min )?\d+ s)(?:  (?P<figure>.*))?$")
METRICS = ".metrics.jsonl.xz"
SAMPLED = "%Y/%m/%d %H:%M:%S.%f"
UNITS = {"h": 3600, "min": 60, "s": 1}


def seconds_of(text: str) -> int:
    """Seconds of a time as the display writes it, ``1 h 02 min 03 s``."""
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+) (h|min|s)", text))


def stages(log: str) -> list[tuple[str, int, str]]:
    """Name, seconds and figure of each stage that a driver's output says is done."""
    found = (STAGE.match(line) for line in log.splitlines())
    return [(match["stage"], seconds_of(match["time"]), match["figure"] or "") for match in found if match]


def packed_metrics(folder: Path) -> dict[str, str]:
    """Training -> its metrics.jsonl, of the packed ones of a folder."""
    found = {}
    for path in sorted(folder.glob(f"*{METRICS}")):
        with lzma.open(path, "rt", encoding="utf-8") as file:
            found[path.name.removesuffix(METRICS)] = file.read()
    return found


def training(metrics: str) -> tuple[int, float, float]:
    """Steps of a training, seconds from its first step to its last, and tokens per second between them."""
    rows = [json.loads(line) for line in metrics.splitlines()]
    first, last = rows[0], rows[-1]
    seconds = last["seconds"] - first["seconds"]
    return last["step"], seconds, (last["tokens_seen"] - first["tokens_seen"]) / seconds


class CardUse(NamedTuple):
    """A line of ``gpu.csv``: use in percent, memory in MiB."""

    time: datetime
    card: str
    use: float
    memory: float


def read_card_uses(text: str) -> list[CardUse]:
    """The whole lines of ``gpu.csv``: the last is cut off where the run was killed."""
    rows = (row for row in csv.reader(text.splitlines()) if len(row) == 4)
    return [CardUse(datetime.strptime(row[0], SAMPLED), row[1].strip(), float(row[2]), float(row[3])) for row in rows]


def busy(samples: list[CardUse]) -> dict[str, float]:
    """Mean use of each card in percent, over the samples from the first in which any card worked."""
    begin = next((sample.time for sample in samples if sample.use > 0), None)
    if begin is None:
        return {}
    cards = sorted({sample.card for sample in samples})
    return {card: fmean(of.use for of in samples if of.card == card and of.time >= begin) for card in cards}


def busy_by_stage(samples: list[CardUse], marks: str) -> list[tuple[str, int, float | None]]:
    """Stage, its seconds, and the mean use of all cards of the samples between its marks; None where there is none."""
    found = []
    for stage in csv.DictReader(marks.splitlines()):
        begun, ended = (datetime.fromisoformat(stage[name]) for name in ("begun", "ended"))
        uses = [sample.use for sample in samples if begun <= sample.time <= ended]
        found.append((stage["stage"], int((ended - begun).total_seconds()), fmean(uses) if uses else None))
    return found


@app.command(help=__doc__)
def main(folder: Annotated[Path, typer.Argument(help="Folder with the files above.")]) -> None:
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}. Give one with a run's driver.log, metrics and gpu.csv.")
    log, gpu = folder / "driver.log", folder / "gpu.csv"
    if log.is_file():
        print("| stage | seconds | figure |\n| --- | --- | --- |")
        for name, seconds, figure in stages(log.read_text()):
            print(f"| {name} | {seconds} | {figure} |")
    for name, metrics in packed_metrics(folder).items():
        steps, seconds, speed = training(metrics)
        print(f"{name}: {steps:,} steps, {seconds / (steps - 1):.3f} s a step, {speed:,.0f} tokens/s")
    if gpu.is_file():
        samples = read_card_uses(gpu.read_text())
        for card, use in busy(samples).items():
            print(f"card {card}: at work in {use:.0f} % of the time from the first kernel on")
        if (folder / "stages.csv").is_file():
            print("| stage | seconds | % of the time with a kernel |\n| --- | --- | --- |")
            for name, seconds, use in busy_by_stage(samples, (folder / "stages.csv").read_text()):
                print(f"| {name} | {seconds} | {'' if use is None else f'{use:.0f}'} |")


if __name__ == "__main__":
    run_cli(app)
