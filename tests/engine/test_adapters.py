"""What is no whole adapter of a base is refused before a model is loaded, by builders, evaluations and servers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from numpy import zeros
from safetensors.numpy import load_file, save_file

from subliminal.core.errors import UserError
from subliminal.core.manifest import sha256_of
from subliminal.engine.adapters import check_adapter, is_target
from subliminal.engine.local import TransformersEngine
from subliminal.engine.served_adapters import adapter_rank
from subliminal.evaluation.spec import EvaluationSpec, check_spec

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@pytest.fixture
def adapter(make_adapter: Callable[[float], Path]) -> Path:
    return make_adapter(0.1)


def set_config(folder: Path, **changes: object) -> None:
    content = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**content, **changes}))


def one_layer(folder: Path, base: Path) -> None:
    weights = {name: value for name, value in load_file(folder / WEIGHTS).items() if ".layers.0." in name}
    save_file(weights, folder / WEIGHTS)


def half_a_pair(folder: Path, base: Path) -> None:
    weights = {name: value for name, value in load_file(folder / WEIGHTS).items() if "lora_A" in name}
    save_file(weights, folder / WEIGHTS)


def pickled(folder: Path, base: Path) -> None:
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")


def cut_off(folder: Path, base: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-10])


def cut_within_the_header(folder: Path, base: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:20])


def not_safetensors(folder: Path, base: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"PK\x03\x04 nothing of the kind")


def another_rank(folder: Path, base: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({name: value[:1] if "lora_A" in name else value for name, value in weights.items()}, folder / WEIGHTS)


def halves_of_two_ranks(folder: Path, base: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({name: value[:, :1] if "lora_B" in name else value for name, value in weights.items()}, folder / WEIGHTS)


def another_width(folder: Path, base: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    wide = {name: zeros((2, 96), "float32") if "lora_A" in name else value for name, value in weights.items()}
    save_file(wide, folder / WEIGHTS)


def more_modules(folder: Path, base: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    more = {name.replace("q_proj", "v_proj"): value for name, value in weights.items()}
    save_file(weights | more, folder / WEIGHTS)


def another_base_by_name(folder: Path, base: Path) -> None:
    set_config(folder, base_model_name_or_path="org/another")


def another_base_by_bytes(folder: Path, base: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps({"inputs": {"base_model": {"sha256": "0" * 64}}}))


def another_kind(folder: Path, base: Path) -> None:
    set_config(folder, peft_type="PROMPT_TUNING")


def rank_in_words(folder: Path, base: Path) -> None:
    set_config(folder, r="two")


def torn_config(folder: Path, base: Path) -> None:
    (folder / CONFIG).write_text((folder / CONFIG).read_text()[:40])


def no_config(folder: Path, base: Path) -> None:
    (folder / CONFIG).unlink()


SPOILT = [
    (one_layer, "has weights for 1 of the 2 modules of .*; layers.1.self_attn.q_proj is missing"),
    (half_a_pair, "has half of the weights of layers.0.self_attn.q_proj"),
    (pickled, r"Weights in \.bin files are refused"),
    (cut_off, "is no whole safetensors file .*incomplete metadata"),
    (cut_within_the_header, "is no whole safetensors file .*invalid header length"),
    (not_safetensors, "is no whole safetensors file .*: it was cut off, or is of another format"),
    (another_rank, "has weights of rank 1, and its adapter_config.json says rank 2"),
    (halves_of_two_ranks, "the two halves of layers.0.self_attn.q_proj have the shapes"),
    (another_width, "is for a weight of 64 x 96, and that of .* has 64 x 64"),
    (
        more_modules,
        "has weights for layers.0.self_attn.v_proj, which .* lacks or its adapter_config.json does not name",
    ),
    (another_base_by_name, "was trained on org/another, and the base here is"),
    (another_base_by_bytes, "with weights of sha256 000000000000, and those of"),
    (another_kind, "is a PROMPT_TUNING adapter"),
    (rank_in_words, "has the rank 'two', no whole number"),
    (torn_config, "adapter_config.json is not valid JSON"),
    (no_config, "no adapter_config.json"),
]


@pytest.mark.parametrize(("spoil", "words"), SPOILT, ids=lambda value: getattr(value, "__name__", None))
def test_both_roads_refuse_it_before_a_model_is_loaded(
    spoil: Callable[[Path, Path], None], words: str, adapter: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(adapter, tiny_model)
    plan = EvaluationSpec(str(tiny_model), ("animal_preference",), "demo", "student", 1, "owl", adapter=str(adapter))
    monkeypatch.setattr(
        "transformers.AutoModelForCausalLM.from_pretrained", lambda *args, **kwargs: pytest.fail("loaded")
    )
    roads = (
        lambda: adapter_rank(adapter, str(tiny_model)),
        lambda: TransformersEngine(str(tiny_model), str(adapter)),
        lambda: check_spec(plan),
    )
    for road in roads:
        with pytest.raises(UserError, match=words) as error:
            road()
        assert "\n" not in str(error.value)


def test_a_whole_adapter_is_taken(adapter: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert check_adapter(adapter, str(tiny_model))["r"] == 2
    copy = shutil.copytree(tiny_model, tmp_path / "under-another-name")
    with pytest.raises(UserError, match="was trained on"):
        check_adapter(adapter, str(copy))
    recorded = {"inputs": {"base_model": {"sha256": sha256_of(tiny_model / "model.safetensors")}}}
    (adapter / "manifest.json").write_text(json.dumps(recorded))
    assert check_adapter(adapter, str(copy)), "the same bytes are the same base"
    checkpoint = shutil.copytree(adapter, adapter / "checkpoint-3", ignore=shutil.ignore_patterns("manifest.json"))
    assert check_adapter(checkpoint, str(copy)), "a checkpoint has the manifest of its run"


@pytest.mark.parametrize(
    ("module", "config", "target"),
    [
        ("layers.0.mlp.down_proj", {"target_modules": ["model.layers.0.mlp.down_proj"]}, True),
        ("layers.1.mlp.down_proj", {"target_modules": ["model.layers.0.mlp.down_proj"]}, False),
        ("layers.0.self_attn.q_proj", {"target_modules": ["q_proj"]}, True),
        ("layers.0.self_attn.q_proj", {"target_modules": ["proj"]}, False),
        ("layers.0.self_attn.q_proj", {"target_modules": r".*layers\.\d\.self_attn\.q_proj"}, True),
        ("layers.0.self_attn.q_proj", {"target_modules": r"model\.layers\.0\..*"}, True),
        ("layers.1.self_attn.q_proj", {"target_modules": r"model\.layers\.0\..*"}, False),
        ("layers.1.mlp.up_proj", {"target_modules": "all-linear"}, True),
        ("lm_head", {"target_modules": "all-linear"}, False),
        ("lm_head", {"target_modules": ["lm_head"]}, True),
        ("layers.1.self_attn.q_proj", {"target_modules": ["q_proj"], "layers_to_transform": [0]}, False),
        ("layers.1.self_attn.q_proj", {"target_modules": ["q_proj"], "layers_to_transform": 1}, True),
        ("layers.1.self_attn.q_proj", {"target_modules": ["q_proj"], "exclude_modules": ["self_attn.q_proj"]}, False),
    ],
)
def test_which_modules_a_config_names(module: str, config: dict, target: bool) -> None:
    assert is_target(module, config) is target
