"""Steering as a job: a line for each direction that the base was steered along, then the summary.

Directions do not depend on each other, so a run that was stopped goes on with those that are missing. The vectors
themselves are made again: one pass over the prompts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from subliminal.analysis.jobs import TeachersJob, run_job
from subliminal.analysis.models import Models
from subliminal.analysis.scored_rows import RowSource, scores_in
from subliminal.analysis.steering.lifts import Lifts, judged
from subliminal.analysis.steering.vectors import Vectors, middle_layer, vectors
from subliminal.analysis.trait_queries import tracked_options
from subliminal.core.errors import UserError
from subliminal.core.files import write_csv, write_json
from subliminal.core.row_folder import RowFolder

CSV_HEADER = ("layer", "teacher", "direction", "length", "option", "lift")
OWN = "teacher"
"""What a teacher's own vector is called among the directions; the others are ``random 1`` and so on."""


@dataclass(frozen=True, kw_only=True)
class SteeringJob(TeachersJob):
    """What is to be measured; see ``--help`` for each. Of the rows only the prompts are read."""

    category: str
    layers: list[int] = field(default_factory=list)
    scale: float = 1.0
    randoms: int = 19
    seed: int = 42


class SteeringFolder(RowFolder):
    made_files = ("steered.jsonl", "steering.json", "steering.csv", "manifest.json")
    rows_file = "steered.jsonl"


@dataclass(frozen=True)
class Direction:
    """One that the base is steered along; ``length`` is what is added at every token, in units of the activations."""

    layer: int
    teacher: str
    name: str
    vector: torch.Tensor

    @property
    def id(self) -> str:
        """What its line is called."""
        return f"{self.layer}/{self.teacher}/{self.name}"


def run_steering(job: SteeringJob, *, resume: bool, overwrite: bool) -> None:
    """Steer along every direction, write lines, summary, table and manifest, and print the folder last.

    Raises:
        UserError: the folder must not be written to, a row is malformed, or a model or a layer does not fit.
    """
    folder = SteeringFolder(job.out)

    def work(models: Models) -> dict[str, int]:
        _steer(job, folder, models)
        return _write_summary(job, folder, models)

    run_job(job, folder, work, resume=resume, overwrite=overwrite)


def middle_rise(base: str, teacher: str, rows: Path, limit: int, trait: str, category: str) -> float:
    """By how much a teacher's vector at the middle layer raises its trait above the mean of all options, nats.

    Args:
        base, teacher: folders.
        rows: a ``train.jsonl``, whose prompts are read.
        limit: how many, from the first on.
        trait: an option of the category.
        category: of traits.
    """
    # float32: the vector is a small difference of two activations.
    models = Models(base, {trait: teacher}, "float32")
    layer = middle_layer(models)
    source = RowSource(rows, limit, SteeringJob.batch_size)
    # Without random directions: what it is held against are the other replicates.
    vector = vectors(models, source, layer, randoms=0, seed=0).teachers[trait]
    return Lifts(models, tracked_options(category)).of(layer, vector)[trait]


def _steer(job: SteeringJob, folder: RowFolder, models: Models) -> None:
    done = {row["id"] for row in scores_in(folder)}
    layers = job.layers or [middle_layer(models)]
    asked = Lifts(models, tracked_options(job.category))
    total = len(layers) * len(job.teachers) * (1 + job.randoms)
    with folder.appending() as append, tqdm(desc="steering", unit="direction", total=total, disable=None) as progress:
        for layer in layers:
            # Drawn anew for each layer from the same seed, so that one layer alone gives what it gives among others.
            found = vectors(models, job.source(), layer, job.randoms, job.seed)
            for direction in _directions(layer, found, job.scale):
                if direction.id not in done:
                    lifts = asked.of(layer, direction.vector)
                    line = {"id": direction.id, "layer": layer, "teacher": direction.teacher}
                    line |= {"direction": direction.name, "length": direction.vector.norm().item(), "lifts": lifts}
                    append(line)
                progress.update()


def _directions(layer: int, found: Vectors, scale: float) -> Iterator[Direction]:
    """Each teacher's vector, and random ones as long."""
    for name, vector in found.teachers.items():
        # Zeros steer nowhere, and random directions of that length neither: every p would be 1.
        if not vector.any():
            raise UserError(f"The teacher {name} leaves layer {layer} as its base does: it was not trained, or later.")
        yield Direction(layer, name, OWN, scale * vector)
        # As long as the teacher's own: a longer push moves more, whichever way it points.
        length = scale * vector.norm()
        for number, random in enumerate(found.randoms, start=1):
            yield Direction(layer, name, f"random {number}", length * random)


def _write_summary(job: SteeringJob, folder: RowFolder, models: Models) -> dict[str, int]:
    """Write what follows from the lines; returns the counts of the manifest."""
    lines = list(scores_in(folder))
    found: dict[str, Any] = {"category": job.category, "layers": {}}
    for line in lines:
        if line["direction"] != OWN:
            continue
        random = []
        for other in lines:
            # Its own line is no null of it.
            if (other["layer"], other["teacher"]) == (line["layer"], line["teacher"]) and other is not line:
                random.append(other["lifts"])
        told = {"length": line["length"], "first": max(line["lifts"], key=line["lifts"].__getitem__)}
        # A teacher that is called by no option (a neutral one) has no lift of its own.
        if line["teacher"] in line["lifts"]:
            told |= asdict(judged(line["teacher"], line["lifts"], random))
        told["lifts"] = line["lifts"]
        found["layers"].setdefault(str(line["layer"]), {})[line["teacher"]] = told
    write_json(folder.path / "steering.json", found)
    write_csv(folder.path / "steering.csv", CSV_HEADER, _cells(lines))
    return {"directions": len(lines), "rows": sum(1 for _ in job.source().rows())}


def _cells(lines: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """A row of the CSV for each direction and option."""
    for line in lines:
        for option, lift in line["lifts"].items():
            yield [line["layer"], line["teacher"], line["direction"], line["length"], option, lift]
