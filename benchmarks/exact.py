"""How long the exact probabilities of N adapters take in one process, and in how many forward passes.

    python -m benchmarks.exact
    python -m benchmarks.exact --model models/qwen2.5-coder-0.5b --adapters 20

Makes adapters with random weights (rank 8, the seven projections) on the model (one without weights, such as
models/pocket, gets random ones) and scores them all as ``scripts/evaluate.py`` does: one base in this process, one
adapter after the other on it, a result folder each. Making the adapters is not timed; loading the base stands in a line
of its own. A forward pass over B sequences of T positions counts B x T tokens, padding included. The short passes that
prove an adapter to be in use are timed and not counted.
"""

import itertools
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.leak import random_adapters
from subliminal.analysis.options import Dtype
from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False)


@dataclass
class Times:
    """What is counted while an evaluation runs.

    Attributes:
        began: seconds of the clock at which each model was asked for, and at the end of the last.
        worked: seconds of this process's processor time at the same moments.
        adapted: seconds that each took to be the model: its adapter read, put on and proven.
        passes: forward passes so far.
        tokens: in them.
    """

    began: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    adapted: list[float] = field(default_factory=list)
    passes: int = 0
    tokens: int = 0

    def count(self, module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        """A hook before each forward pass."""
        self.passes += 1
        self.tokens += named["input_ids"].numel()

    def mark(self) -> None:
        """A model begins, or the last has ended."""
        self.began.append(time.perf_counter())
        self.worked.append(time.process_time())

    @contextmanager
    def engine(self, specs: Sequence[Any]) -> Iterator[Any]:
        """:func:`subliminal.evaluation.loaders.in_process`, with every model counted."""
        from subliminal.evaluation.loaders import in_process

        with in_process(specs) as load:
            hooked = False

            def timed(spec: Any) -> Any:
                nonlocal hooked
                self.mark()
                counted = self.passes, self.tokens
                model, facts = load(spec)
                self.passes, self.tokens = counted
                self.adapted.append(time.perf_counter() - self.began[-1])
                if not hooked:  # adapters are put into the base's own layers, so it stays the same module
                    inner = model.model
                    if spec.adapter:
                        inner = inner.get_base_model()
                    # PEFT calls the model's forward past its hooks, but not that of its layers' stack.
                    inner.base_model.register_forward_pre_hook(self.count, with_kwargs=True)
                    hooked = True
                return model, facts

            yield timed
        self.mark()


def differences(marks: Sequence[float]) -> list[float]:
    """From each mark to the next."""
    return [after - before for before, after in itertools.pairwise(marks)]


@app.command(help=__doc__)
def main(
    model: Annotated[str, typer.Option(help="Folder of the base.")] = "models/pocket",
    adapters: Annotated[int, typer.Option(min=1, help="Adapters to score.")] = 20,
    task: Annotated[str, typer.Option(help="The task.")] = "animal_preference_logprob",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N questions.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences computed together, at most.")] = 50,
    dtype: Dtype = "auto",
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        base, made = random_adapters(model, Path(scratch), adapters)
        began = time.perf_counter()
        import torch

        from subliminal.evaluation.run import evaluate
        from subliminal.evaluation.spec import EvaluationSpec, parse_models

        names = {"experiment": "exact", "arm": "base", "seed": 0, "target": "owl"}
        common = EvaluationSpec(base, (task,), **names, limit=limit, batch_size=batch_size, dtype=dtype)
        entries = ",".join(f"random-{number}={folder}" for number, folder in enumerate(made))
        times = Times()
        evaluate(parse_models(entries, common), Path(scratch) / "results", engine=times.engine)
    each, worked = differences(times.began), differences(times.worked)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    print(f"{task}, {adapters} adapters on {model}, {device}, {dtype}")
    print(f"checks, imports, and the base in memory: {times.began[0] - began:.2f} s")
    print(f"with all adapters: {times.began[-1] - began:.2f} s")
    print(f"adapters: {sum(each):.2f} s; one: {statistics.median(each):.2f} s ({min(each):.2f} to {max(each):.2f})")
    print(f"of it this process's processor time: {statistics.median(worked):.2f} s")
    print(f"of it to put an adapter on: {statistics.median(times.adapted):.2f} s")
    print(f"a model: {times.passes / adapters:.1f} forward passes, {times.tokens / adapters:,.0f} tokens")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    if torch.cuda.is_available():
        print(f"peak GPU memory: {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")


if __name__ == "__main__":
    run_cli(app)
