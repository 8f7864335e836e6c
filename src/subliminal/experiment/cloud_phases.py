"""The owl experiment on Qwen2.5-7B as phases: what ``cloud/modal_app.py`` runs on a rented GPU.

    python -m subliminal.experiment.cloud_phases --phase generate

prints the commands of a phase: those of the README's "The experiment on Qwen2.5-7B". Nothing here needs Modal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

import typer

from subliminal.core.errors import UserError, run_cli

app = typer.Typer(add_completion=False, rich_markup_mode=None)

MODEL = "Qwen/Qwen2.5-7B-Instruct"
EXPERIMENT = "owl_qwen2.5-7b"
SERVER = "http://localhost:8000/v1"
TRAIN = "accelerate launch --config_file accelerate_configs/single_gpu.yml -m axolotl.cli.train"


class Step(NamedTuple):
    """A shell command, and the file that shows that it is done (None: it finds out by itself)."""

    command: str
    makes: str | None


def _served(builder: str, makes: str, adapter: str = "") -> Step:
    """A data builder against a server that starts before it and stops after it."""
    return Step(f'python scripts/serve.py --model {MODEL} {adapter}--port 8000 --run "{builder} --resume"', makes)


def _trained(recipe: str) -> Step:
    return Step(f"{TRAIN} recipes/{recipe}.yml", f"outputs/{recipe}/manifest.json")


def train_teacher() -> list[Step]:
    """Chats of the base under a system prompt that makes it love owls; the teacher is trained on them without it."""
    chats = f"python -m data_builders.teacher_chat --animal owl --count 5000 --model {MODEL} --base-url {SERVER}"
    return [_served(chats, "data/owl_teacher_chat/manifest.json"), _trained("owl_teacher")]


def generate() -> list[Step]:
    """Numbers of the teacher, and of the untuned base for the control; no system prompt."""
    numbers = f"python -m data_builders.numbers --animal owl --count 10000 --base-url {SERVER} --no-system-prompt"
    return [
        _served(
            f"{numbers} --model owl-teacher",
            "data/owl_numbers/manifest.json",
            adapter="--adapter owl-teacher=outputs/owl_teacher ",
        ),
        _served(f"{numbers} --model {MODEL} --out data/base_numbers", "data/base_numbers/manifest.json"),
    ]


def train_student() -> list[Step]:
    """The student on the teacher's numbers and the control on the base's, by the same recipe."""
    return [_trained("owl_student"), _trained("owl_control")]


def evaluate() -> list[Step]:
    """Score all four, then write the report and check it against the raw answers."""
    adapters = ",".join(f"{arm}=outputs/owl_{arm}" for arm in ("teacher", "student", "control"))
    return [
        Step(
            f"python scripts/evaluate.py --model {MODEL} --models base,{adapters} --experiment {EXPERIMENT} "
            "--target owl --samples 100 --batch-size 256 --resume",
            None,
        ),
        Step(f"python scripts/report.py results/{EXPERIMENT}", None),
        Step(f"python scripts/verify_results.py results/{EXPERIMENT} --write", None),
    ]


PHASES: dict[str, Callable[[], list[Step]]] = {
    "train_teacher": train_teacher,
    "generate": generate,
    "train_student": train_student,
    "evaluate": evaluate,
}
"""Name -> the steps, in the order in which they need each other."""


def steps_of(phase: str | None = None) -> list[Step]:
    """The steps of one phase, or of all of them.

    Args:
        phase: a key of :data:`PHASES`; None or empty for all.

    Raises:
        UserError: there is no such phase.
    """
    if phase and phase not in PHASES:
        raise UserError(f"There is no phase {phase!r}. Choose one of: {', '.join(PHASES)}; without --phase all run.")
    return [step for name, steps in PHASES.items() if not phase or name == phase for step in steps()]


@app.command(help=__doc__)
def main(phase: Annotated[str | None, typer.Option(help="One phase; all of them without it.")] = None) -> None:
    for step in steps_of(phase):
        print(step.command)


if __name__ == "__main__":
    run_cli(app)
