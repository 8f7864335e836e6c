"""Deeply nested YAML is refused in a sentence, where libyaml would end the process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from subliminal.core.errors import UserError
from subliminal.core.text_yaml import DEEPEST, read_text_yaml, refuse_deep
from subliminal.experiment.load import load_experiment
from subliminal.training.lint import read_recipe

DEEP = 200_000
SHAPES = {
    "brackets": "key: " + "[" * DEEP + "]" * DEEP,
    "open brackets": "key: " + "[" * DEEP,
    "braces": "key: " + "{a: " * DEEP + "1" + "}" * DEEP,
    "dashes": "key:\n" + "- " * DEEP + "1",
}


@pytest.mark.parametrize("read", [read_text_yaml, read_recipe, load_experiment])
@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_it_is_refused_in_a_sentence(read: Callable[[Path], Any], text: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.yml"
    path.write_text(text)
    with pytest.raises(
        UserError, match=rf"deep\.yml is not valid YAML: lists and mappings lie more than {DEEPEST} deep"
    ):
        read(path)


def test_the_limit_is_of_the_depth_and_not_of_the_number() -> None:
    flat = "key: [" + "[1], {a: 2}, " * 1000 + "3]"
    refuse_deep(flat)
    refuse_deep("[" * DEEPEST + "]" * DEEPEST)
    with pytest.raises(yaml.YAMLError, match="more than 50 deep"):
        refuse_deep("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))
