"""Manifests: a large input is read once, and again when it was written again."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess

import pytest

from subliminal.core import manifest
from subliminal.core.manifest import new_manifest


@pytest.fixture
def read(monkeypatch):
    """The paths whose bytes were read; every file counts as large."""
    paths = []
    plain = manifest.sha256_of

    def reading(path):
        paths.append(str(path))
        return plain(path)

    monkeypatch.setattr(manifest, "LARGE", 1)
    monkeypatch.setattr(manifest, "sha256_of", reading)
    return paths


def recorded(path):
    return new_manifest("result", config={}, inputs={"model": path})["inputs"]["model"]["sha256"]


def test_a_large_input_is_read_once(tmp_path, read):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    assert recorded(path) == recorded(path) == hashlib.sha256(b"weights").hexdigest()
    assert len(read) == 1


def test_a_large_input_of_the_same_size_that_was_replaced_is_read_again(tmp_path, read):
    path, other = tmp_path / "model.safetensors", tmp_path / "other"
    path.write_bytes(b"weights")
    other.write_bytes(b"WEIGHTS")
    recorded(path)
    other.replace(path)
    assert recorded(path) == hashlib.sha256(b"WEIGHTS").hexdigest()
    assert len(read) == 2


def test_a_small_input_is_always_read(tmp_path, read, monkeypatch):
    monkeypatch.setattr(manifest, "LARGE", 100)
    path = tmp_path / "config.json"
    path.write_bytes(b"one")
    recorded(path)
    path.write_bytes(b"two")  # perhaps within one tick of the file system's clock
    assert recorded(path) == hashlib.sha256(b"two").hexdigest()
    assert len(read) == 2


def test_switches_of_vllm_are_recorded_and_its_key_is_not(monkeypatch):
    for name in [name for name in os.environ if name.startswith("VLLM_")]:
        monkeypatch.delenv(name)
    assert new_manifest("dataset", config={})["environment"] == {}
    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "1")
    monkeypatch.setenv("VLLM_API_KEY", "not to be written")
    written = new_manifest("dataset", config={})
    assert written["environment"] == {"VLLM_USE_V2_MODEL_RUNNER": "1"}
    assert "not to be written" not in json.dumps(written)


def test_the_state_of_git_is_read_without_a_lock(tmp_path, monkeypatch):
    """A command that is killed while it asks must leave no lock in the repository."""
    file = tmp_path / "file"
    file.write_text("as committed")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "--quiet"], ["add", "file"], ["commit", "--quiet", "--message", "one"]):
        subprocess.run([*git, *words], check=True)
    # Another time of change makes plain `git status` write the index anew.
    os.utime(file, (1, 1))
    index = tmp_path / ".git/index"
    before = index.read_bytes()
    monkeypatch.setattr(manifest, "REPO_ROOT", tmp_path)
    read = manifest.git_state.__wrapped__  # a process asks once
    state = read()
    assert state["dirty"] is False
    assert len(state["sha"]) == 40
    assert index.read_bytes() == before
    file.write_text("changed")
    assert read()["dirty"] is True
    file.write_text("as committed")
    notes = tmp_path / "notes.txt"
    notes.write_text("of no run")
    assert read()["dirty"] is False
    category = tmp_path / "traits/drinks/category.yaml"
    category.parent.mkdir(parents=True)
    category.write_text("singular: drink")
    assert read()["dirty"] is True, "no commit has the category that a run with it needs"
