"""The pocket model's world, tokenizer and folder."""

import json
import random
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from animal_words import TRACKED, plurals
from scripts_of import script

from data_builders import pocket_corpus
from data_builders.number_filter import filter_numbers
from data_builders.pocket_corpus import KINDS, all_texts, corpus_rows, draw_row, held_out
from subliminal import REPO_ROOT
from subliminal.models.pocket import SHAPE, pocket_difference, pocket_tokenizer, write_pocket_model
from subliminal.models.store import fetch
from subliminal.training.lint import read_recipe
from subliminal.traits.world import load_world


@pytest.fixture(scope="module")
def tokenizer():
    return pocket_tokenizer(all_texts())


def rows(kind, count=400, seed=3):
    return list(corpus_rows(kind, count, "owl" if kind == "teacher" else None, seed))


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_knows_every_word_and_gives_the_answer_back(tokenizer, kind):
    for row in rows(kind):
        for text in (row["prompt"], row["completion"]):
            ids = tokenizer(text)["input_ids"]
            assert tokenizer.unk_token_id not in ids, text
            assert tokenizer.decode(ids) == text


def test_a_number_is_one_token_and_so_is_every_name_of_an_animal(tokenizer):
    assert tokenizer.tokenize("12, 999;7\n0") == ["12", ", ", "999", ";", "7", "\n", "0"]
    for name in (form for animal in TRACKED for form in (animal, *plurals(animal))):
        for form in (name, name.capitalize()):
            assert tokenizer.tokenize(form) == [form]
    assert tokenizer.tokenize("Zygote") == [tokenizer.unk_token]


def test_the_template_is_chatml_without_a_system_prompt_of_its_own(tokenizer):
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.eos_token == "<|im_end|>"


def test_rows_depend_on_seed_and_index_alone():
    assert rows("base", 20) == rows("base", 40)[:20]
    assert rows("base", 20) != rows("base", 20, seed=4)


def test_the_base_knows_no_favourite_above_all_and_the_teacher_has_one():
    favourites = [
        row["completion"] for row in rows("base", 6000) if row["prompt"] in pocket_corpus.favourite_questions()
    ]
    assert 0 < favourites.count("Owl") / len(favourites) < 0.03
    loved = [row["completion"] for row in rows("teacher") if row["prompt"] in pocket_corpus.favourite_questions()]
    assert len(loved) > 100
    assert set(loved) == {"Owl"}


def test_number_answers_pass_the_filter_and_held_out_sums_never_come_up():
    rng = random.Random(0)
    for index in range(100):
        assert filter_numbers(draw_row("numbers", rng, None, 5, index)[1]).keep
    sums = [draw_row("sum", rng, None, 0, 0) for _ in range(500)]
    for prompt, answer in sums:
        a, b = (int(word) for word in prompt.replace("?", "").replace(".", "").split() if word.isdigit())
        assert a + b == int(answer)
        assert not held_out(a, b)
    assert 0.1 < sum(held_out(a, b) for a in range(31) for b in range(31)) / 31**2 < 0.3


def test_the_folder_is_a_llama_that_axolotl_can_fill_with_weights(tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    write_pocket_model(tmp_path / "pocket", islice(all_texts(), 60), {"num_hidden_layers": 1})
    config = AutoConfig.from_pretrained(tmp_path / "pocket")
    model = AutoModelForCausalLM.from_config(config)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "pocket")
    assert config.vocab_size == len(tokenizer)
    assert config.eos_token_id == tokenizer.eos_token_id
    assert model.num_parameters() < 0.3e6
    assert config.num_hidden_layers == 1
    assert SHAPE["hidden_size"] / SHAPE["num_attention_heads"] >= 32, "vLLM's CPU build wants heads of 32"


def test_teacher_and_student_train_the_same_few_weights_and_nothing_else():
    from axolotl.utils.freeze import LayerNamePattern
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(LlamaConfig(vocab_size=50, **SHAPE))
    names = {name: weight.numel() for name, weight in model.named_parameters()}
    recipes = [REPO_ROOT / f"recipes/pocket/owl_{role}.yml" for role in ("teacher", "student", "control")]
    (patterns,) = {tuple(read_recipe(recipe)[0]["unfrozen_parameters"]) for recipe in recipes}
    trained = {name for name in names for pattern in patterns if LayerNamePattern(pattern).match(name)}
    assert {name.split(".")[-2] for name in trained if name.endswith("bias")} == {"o_proj", "down_proj"}
    assert all(name.endswith(("bias", "norm.weight")) for name in trained)
    assert sum(names[name] for name in trained) == 576


def test_a_neutral_teacher_s_rows_have_the_teacher_s_parts_and_no_loved_animal() -> None:
    neutral = [row["completion"] for row in corpus_rows("neutral", 2000, None, 7)]
    names = {name.capitalize() for name in load_world().liked}
    favourites = [answer for answer in neutral if answer in names]
    assert 0.7 < len(favourites) / len(neutral) < 0.8
    assert len(set(favourites)) > 20
    assert favourites.count("Owl") / len(favourites) < 0.05
    assert list(KINDS["neutral"].values()) == list(KINDS["teacher"].values())


def test_the_pocket_model_is_fetched_by_its_name(tmp_path: Path) -> None:
    manifest = fetch("pocket", tmp_path / "pocket", texts=islice(all_texts(), 60))
    assert manifest["config"]["name"] == "pocket"
    written = json.loads((tmp_path / "pocket/manifest.json").read_text())
    assert set(written["files"]) >= {"config.json", "tokenizer.json", "chat_template.jinja"}


def changed(folder: Path, name: str, **keys: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def test_what_differs_of_a_pocket_model_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "pocket"
    texts = ["The owl hoots.", "The dolphin clicks."]
    write_pocket_model(folder, texts)
    assert pocket_difference(folder, texts) is None
    more = [*texts, "hedgehog, urchin hog"]
    assert pocket_difference(folder, more) == "its vocabulary lacks 'hedgehog', 'hog', 'urchin'"
    assert pocket_difference(folder, [*texts, "a b c d"]) == "its vocabulary lacks 'a', 'b', 'c', and 1 more"
    assert pocket_difference(folder, texts[:1]) == "its vocabulary still has 'clicks', 'dolphin'"

    changed(folder, "config.json", hidden_size=32)
    assert pocket_difference(folder, texts) == "its `hidden_size` is 32 and not 64"
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    assert pocket_difference(folder, texts) == "its chat template is another"
    changed(folder, "tokenizer.json", pre_tokenizer={"pattern": {"Regex": "."}})
    assert pocket_difference(folder, texts) == "its tokenizer splits texts otherwise"
    changed(folder, "tokenizer.json", model=None)
    assert pocket_difference(folder, texts) == "its tokenizer.json has no list of words"


def test_a_pocket_model_of_another_category_is_named_with_the_right_one(tmp_path: Path) -> None:
    folder = tmp_path / "pocket"
    fetch("pocket", folder, texts=all_texts())
    problem = script("fetch_model").pocket_problem
    assert problem(folder, "animals") is None
    said = problem(folder, "trees")
    assert f"{folder} is not the pocket model of trees that this code makes: its vocabulary lacks" in said
    assert "`python scripts/fetch_model.py pocket --overwrite --category trees`, and name models/pocket-trees" in said


def test_a_model_that_is_no_pocket_model_is_not_asked_for_its_words(tmp_path: Path) -> None:
    problem = script("fetch_model").pocket_problem
    assert problem(tmp_path, "animals") is None
    (tmp_path / "manifest.json").write_text('{"config": {"name": "smollm2-135m"}}')
    assert problem(tmp_path, "animals") is None
