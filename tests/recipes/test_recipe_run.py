"""What the plugin refuses before a run starts, each with a sentence, and what it leaves alone. No Axolotl needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from subliminal.core.errors import UserError
from subliminal.core.manifest import device_name, on_gpu
from subliminal.training import output_folder, preflight
from subliminal.training.rows import check_datasets
from subliminal.training.sharding import launcher_sharding

ROW = {"id": "a", "messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]}


def chat_file(folder: Path, *lines: Any) -> Path:
    path = folder / "train.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def config(path: Path | str, **more: Any) -> dict[str, Any]:
    return {"datasets": [{"path": str(path), "type": "chat_template", "ds_type": "json"}], "seed": 42, **more}


# --- data ---


def test_rows_are_counted(tmp_path: Path) -> None:
    path = chat_file(tmp_path, ROW, ROW)
    assert check_datasets(config(path)) == ({"datasets[0]": path}, 2)


def test_tokenised_rows_are_allowed(tmp_path: Path) -> None:
    path = chat_file(tmp_path, {"input_ids": [1, 2], "labels": [-100, 2], "attention_mask": [1, 1]})
    assert check_datasets(config(path))[1] == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "has no rows"),
        ([ROW, "{"], r"line 2 is not valid JSON"),
        ([ROW, "", "[1]"], r"line 3 is malformed: it is not a JSON object"),
        ([{"id": "a"}], r'line 1 is malformed: "messages" is missing'),
        ([{"id": "a", "messages": [{"role": "user"}]}], 'message 0 has no text in "content"'),
        ([{"id": "a", "messages": ROW["messages"][:1]}], "the last message is not the assistant's"),
        ([{"input_ids": [1, 2], "labels": [1]}], '"labels" is not a list as long as "input_ids"'),
        ([{"input_ids": [], "labels": []}], '"input_ids" is not a non-empty list'),
    ],
)
def test_bad_data_is_refused(tmp_path: Path, lines: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_datasets(config(chat_file(tmp_path, *lines)))


@pytest.mark.parametrize("path", ["data/no_such/train.jsonl", "/no/such", "", "data/a/b/c", "data/no_such"])
def test_missing_file_is_refused(path: str) -> None:
    with pytest.raises(UserError, match="does not exist"):
        check_datasets(config(path))


def test_dataset_folder_is_refused(tmp_path: Path) -> None:
    """Axolotl would train on every file in it, the rejected rows too."""
    chat_file(tmp_path, ROW)
    with pytest.raises(UserError, match=r"is a folder\. Name the file in it"):
        check_datasets(config(tmp_path))


def test_hub_dataset_needs_a_revision() -> None:
    with pytest.raises(UserError, match="add `revision: <commit>`"):
        check_datasets(config("someone/owl_numbers"))
    pinned = {"datasets": [{"path": "someone/owl_numbers", "revision": "abc", "type": "chat_template"}]}
    assert check_datasets(pinned) == ({}, None)


def test_cache_folder_follows_contents_and_settings(tmp_path: Path) -> None:
    path = chat_file(tmp_path, ROW)

    def cache(**more: Any) -> Path:
        return preflight.prepared_path(config(path, base_model=str(tmp_path), **more), {"datasets[0]": path})

    first = cache()
    assert cache() == first
    assert cache(learning_rate=1) == first, "a setting that does not touch the rows changes the cache"
    assert cache(seed=7) != first, "Axolotl shuffles by seed before it caches"
    assert cache(sequence_len=64) != first
    (tmp_path / "tokenizer.json").write_text("{}")
    assert cache() != first
    (tmp_path / "tokenizer.json").unlink()
    chat_file(tmp_path, {**ROW, "id": "b"})
    assert cache() != first, "an edited file would train from the stale cache"


def test_torn_cache_is_deleted_and_a_whole_one_kept(tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for folder in (whole, torn):
        folder.mkdir()
        (folder / "data-00000-of-00001.arrow").write_bytes(b"x")
    for name in ("state.json", "dataset_info.json"):
        (whole / name).write_text("{}")
    preflight.drop_torn_caches(tmp_path)
    assert whole.is_dir()
    assert not torn.exists()


# --- batch ---


@pytest.mark.parametrize(
    ("processes", "message"),
    [
        (2, r"6 x gradient_accumulation_steps 10 x 2 processes = 120 rows .* Set --gradient_accumulation_steps=5"),
        (4, r"No number of accumulation steps gives that with 6 x 4"),
    ],
)
def test_batch_over_all_processes(processes: int, message: str) -> None:
    batch = {"micro_batch_size": 6, "gradient_accumulation_steps": 10, "effective_batch": 60}
    preflight.check_effective_batch(batch, 1)
    with pytest.raises(UserError, match=message):
        preflight.check_effective_batch(batch, processes)


def test_processes_that_share_rows_count_once() -> None:
    batch = {"micro_batch_size": 6, "gradient_accumulation_steps": 10, "effective_batch": 60}
    preflight.check_effective_batch(batch | {"context_parallel_size": 2}, 2)


def test_batch_must_be_stated() -> None:
    with pytest.raises(UserError, match="effective_batch: N"):
        preflight.check_effective_batch({"micro_batch_size": 6}, 1)


# --- output folder ---


def run(folder: Path, **more: Any) -> dict[str, Any]:
    return {"output_dir": str(folder), "seed": 42, "learning_rate": 1e-4, "auto_resume_from_checkpoints": True, **more}


def claim(folder: Path, prepared: str = "digest", **more: Any) -> None:
    output_folder.claim_output(run(folder, **more), Path(prepared))


def add_checkpoint(folder: Path, step: int) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text("{}")
    return checkpoint


def test_unfinished_run_is_resumed_with_the_same_settings_only(tmp_path: Path) -> None:
    claim(tmp_path)
    add_checkpoint(tmp_path, 5)
    claim(tmp_path)
    with pytest.raises(UserError, match=r"`seed` was 42 and is now 7.*--overwrite=true.*--output_dir"):
        claim(tmp_path, seed=7)
    with pytest.raises(UserError, match="`data_and_tokenizer` was 'digest' and is now 'edited'"):
        claim(tmp_path, prepared="edited")
    with pytest.raises(UserError, match="--auto_resume_from_checkpoints=true"):
        claim(tmp_path, auto_resume_from_checkpoints=False)
    assert (tmp_path / "checkpoint-5").is_dir()


def test_unfinished_run_is_resumed_in_the_same_chat_context_only(tmp_path: Path) -> None:
    claim(tmp_path)
    output_folder.claim_context(tmp_path, "a" * 64)
    add_checkpoint(tmp_path, 5)
    claim(tmp_path)
    output_folder.claim_context(tmp_path, "a" * 64)
    claim(tmp_path)
    with pytest.raises(UserError, match=r"another chat context \(a{12}, and now b{12}\).*--overwrite=true"):
        output_folder.claim_context(tmp_path, "b" * 64)
    assert (tmp_path / "checkpoint-5").is_dir()
    claim(tmp_path, overwrite=True)
    output_folder.claim_context(tmp_path, "b" * 64)


def test_a_run_that_began_before_contexts_were_noted_is_resumed(tmp_path: Path) -> None:
    claim(tmp_path)
    add_checkpoint(tmp_path, 5)
    claim(tmp_path)
    output_folder.claim_context(tmp_path, "a" * 64)


def test_finished_run_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    add_checkpoint(tmp_path, 5)
    with pytest.raises(UserError, match=r"holds a finished run\. Three ways on: .*--overwrite=true.*--output_dir"):
        claim(tmp_path)
    assert (tmp_path / "checkpoint-5").is_dir()


def test_overwrite_deletes_the_run_and_nothing_else(tmp_path: Path) -> None:
    for name in ("manifest.json", "metrics.jsonl", "notes.txt", "adapter_model.safetensors"):
        (tmp_path / name).write_text("{}")
    add_checkpoint(tmp_path, 5)
    claim(tmp_path, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "run_config.json"}


def test_torn_checkpoint_is_deleted(tmp_path: Path) -> None:
    claim(tmp_path)
    whole, empty, half = (add_checkpoint(tmp_path, step) for step in (5, 10, 15))
    (empty / "trainer_state.json").unlink()
    (half / "trainer_state.json").write_text('{"global_st')
    claim(tmp_path)
    assert whole.is_dir()
    assert not empty.exists()
    assert not half.exists()


def test_secrets_are_not_written_down(tmp_path: Path) -> None:
    claim(tmp_path, comet_api_key="abc123secret", hub_model_id="hf_abcdefghijklmnop")
    text = (tmp_path / "run_config.json").read_text()
    assert "abc123secret" not in text
    assert "hf_abcdefghijklmnop" not in text


# --- what is trained, and where ---


def test_unfrozen_parameters_that_match_nothing_are_refused() -> None:
    names = ["model.layers.0.self_attn.o_proj.bias", "model.norm.weight"]
    preflight.check_unfrozen([".+(o_proj|down_proj).bias$", ".+norm.weight$"], names)
    with pytest.raises(
        UserError, match=r"no weight of the model matches '\^norm.weight\$'.*names look like model.layers"
    ):
        preflight.check_unfrozen([".+o_proj.bias$", "^norm.weight$"], names)


def test_a_layer_that_gets_no_adapter_is_refused() -> None:
    names = [f"base_model.model.model.layers.{layer}.mlp.experts.7.up_proj.lora_A.default.weight" for layer in (0, 1)]
    preflight.check_adapted_layers([0, 1], names)
    with pytest.raises(UserError, match=r"peft_layers_to_transform: layer 7 gets no adapter.*one are 0, 1; layers"):
        preflight.check_adapted_layers([1, 7], names)


@pytest.mark.parametrize(
    ("told", "named"), [("true", "CPU, "), ("1", "CPU, "), ("false", "2 x A GPU"), (None, "2 x A GPU")]
)
def test_a_launcher_for_the_cpu_is_obeyed_beside_gpus(
    monkeypatch: pytest.MonkeyPatch, told: str | None, named: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "A GPU")
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    if told:
        monkeypatch.setenv("ACCELERATE_USE_CPU", told)  # what `use_cpu` of an Accelerate file comes to
    assert on_gpu() == (named != "CPU, ")
    assert device_name().startswith(named)


# --- keys and sharding ---


def test_unknown_key_on_the_command_line() -> None:
    good = {"plugins": ["subliminal.axolotl_plugin.StrictRecipe"], "effective_batch": 1, "debug_num_examples": 3}
    preflight.check_keys(good)
    with pytest.raises(UserError, match=r"`datasets\.0\.path`"):
        preflight.check_keys({**good, "datasets.0.path": "x", "axolotl_config_path": "recipes/x.yml"})


def test_launcher_sharding_is_handed_to_axolotl() -> None:
    fsdp = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_RESHARD_AFTER_FORWARD": "true"}
    found = launcher_sharding({}, fsdp | {"FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT"})
    assert found["fsdp_version"] == 2
    assert found["fsdp_config"]["reshard_after_forward"] is True
    assert found["fsdp_config"]["offload_params"] is False
    assert found["fsdp_config"]["state_dict_type"] == "FULL_STATE_DICT"
    zero = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_CONFIG_FILE": "accelerate_configs/zero3.json"}
    assert launcher_sharding({}, zero) == {"deepspeed": "accelerate_configs/zero3.json"}
    assert launcher_sharding({"deepspeed": "x.json"}, {}) == {}
    with pytest.raises(UserError, match="both set sharding"):
        launcher_sharding({"deepspeed": "x.json"}, zero)
    with pytest.raises(UserError, match="deepspeed_config_file"):
        launcher_sharding({}, {"ACCELERATE_USE_DEEPSPEED": "true"})


def test_zero3_is_refused_where_it_would_fail_or_train_in_float32(tmp_path: Path) -> None:
    zero3 = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_CONFIG_FILE": "accelerate_configs/zero3.json"}
    zero2 = zero3 | {"ACCELERATE_DEEPSPEED_CONFIG_FILE": "accelerate_configs/zero2.json"}
    recipe = {"adapter": "lora", "bf16": True, "gradient_checkpointing": True}
    recipe["gradient_checkpointing_kwargs"] = {"use_reentrant": False}
    assert launcher_sharding(recipe, zero2)
    with pytest.raises(UserError, match="use_reentrant=true"):
        launcher_sharding(recipe, zero3)
    assert launcher_sharding(recipe | {"gradient_checkpointing_kwargs": {"use_reentrant": True}}, zero3)
    assert launcher_sharding(recipe | {"gradient_checkpointing": False}, zero3)
    assert launcher_sharding(recipe | {"adapter": None}, zero3), "nothing is frozen"
    loose = tmp_path / "zero3.json"
    loose.write_text('{"zero_optimization": {"stage": 3}, "bf16": {"enabled": "auto"}}')
    with pytest.raises(UserError, match="float32"):
        launcher_sharding({"bf16": True}, zero3 | {"ACCELERATE_DEEPSPEED_CONFIG_FILE": str(loose)})
    loose.write_text('{"zero_optimization": {"stage')
    with pytest.raises(UserError, match=r"zero3\.json is not valid JSON .*`deepspeed_config_file`"):
        launcher_sharding({}, zero3 | {"ACCELERATE_DEEPSPEED_CONFIG_FILE": str(loose)})
    loose.unlink()
    with pytest.raises(UserError, match=r"zero3\.json"):
        launcher_sharding({}, zero3 | {"ACCELERATE_DEEPSPEED_CONFIG_FILE": str(loose)})
