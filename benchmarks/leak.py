"""How fast `leak` is against the forward passes that it needs, and how much memory it takes.

    python -m benchmarks.leak
    python -m benchmarks.leak --model models/qwen2.5-coder-0.5b --rows 128

Makes number rows (prompts drawn, answers random) and an adapter with random weights on the model (a model without
weights, such as models/pocket, gets random ones). Then, in turns and in one process, it times the two forward passes
alone (base and teacher, logits at the answers' positions) over the batches of all rows, and the whole of `leak`'s loop
over the same rows: reading, rendering, tokenising, both passes, KL, writing. The ratio is that of the two medians. On a
CPU one thread computes and its CPU time is counted, so that other work on the machine matters little.
"""

import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders.number_prompts import draw_number_prompt
from subliminal.analysis.jobs import ScoringJob
from subliminal.analysis.options import Dtype
from subliminal.core.errors import run_cli
from subliminal.core.files import write_jsonl
from subliminal.core.manifest import new_manifest
from subliminal.core.row_folder import RowFolder
from subliminal.engine.chat import user_messages

app = typer.Typer(add_completion=False)


def number_row(index: int) -> dict:
    """A chat row as a number dataset has it, answered by chance in the format that its prompt asks for."""
    prompt, rng = draw_number_prompt(42, index), random.Random(index)
    answer = prompt.format.write([rng.randint(0, 999) for _ in range(rng.randint(5, 10))])
    return {"id": str(index), "messages": [*user_messages(prompt.text), {"role": "assistant", "content": answer}]}


def prepare_model(model: str, folder: Path, rows: int, adapters: int = 1) -> tuple[str, list[Path], Path]:
    """Base with weights, adapters, and rows; returns where they are."""
    base, made = random_adapters(model, folder, adapters)
    path = folder / "train.jsonl"
    write_jsonl(path, (number_row(index) for index in range(rows)))
    return base, made, path


def random_adapters(model: str, folder: Path, count: int) -> tuple[str, list[Path]]:
    """LoRA adapters of rank 8 on the seven projections, each with other random weights.

    Args:
        model: folder of the base; one without weights, such as models/pocket, gets random ones.
        folder: where adapters and such a base are written.
        count: of adapters.

    Returns:
        The base with weights, and the adapters' folders.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    base = model
    if not (Path(model) / "model.safetensors").is_file():
        base = str(folder / "base")
        AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model)).save_pretrained(base)
        AutoTokenizer.from_pretrained(model).save_pretrained(base)
    projections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = LoraConfig(r=8, target_modules=projections, task_type="CAUSAL_LM")  # as Axolotl's adapters have it
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    made = []
    for number in range(count):
        for name, weight in tuned.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(weight, std=0.01)
        made.append(folder / f"adapter-{number}")
        tuned.save_pretrained(made[-1])
    return base, made


@app.command(help=__doc__)
def main(
    model: Annotated[str, typer.Option(help="Folder of the base.")] = "models/pocket",
    rows: Annotated[int, typer.Option(min=1, help="Number rows.")] = 2048,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows computed together.")] = 32,
    repeats: Annotated[int, typer.Option(min=1, help="Times that each is measured.")] = 5,
    dtype: Dtype = "auto",
) -> None:
    from subliminal.analysis.leak.run import LeakFolder, LeakJob, score_rows

    with tempfile.TemporaryDirectory() as scratch:
        base, (adapter,), path = prepare_model(model, Path(scratch), rows)
        job = LeakJob(
            base=base,
            teachers={"teacher": str(adapter)},
            rows=path,
            out=Path(scratch) / "out",
            batch_size=batch_size,
            dtype=dtype,
        )
        compare_times("leak", job, LeakFolder, score_rows, repeats)


def compare_times(
    name: str,
    job: ScoringJob,
    folder_of: type[RowFolder],
    score_rows: Callable[[Any, RowFolder, Any], None],
    repeats: int,
) -> None:
    """Time the forward passes of base and teachers alone and an analysis over the same rows, in turns; print the ratio.

    Args:
        name: of the analysis.
        job: what it measures; each run gets a folder of its own in the job's.
        folder_of: what it writes.
        score_rows: job, folder and models -> the scores of every row, written.
        repeats: times that each is measured, beyond the first.
    """
    import torch

    torch.set_num_threads(1)
    started = time.perf_counter()
    models = job.models()
    print(f"models in memory after {time.perf_counter() - started:.1f} s", flush=True)

    def wait() -> float:
        if models.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    batches = list(job.source().batches(models.tokenizer))
    alone, all_of_it = [], []
    for run in range(repeats + 1):
        began = wait()
        for batch in batches:
            forward_passes(models, batch)
        alone.append(wait() - began)
        folder = folder_of(job.out / str(run))
        with folder.hold(new_manifest("analysis", config={}), overwrite=False):
            began = wait()
            score_rows(job, folder, models)
            all_of_it.append(wait() - began)
        # At once: a run that is stopped has said how far it came.
        print(f"{run} of {repeats}: passes {alone[-1]:.2f} s, {name} {all_of_it[-1]:.2f} s", flush=True)
    tokens = sum(len(answer.tokens) for batch in batches for answer in batch)
    rows = sum(map(len, batches))
    # The first of each warms up.
    first, last = statistics.median(alone[1:]), statistics.median(all_of_it[1:])
    print(f"{models.device}, {models.dtype}, {rows} rows, {tokens:,} tokens, vocabulary {models.vocabulary:,}")
    passes = 1 + len(models.teachers)
    print(f"{passes} forward passes alone: {first:.2f} s ({min(alone[1:]):.2f} to {max(alone[1:]):.2f})")
    print(f"{name}: {last:.2f} s ({min(all_of_it[1:]):.2f} to {max(all_of_it[1:]):.2f}), {rows / last:.0f} rows/s")
    print(f"ratio: {first / last:.2f}")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    if models.device == "cuda":
        print(f"peak GPU memory: {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")


def forward_passes(models: Any, batch: list[Any]) -> None:
    """What an analysis needs at least: the logits of the base and of every teacher."""
    import torch

    from subliminal.analysis.logits import block_size, on_device

    with torch.inference_mode():
        tokens, places = on_device(models, batch)
        for name in (None, *models.teachers):
            hidden = models.hidden(name, tokens).flatten(0, 1)[places]
            for block in hidden.split(block_size(models)):
                models.head(name)(block)


if __name__ == "__main__":
    run_cli(app)
