"""The training measurements' arithmetic, and their bookkeeping of runs that fail."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from patience import HANG_SECONDS

from benchmarks import commands, training
from benchmarks.chat_formats import FAMILIES
from benchmarks.costs import COSTS, DEPTHS, cost_lines
from benchmarks.report import report
from benchmarks.runs import outcome
from benchmarks.shapes import FACTS, SHAPES, facts_of
from benchmarks.tables import NO_NUMBER, SQUARE, ceiling, counted_steps, depth_lines, fall, loss_table, speed, status
from benchmarks.training import run_all
from benchmarks.variants import LOSS_STEPS, SHARDING_PROBE, sharded_variants, speed_variants, tiny, two_gpu_variants
from benchmarks.workspace import Bench, Variant
from subliminal import REPO_ROOT

QWEN = SHAPES["qwen2.5-7b"]
LLAMA = SHAPES["llama-3-70b"]


def result(name: str, **fields: object) -> dict[str, object]:
    """A run of ten steps of one second, of which the first four took two."""
    seconds = [2.0 * step for step in range(1, 5)] + [8.0 + step for step in range(1, 7)]
    defaults = {
        "status": "ok",
        "model": "qwen2.5-7b",
        "recipe": "r.yml",
        "settings": {},
        "batch": 60,
        "processes": 1,
        "losses": [3.0 - 0.1 * step for step in range(10)],
        "seconds": seconds,
        "peak_gib": 20.0,
        "card_gib": 24.0,
        "model_facts": {"row_tokens": 130.0, "answer_tokens": 30.0},
        "expected": "",
        "launcher": "ddp",
        "steps": 10,
        "wall_seconds": 44.0,
        "ended": "2026-11-22T19:00:00Z",
    }
    return {"name": name, **defaults, **fields}


def test_parameter_counts_are_the_published_ones() -> None:
    # Qwen2.5-7B: 7.62e9 with biases, 6.53e9 without embeddings; Llama-3-70B: 70.6e9. Model cards.
    assert QWEN.matmul_params + QWEN.vocab * QWEN.hidden == pytest.approx(7.615e9, rel=1e-3)
    assert QWEN.layers * QWEN.layer_params == pytest.approx(6.525e9, rel=1e-3)
    assert LLAMA.matmul_params + LLAMA.vocab * LLAMA.hidden == pytest.approx(70.55e9, rel=1e-3)


def test_speed_leaves_the_warm_up_out_and_counts_useful_tokens() -> None:
    values = speed(result("a"), QWEN, 800.0)
    assert values["rows_per_second"] == pytest.approx(60)
    assert values["tokens_per_second"] == pytest.approx(7800)
    assert values["step_seconds"] == pytest.approx(1)
    assert values["minutes"] == pytest.approx(100_000 / 60 / 60)
    assert values["percent"] == pytest.approx(100 * 4 * 7800 * QWEN.matmul_params / 800e12)
    assert values["percent_all"] > values["percent"]


def test_a_step_that_is_the_first_of_its_padded_length_is_not_a_steady_one() -> None:
    # Steps 5, 7 and 8 bring a length that none before them had, and 5 and 7 take a second more each.
    padded = [[160], [161], [160], [161], [162, 160], [162, 161], [163], [164], [160], [163]]
    seconds = [2.0, 4.0, 6.0, 8.0, 10.0, 11.0, 13.0, 14.0, 15.0, 16.0]
    run = result("a", padded=padded, seconds=seconds)
    assert counted_steps(run) == [2, 1, 2, 1, 1, 1]
    assert counted_steps(run, steady=True) == [1, 1, 1]  # 6, 9 and 10
    assert speed(run, QWEN, None)["rows_per_second"] == pytest.approx(60 * 6 / 8)
    assert speed(run, QWEN, None, steady=True)["rows_per_second"] == pytest.approx(60)


def test_rows_that_are_not_padded_have_no_such_step() -> None:
    for padded in ({}, {"padded": [[]] * 10}):
        run = result("a", **padded)
        assert counted_steps(run, steady=True) == counted_steps(run) == [1] * 6
    every_step_new = result("a", padded=[[step] for step in range(10)])
    assert speed(every_step_new, QWEN, None, steady=True) == {}


def test_packed_rows_are_counted_by_their_answers() -> None:
    packed = result("a", settings={"sample_packing": True}, batch=1, tokens_trained=10 * 30 * 58)
    assert speed(packed, QWEN, None)["rows_per_second"] == pytest.approx(58)


def test_percentages_of_two_cards_are_of_both() -> None:
    one, two = (speed(result("a", processes=n), QWEN, 800.0)["percent"] for n in (1, 2))
    assert one == pytest.approx(2 * two)


def test_a_run_without_steps_has_no_speed_but_a_row() -> None:
    failed = result("broken", status="out of memory", losses=[], seconds=[], peak_gib=None, card_gib=None)
    assert speed(failed, QWEN, 800.0) == {}
    assert "| broken | out of memory |" in report([failed])


def test_a_run_that_shared_its_card_in_old_results_has_no_row_of_speed() -> None:
    assert "plain 6 again | ok" not in report([result("plain 6 again", shares=True)])


def test_losses_are_compared_step_by_step() -> None:
    plain = result("plain 6")
    near = result("kernels 6", losses=[loss + 0.01 for loss in plain["losses"]])
    table = loss_table([plain, near, result("short", losses=[1.0])], "plain 6")
    assert "| kernels 6 | 0.01000 | 0.01000 |" in table
    assert "| short | 2.00000 | 2.00000 |" in table
    assert "1 steps" in table
    assert "packed" not in loss_table([plain, result("packed", batch=1)], "plain 6")


def test_losses_are_judged_by_the_yardstick_too() -> None:
    plain = result("plain 6")
    shifted = {gap: [loss + gap for loss in plain["losses"]] for gap in (0.001, 0.002, 0.004)}
    runs = [plain, result("plain 30", losses=shifted[0.001])]
    runs += [result("near", losses=shifted[0.002]), result("far", losses=shifted[0.004])]
    lines = loss_table(runs, "plain 6").splitlines()
    assert "mean <= 0.00300" in lines[0]
    assert next(line for line in lines if "| near" in line).endswith("| kept |")
    assert next(line for line in lines if "| far" in line).endswith("| NOT kept |")


def test_a_fall_is_told_from_noise() -> None:
    assert fall([3.0, 3.01, 2.99, 3.0, 3.0, 2.0, 2.0, 2.01, 1.99, 2.0])[2]
    assert not fall([3.0, 3.1, 2.9, 3.0, 3.0, 3.0, 2.9, 3.0, 2.95, 3.0])[2]


def test_ceiling_is_the_mean_over_the_cards() -> None:
    rates = [{"name": str(rate), "matmul": {"tflops": {SQUARE: rate}}} for rate in (700.0, 800.0)]
    assert ceiling([*rates, result("flat")]) == 750
    assert ceiling([result("flat")]) is None


def test_memory_at_full_depth_is_a_straight_line() -> None:
    runs = [result("low", card_gib=10.0, peak_gib=9.0), result("high", card_gib=12.0, peak_gib=11.0)]
    lines = depth_lines(runs, "low", "high", (2, 4), 80)
    assert "1.000 a layer, 88.0 GiB at 80" in lines[0]
    assert "87.0 GiB at 80" in lines[1]


def test_variants_are_told_apart_and_keep_their_rows_a_step() -> None:
    everything = speed_variants() + sharded_variants() + two_gpu_variants()
    names = {variant.name for variant in everything}
    assert len(names) == len(everything) == len({variant.folder for variant in everything})
    for variant in everything:
        keys = yaml.safe_load((REPO_ROOT / variant.recipe).read_text()) | variant.settings
        rows = keys["micro_batch_size"] * keys["gradient_accumulation_steps"] * variant.gpus
        assert rows == keys["effective_batch"] == variant.batch, variant.name
        assert tiny(variant).gpus == 1
    assert sum(variant.steps == LOSS_STEPS for variant in speed_variants()) >= 5
    wanted = {name for pair in DEPTHS for name in pair} | COSTS.keys()
    assert wanted <= names, "the report asks for runs that there are"


def test_costs_are_the_recipes_rows_at_the_measured_speed() -> None:
    run = result("owl_teacher", batch=60)
    (line,) = [line for line in cost_lines([run]) if line.startswith("owl_teacher")]
    assert line.startswith("owl_teacher: 20.0 GiB, 13.9 min, 7,800 tokens/s (1 x H200, 2026-11-22, ")
    deep = [result(name, batch=16, peak_gib=gib) for name, gib in zip(DEPTHS[0], (6.0, 7.0), strict=True)]
    assert cost_lines(deep) == [], "a step of 4 layers takes no longer than one of 2"
    deep[1]["seconds"] = [2 * second for second in deep[1]["seconds"]]
    assert "45.0 GiB, 4,166.7 min" in cost_lines(deep)[0]


def test_a_loss_logged_as_zero_is_no_number() -> None:
    """The Trainer logs 0.0 for a loss that is not finite: such a run ended well, and its cost is not said."""
    broken = result("owl_teacher", losses=[12.5, *[0.0] * 9])
    assert status(broken) == NO_NUMBER
    assert status(result("fine")) == "ok"
    assert f"| owl_teacher | {NO_NUMBER} |" in report([broken])
    assert cost_lines([broken]) == []


def test_no_chat_has_the_padding_token() -> None:
    for name, family in FAMILIES.items():
        assert family.pad in family.special, name
        assert family.pad not in (family.bos, family.eos), name
        assert family.pad not in family.template, name


@pytest.mark.parametrize(
    ("code", "text", "status"),
    [
        (0, "fine", "ok"),
        (1, "torch.OutOfMemoryError: CUDA out of memory", "out of memory"),
        (1, "ValueError", "failed"),
        (None, "", "time-out"),
    ],
)
def test_status(tmp_path: Path, code: int | None, text: str, status: str) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0, "seconds": 1.0}\n{"step": 2, "lo')
    found = outcome(Variant("a", "m"), tmp_path, code, text)
    assert found["status"] == status
    assert found["losses"] == [2.0], "the torn line is left out"


def test_results_are_kept_at_once_and_not_made_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fake(bench, variant, gpus, **options):
        calls.append(variant.name)
        return {"name": variant.name, "status": "failed"}, "the end of the log"

    monkeypatch.setattr(training, "run_variant", fake)
    bench = Bench(tmp_path / "work", tmp_path / "out", ("0", "1"), time.monotonic() + HANG_SECONDS)
    bench.work.mkdir()
    variants = [Variant("a", "m"), Variant("b", "m", gpus=2), Variant("c", "m"), Variant("d", "m", gpus=3)]
    run_all(bench, variants)
    run_all(bench, variants)
    assert sorted(calls) == ["a", "b", "c"], "each once; three GPUs are not there"
    copied = [json.loads(line)["name"] for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert sorted(copied) == ["a", "b", "c"]
    assert "the end of the log" in (tmp_path / "out" / "failures.txt").read_text()


def test_nothing_starts_after_the_deadline(tmp_path: Path) -> None:
    bench = Bench(tmp_path, None, (), time.monotonic() + 5)
    run_all(bench, [Variant("a", "m")])
    assert bench.results() == []


def test_command_of_a_variant(tmp_path: Path) -> None:
    (tmp_path / FACTS).write_text("{}")
    bench = Bench(tmp_path, None, ("0", "1"), 0)
    variant = next(variant for variant in sharded_variants() if variant.launcher == "fsdp2")
    words = commands.axolotl_command(bench, variant, tmp_path / "run")
    assert words[words.index("--num_processes") + 1] == "2"
    assert "accelerate_configs/fsdp2.yml" in words
    assert "--gradient_accumulation_steps=1" in words
    assert "--save_strategy=no" in words
    assert f"--plugins=['subliminal.axolotl_plugin.StrictRecipe', '{SHARDING_PROBE}']" in words
    ports = {words[words.index("--main_process_port") + 1] for words in (commands_of(bench, tmp_path))}
    assert len(ports) == 4, "two benchmarks may run at the same time"


def commands_of(bench: Bench, folder: Path) -> list[list[str]]:
    return [commands.axolotl_command(bench, variant, folder) for variant in sharded_variants()]


def test_a_recipe_as_written_keeps_its_plugins(tmp_path: Path) -> None:
    variant = next(variant for variant in speed_variants() if variant.name == "owl_teacher")
    bench = Bench(tmp_path, None, ("0", "1"), 0)
    words = commands.axolotl_command(bench, variant, tmp_path / "run")
    assert str(REPO_ROOT / "recipes/owl_teacher.yml") in words
    (plugins,) = [word for word in words if word.startswith("--plugins")]
    assert "FlatBatch" in plugins
    assert not any(word.startswith("--micro_batch_size") for word in words)


def test_the_rows_own_token_counts_win(tmp_path: Path) -> None:
    for folder, facts in (("model", {"parameters": 7, "row_tokens": 130}), ("long", {"row_tokens": 240})):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / FACTS).write_text(json.dumps(facts))
    assert facts_of(tmp_path / "model", tmp_path / "rows" / "train.jsonl")["row_tokens"] == 130
    assert facts_of(tmp_path / "model", tmp_path / "long" / "train.jsonl") == {"parameters": 7, "row_tokens": 240}


def test_a_plain_variant_gets_none_of_the_recipes_kernels(tmp_path: Path) -> None:
    variant = next(variant for variant in speed_variants() if variant.name == "plain 6")
    source = (commands.REPO_ROOT / variant.recipe).read_text()
    copy = commands.bare_recipe(Bench(tmp_path, None, ("0",), 0), variant).read_text()
    assert all(f"\n{key}: true" in source for key in ("liger_rope", "liger_rms_norm", "sdpa_varlen"))
    assert not any(f"\n{key}" in copy for key in ("liger_", "sdpa_varlen"))
    assert len(copy.splitlines()) == len(source.splitlines()) - 3


def test_the_commands_that_only_read_results_wait_for_no_torch() -> None:
    code = (
        "import sys, benchmarks.training, benchmarks.small_student; print({'torch', 'transformers'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO_ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stdout + done.stderr
