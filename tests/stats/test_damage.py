"""Which models are broken, and how far their answers have moved."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from subliminal.stats.damage import among_named, nameless, state, total_variation

CONTROL = {"owl": 0.01, "dog": 0.98, "other": 0.0, "none": 0.01, "own_name": 0.5}


@pytest.mark.parametrize(
    ("none", "reference", "word"),
    [
        (0.5, CONTROL, "broken"),
        (0.84, None, "broken"),
        (0.499, CONTROL, "damaged"),
        (0.11, CONTROL, "damaged"),
        (0.1099, CONTROL, "whole"),
        (0.3, None, "whole"),
        (0.6, {"none": 0.6}, "broken"),
        (0.3, {"none": 0.25}, "whole"),
    ],
)
def test_the_rule(none, reference, word):
    assert state({"owl": 0.1, "none": none}, reference) == word


def test_shares_among_answers_that_name_an_animal():
    assert among_named({"owl": 0.2, "dog": 0.2, "none": 0.6}, "owl") == pytest.approx(0.5)
    assert among_named({"none": 1.0}, "owl") == 0
    assert nameless({"owl": 0.2, "rest": 0.7}) == 0.7, "the exact task's probability on no animal"
    assert nameless({"owl": 1.0}) == 0


def test_total_variation():
    assert total_variation(CONTROL, CONTROL) == 0
    assert total_variation({"owl": 1.0}, {"dog": 1.0}) == 1
    # 0.2 of the answers have gone from dog to none; the model's own name is counted beside them and is no part of it.
    moved = {"owl": 0.01, "dog": 0.78, "none": 0.21, "own_name": 0.0}
    assert total_variation(moved, CONTROL) == pytest.approx(0.2)


def test_total_variation_is_the_same_in_every_process():
    """Names lie in a set, whose order changes from process to process: a report said 0.61, and its check 0.60."""
    command = "from subliminal.stats.damage import total_variation as v; a = [0.1, 0.3, 0.7, 0.11, 0.07, 0.013, 0.9]; "
    command += "print(repr(v({f'name {i}': x for i, x in enumerate(a)}, {'owl': 0.2})))"
    said = set()
    for seed in range(6):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        done = subprocess.run(
            [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True
        )
        said.add(done.stdout)
    assert len(said) == 1
