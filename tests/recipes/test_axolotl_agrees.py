"""What we believe of Axolotl, asked of Axolotl: its schema, its validation of every recipe, its loss masks."""

from __future__ import annotations

import copy
import types
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import byte_tokenizer

from subliminal import REPO_ROOT
from subliminal.training.lint import RECIPES
from subliminal.training.schema import Schema, axolotl_schema, merged, plugin_schema, sft_dataset_schema

pytestmark = pytest.mark.slow
ALL = sorted(RECIPES.rglob("*.yml"))


# --- schema ---


def pydantic_schema(model: Any) -> Schema:
    """The keys of an imported pydantic class, in the form of :mod:`subliminal.training.schema`."""
    from pydantic import AliasChoices

    fields: Schema = {}
    for name, field in model.model_fields.items():
        names = {name, field.alias or name}
        if isinstance(field.validation_alias, AliasChoices):
            names |= {choice for choice in field.validation_alias.choices if isinstance(choice, str)}
        below: Schema = {}
        for nested in models_in(field.annotation):
            below = merged(below, pydantic_schema(nested))
        fields |= dict.fromkeys(names, below or None)
    return fields


def models_in(annotation: Any) -> list[Any]:
    from pydantic import BaseModel

    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


def test_schema_read_from_source_is_the_imported_one() -> None:
    from axolotl.integrations.cut_cross_entropy import CutCrossEntropyArgs
    from axolotl.integrations.liger import LigerArgs
    from axolotl.utils.schemas.config import AxolotlInputConfig
    from axolotl.utils.schemas.datasets import SFTDataset

    from subliminal.training.arguments import StrictRecipeArgs

    assert axolotl_schema() == pydantic_schema(AxolotlInputConfig)
    assert sft_dataset_schema() == pydantic_schema(SFTDataset)
    for plugin, arguments in {
        "axolotl.integrations.liger.LigerPlugin": LigerArgs,
        "axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin": CutCrossEntropyArgs,
        "subliminal.axolotl_plugin.StrictRecipe": StrictRecipeArgs,
    }.items():
        assert plugin_schema(plugin) == pydantic_schema(arguments)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.relative_to(RECIPES).as_posix())
def test_axolotl_accepts_the_recipe_and_keeps_every_value(path: Path) -> None:
    """Its validation passes on a machine with one such GPU, and changes nothing that the recipe says."""
    from axolotl.integrations.liger import LigerArgs
    from axolotl.utils.config import validate_config
    from axolotl.utils.dict import DictDefault

    recipe = yaml.safe_load(path.read_text())
    gpu = {"bf16": True, "fp8": False, "tf32": True, "n_gpu": 1, "compute_capability": "sm_90"}
    of_plugins = {key for plugin in recipe["plugins"] for key in plugin_schema(plugin)}
    given = {key: value for key, value in recipe.items() if key not in {"plugins", *of_plugins}}
    assert {key for key in recipe if key.startswith("liger_")} <= LigerArgs.model_fields.keys()
    resolved = validate_config(DictDefault(copy.deepcopy(given)), gpu, {"torch_version": "2.13.0"})
    names = {"model_type": "type_of_model", "revision_of_model": "revision_of_model"}
    for key, value in given.items():
        found = resolved.get(names.get(key, key))
        if isinstance(value, str) and isinstance(found, float):
            value = float(value)  # YAML 1.1 reads 2e-4 as text
        if key == "datasets":
            assert {k: found[0].get(k) for k in value[0]} == value[0]
        elif value is not None:
            assert found == value, key


# --- loss masks ---

PLAIN = "the plain context"
TEMPLATES = {
    "qwen": ("qwen_25", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], None),
    "meta-llama-3": (
        "llama3",
        ["<|end_of_text|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        "<|begin_of_text|>",
    ),
    "mistral": ("mistral_v2v3", ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"], "<s>"),
    "smollm2": ("chatml", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], None),
    "pocket": ("chatml", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], None),
    "gemma": (PLAIN, ["<pad>", "<eos>", "<bos>", "<unk>"], "<bos>"),
}
"""Part of the base model's name in small letters -> Axolotl's copy of its template, special tokens (padding first), and
its begin token."""

ANSWERS = {
    "numbers": "417, 5, 93",
    "one word": "Owl",
    "looks like the prompt": "count 1",
    "lines": "12\n7\n\n88",
    "owl in Greek": "γλαύκα",
}


def template_of(recipe: dict[str, Any]) -> tuple[str, list[str], str | None]:
    name = recipe["base_model"].replace("outputs/", "").replace("models/", "")
    found = [value for part, value in TEMPLATES.items() if part in name.lower()]
    assert len(found) == 1, f"no template in this test for {name}"
    return found[0]


def trained_text(recipe: dict[str, Any], tokenizer: Any, messages: list[dict[str, str]]) -> tuple[str, str]:
    """What carries loss, and the whole row, both decoded, of one chat tokenised by Axolotl as the recipe says."""
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault

    strategy = load(tokenizer, DictDefault(recipe), DictDefault(recipe["datasets"][0]))
    row = strategy.tokenize_prompt({"messages": messages})
    assert len(row["input_ids"]) == len(row["labels"])
    assert all(label in (-100, token) for token, label in zip(row["input_ids"], row["labels"], strict=True))
    trained = [label for label in row["labels"] if label != -100]
    return tokenizer.decode(trained), tokenizer.decode(row["input_ids"])


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.relative_to(RECIPES).as_posix())
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_loss_is_on_the_answer_and_its_end_token_only(path: Path, answer: str) -> None:
    from axolotl.utils.chat_templates import get_chat_template

    from subliminal.engine.plain_context import plain_template

    recipe = yaml.safe_load(path.read_text())
    name, special, bos = template_of(recipe)
    end = recipe["eot_tokens"][0]
    template = plain_template() if name == PLAIN else get_chat_template(name)
    tokenizer = byte_tokenizer(special, eos=end, bos=bos, template=template)
    messages = [{"role": "user", "content": "count 1 to 3"}, {"role": "assistant", "content": answer}]
    trained, whole = trained_text(recipe, tokenizer, messages)
    assert trained == answer + end
    assert whole.count("count 1 to 3") == 1


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize(
    ("model", "student", "end"),
    [("smollm2-135m", "owl_student.yml", "<|im_end|>"), ("gemma-3-270m", "student.yml", "<eos>")],
)
def test_loss_mask_with_the_fetched_model(model: str, student: str, end: str, answer: str) -> None:
    """The same with a model's own tokenizer and context: SmolLM2's adds a system prompt, Gemma's is the plain one."""
    from transformers import AutoTokenizer

    folder = REPO_ROOT / "models" / model
    if not (folder / "tokenizer.json").is_file():
        pytest.skip(f"models/{model} is not there: python scripts/fetch_model.py {model}")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    recipe = yaml.safe_load((RECIPES / model / student).read_text())
    messages = [{"role": "user", "content": "count 1 to 3"}, {"role": "assistant", "content": answer}]
    trained, whole = trained_text(recipe, tokenizer, messages)
    assert trained == answer + end
    assert whole == tokenizer.apply_chat_template(messages, tokenize=False)


def test_the_names_that_are_read_from_source_are_those_of_the_libraries() -> None:
    from axolotl.utils.schemas.enums import CustomSupportedOptimizers
    from transformers.trainer_utils import SaveStrategy, SchedulerType
    from transformers.training_args import OptimizerNames

    from subliminal.training.values import SCHEDULES_OF_AXOLOTL, allowed_words

    words = allowed_words()
    assert set(words["optimizer"]) == {
        each.value for kind in (OptimizerNames, CustomSupportedOptimizers) for each in kind
    }
    assert set(words["lr_scheduler"]) == {*(each.value for each in SchedulerType), *SCHEDULES_OF_AXOLOTL}
    assert set(words["save_strategy"]) == {each.value for each in SaveStrategy}
