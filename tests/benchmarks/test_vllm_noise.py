"""Noise of vLLM's two model runners, made without a card."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.vllm_noise import COLUMNS, noise_v1, noise_v2, philox
from subliminal import REPO_ROOT
from subliminal.engine import row_seed

RAW = REPO_ROOT / "results/published/2026-11-29-h200-owl"


def test_philox_gives_the_published_numbers() -> None:
    """Known answers of Random123, the authors' library."""
    assert [int(word) for word in philox((0, 0, 0, 0), 0)] == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = 0xFFFFFFFF
    found = philox((ones, ones, ones, ones), 0xFFFFFFFFFFFFFFFF)
    assert [int(word) for word in found] == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


@pytest.mark.parametrize("noise", [noise_v1, noise_v2])
def test_noise_is_gumbels_and_another_of_each_seed(noise: Callable[[int, int, int], np.ndarray]) -> None:
    drawn = [noise(seed, 100_000, 7) for seed in (1, 2)]
    for values in drawn:
        assert np.isfinite(values).all()
        assert values.mean() == pytest.approx(0.5772, abs=0.02)
        assert values.std() == pytest.approx(np.pi / np.sqrt(6), abs=0.02)
    assert abs(np.corrcoef(drawn)[0, 1]) < 0.02
    assert not np.array_equal(noise(1, 100, 7), noise(1, 100, 8))


@pytest.mark.parametrize("path", sorted(RAW.glob("noise_*.csv")), ids=lambda path: path.stem)
def test_what_the_page_says_of_the_rows(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    counts = [sum(row[runner] == row["first_token"] for row in rows) for runner in ("v1", "v2")]
    page = (RAW / "README.md").read_text(encoding="utf-8")
    assert f"| `{path.name}` | {len(rows)} | {counts[0]} | {counts[1]} |" in page
    seed = {"day1": 61, "day2": 61}.get(path.stem.removeprefix("noise_")) or int(re.search(r"\d+", path.stem)[0])
    assert all(int(row["seed"]) == row_seed(seed, int(row["id"].rpartition("-")[2])) for row in rows)
