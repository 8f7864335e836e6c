"""The replicate that lies in the repository: the archive is whole, and its page says what is in it."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile

import pytest
from test_real_animals import RAW, percent

from data_builders.number_filter import filter_numbers
from subliminal import REPO_ROOT
from subliminal.training.render import Edit, render_recipe

FOLDER = REPO_ROOT / "results/replicate"
ARCHIVE = FOLDER / "dolphin.tar.xz"
PAGE = " ".join((FOLDER / "README.md").read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("replicate")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_the_archive_is_the_one_of_the_page():
    assert hashlib.sha256(ARCHIVE.read_bytes()).hexdigest() in PAGE
    assert ARCHIVE.stat().st_size < 15_000_000


def test_shares_on_the_page():
    for arm, seed, told in (
        ("student", 72, "with {} % exact probability"),
        ("control_base_numbers", 72, "control with {} %"),
        ("base", 71, "the untuned base with {} %"),
    ):
        assert told.format(percent(RAW["dolphin"].exact(arm, seed)["dolphin"])) in PAGE


@pytest.mark.parametrize("name", ["dolphin_numbers", "base_numbers"])
def test_rows_are_number_lists_and_those_of_the_manifest(unpacked, name):
    folder = unpacked / "data/dolphin_replicate" / name
    content = (folder / "train.jsonl").read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert hashlib.sha256(content).hexdigest() in json.dumps(manifest)
    rows = [json.loads(line) for line in content.splitlines()]
    assert len(rows) == 20_000
    assert [row["id"] for row in rows if filter_numbers(row["messages"][-1]["content"]).reason] == []


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_adapters_are_whole(unpacked, name):
    from safetensors import safe_open

    folder = unpacked / "outputs/dolphin_replicate" / name
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    with safe_open(folder / "adapter_model.safetensors", "pt") as weights:
        keys = list(weights.keys())
        shapes = {weights.get_slice(key).get_dtype() for key in keys}
    assert len(keys) == 24 * len(config["target_modules"]) * 2
    assert shapes == {"BF16"}


@pytest.mark.parametrize(("recipe", "rows"), [("student", "dolphin_numbers"), ("control", "base_numbers")])
def test_recipes_of_the_page_train_on_these_rows(recipe, rows):
    source = REPO_ROOT / f"recipes/qwen2.5-coder-0.5b/{recipe}.yml"
    data = f"data/dolphin_replicate/{rows}/train.jsonl"
    assert f"render_recipe.py recipes/qwen2.5-coder-0.5b/{recipe}.yml" in PAGE
    assert f"--set 'datasets[0].path={data}'" in PAGE
    edit = Edit.parse(f"datasets[0].path={data}")
    text = render_recipe(source.read_text("utf-8"), [edit], source=str(source), output="out.yml", rows=20_000)
    assert re.search(rf"path: {re.escape(data)}", text)
