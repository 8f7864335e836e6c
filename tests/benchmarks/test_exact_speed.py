"""The measurement of exact probabilities scores every adapter as an evaluation does, and counts its passes."""

from __future__ import annotations

import pytest
from tiny_chat import tiny_model  # noqa: F401
from typer.testing import CliRunner

from benchmarks.exact import app, differences


def test_differences() -> None:
    assert differences([1.0, 1.5, 4.0]) == [0.5, 2.5]


@pytest.mark.slow
def test_adapters_are_scored_in_one_pass_each(tiny_model) -> None:  # noqa: F811
    words = ["--model", str(tiny_model), "--adapters", "3", "--limit", "4", "--dtype", "float32"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert "animal_preference_logprob, 3 adapters on" in done.stdout
    assert "a model: 1.0 forward passes" in done.stdout
    two = CliRunner().invoke(app, [*words, "--batch-size", "2"], catch_exceptions=False)
    assert "a model: 2.0 forward passes" in two.stdout
