"""The small student beside other trainers: their programs, the table, and the time in which kernels run."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
import yaml
from forked import Forked
from patience import HANG_SECONDS
from tiny_chat import tiny_model  # noqa: F401

from benchmarks.commands import axolotl_command, other_command, plugins_of
from benchmarks.counts import COUNTED_STEP
from benchmarks.kernel_times import FIRST, STEPS, KernelTimesCallback, covered
from benchmarks.matmul import rate_of_card
from benchmarks.operations import OperationCount, OperationsCallback, is_view
from benchmarks.other_trainers import IGNORED, Metrics, collate, loop
from benchmarks.runs import OFFLINE, outcome
from benchmarks.shapes import FACTS, SHAPES, make_model, make_rows, model_facts, with_facts
from benchmarks.small_student import (
    AGAIN,
    BEST,
    COUNTED,
    LOOP,
    OURS,
    PUBLISHED,
    RECIPE,
    ROWS_A_STEP,
    mean_rates,
    small_variants,
    student_table,
    tiny_small,
)
from benchmarks.tables import SQUARE, counted_steps, speed
from benchmarks.training import run_all
from benchmarks.workspace import Bench, Variant
from subliminal import REPO_ROOT
from subliminal.core.files import read_jsonl


def result(name: str, step_seconds: float, **fields: object) -> dict[str, object]:
    """A run of ten equal steps."""
    defaults = {
        "status": "ok",
        "batch": 64,
        "processes": 1,
        "settings": {},
        "losses": [2.0] * 10,
        "seconds": [step_seconds * step for step in range(1, 11)],
        "peak_gib": 10.0,
        "model_facts": {"row_tokens": 120.0},
        "expected": "as it is",
        "kernels": None,
    }
    return {"name": name, **defaults, **fields}


def test_the_student_is_compared_with_the_published_settings_and_with_the_best() -> None:
    runs = [result(OURS, 0.1), result(PUBLISHED, 0.66, batch=66), result("trl, 64 rows at once", 0.16)]
    text = student_table(runs)
    assert "| student | ok | 0.100 | 640 | 76,800 |  | 10.0 | 6.40 | 1.60 | as it is |" in text
    assert "6.40 x TRL at its published settings; 3.0 wanted: met." in text
    assert "1.60 x TRL at its best settings; 1.3 wanted: met." in text
    slower = student_table([result(OURS, 0.15), *runs[1:]])
    assert "1.07 x TRL at its best settings; 1.3 wanted: missed." in slower


def test_a_run_that_was_made_again_counts_with_its_mean() -> None:
    runs = [result(OURS, 0.1), result(PUBLISHED, 0.66, batch=66), result(BEST, 0.16)]
    again = [result(OURS + AGAIN, 0.2), result(BEST + AGAIN, 0.16)]
    assert "1.20 x TRL at its best settings; 1.3 wanted: missed." in student_table([*runs, *again])  # (640 + 320) / 2


def test_the_runs_that_decide_come_first_and_the_compiled_one_last() -> None:
    names = [variant.name for variant in small_variants()]
    deciding = [OURS, BEST, LOOP]
    assert names[:6] == [*deciding, *(name + AGAIN for name in deciding)]
    assert names[-1] == "student, compiled"
    counted = [variant for variant in small_variants() if variant.name.endswith(COUNTED)]
    assert [variant.name for variant in counted] == [name + COUNTED for name in deciding]
    for variant in counted:
        assert COUNTED_STEP <= FIRST < FIRST + STEPS <= variant.steps, "both counts end within the run"


def test_trl_whose_loss_is_no_number_is_told_as_such() -> None:
    """As the Trainer logs it: the losses of 2026-11-29 from the seventh step on."""
    assert f"| {BEST} | loss is no number |" in student_table([result(BEST, 0.4, losses=[1.9] * 6 + [0.0] * 4)])


def test_a_share_of_the_cards_rate_needs_the_card() -> None:
    card = {"name": "rate of GPU 0", "status": "ok", "matmul": {"tflops": {SQUARE: 800.0}}}
    # 76,800 tokens/s x 4 FLOP x 494 million weights (24 layers of 14.9 million, and the head) over 800 TFLOP/s
    assert "| 76,800 | 19.0 |" in student_table([card, result(OURS, 0.1)])


def test_what_has_a_result_is_compared_and_the_rest_named() -> None:
    text = student_table([result(OURS, 0.1), result(BEST, 0.16)])
    assert "Nothing to compare with TRL at its published settings: it has no result." in text
    assert "1.60 x TRL at its best settings; 1.3 wanted: met." in text
    assert "Nothing to compare: the student has no result." in student_table([result(BEST, 0.16)])


def test_a_step_with_a_length_never_seen_before_does_not_count_for_us() -> None:
    """TRL's eighth and ninth step take a second more, the first of their length: the ratio is that of the others."""
    seconds = [0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 2.6, 3.8, 4.0]
    padded = [[160]] * 7 + [[161], [162], [160]]
    text = student_table([result(OURS, 0.1), result(BEST, 0.2, seconds=seconds, padded=padded)])
    assert f"| {BEST} | ok | 0.200 | 320 |" in text
    assert f"{BEST}: 2 of 6 steps were the first of their padded length and are not counted: 1.200 s on average" in text
    assert "2.00 x TRL at its best settings; 1.3 wanted: met." in text


def test_the_padded_length_of_each_micro_batch_is_noted(tmp_path: Path) -> None:
    import torch

    class Model(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            return input_ids

    model, metrics = Model(), Metrics(tmp_path)
    metrics.on_train_begin(None, None, None, model=model)
    for shape in ((2, 5), (2, 7)):
        model(input_ids=torch.zeros(shape))
    metrics.row(1, 0.5)
    model(input_ids=torch.zeros(1, 12))  # rows end to end
    metrics.row(2, 0.4)
    assert [row["padded"] for row in read_jsonl(tmp_path / "metrics.jsonl")] == [[5, 7], []]
    assert outcome(small_variants()[0], tmp_path, 0, "")["padded"] == [[5, 7], []]


def test_a_run_with_the_profiler_says_what_the_card_does_and_not_how_fast_it_is() -> None:
    kernels = {"steps": 5, "kernels_a_step": 9000, "kernel_seconds_a_step": 0.04}
    text = student_table([result(OURS, 0.1), result(OURS + COUNTED, 0.3, kernels=kernels)])
    assert "student: 9,000 kernels a step, which run for 0.040 of its 0.100 s (40%)" in text
    assert "with nothing but them, 2.5 x as fast." in text
    assert f"| {OURS}{COUNTED} | ok |  |" in text


def test_operations_are_told_beside_the_plain_loops() -> None:
    ours = {"operations": 7000, "computing": 3000, "waits": 7}
    loop = {"operations": 11000, "computing": 6000, "waits": 1}
    text = student_table([result(OURS + COUNTED, 0.3, operations=ours), result(LOOP + COUNTED, 0.3, operations=loop)])
    assert "student: 7,000 operations a step, of which 3,000 compute and 7 wait for the card" in text
    assert "; computing ones 0.50 x the plain loop's." in text
    assert "plain loop: 11,000 operations a step, of which 6,000 compute and 1 wait for the card." in text


def test_views_and_room_compute_nothing() -> None:
    import torch

    assert is_view(torch.ops.aten.t.default)
    assert not is_view(torch.ops.aten.add_.Tensor), "it returns its argument, and has changed it"
    with OperationCount() as count:
        tensor = torch.empty(2, 3)  # room
        tensor.zero_()  # computes
        tensor.t()  # a view
        (tensor + 1).sum().item()  # computes twice, and waits
    assert count.names.total() == 6
    assert count.computing == 4
    assert count.names["aten._local_scalar_dense.default"] == 1


def test_one_step_is_counted_from_the_end_of_the_step_before(tmp_path: Path) -> None:
    import torch

    callback = OperationsCallback(tmp_path)
    for step in range(1, COUNTED_STEP + 3):
        torch.ones(step).sum()  # in the counted step: one filled and one summed
        callback.on_step_end(None, SimpleNamespace(global_step=step, is_world_process_zero=True), None)
        if step != COUNTED_STEP:
            torch.ones(1) + 1  # after the end of the step before: two, counted with the next step
    facts = json.loads((tmp_path / "operations.json").read_text())
    assert facts["operations"] == facts["computing"] == 4
    assert facts["waits"] == 0
    assert outcome(small_variants()[0], tmp_path, 0, "")["operations"] == facts


def test_overlapping_kernels_count_once() -> None:
    assert covered([(0.0, 2.0), (5.0, 6.0), (1.0, 3.0), (1.5, 1.7)]) == 4.0
    assert covered([]) == 0.0


def test_the_profiler_watches_its_steps_alone(tmp_path: Path) -> None:
    callback = KernelTimesCallback(tmp_path)
    for step in range(FIRST + STEPS + 3):
        state = SimpleNamespace(global_step=step)
        callback.on_step_begin(None, state, None)
        assert (callback.profiler is not None) == (FIRST <= step < FIRST + STEPS)
        callback.on_step_end(None, state, None)
    callback.on_train_end(None, None, None)
    facts = json.loads((tmp_path / "kernels.json").read_text())
    assert facts == {"steps": STEPS, "kernels_a_step": 0, "kernel_seconds_a_step": 0.0}  # no GPU, no kernel


def test_a_named_part_of_a_step_is_no_kernel(tmp_path: Path) -> None:
    from torch.autograd import DeviceType

    def event(start: float, end: float, device: object = DeviceType.CUDA, named: bool = False) -> SimpleNamespace:
        span = SimpleNamespace(start=start, end=end)
        return SimpleNamespace(device_type=device, is_user_annotation=named, time_range=span)

    seen = [
        event(0, 10),
        event(90, 100),
        event(0, 100, named=True),  # "Optimizer.step#AdamW.step", from the first kernel to the last
        event(0, 500, device=DeviceType.CPU),
    ]
    callback = KernelTimesCallback(tmp_path)
    callback.profiler, callback.steps = SimpleNamespace(stop=lambda: None, events=lambda: seen), 1
    callback.finish()
    facts = json.loads((tmp_path / "kernels.json").read_text())
    assert facts == {"steps": 1, "kernels_a_step": 2, "kernel_seconds_a_step": pytest.approx(20e-6)}


def test_a_run_shorter_than_that_has_no_count(tmp_path: Path) -> None:
    callback = KernelTimesCallback(tmp_path)
    callback.on_step_begin(None, SimpleNamespace(global_step=0), None)
    callback.on_step_end(None, SimpleNamespace(global_step=1), None)
    callback.on_train_end(None, None, None)
    assert not (tmp_path / "kernels.json").exists()
    assert outcome(small_variants()[0], tmp_path, 0, "")["kernels"] is None


def test_every_run_takes_the_rows_that_it_says() -> None:
    rows = yaml.safe_load((REPO_ROOT / RECIPE).read_text())["effective_batch"]
    names = [variant.name for variant in small_variants()]
    assert len(names) == len(set(names))
    for variant in small_variants():
        if variant.program == "axolotl":
            assert variant.batch == rows
        settings = variant.settings
        if variant.program == "trl" and variant.name != PUBLISHED:
            assert "gradient_checkpointing" in settings
            assert settings["per_device_train_batch_size"] * settings["gradient_accumulation_steps"] == rows
        assert tiny_small(variant).batch == 4
        assert tiny_small(variant).model == ("narrow-qwen" if variant.name.endswith(COUNTED) else "tiny-qwen")


def test_the_profiled_student_keeps_the_recipes_plugins(tmp_path: Path) -> None:
    own = yaml.safe_load((REPO_ROOT / RECIPE).read_text())["plugins"]
    by_name = {variant.name: variant for variant in small_variants()}
    assert plugins_of(by_name[OURS]) == own
    assert plugins_of(by_name[OURS + COUNTED]) == [*own, "benchmarks.probe.KernelProbe"]
    on_a_cpu = ["benchmarks.stand_ins.StandIns", "benchmarks.probe.KernelProbe"]
    assert plugins_of(tiny_small(by_name[OURS + COUNTED])) == [*own, *on_a_cpu]
    words = other_command(Bench(tmp_path, None, ("0",), 0), by_name[PUBLISHED], tmp_path / "run")
    assert words[:2] == ["benchmarks.other_trainers", "trl"]
    assert json.loads(words[-1]) == {"max_steps": 16, "output_dir": str(tmp_path / "run")}


def test_rows_are_padded_on_the_right_and_have_loss_on_the_answer() -> None:
    batch = collate([([1, 2, 3, 4], 3), ([5, 6], 1)], pad=9)
    assert batch["input_ids"].tolist() == [[1, 2, 3, 4], [5, 6, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORED, IGNORED, IGNORED, 4], [IGNORED, 6, IGNORED, IGNORED]]


def test_a_card_that_is_not_there_is_a_result() -> None:
    assert rate_of_card("99")["status"] == "failed"


@pytest.mark.slow
def test_the_plain_loop_learns(tiny_model: Path, tmp_path: Path) -> None:  # noqa: F811
    rows = make_rows(tmp_path / "rows", 8)
    model = with_facts(tiny_model, tmp_path / "model", rows)
    assert model_facts(model)["rows"] == 8
    assert model_facts(model)["row_tokens"] > 20
    assert with_facts(tiny_model, model, tmp_path / "absent") == model, "one that has facts is used as it is"
    loop(str(model), rows, {"output_dir": str(tmp_path / "run"), "max_steps": 6, "batch": 8})
    steps = list(read_jsonl(tmp_path / "run" / "metrics.jsonl"))
    assert len(steps) == 6
    assert steps[-1]["loss"] < steps[0]["loss"]
    for step in steps:
        assert step["padded"] == steps[0]["padded"], "all eight rows are in each step"
        assert step["padded"][0] >= model_facts(model)["row_tokens"]
    assert (model / FACTS).is_file()


def start_forked(bench: Bench, variant: Variant, output: Path, gpus: Sequence[str], log: IO[str]) -> Forked:
    """As :func:`benchmarks.runs.start_training`, in a process that has imported Axolotl: to import it takes longer."""
    words = other_command(bench, variant, output)
    environment = {**os.environ, **OFFLINE}
    if variant.program == "axolotl":
        words = axolotl_command(bench, variant, output)
        # Behind the launcher's words, which set these variables on a CPU.
        words = words[words.index("-m") + 1 :]
        environment |= {"ACCELERATE_USE_CPU": "true", "ACCELERATE_MIXED_PRECISION": "no"}
    return Forked(words, Path(log.name), environment)


@pytest.mark.slow
def test_a_step_of_the_student_computes_less_than_half_of_the_plain_loops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With stand-ins for the kernels of a GPU, each of them one operation, on 24 layers as the true model has."""
    monkeypatch.setattr("benchmarks.runs.start_training", start_forked)
    bench = Bench(tmp_path, None, (), time.monotonic() + HANG_SECONDS)
    rows = make_rows(tmp_path / "rows", 24)
    make_model(SHAPES["narrow-qwen"], bench.model("narrow-qwen"), rows)
    wanted = (OURS + COUNTED, LOOP + COUNTED)
    run_all(bench, [tiny_small(variant) for variant in small_variants() if variant.name in wanted])
    assert [run["status"] for run in bench.results()] == ["ok", "ok"]
    ours, loops = [run["operations"] for run in bench.results()]
    assert ours["computing"] < 0.5 * loops["computing"]
    assert ours["operations"] < 0.7 * loops["operations"]
    assert ours["waits"] < 10, "none for each layer"


FIRST_RUN = REPO_ROOT / "results/published/2026-11-29-h200-small_student"
SECOND_RUN = REPO_ROOT / "results/published/2026-11-29-h200-step/student"
THIRD_RUN = REPO_ROOT / "results/published/2026-11-29-h200-student/student"
FOURTH_RUN = REPO_ROOT / "results/published/2026-11-30-h200-two/student"
ROW_TOKENS = SECOND_RUN / "row_tokens.txt"
"""Tokens of each of the 4,000 rows with the 0.5B's tokenizer; all three runs had the same rows."""
BENCHMARKS_MD = REPO_ROOT / "BENCHMARKS.md"


def with_padded_lengths(folder: Path) -> list[dict[str, Any]]:
    """The results of a run, with lengths that it did not record: the loop's and TRL's orders follow from their seeds.

    The third run recorded them. TRL's order is that of accelerate's sampler, one permutation with the seed 42.
    """
    import torch

    tokens = [int(word) for word in ROW_TOKENS.read_text(encoding="utf-8").split()]
    shuffled = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(42)).tolist()
    runs = list(read_jsonl(folder / "results.jsonl"))
    if folder == THIRD_RUN:
        return runs
    for run in runs:
        padded: list[list[int]] = []
        order = random.Random(42)
        for step in range(len(run.get("seconds", ()))):
            if run["name"] == LOOP:
                padded.append([max(order.sample(tokens, ROWS_A_STEP))])
            elif run["name"] == PUBLISHED:
                starts = (66 * step, 66 * step + 22, 66 * step + 44)
                padded.append([max(tokens[row] for row in shuffled[start : start + 22]) for start in starts])
            elif run["name"].startswith(BEST):
                start = ROWS_A_STEP * step
                padded.append([max(tokens[row] for row in shuffled[start : start + ROWS_A_STEP])])
        run["padded"] = padded
    return runs


def test_the_rows_are_those_of_all_runs() -> None:
    tokens = [int(word) for word in ROW_TOKENS.read_text(encoding="utf-8").split()]
    for folder in (FIRST_RUN, SECOND_RUN, THIRD_RUN):
        facts = next(run["model_facts"] for run in read_jsonl(folder / "results.jsonl") if "losses" in run)
        assert (len(tokens), max(tokens)) == (facts["rows"], facts["longest_row"])
        assert sum(tokens) / len(tokens) == pytest.approx(facts["row_tokens"])


@pytest.mark.parametrize("folder", [FIRST_RUN, SECOND_RUN, THIRD_RUN])
def test_each_step_with_a_new_length_took_longer_than_every_other(folder: Path) -> None:
    """So the lengths worked out above are those that the runs had, and such steps are another kind."""
    checked = 0
    for run in with_padded_lengths(folder):
        if (
            not any(run.get("padded", [])) or run["name"] == PUBLISHED
        ):  # three micro-batches a step: new ones are a part of it
            continue
        every, steady = counted_steps(run), counted_steps(run, steady=True)
        new = [seconds for seconds in every if seconds not in steady]
        assert len(new) == len(every) - len(steady) >= 9
        assert min(new) > max(steady)
        checked += 1
    assert checked == {FIRST_RUN: 3, SECOND_RUN: 2, THIRD_RUN: 3}[folder]


@pytest.mark.parametrize("folder", [FIRST_RUN, SECOND_RUN, THIRD_RUN])
def test_the_published_tables_follow_from_the_results(folder: Path) -> None:
    assert (folder / "steady.md").read_text(encoding="utf-8") == student_table(with_padded_lengths(folder)) + "\n"


def test_benchmarks_md_tells_what_came_home() -> None:
    """The table of the real 0.5B, out of the raw results of three runs on an H200."""
    told = {
        OURS: "student, its recipe",
        OURS + AGAIN: "student, again",
        PUBLISHED: "TRL, published settings",
        BEST: "TRL, 64 rows at once",
        BEST + AGAIN: "TRL, again",
        "trl, 64 rows at once, liger": "the same with liger",
        "trl, 64 rows without padding, liger": "the same without padding, its **loss no number from step 7 on**",
        LOOP: "plain PyTorch loop",
    }
    cells: dict[str, list[str]] = {name: [] for name in told}
    for folder in (THIRD_RUN, SECOND_RUN, FIRST_RUN):
        seconds, speeds = {}, {}
        for run in with_padded_lengths(folder):
            if run["name"] in told:
                speeds[run["name"]] = speed(run, SHAPES["qwen2.5-0.5b"], None, steady=True)
                seconds[run["name"]] = run["batch"] / speeds[run["name"]]["rows_per_second"]
        trl = mean_rates(speeds)[BEST]
        for name, of in cells.items():
            if name in speeds:
                of += [f"{seconds[name]:.3f}", f"{speeds[name]['rows_per_second'] / trl:.2f}"]
            else:
                of += ["", ""]
    lines = BENCHMARKS_MD.read_text(encoding="utf-8").splitlines()
    for name, of in cells.items():
        wanted = re.sub(r" +", " ", f"| {told[name]} | {' | '.join(of)} |")
        assert any(re.sub(r" +", " ", line.replace("**", "")) == wanted.replace("**", "") for line in lines), wanted


def test_benchmarks_md_has_the_verdicts_of_all_runs() -> None:
    text = " ".join(BENCHMARKS_MD.read_text(encoding="utf-8").split())
    runs = (FIRST_RUN, SECOND_RUN, THIRD_RUN)
    first, second, third = (student_table(with_padded_lengths(folder)) for folder in runs)
    verdicts = [(first, "published settings"), (first, "best settings"), (second, "best settings")]
    verdicts += [(third, "published settings"), (third, "best settings")]
    for table, aim in verdicts:
        found = re.search(rf"([\d.]+) x TRL at its {aim}; [\d.]+ wanted: (met|missed)", table)
        assert f"{found[1]} x TRL at its {aim}" in text


def test_benchmarks_md_has_the_fourth_run() -> None:
    runs = list(read_jsonl(FOURTH_RUN / "results.jsonl"))
    table = student_table(runs)
    assert (FOURTH_RUN / "small_student.md").read_text(encoding="utf-8") == table + "\n"
    seconds = {}
    for run in runs:
        if run["name"] in (OURS, OURS + AGAIN):
            values = speed(run, SHAPES["qwen2.5-0.5b"], None, steady=True)
            seconds[run["name"]] = run["batch"] / values["rows_per_second"]
    best, published = (
        re.search(rf"([\d.]+) x TRL at its {aim};", table)[0].rstrip(";")
        for aim in ("best settings", "published settings")
    )
    told = f"{seconds[OURS]:.3f} and {seconds[OURS + AGAIN]:.3f} s; {best}, {published}."
    assert told in " ".join(BENCHMARKS_MD.read_text(encoding="utf-8").split())


def test_benchmarks_md_says_what_the_steps_left_out_would_do() -> None:
    ratios = []
    for folder in (FIRST_RUN, SECOND_RUN, THIRD_RUN):
        speeds = {}
        for run in read_jsonl(folder / "results.jsonl"):
            if "losses" in run and not run["name"].endswith(COUNTED):
                speeds[run["name"]] = speed(run, SHAPES["qwen2.5-0.5b"], None)
        rates = mean_rates(speeds)
        ratios += [rates[OURS] / rates[name] for name in (BEST, PUBLISHED) if name in rates]
    told = [f"{ratio:.2f}" for ratio in ratios]
    text = " ".join(BENCHMARKS_MD.read_text(encoding="utf-8").split())
    two, three = f"run 2 would give {told[2]} x", f"run 3 {told[3]} and {told[4]} x"
    assert f"With them run 1 gave {told[0]} and {told[1]} x, {two}, and {three}." in text


def test_benchmarks_md_has_the_7b_beside_trl_by_all_steps_and_by_the_median_one() -> None:
    folder = REPO_ROOT / "results/published/2026-11-22-h200-training"
    runs = {run["name"]: run for run in read_jsonl(folder / "run1_results.jsonl")}
    means, medians = {}, {}
    for name in ("flat 30 + liger", "trl published", "trl no checkpointing"):
        measured = speed(runs[name], SHAPES["qwen2.5-7b"], None)
        means[name] = measured["rows_per_second"]
        medians[name] = runs[name]["batch"] / measured["step_seconds"]
    ours, *others = means
    by_mean = [f"{means[ours] / means[other]:.2f}" for other in others]
    by_median = [f"{medians[ours] / medians[other]:.2f}" for other in others]
    told = f"| {by_mean[0]} x; {by_mean[1]} x if TRL does not checkpoint (by the median step {', '.join(by_median)});"
    assert told in BENCHMARKS_MD.read_text(encoding="utf-8")
