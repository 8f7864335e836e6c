"""Kill a run with SIGKILL, in a step and while a checkpoint is written; resume it; compare with an undisturbed one."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.inputs import facts_of
from benchmarks.runs import kill_group, outcome, read_rows, run_variant, start
from benchmarks.workspace import Bench, Variant

SAVE_STEPS = 6
KILLS = (3, 8, 15)
"""Steps after which runs are killed: before the first checkpoint, and after each."""

BOUND = 1e-3
"""Largest difference of the final loss that counts as the same."""


def resume_jobs(bench: Bench, variant: Variant) -> list[Callable[[str], None]]:
    """Work for :func:`benchmarks.schedule.run_side_by_side`: an undisturbed run, and one for each kill.

    Args:
        bench: the workspace; results that it has already are not made again.
        variant: at least ``2 * SAVE_STEPS + 3`` steps.
    """
    saving = {"save_strategy": "steps", "save_steps": SAVE_STEPS, "save_total_limit": 10}
    variant = replace(variant, settings=variant.settings | saving)

    def job(name: str, reached: Callable[[Path], bool] | None) -> Callable[[str], None]:
        def work(gpu: str) -> None:
            gpus = (gpu,) if gpu else ()
            named = replace(variant, name=name)
            if _left(bench) < 20:
                print(f"{name}: no time left; run the same command again", flush=True)
                return
            if reached is None:
                result, log = run_variant(bench, named, gpus, timeout=_left(bench))
            else:
                result, log = _kill_and_resume(bench, named, gpus, reached)
            bench.keep(result, "" if result["status"] == "ok" else log)

        return work

    moments = {f"{variant.name}, undisturbed": None}
    moments |= {f"{variant.name}, killed after step {step}": _after(step) for step in KILLS}
    moments[f"{variant.name}, killed in the checkpoint of step {2 * SAVE_STEPS}"] = _torn_checkpoint
    done = bench.done()
    return [job(name, reached) for name, reached in moments.items() if name not in done]


def judge(bench: Bench, variant: Variant) -> None:
    """Compare each killed run that has no sentence yet with the undisturbed one."""
    results = {result["name"]: result for result in bench.results()}
    reference = results.get(f"{variant.name}, undisturbed", {}).get("losses")
    for result in results.values():
        if reference and "killed" in result and "sentence" not in result:
            bench.keep(result | {"sentence": compare(reference, result)})


def compare(reference: Sequence[float], result: dict[str, Any]) -> str:
    """What came of a resumed run: same steps, same losses, or not."""
    losses = result["losses"]
    if not result["killed"]:
        return "the run ended before it could be killed"
    if result["status"] != "ok" or not losses or len(losses) != len(reference):
        return f"{result['status']}, {len(losses)} of {len(reference)} steps"
    gaps = [abs(mine - other) for mine, other in zip(losses, reference, strict=True)]
    verdict = "within" if gaps[-1] <= BOUND else "NOT within"
    return (
        f"resumed from step {result['resumed_from']} after {result['steps_before']} steps; every step there once: "
        f"{result['each_step_once']}; final loss {losses[-1]:.6f} against {reference[-1]:.6f}, {verdict} {BOUND}; "
        f"largest gap at any step {max(gaps):.6f}"
    )


def _kill_and_resume(
    bench: Bench, variant: Variant, gpus: Sequence[str], reached: Callable[[Path], bool]
) -> tuple[dict[str, Any], str]:
    output = bench.work / "runs" / variant.folder
    shutil.rmtree(output, ignore_errors=True)
    log_file = bench.work / "runs" / f"{variant.folder}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with open(log_file, "w") as log:
        process = start(bench, variant, output, gpus, log)
        while process.poll() is None and not reached(output):
            if time.monotonic() > min(bench.deadline, started + variant.limit):
                break
            time.sleep(0.002)
        ended_alone = process.poll() is not None
        kill_group(process)
        before = len(_metrics(output))
        whole = [path for path in output.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
        code: int | None = 1
        if not ended_alone:
            process = start(bench, variant, output, gpus, log)
            try:
                code = process.wait(min(_left(bench), variant.limit))
            except subprocess.TimeoutExpired:
                code = None
            finally:
                kill_group(process)
    text = log_file.read_text(errors="replace")
    result = outcome(variant, output, code, text)
    steps = [row["step"] for row in _metrics(output)]
    return result | {
        "wall_seconds": round(time.monotonic() - started, 1),
        "card_gib": None,
        "model_facts": facts_of(bench.model(variant.model), bench.rows(variant.rows)),
        "killed": not ended_alone,
        "steps_before": before,
        "resumed_from": max((int(path.name.split("-")[1]) for path in whole), default=0),
        "each_step_once": steps == list(range(1, variant.steps + 1)),
    }, text


def _after(step: int) -> Callable[[Path], bool]:
    return lambda output: len(_metrics(output)) >= step


def _torn_checkpoint(output: Path) -> bool:
    """Whether the second checkpoint is being written: its folder is there, the file written last is not."""
    folder = output / f"checkpoint-{2 * SAVE_STEPS}"
    return folder.is_dir() and any(folder.iterdir()) and not (folder / "trainer_state.json").is_file()


def _metrics(output: Path) -> list[dict[str, Any]]:
    return read_rows(output / "metrics.jsonl")


def _left(bench: Bench) -> float:
    return max(bench.deadline - time.monotonic(), 1.0)
