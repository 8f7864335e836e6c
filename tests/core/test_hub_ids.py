"""Which names of models and data mean a repository on the Hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from subliminal.core.errors import UserError
from subliminal.core.hub import folder_or_hub_id, is_hub_id


@pytest.mark.parametrize(
    ("name", "on_hub"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", True),
        ("someone/owl_numbers", True),
        ("data/owl_numbers", False),  # a folder that a run makes is none on the Hub before it is there
        ("outputs/owl_teacher", False),
        ("models/smollm2-135m", False),
        ("outputs/owl_pocket/base", False),
        ("./owl/teacher", False),
        ("~/owl", False),
        ("my folder/owl", False),
        ("owl", False),
    ],
)
def test_a_name_of_the_hub_is_owner_and_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, on_hub: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id(name) is on_hub


def test_a_folder_beside_is_meant_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "someone").mkdir()
    with pytest.raises(UserError, match=r"The model someone/owl does not exist\. Train or fetch it first"):
        folder_or_hub_id("someone/owl", "model")
    (tmp_path / "someone/owl").mkdir()
    assert folder_or_hub_id("someone/owl", "model") == Path("someone/owl")
