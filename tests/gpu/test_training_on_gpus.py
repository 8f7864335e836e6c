"""Real recipes on real GPUs: 4-bit, data parallel, FSDP2, ZeRO: each shards what it claims to, and learns.

pytest -m gpu tests/gpu                                  # small models, made here
SUBLIMINAL_BENCH=/tmp/bench pytest -m gpu tests/gpu      # models and results of benchmarks.training
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import variants
from benchmarks.shapes import SHAPES, make_model, make_rows
from benchmarks.tables import fall
from benchmarks.training import run_all
from benchmarks.workspace import Bench, Variant

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    torch = pytest.importorskip("torch")
    cards = tuple(map(str, range(torch.cuda.device_count())))
    if not cards:
        pytest.skip("there is no CUDA GPU")
    prepared = os.environ.get("SUBLIMINAL_BENCH")
    bench = Bench(Path(prepared or tmp_path_factory.mktemp("bench")), None, cards, time.monotonic() + 1800)
    if not prepared:
        rows = make_rows(bench.work / "rows", 600)
        for name in ("tiny-qwen", "tiny-llama"):
            make_model(SHAPES[name], bench.model(name), rows)
    return bench


def result_of(bench: Bench, variant: Variant) -> dict[str, Any]:
    """Run a variant, or take its result if the workspace has one."""
    if len(bench.gpus) < variant.gpus:
        pytest.skip(f"{variant.name} needs {variant.gpus} GPUs")
    if not bench.model(variant.model).is_dir():
        small = "tiny-qwen" if variant.model.startswith("qwen") else "tiny-llama"
        variant = replace(variant, model=small, settings=variant.settings | {"learning_rate": 1e-2})
    run_all(bench, [variant])
    return next(result for result in bench.results() if result["name"] == variant.name)


def assert_learns(result: dict[str, Any]) -> None:
    losses = result["losses"]
    assert result["status"] == "ok", f"{result['name']}: {result['status']}"
    assert len(losses) >= 20
    assert fall(losses)[2], losses


@pytest.mark.parametrize("name", ["qlora 7b, flat 30 + liger", "qlora 70b, 4 layers, flat 8 + liger"])
def test_four_bit_learns(bench: Bench, name: str) -> None:
    variant = next(variant for variant in variants.recipe_variants() if variant.name == name)
    assert_learns(result_of(bench, variant))


SEVERAL = variants.sharded_variants() + variants.two_gpu_variants()


@pytest.mark.parametrize("variant", SEVERAL, ids=lambda variant: variant.name)
def test_two_gpus_shard_and_learn(bench: Bench, variant: Variant) -> None:
    result = result_of(bench, variant)
    assert_learns(result)
    probes = result["probes"]
    assert [probe["rank"] for probe in probes] == [0, 1]
    expected = {"ddp": "MULTI_GPU", "fsdp2": "FSDP", "zero3": "DEEPSPEED", "zero2": "DEEPSPEED"}
    assert {probe["distributed_type"] for probe in probes} == {expected[variant.launcher]}
    shares = [probe["parameters_held"] / probe["parameters"] for probe in probes]
    if variant.launcher in ("fsdp2", "zero3"):
        assert all(0.45 < share < 0.6 for share in shares), shares
    else:
        assert shares == [1, 1]
    if variant.launcher.startswith("zero"):
        assert {probe["zero_stage"] for probe in probes} == {int(variant.launcher[-1])}


@pytest.mark.slow
def test_ddp_is_faster_than_one_gpu(bench: Bench) -> None:
    """At least 1.8 times the rows a second; only between results of the true shape."""
    results = {result["name"]: result for result in bench.results()}
    pair = [results.get(name) for name in ("two gpus: flat 30 + liger", "flat 30 + liger")]
    if not all(pair):
        pytest.skip("run `python -m benchmarks.training speed two-gpus` first, and set SUBLIMINAL_BENCH")
    from benchmarks.tables import speed

    two, one = (speed(result, SHAPES[variants.QWEN], None)["rows_per_second"] for result in pair)
    assert two / one >= 1.8
