"""The comment that opens a recipe: labelled lines, and arithmetic that must agree with the keys below it.

# Title, one sentence.
#
# Claim: what the run is expected to show
# Data: data/owl_numbers, 10,000 rows (how they were made)
# Run: accelerate launch --config_file accelerate_configs/single_gpu.yml -m axolotl.cli.train recipes/owl_student.yml
# Override: --seed=7 --output_dir=outputs/owl_student-seed-7
# Batch: 6 rows x 10 accumulation x 1 process = 60 rows a step
# Steps: 10,000 rows x 10 epochs / 60 = 1,667, of them 5 warm-up
# Hardware: one GPU with 80 GB
# Cost: 31.0 GiB, 22.5 min, 7,100 tokens/s (1 x H100, 2026-11-22), or: not measured yet
# Expect: loss 1.23 at step 1,667 (seed 42), or: not measured yet
"""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

LABELS = ("Claim", "Data", "Run", "Override", "Batch", "Steps", "Hardware", "Cost", "Expect")
UNMEASURED = "not measured yet"

_NUMBER = r"([\d,]+)"
_BATCH = re.compile(rf"{_NUMBER} rows? x {_NUMBER} accumulation x {_NUMBER} process(?:es)? = {_NUMBER} rows? a step")
_EPOCHS = r"([\d,]+(?:\.\d+)?)"
_STEPS = re.compile(rf"{_NUMBER} rows x {_EPOCHS} epochs? / {_NUMBER} = {_NUMBER}, of them {_NUMBER} warm-up")
_LAUNCHER = re.compile(r"--config_file (\S+)")
_COST = re.compile(r"([\d.,]+) GiB, ([\d.,]+) min, ([\d.,]+) tokens/s \((.+)\)")


class MeasuredCost(NamedTuple):
    """The ``Cost`` line of a measured recipe as it is written: peak memory, minutes, tokens a second, and where."""

    gib: str
    minutes: str
    speed: str
    machine: str


def header_lines(text: str) -> dict[str, str]:
    """``{"Claim": ..., "Data": ..., ...}`` of a recipe's text, and its first line under ``"Title"``."""
    found = {"Title": ""}
    # The header ends with the first key: comments within the recipe may look like a label.
    for number, line in enumerate(text.splitlines()):
        if not line.startswith("#"):
            break
        comment = line.lstrip("#").strip()
        if number == 0:
            found["Title"] = comment
        label, colon, value = comment.partition(": ")
        if colon and label.strip() == label:
            found[label] = value
    return found


def header_rows(header: dict[str, str]) -> int | None:
    """The rows of the training data that the ``Steps`` line counts with."""
    match = _STEPS.fullmatch(header.get("Steps", ""))
    if match is None:
        return None
    return _int(match[1])


def header_processes(header: dict[str, str]) -> int | None:
    """The processes that the ``Batch`` line counts with."""
    match = _BATCH.fullmatch(header.get("Batch", ""))
    if match is None:
        return None
    return _int(match[3])


def measured_cost(header: dict[str, str]) -> MeasuredCost | None:
    """What the ``Cost`` line says; None where nothing was measured yet."""
    match = _COST.fullmatch(header.get("Cost", ""))
    if match is None:
        return None
    return MeasuredCost(*match.groups())


def launcher_of(header: dict[str, str]) -> str | None:
    """The Accelerate file that the ``Run`` line names."""
    match = _LAUNCHER.search(header.get("Run", ""))
    if match is None:
        return None
    return match[1]


def batch_line(recipe: dict[str, Any], processes: int) -> str:
    """The ``Batch`` line that belongs to a recipe on so many processes."""
    micro, accumulation = int(recipe["micro_batch_size"]), int(recipe["gradient_accumulation_steps"])
    return (
        f"{_count(micro, 'row')} x {accumulation} accumulation x {_count(processes, 'process')} = "
        f"{_count(micro * accumulation * processes, 'row')} a step"
    )


def steps_line(recipe: dict[str, Any], rows: int) -> str:
    """The ``Steps`` line that belongs to a recipe and so many rows. Axolotl rounds rows x epochs / batch up."""
    batch, epochs = int(recipe["effective_batch"]), float(recipe["num_epochs"])
    steps = math.ceil(rows * epochs / batch)
    if epochs.is_integer():  # a sweep writes 4.0, a recipe 4
        epochs = int(epochs)
    return f"{rows:,} rows x {_count(epochs, 'epoch')} / {batch} = {steps:,}, of them {recipe['warmup_steps']} warm-up"


def header_problems(header: dict[str, str], recipe: dict[str, Any]) -> list[str]:
    """What the header lacks, or says otherwise than the recipe's keys."""
    problems = [f"the header has no `{label}:` line" for label in LABELS if not header.get(label)]
    rows, processes = header_rows(header), header_processes(header)
    right = {"Batch": None, "Steps": None}
    if processes:
        right["Batch"] = batch_line(recipe, processes)
        batch = int(recipe["micro_batch_size"]) * int(recipe["gradient_accumulation_steps"]) * processes
        if batch != recipe["effective_batch"]:
            problems.append(f"effective_batch is {recipe['effective_batch']}, but the header's batch is {batch}")
    if rows:
        right["Steps"] = steps_line(recipe, rows)
    for label, line in right.items():
        # A line that is not there at all was named above.
        if not header.get(label):
            continue
        if line is None:
            problems.append(f"the header's `{label}:` line cannot be read; write it as in subliminal.training.header")
        elif header[label] != line:
            problems.append(f"the header says `{label}: {header[label]}`, but the keys give `{line}`")
    paths = [str(dataset.get("path", "")) for dataset in recipe.get("datasets") or []]
    # Up to the first blank or comma: behind it stands how the rows were made.
    folder = header.get("Data", "").split(",")[0].split(" ")[0]
    if header.get("Data") and not any(path.startswith(folder) for path in paths):
        problems.append(f"the header's data are {folder}, but `datasets` names {', '.join(paths)}")
    return problems


def _int(text: str) -> int:
    # Thousands have a comma, as header and page print them.
    return int(text.replace(",", ""))


def _count(number: Any, noun: str) -> str:
    if number == 1:
        return f"{number:,} {noun}"
    ending = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{ending}"
