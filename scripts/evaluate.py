"""Score models with lm-eval, and write one result folder each.

    python scripts/evaluate.py --model outputs/smollm2-135m/base/merged --experiment owl-demo --target owl \\
        --models base,teacher=outputs/smollm2-135m/owl_teacher,student=outputs/smollm2-135m/owl_student

writes results/owl-demo/base/seed-42/, .../teacher/seed-42/ and .../student/seed-42/, and prints results/owl-demo last.
An entry of --models is ARM[@SEED][=WEIGHTS]: a LoRA adapter (a folder or Hub id) or the folder of a whole model;
without any it is the base itself. Models run in this process, one after the other on one base; --server starts a vLLM
server that holds them all, --base-url uses one that runs. A run that was stopped goes on with --resume.
Options for the server that is started follow `--`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import UserError, run_cli
from subliminal.core.option_checks import one_of, read_by
from subliminal.evaluation.loaders import IN_FLIGHT, in_process, on_server
from subliminal.evaluation.run import default_folder, evaluate
from subliminal.evaluation.spec import DTYPES, EvaluationSpec, base_of, in_context, parse_models
from subliminal.evaluation.tasks import known_tasks

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(help=__doc__)
def main(
    models: Annotated[str, typer.Option(help="ARM[@SEED][=WEIGHTS], separated by commas.")],
    model: Annotated[
        str | None, typer.Option(help="The base: a folder or Hub id (default: the adapters' own).")
    ] = None,
    experiment: Annotated[str | None, typer.Option(help="Name of the experiment (default: the name of --out).")] = None,
    target: Annotated[str | None, typer.Option(help="The animal whose rate is the outcome, for animal tasks.")] = None,
    tasks: Annotated[
        str, typer.Option(help="lm-eval tasks or groups, separated by commas.", callback=read_by(known_tasks))
    ] = "animal_preference,animal_preference_logprob",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sampling for entries without their own.")] = 42,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Answers a question, where a task samples short answers.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "--num_examples", min=1, help="Only the first N questions of each task.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Answers generated at once, in process.")] = 50,
    dtype: Annotated[
        str,
        typer.Option(
            help="auto (bfloat16 where the hardware has it), float32, bfloat16.", callback=one_of("--dtype", DTYPES)
        ),
    ] = "auto",
    server: Annotated[bool, typer.Option("--server", help="Start a vLLM server with all adapters.")] = False,
    base_url: Annotated[str | None, typer.Option(help="Use the vLLM server at this address.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Answers in flight from a server.")] = IN_FLIGHT,
    out: Annotated[Path | None, typer.Option(help="Folder of the results (default results/EXPERIMENT).")] = None,
    system_prompt: Annotated[
        list[str], typer.Option(help="NAME=TEXT: score each entry also under this system prompt, as ARM-NAME.")
    ] = [],  # noqa: B006
    allow_context: Annotated[
        str | None, typer.Option(help="Hash of a chat context that may differ from the adapters' training.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep what is finished, task by task.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing results; with --resume only those that do not fit.")
    ] = False,
    vllm_options: Annotated[list[str] | None, typer.Argument(help="After `--`: options for vLLM.")] = None,
) -> None:
    served = server or base_url is not None
    names = known_tasks(tasks)
    if experiment is None and out is None:
        raise UserError("Name the experiment with --experiment, or its folder with --out results/NAME.")
    experiment = experiment or out.resolve().name
    common = EvaluationSpec(
        model=model or base_of(models), tasks=names, experiment=experiment, arm="base", seed=seed, target=target,
        samples=samples, limit=limit, batch_size=batch_size, dtype=dtype, engine="vllm" if served else "transformers",
    )  # fmt: skip
    specs = in_context(parse_models(models, common), system_prompt)
    folder = out or default_folder(common)
    engine = partial(on_server, base_url=base_url, options=vllm_options or [], concurrency=concurrency)
    ways = {"resume": resume, "overwrite": overwrite, "allow_context": allow_context}
    scored = evaluate(specs, folder, engine=engine if served else in_process, **ways)
    print(f"Scored {len(scored)} of {len(specs)}" + ("." if scored else ": all were finished already."))
    print(folder)


if __name__ == "__main__":
    run_cli(app)
