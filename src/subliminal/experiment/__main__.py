"""Run an experiment file, or say what running it would do.

    python -m subliminal.experiment plan experiments/owl_demo.yml
    python -m subliminal.experiment run experiments/owl_demo.yml
    python -m subliminal.experiment run experiments/owl_qwen2.5-7b.yml -- --profile workflow/profiles/slurm

``make experiment EXP=...`` and ``make plan EXP=...`` call these. Stop a run when you like: the same command goes on.
The commands stage, members, epochs, gate and criterion run parts of a plan; Snakemake calls them.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import UserError, run_cli

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode=None)

File = Annotated[Path, typer.Argument(help="experiments/<name>.yml")]
Root = Annotated[Path, typer.Option(help="Where data, outputs and results are.")]
Seeds = Annotated[
    list[int] | None, typer.Option(help="Only this seed of the experiment's; repeat it. A shard for the time at hand.")
]
PlanFile = Annotated[Path, typer.Argument(help="results/<name>/plan.json")]


@app.command()
def run(
    file: File,
    snakemake: Annotated[list[str] | None, typer.Argument(help="After `--`: more options for Snakemake.")] = None,
    cores: Annotated[int | None, typer.Option(help="CPU cores to use; default all.")] = None,
    gpus: Annotated[int | None, typer.Option(help="GPUs to use; default all that are visible.")] = None,
    seed: Seeds = None,
    until: Annotated[
        list[str] | None,
        typer.Option(help="End after this stage, or after all of a kind: build, train, evaluate, ...; repeat it."),
    ] = None,
    root: Root = Path("."),
    verbose: Annotated[bool, typer.Option("--verbose", help="Show all that the stages write.")] = False,
    marks_suffice: Annotated[
        bool,
        typer.Option("--marks-suffice", help="Make no weights and rows again that another machine kept."),
    ] = False,
) -> None:
    """Run every stage that is not done yet, then write the report; a failed arm does not stop the others."""
    from subliminal.experiment.driver import cores_here, run_experiment
    from subliminal.experiment.load import load_experiment

    # A `kill` unwinds like an exception, so that what was started is stopped.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    words = snakemake or []
    try:
        status = run_experiment(
            load_experiment(file),
            root=root,
            cores=cores or cores_here(),
            gpus=gpus,
            words=words,
            seeds=seed,
            until=until or [],
            verbose=verbose,
            marks_suffice=marks_suffice,
        )
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        # 130, as a shell has it for what Ctrl-C ended.
        status = 130
    raise typer.Exit(status)


@app.command()
def plan(
    file: File,
    every: Annotated[bool, typer.Option("--all", help="List every stage with its command, however many.")] = False,
    seed: Seeds = None,
    root: Root = Path("."),
) -> None:
    """List the stages, what each is expected to cost, and which are done; run nothing."""
    from subliminal.experiment.costs import plan_text
    from subliminal.experiment.expand import expand
    from subliminal.experiment.load import load_experiment
    from subliminal.experiment.notes import plan_notes

    experiment = load_experiment(file)
    expanded = expand(experiment, root=root, seeds=seed)
    print(plan_text(expanded, every=every))
    for note in plan_notes(experiment, expanded):
        print(f"Note: {note}")


@app.command()
def fit(
    file: File,
    out: Annotated[Path, typer.Option(help="The file to write; its name becomes the experiment's.")],
) -> None:
    """Write an experiment file for the GPU that is here: fp16 without bfloat16, fewer jobs at once on a small card."""
    from subliminal.experiment.driver import cores_here
    from subliminal.experiment.fit import card_here, write_fitted
    from subliminal.experiment.load import load_experiment

    # A file that cannot be used is refused before one is made of it.
    load_experiment(file)
    card = card_here()
    for change in write_fitted(file, out, card, cores_here()):
        print(change)
    # What was written must be a file that can be run.
    load_experiment(out)
    print(out)


@app.command()
def stage(plan_file: PlanFile, name: Annotated[str, typer.Argument(help="The stage's name.")]) -> None:
    """Bring one stage of a plan to its end."""
    from subliminal.experiment.plan import Plan
    from subliminal.experiment.run import StageFailed, run_stage

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    loaded = Plan.load(plan_file)
    if name not in loaded.stages:
        raise UserError(f"{plan_file} has no stage {name}. `python -m subliminal.experiment plan` lists them.")
    try:
        run_stage(loaded, name)
    except StageFailed:
        raise typer.Exit(1) from None  # the command said why


@app.command()
def members(plan_file: PlanFile, job: str) -> None:
    """Bring the stages that share a server to their end (within the server's --run)."""
    from subliminal.experiment.plan import Plan
    from subliminal.experiment.run import run_members

    run_members(Plan.load(plan_file), job)


@app.command()
def epochs(run: Annotated[Path, typer.Argument(help="A training run's folder.")], epoch: list[int]) -> None:
    """Link a run's checkpoints by epoch: RUN/epoch-2 is the one at the end of the second."""
    from subliminal.experiment.epochs import link_epochs

    link_epochs(run, epoch)


@app.command()
def gate(plan_file: PlanFile, name: str) -> None:
    """Score a teacher and climb its ladder until it passes."""
    from subliminal.experiment.gate import run_gate
    from subliminal.experiment.plan import Plan

    run_gate(Plan.load(plan_file), name)


@app.command()
def criterion(plan_file: PlanFile, name: str) -> None:
    """Record the experiment's criterion in results/<name>/criterion.json, before any student trains."""
    from subliminal.experiment.criterion import record_criterion
    from subliminal.experiment.plan import Plan

    record_criterion(Plan.load(plan_file), name)


if __name__ == "__main__":
    run_cli(app)
