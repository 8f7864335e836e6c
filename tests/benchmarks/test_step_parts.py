"""What a step keeps however few its rows: the runs, and the bound that they set to several GPUs."""

from __future__ import annotations

import yaml

from benchmarks.scaling import ROWS_A_STEP
from benchmarks.step_parts import COUNTED, PROBE, SHARES, name_of, step_table, step_variants
from subliminal import REPO_ROOT


def result(rows: int, seconds: float) -> dict[str, object]:
    """A run of ten equal steps."""
    return {
        "name": name_of(rows),
        "status": "ok",
        "processes": 1,
        "batch": rows,
        "settings": {},
        "losses": [3.0] * 10,
        "seconds": [seconds * step for step in range(1, 11)],
        "model_facts": {"row_tokens": 130.0},
    }


def test_each_run_has_the_rows_of_one_of_several_gpus() -> None:
    for run in step_variants():
        keys = yaml.safe_load((REPO_ROOT / run.recipe).read_text()) | run.settings
        assert keys["micro_batch_size"] * keys["gradient_accumulation_steps"] == run.batch
        assert run.batch * SHARES[run.batch] == ROWS_A_STEP
        assert (PROBE in run.plugins) == run.name.endswith(COUNTED)
    assert [run.batch for run in step_variants()] == [60, 30, 15, 30, 15]


def test_several_gpus_are_at_most_as_fast_as_one_with_its_share() -> None:
    counted = {**result(15, 0.4), "name": name_of(15) + COUNTED}
    counted["kernels"] = {"steps": 2, "kernels_a_step": 4321, "kernel_seconds_a_step": 0.1349}
    text = step_table([result(60, 0.5), result(30, 0.27), result(15, 0.2), counted])
    assert "| one GPU, 15 rows a step | ok | 0.200 | 9,750 | 4,321 | 0.135 | 0.20 s, bound by the host |" in text
    assert "2 GPUs with 60 rows a step: at most 1.85 x one, by what 30 rows take alone." in text
    assert "4 GPUs with 60 rows a step: at most 2.50 x one, by what 15 rows take alone." in text


def test_without_the_whole_step_there_is_no_bound() -> None:
    assert "at most" not in step_table([result(30, 0.27), result(15, 0.2)])
