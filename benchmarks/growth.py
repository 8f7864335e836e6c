"""How the cost of an experiment grows: GPU hours by stage, and hours on a cluster, from rates that were measured.

    python -m benchmarks.growth --out docs/cost_growth.md

Nothing is run. Each stage is an amount of work over a rate of ``RATES``, whose source stands beside it; hours on
several GPUs are at best, as if Snakemake kept every card busy whenever there is work for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.files import write_text
from subliminal.core.templates import templates

NUMBERS_TOKENS = 40
"""Tokens of a number answer, as in the measurement of serving."""
CHAT_TOKENS = 150
"""Tokens of a teacher's chat answer, as in BENCHMARKS.md."""
ADAPTERS_A_SERVER = 20
"""Models that one start of vLLM scores."""


@dataclass(frozen=True)
class Rates:
    """What one model does in a second, on as many GPUs as it needs.

    Args:
        model: its name.
        gpus: GPUs that one training, and one server, takes.
        train: rows a second in a student's training, as fast as it is beside those that share its GPU.
        chat_train: the same of a teacher's training, whose rows are longer.
        answers: number answers a second that a server writes.
        passing: share of a teacher's number answers that pass the filter.
        scored: one-word answers a second that an evaluation draws.
        server_start: seconds until vLLM answers.
        train_start: seconds of Axolotl before the first and after the last step.
        source: where the figures are from, and which of them nobody measured.
        share: trainings that share a GPU.
    """

    model: str
    gpus: int
    train: float
    chat_train: float
    answers: float
    passing: float
    scored: float
    server_start: float
    train_start: float
    source: str
    share: int = 1


HALF = Rates(
    model="Qwen2.5-Coder-0.5B, LoRA",
    gpus=1,
    train=64 / 0.32,  # twelve students and controls, three on a card, 0.32 s a step
    chat_train=60 / 0.27 * 2 / 3,  # eight teachers, two on a card, 0.27 s a step: what each of three would have of it
    answers=82_489 / 199,  # four teachers in one server
    passing=80_000 / 82_489,
    scored=21 * 5_000 / 254,  # three evaluations of seven models on a card
    server_start=110,
    train_start=60,  # 555 to 569 s for 1,563 steps
    source="measured on 4 x H200 on 2026-11-28, real weights, three trainings on a card "
    "([BENCHMARKS.md](../BENCHMARKS.md#the-chain-on-the-real-05b-model)); answers drawn for an evaluation are in one "
    "process, and the exact probabilities and number lists that were asked beside them are in their time",
    share=3,
)
SEVEN = Rates(
    model="Qwen2.5-7B, LoRA",
    gpus=1,
    train=104,
    chat_train=62,
    answers=210,
    passing=0.9,
    scored=1870,
    server_start=84,
    train_start=34,
    source="measured on one H200, random weights in the true shape ([BENCHMARKS.md](../BENCHMARKS.md)); the share that "
    "passes is an assumption",
)
WEIGHTS_70B_OVER_7B = 70.6 / 7.6
SEVENTY = Rates(
    model="Llama-3-70B, QLoRA",
    gpus=1,
    train=100_000 / (199.7 * 60),
    chat_train=100_000 / (199.7 * 60) * 62 / 104,
    answers=210 / WEIGHTS_70B_OVER_7B,
    passing=0.9,
    scored=1870 / WEIGHTS_70B_OVER_7B,
    server_start=84 * WEIGHTS_70B_OVER_7B,
    train_start=34 * WEIGHTS_70B_OVER_7B,
    source="training extrapolated from 2 and 4 of 80 layers on one H200; answers, scores and starts are the 7B's "
    "over the ratio of the weights (9.3), a guess; rates are for each GPU, though a server of bf16 weights takes two",
)
RATES = (HALF, SEVEN, SEVENTY)


@dataclass(frozen=True)
class Size:
    """An experiment with a teacher for each animal and seed.

    In each seed the base writes numbers twice for two controls, and a neutral teacher has a student; each animal has a
    teacher and ``students`` arms that train on that teacher's rows (a student and, say, a student of shuffled rows).
    """

    animals: int = 1
    seeds: int = 3
    rows: int = 10_000
    epochs: int = 10
    chats: int = 5_000
    chat_epochs: int = 10
    students: int = 2
    samples: int = 50 * 1_000

    @property
    def teachers(self) -> int:
        """Teachers of all seeds, the neutral ones included."""
        return self.seeds * (self.animals + 1)

    @property
    def trained_on_numbers(self) -> int:
        """Students and controls of all seeds: two controls, the neutral teacher's student, each animal's arms."""
        return self.seeds * (2 + 1 + self.animals * self.students)


def gpu_hours(design: Size, rates: Rates) -> dict[str, float]:
    """GPU hours of each kind of stage.

    Args:
        design: how much is asked.
        rates: what the model does in a second.

    Returns:
        Kind of stage -> hours of one GPU, starts included.
    """
    writers = design.seeds * 2 + design.teachers  # the base twice, for two controls
    number_seconds = design.rows / rates.passing / rates.answers
    chat_seconds = design.chats * CHAT_TOKENS / (rates.answers * NUMBERS_TOKENS)
    scored_models = design.seeds + design.teachers + design.trained_on_numbers  # a base for each seed
    evaluations = -(-scored_models // ADAPTERS_A_SERVER)
    starts = design.seeds + design.teachers  # the base's server writes numbers and chats; each teacher has one
    seconds = {
        "teachers' chats": design.teachers * chat_seconds,
        "number rows": writers * number_seconds,
        "teachers' training": design.teachers
        * (design.chats * design.chat_epochs / rates.chat_train + rates.train_start)
        / rates.share,
        "students' training": design.trained_on_numbers
        * (design.rows * design.epochs / rates.train + rates.train_start)
        / rates.share,
        "evaluation": scored_models * design.samples / rates.scored,
        "starts of vLLM": (starts + evaluations) * rates.server_start,
    }
    return {kind: rates.gpus * value / 3600 for kind, value in seconds.items()}


def chain_hours(design: Size, rates: Rates) -> float:
    """Hours of the longest chain of stages that wait for each other, which no number of GPUs shortens.

    A teacher's chats, its training, its numbers, a student's training, and that student's evaluation.
    """
    chats = rates.server_start + design.chats * CHAT_TOKENS / (rates.answers * NUMBERS_TOKENS)
    teacher = rates.train_start + design.chats * design.chat_epochs / rates.chat_train
    numbers = rates.server_start + design.rows / rates.passing / rates.answers
    student = rates.train_start + design.rows * design.epochs / rates.train
    evaluation = rates.server_start + design.samples / rates.scored
    return (chats + teacher + numbers + student + evaluation) / 3600


def hours_on(gpus: int, design: Size, rates: Rates) -> float:
    """Hours on that many GPUs, at best: all work shared evenly, but never below the longest chain."""
    return max(sum(gpu_hours(design, rates).values()) / gpus, chain_hours(design, rates))


def bottleneck(hours: dict[str, float]) -> str:
    """The kind of stage with the most GPU hours, and its share."""
    kind = max(hours, key=hours.__getitem__)
    return f"{kind} ({100 * hours[kind] / sum(hours.values()):.0f} %)"


CHANGES = (
    ("as it is", Size()),
    ("rows x 2", replace(Size(), rows=20_000)),
    ("epochs x 2", replace(Size(), epochs=20)),
    ("students' arms x 2", replace(Size(), students=4)),
    ("seeds x 2", replace(Size(), seeds=6)),
    ("animals x 2", replace(Size(), animals=2)),
    ("answers a question x 2", replace(Size(), samples=2 * 50 * 1_000)),
)
FULL = Size(animals=50, seeds=5)
GPUS = (1, 8, 64, 256)
RAN = Size(animals=3, seeds=2, rows=20_000, epochs=5, chats=3_600, chat_epochs=5, students=1, samples=50 * 100)
"""What the run asked for from which :data:`HALF` is."""
RAN_ON, RAN_MINUTES = 4, 27
"""Its GPUs, and how long it took."""


def growth_page() -> str:
    """The page ``docs/cost_growth.md``."""
    one_change = []
    for name, design in CHANGES:
        total = sum(gpu_hours(design, SEVEN).values())
        hours = [total, hours_on(8, design, SEVEN), chain_hours(design, SEVEN)]
        one_change.append([name, *(f"{each:.1f}" for each in hours)])
    by_model = [gpu_hours(FULL, rates) for rates in RATES]
    totals = [sum(hours.values()) for hours in by_model]
    stages = []
    for kind in by_model[0]:
        cells = [kind]
        for hours, total in zip(by_model, totals, strict=True):
            cells.append(f"{hours[kind]:,.1f} ({100 * hours[kind] / total:.0f} %)")
        stages.append(cells)
    on_gpus = {}
    for gpus in GPUS:
        on_gpus[gpus] = [f"{hours_on(gpus, FULL, rates):,.1f} h" for rates in RATES]
    return (
        templates("benchmarks")
        .get_template("cost_growth.md.j2")
        .render(
            rates=RATES,
            example=SEVEN,
            ran=RAN,
            ran_on=RAN_ON,
            ran_minutes=RAN_MINUTES,
            said_minutes=f"{60 * hours_on(RAN_ON, RAN, HALF):.1f}",
            one_change=one_change,
            full=FULL,
            stages=stages,
            totals=[f"**{total:,.1f}**" for total in totals],
            on_gpus=on_gpus,
            chains=[f"{chain_hours(FULL, rates):.1f} h" for rates in RATES],
            bottlenecks=[bottleneck(hours) for hours in by_model],
        )
    )


def main(out: Annotated[Path, typer.Option(help="The page to write.")] = Path("docs/cost_growth.md")) -> None:
    """Write the page of how an experiment's cost grows."""
    write_text(out, growth_page())
    print(out)


if __name__ == "__main__":
    typer.run(main)
