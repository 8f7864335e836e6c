"""Manifests: a large input is read once, and again when it was written again."""

from __future__ import annotations

import hashlib
import json
import os

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
