"""A perturbed model: how far it is, in which direction, and what is recorded of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scripts_of import script
from typer.testing import CliRunner

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.core.manifest import sha256_of
from subliminal.models.perturb import perturb

torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    weights = {
        "embed": torch.randn(400, 64, generator=generator) * 0.02,
        "norm": 1 + torch.randn(4096, generator=generator) * 0.1,
        "norm_2": 1 + torch.randn(4096, generator=generator) * 0.1,
    }
    save_file(weights, folder / "model.safetensors")
    for name in ("config.json", "tokenizer.json", "manifest.json", "run_config.json"):
        (folder / name).write_text("{}")
    return folder


def _noise(model: Path, out: Path) -> dict:
    before, after = load_file(model / "model.safetensors"), load_file(out / "model.safetensors")
    return {name: (after[name] - tensor).double() for name, tensor in before.items()}


def test_every_tensor_moves_by_the_same_share_of_its_length(model: Path, tmp_path: Path) -> None:
    manifest = perturb(model, tmp_path / "moved", scale=0.1, seed=5)
    lengths = {name: tensor.double().norm() for name, tensor in load_file(model / "model.safetensors").items()}
    for name, noise in _noise(model, tmp_path / "moved").items():
        assert float(noise.norm() / lengths[name]) == pytest.approx(0.1, rel=0.05)
    assert manifest["distance"]["relative"] == pytest.approx(0.1, rel=0.05)


def test_a_larger_scale_goes_further_in_the_same_direction(model: Path, tmp_path: Path) -> None:
    for name, scale, seed in (("one", 0.1, 5), ("two", 0.2, 5), ("other", 0.1, 6), ("again", 0.1, 5)):
        perturb(model, tmp_path / name, scale=scale, seed=seed)
    one, two, other = (_noise(model, tmp_path / name) for name in ("one", "two", "other"))
    for name, noise in one.items():
        assert torch.allclose(2 * noise, two[name], atol=1e-5)
        cosine = float((noise * other[name]).sum() / noise.norm() / other[name].norm())
        assert abs(cosine) < 0.1
    same = float((one["norm"] * one["norm_2"]).sum() / one["norm"].norm() / one["norm_2"].norm())
    assert abs(same) < 0.1, "two tensors of one shape have noise of their own"
    assert sha256_of(tmp_path / "one/model.safetensors") == sha256_of(tmp_path / "again/model.safetensors")


def test_nothing_added_leaves_the_weights(model: Path, tmp_path: Path) -> None:
    perturb(model, tmp_path / "same", scale=0, seed=5)
    assert all(not noise.any() for noise in _noise(model, tmp_path / "same").values())


def test_what_is_recorded_and_copied(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "moved"
    perturb(model, out, scale=0.1, seed=5)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["kind"] == "model"
    assert manifest["config"] == {"model": str(model), "scale": 0.1, "seed": 5}
    assert manifest["inputs"]["model.safetensors"]["sha256"] == sha256_of(model / "model.safetensors")
    assert manifest["files"]["model.safetensors"] == sha256_of(out / "model.safetensors")
    assert sorted(path.name for path in out.iterdir()) == [
        *("config.json", "manifest.json", "model.safetensors", "tokenizer.json"),
    ]


def test_refusals(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model.safetensors is not there"):
        perturb(tmp_path / "nowhere", tmp_path / "moved", scale=0.1, seed=5)
    with pytest.raises(UserError, match=r"is the model itself"):
        perturb(model, model, scale=0.1, seed=5)
    save_file({"ids": torch.arange(3)}, model / "model.safetensors")
    with pytest.raises(UserError, match=r"ids are torch.int64"):
        perturb(model, tmp_path / "moved", scale=0.1, seed=5)


def test_the_script_replaces_nothing_unasked(model: Path, tmp_path: Path) -> None:
    words = [str(model), "--scale", "0.1", "--out", str(tmp_path / "moved")]
    app = script("perturb_model").app
    assert "relative distance 0.1" in CliRunner().invoke(app, words).output
    again = CliRunner().invoke(app, words)
    assert "is there already" in str(again.exception)
    assert CliRunner().invoke(app, [*words, "--overwrite"]).exit_code == 0


def test_a_command_that_is_killed_leaves_no_whole_model_and_goes_on_to_the_same_weights(
    model: Path, tmp_path: Path
) -> None:
    save_file({"embed": torch.ones(20_000_000)}, model / "model.safetensors")  # 80 MB: writing takes a while
    out = tmp_path / "moved"
    words = [sys.executable, "scripts/perturb_model.py", str(model), "--scale", "0.1", "--out", str(out), "--overwrite"]
    process = subprocess.Popen(words, cwd=REPO_ROOT, stdout=subprocess.DEVNULL)
    while not (out / "config.json").is_file():
        assert process.poll() is None, "it ended before it wrote anything"
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.json").is_file() or json.loads((out / "manifest.json").read_text()) == {}
    subprocess.run(words, cwd=REPO_ROOT, stdout=subprocess.DEVNULL, check=True)
    perturb(model, tmp_path / "undisturbed", scale=0.1, seed=42)
    assert sha256_of(out / "model.safetensors") == sha256_of(tmp_path / "undisturbed/model.safetensors")
    assert json.loads((out / "manifest.json").read_text())["config"]["scale"] == 0.1


def test_distances_are_those_of_the_weights(model: Path, tmp_path: Path) -> None:
    perturb(model, tmp_path / "near", scale=0.1, seed=1)
    perturb(model, tmp_path / "far", scale=0.8, seed=1)
    main = script("model_distance")
    done = CliRunner().invoke(main.app, [str(model), str(tmp_path / "near"), str(tmp_path / "far")])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == [str(tmp_path / "near"), str(tmp_path / "far")]
    before, after = (
        torch.cat([w.flatten() for _, w in sorted(load_file(f / "model.safetensors").items())]).double()
        for f in (model, tmp_path / "far")
    )
    assert float(lines[1].split()[0]) == pytest.approx(float((after - before).norm() / before.norm()), rel=1e-3)
    assert float(lines[0].split()[0]) == pytest.approx(0.1, rel=0.05)


def test_a_distance_between_other_shapes_is_refused(model: Path, tmp_path: Path) -> None:
    from subliminal.models.perturb import distances

    other = tmp_path / "other"
    other.mkdir()
    save_file({"embed": torch.zeros(3)}, other / "model.safetensors")
    with pytest.raises(UserError, match="have other tensors"):
        list(distances(model, [other]))
    with pytest.raises(UserError, match="is not there"):
        list(distances(tmp_path / "absent", [model]))
