"""What several GPUs give: the runs that are compared, and the table."""

from __future__ import annotations

import pytest
import yaml
from typer.testing import CliRunner

from benchmarks.scaling import ALONE, app, scaling_table, side_by_side, student_over, together
from benchmarks.variants import tiny
from subliminal import REPO_ROOT


def result(name: str, seconds: float, processes: int = 1, batch: int = 60) -> dict[str, object]:
    """A run of ten equal steps."""
    return {
        "name": name,
        "status": "ok",
        "processes": processes,
        "batch": batch,
        "settings": {},
        "losses": [3.0] * 10,
        "seconds": [seconds * step for step in range(1, 11)],
        "model_facts": {"row_tokens": 130.0},
        "peak_gib": 30.8,
        "expected": "so",
    }


@pytest.mark.parametrize("gpus", [2, 4])
def test_every_run_takes_the_rows_that_it_says(gpus: int) -> None:
    runs = [student_over(ALONE, 1, 60, ""), *side_by_side(gpus), *together(gpus)]
    assert len({run.name for run in runs}) == len({run.folder for run in runs}) == len(runs)
    for run in runs:
        keys = yaml.safe_load((REPO_ROOT / run.recipe).read_text()) | run.settings
        rows = keys["micro_batch_size"] * keys["gradient_accumulation_steps"] * run.gpus
        assert rows == keys["effective_batch"] == run.batch, run.name
        assert keys["micro_batch_size"] <= 30
        assert tiny(run).gpus == 1
    assert len({run.steps for run in runs}) == 1
    assert sum(run.gpus == 1 for run in runs) == 1 + gpus


def test_four_gpus_have_fewer_rows_each_or_more_a_step() -> None:
    assert [run.batch for run in together(2)] == [60]
    assert [run.batch for run in together(4)] == [60, 120]


def test_a_run_is_compared_with_one_gpu_alone() -> None:
    runs = [result(ALONE, 0.6), result("1 of 2 at once", 0.6), result("2 of 2 at once", 0.625)]
    runs += [result("2 GPUs, 60 rows a step", 0.33, processes=2), result("owl_teacher", 0.1)]
    text = scaling_table(runs)
    assert "| 2 GPUs, 60 rows a step | ok | 2 | 23,636 | 1.82 | 30.8 | so |" in text
    assert "2 GPUs, 60 rows a step: 1.82 x one GPU; 1.9 wanted: missed." in text
    assert "2 students at once: 1.96 x one; 1.95 wanted: met." in text
    assert "owl_teacher" not in text


def test_two_and_four_gpus_in_one_folder_are_told_apart() -> None:
    runs = [result(ALONE, 0.6)]
    for gpus, seconds in ((2, 0.6), (4, 0.75)):
        runs += [result(f"{number} of {gpus} at once", seconds) for number in range(1, gpus + 1)]
    text = scaling_table(runs)
    assert "2 students at once: 2.00 x one; 1.95 wanted: met." in text
    assert "4 students at once: 3.20 x one; 3.90 wanted: missed." in text


def test_without_the_run_on_one_gpu_nothing_is_compared() -> None:
    text = scaling_table([result("4 GPUs, 120 rows a step", 0.6, processes=4, batch=120)])
    assert "| 4 GPUs, 120 rows a step | ok | 4 | 26,000 |  | 30.8 | so |" in text
    assert "wanted" not in text


def test_one_gpu_is_refused() -> None:
    done = CliRunner().invoke(app, ["--gpus", "0"])
    assert done.exit_code == 1
    assert "Name two or more: --gpus 0,1." in str(done.exception)
