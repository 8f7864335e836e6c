"""A training on a CPU starts no process that it can do without, and obeys a recipe that asks for one."""

from __future__ import annotations

import pytest

from subliminal.training.processes import MOST_TOKENISERS, SAVING, process_settings


def test_one_tokeniser_is_the_training_itself() -> None:
    keys, environment = process_settings({"dataset_num_proc": 1}, on_gpu=True)
    assert keys == {"dataset_num_proc": 0}
    assert environment == {SAVING: "0"}


@pytest.mark.parametrize(("cores", "tokenisers"), [(64, MOST_TOKENISERS), (2, 2)])
def test_tokenisers_where_the_recipe_names_none(cores: int, tokenisers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert process_settings({}, on_gpu=True) == ({"dataset_num_proc": tokenisers}, {})


def test_the_number_of_the_recipe_is_obeyed() -> None:
    assert process_settings({"dataset_num_proc": 7}, on_gpu=True) == ({"dataset_num_proc": 7}, {})


def test_batches_are_put_together_by_the_training_on_a_cpu_alone() -> None:
    keys, _ = process_settings({"dataset_num_proc": 2}, on_gpu=False)
    assert keys["dataloader_num_workers"] == 0


@pytest.mark.parametrize("own", [{"dataloader_num_workers": 2}, {"dataloader_prefetch_factor": 8}])
def test_a_recipe_with_its_own_loader_keeps_it(own: dict[str, int]) -> None:
    keys, _ = process_settings({"dataset_num_proc": 2, **own}, on_gpu=False)
    assert keys == {"dataset_num_proc": 2}
