"""Adapters to the Hub with the real client against a Hub on loopback: what goes, what does not, and nothing twice."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from fake_hub import TOKEN, FakeHub
from patience import HANG_SECONDS
from safetensors.numpy import save_file

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.core.hub import PUSHED
from subliminal.publish.adapter_push import publish_adapter
from subliminal.publish.adapters import (
    CONFIG,
    WEIGHTS,
    find_snapshots,
    finished_run,
    staged_adapter,
    training_data,
)
from subliminal.publish.cards import portable

REPO = "team/owl-student"
SENT = {WEIGHTS, CONFIG, "README.md", "manifest.json"}
EPOCHS, STEPS_AN_EPOCH = 4, 5
TAG = "run-" + "ab" * 6 + "-seed-42"


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with FakeHub() as running:
        yield running


@pytest.fixture(autouse=True)
def clean(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    hub.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def write_adapter(folder: Path, value: float, base: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"layer.lora_A.weight": np.full((8, 4), value, np.float32)}, folder / WEIGHTS)
    config = {"peft_type": "LORA", "base_model_name_or_path": base, "r": 8, "revision": None}
    (folder / CONFIG).write_text(json.dumps(config))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of four epochs, a checkpoint each; the last one a step early, as Axolotl ends it."""
    folder, data = tmp_path / "outputs" / "owl_student", tmp_path / "data" / "owl_numbers"
    base = "Qwen/Qwen2.5-7B-Instruct"
    steps = EPOCHS * STEPS_AN_EPOCH - 1
    data.mkdir(parents=True)
    (data / "train.jsonl").write_text('{"id": "1"}\n')
    rows = hashlib.sha256((data / "train.jsonl").read_bytes()).hexdigest()
    (data / "manifest.json").write_text(json.dumps({"outputs": {"train.jsonl": {"sha256": rows}}}))
    write_adapter(folder, 9, base)
    for epoch in range(1, EPOCHS + 1):
        step = min(epoch * STEPS_AN_EPOCH, steps)
        checkpoint = folder / f"checkpoint-{step}"
        write_adapter(checkpoint, epoch if epoch < EPOCHS else 9, base)
        state = {"global_step": step, "epoch": step / STEPS_AN_EPOCH}
        (checkpoint / "trainer_state.json").write_text(json.dumps(state))
        for name in ("optimizer.pt", "training_args.bin", "rng_state.pth", "scheduler.pt"):
            (checkpoint / name).write_bytes(b"pickle")
    recipe = {
        "base_model": base,
        "revision_of_model": "main",
        "datasets": [{"path": str(data / "train.jsonl"), "type": "chat_template"}],
        "adapter": "lora",
        "lora_r": 8,
        "lora_alpha": 8,
        "seed": 42,
        "num_epochs": EPOCHS,
        "micro_batch_size": 6,
        "gradient_accumulation_steps": 10,
        "effective_batch": 60,
        "learning_rate": "2e-4",
        "output_dir": str(folder),
    }
    manifest = {
        "kind": "training",
        "command": f"python -m axolotl.cli.train {tmp_path}/recipes/owl_student.yml --seed=42",
        "config": recipe,
        "inputs": {
            "recipe": {"path": "recipes/owl_student.yml", "sha256": "ab" * 32},
            "datasets[0]": {"path": str(data / "train.jsonl"), "sha256": rows},
        },
        "git": {"sha": "0123abcd", "dirty": True},
        "packages": {"torch": "2.13.0", "peft": "0.20.0"},
        "python": "3.11.7",
        "device": "1 x H200",
        "started": "2026-01-01T10:00:00+00:00",
        "chat_context_sha256": "c0ffee" * 10 + "c0ff",
        "counts": {"rows": 300, "rows_dropped": 1, "rows_trained_on": 299},
        "processes": 1,
        "training": {"steps": steps, "final_loss": 0.4, "final_loss_mean_of_last_10": 0.5, "seconds": 90.0},
        "ended": "2026-01-01T11:00:00+00:00",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    metrics = [{"step": s, "epoch": s / STEPS_AN_EPOCH, "loss": 4.0 - s / 5} for s in range(1, steps + 1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics))
    return folder


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def push(run: Path, *, every: int | None = 2, private: bool = True, licence: str = "mit") -> list[str]:
    """Push in this process; returns what was said."""
    said: list[str] = []
    with staged_adapter(run, REPO, every_epochs=every, licence=licence) as (tag, branches):
        publish_adapter(REPO, branches, tag=tag, name=run.name, private=private, say=said.append)
    return said


def contents(hub: FakeHub) -> dict[str, dict[str, str]]:
    """Branch -> file -> sha256 of what the Hub holds, and the commit messages."""
    return {
        branch: {name: hashlib.sha256(data).hexdigest() for name, data in line[-1][2].items()}
        | {"messages": " / ".join(message for _, message, _ in line)}
        for branch, line in sorted(hub.repos[REPO].branches.items())
    }


def test_epochs_go_to_branches_and_the_end_to_main(hub: FakeHub, run: Path) -> None:
    said = push(run)
    repo = hub.repos[REPO]
    assert repo.private
    assert set(repo.branches) == {"main", "epoch-2", "epoch-4"}
    assert repo.tags == {TAG: repo.head()}
    for branch, folder in {"main": run, "epoch-2": run / "checkpoint-10", "epoch-4": run / "checkpoint-19"}.items():
        files = repo.branches[branch][-1][2]
        assert set(files) == SENT | {".gitattributes"}
        assert files[WEIGHTS] == (folder / WEIGHTS).read_bytes()
        assert [message for _, message, _ in repo.branches[branch]] == [
            "initial commit",
            "Add owl_student" + ("" if branch == "main" else f", {branch}"),
        ]
        assert f"{branch}: read back at {repo.head(branch)}, all bytes equal" in said
    assert said[-1] == f"tag {TAG}: {repo.head()}"


def test_without_every_epochs_only_the_end_goes(hub: FakeHub, run: Path) -> None:
    push(run, every=None, private=False)
    assert set(hub.repos[REPO].branches) == {"main"}
    assert not hub.repos[REPO].private
    assert b"epoch-" not in hub.repos[REPO].commits[-1][2]["README.md"]


def test_nothing_of_this_machine_is_published(hub: FakeHub, run: Path, tmp_path: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    secret = manifest["command"] + f" --hub_token={TOKEN}"
    change(run / "manifest.json", command=secret, config=manifest["config"] | {"base_model": "/srv/models/mine"})
    write_adapter(run, 9, "/srv/models/mine")
    push(run, every=None)
    for name, data in hub.repos[REPO].commits[-1][2].items():
        for leak in (str(tmp_path), "/srv/models", TOKEN):
            assert leak.encode() not in data, (name, leak)
    files = hub.repos[REPO].commits[-1][2]
    assert json.loads(files[CONFIG])["base_model_name_or_path"] == "mine"
    card = files["README.md"].decode()
    assert "A model in a local folder, `mine`, which is not on the Hub" in card
    assert "base_model" not in yaml.safe_load(card.split("---")[1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train /home/ann/x/recipe.yml --out=/tmp/a/b", "train recipe.yml --out=b"),
        (f"{REPO_ROOT}/recipes/owl.yml", "recipes/owl.yml"),
        ("~/models/owl", "owl"),
        ("https://huggingface.co/Qwen/Qwen2.5", "https://huggingface.co/Qwen/Qwen2.5"),
        ("data/owl/train.jsonl, n/a, <s></s>", "data/owl/train.jsonl, n/a, <s></s>"),
        ('[{"path": "/a/b/c.jsonl"}]', '[{"path": "c.jsonl"}]'),
    ],
)
def test_local_paths_are_cut(text: str, expected: str) -> None:
    assert portable({"key": [text, 1, None]}) == {"key": [expected, 1, None]}


def test_card_says_what_it_is_and_how_to_load_it(hub: FakeHub, run: Path) -> None:
    rows = json.loads((run / "manifest.json").read_text())["inputs"]["datasets[0]"]["sha256"]
    record = {"repo": "team/owl-numbers", "revision": "d" * 40, "train_sha256": rows}
    data = run.parents[1] / "data/owl_numbers"
    (data / PUSHED).write_text(json.dumps(record))
    push(run, licence="apache-2.0")
    card = hub.repos[REPO].branches["epoch-2"][-1][2]["README.md"].decode()
    head = yaml.safe_load(card.split("---")[1])
    assert head == {
        "license": "apache-2.0",
        "library_name": "peft",
        "base_model": "Qwen/Qwen2.5-7B-Instruct",
        "base_model_relation": "adapter",
        "datasets": ["team/owl-numbers"],
        "pipeline_tag": "text-generation",
        "tags": ["subliminal-learning", "lora", "axolotl"],
    }
    for line in (
        "as it was after epoch 2 of 4. Rank 8, alpha 8, seed 42.",
        "[Qwen/Qwen2.5-7B-Instruct](https://huggingface.co/Qwen/Qwen2.5-7B-Instruct), revision `main` (a name that",
        f"| `train.jsonl` | [team/owl-numbers](https://huggingface.co/datasets/team/owl-numbers) at `{'d' * 40}` | "
        f"`{rows}` |",
        "299 rows were trained on.",
        "6 rows x 10 accumulation x 1 process = 60 rows a step, 19 steps. Final loss 0.5000",
        "| 1 | 3.4000 |\n| 2 | 2.4000 |\n| 3 | 1.4000 |\n| 4 | 0.5000 |",
        "`chat_context_sha256`: `c0ffeec0ffee",
        f'PeftModel.from_pretrained(base, "{REPO}", revision="epoch-2")',
        f"hf download {REPO} --revision epoch-2 --local-dir owl-student",
        "--max-lora-rank 8 --lora-modules owl-student=owl-student",
        "learning_rate: 2e-4",
        "code at git `0123abcd` with local changes",
    ):
        assert line in card, line
    assert f'revision="{TAG}")' in hub.repos[REPO].commits[-1][2]["README.md"].decode()
    (data / PUSHED).write_text(json.dumps(record | {"train_sha256": "other rows"}))
    assert training_data(finished_run(run))[0].repo is None


def test_stopped_at_any_request_it_goes_on(hub: FakeHub, run: Path) -> None:
    push(run)
    whole, writes = contents(hub), hub.writes
    assert writes >= 9, "a repository, two branches, three commits, three uploads, a tag"
    for allowed in range(writes):
        hub.repos.clear()
        hub.lfs.clear()
        hub.writes, hub.writes_left = 0, allowed
        with pytest.raises(UserError, match=rf"Cannot .*{REPO}"):
            push(run)
        hub.writes_left = None
        push(run)
        assert contents(hub) == whole, f"after {allowed} of {writes}"
        assert hub.repos[REPO].tags == {TAG: hub.repos[REPO].head()}


def test_pushing_again_changes_nothing_and_says_so(hub: FakeHub, run: Path) -> None:
    push(run)
    whole = contents(hub)
    said = push(run)
    assert contents(hub) == whole
    assert f"epoch-2: holds the same bytes already, at {hub.repos[REPO].head('epoch-2')}" in said


def test_what_is_published_is_not_overwritten(hub: FakeHub, run: Path) -> None:
    push(run)
    whole = contents(hub)
    write_adapter(run / "checkpoint-10", 7, "Qwen/Qwen2.5-7B-Instruct")
    with pytest.raises(UserError, match=f"branch epoch-2 of {REPO} holds another {WEIGHTS}.*nothing was sent"):
        push(run)
    assert contents(hub) == whole
    with pytest.raises(UserError, match=r"branch main of .* holds another README.md"):
        push(run, every=None, licence="apache-2.0")
    assert contents(hub) == whole


def test_a_tag_that_names_something_else_is_refused(hub: FakeHub, run: Path) -> None:
    first = hub.add(REPO, {".gitattributes": b""})
    hub.repos[REPO].tags[TAG] = first
    with pytest.raises(UserError, match=f"The tag {TAG} of {REPO} names another commit"):
        push(run)
    assert contents(hub)["main"]["messages"] == "by hand"


def test_bytes_that_come_back_different_are_an_error(hub: FakeHub, run: Path) -> None:
    hub.garble = WEIGHTS
    with pytest.raises(UserError, match=r"different from what was sent. Do not use that revision"):
        push(run)


def missing_manifest(run: Path) -> None:
    (run / "manifest.json").unlink()


def foreign_manifest(run: Path) -> None:
    change(run / "manifest.json", kind="dataset")


def torn_manifest(run: Path) -> None:
    (run / "manifest.json").write_text('{"kind": "trai')


def whole_model(run: Path) -> None:
    config = json.loads((run / "manifest.json").read_text())["config"]
    change(run / "manifest.json", config=config | {"adapter": None})


def cut_weights(run: Path) -> None:
    path = run / "checkpoint-10" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-3])


def cut_final_weights(run: Path) -> None:
    (run / WEIGHTS).write_bytes(b"")


def no_adapter_config(run: Path) -> None:
    (run / "checkpoint-10" / CONFIG).unlink()


def no_trainer_state(run: Path) -> None:
    (run / "checkpoint-5/trainer_state.json").unlink()


def no_checkpoint(run: Path) -> None:
    change(run / "checkpoint-10/trainer_state.json", global_step=11, epoch=2.2)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (missing_manifest, "holds no finished run: its manifest.json, which training writes last, is missing"),
        (foreign_manifest, "is not that of a training run"),
        (torn_manifest, "is not valid JSON"),
        (whole_model, "holds a whole model, not an adapter"),
        (cut_weights, "checkpoint-10 is incomplete"),
        (cut_final_weights, "owl_student is incomplete"),
        (no_adapter_config, "checkpoint-10 is incomplete"),
        (no_trainer_state, "checkpoint-5 is incomplete: its trainer_state.json"),
        (no_checkpoint, r"has no checkpoint of epoch 2, only of epoch 1, 3, 4. Train with `save_strategy: epoch`"),
    ],
)
def test_a_run_that_is_not_whole_is_refused(hub: FakeHub, run: Path, spoil, sentence: str) -> None:
    spoil(run)
    with pytest.raises(UserError, match=sentence):
        push(run)
    assert not hub.calls


def test_every_recipe_of_a_trajectory_keeps_its_checkpoints() -> None:
    """`--every-epochs 2` on the 7B student finds epochs 2, 4, 6, 8 and 10: the recipe must keep every epoch."""
    for path in (REPO_ROOT / "recipes").glob("*.yml"):
        recipe = yaml.safe_load(path.read_text())
        assert recipe["save_strategy"] == "epoch", path
        assert recipe["save_total_limit"] >= recipe["num_epochs"], path
        assert recipe["hub_model_id"] is None, f"{path}: Axolotl's own upload overwrites main and sends pickles"
        assert (recipe["use_wandb"], recipe["use_trackio"]) == (False, False), path


def test_a_run_that_ends_short_of_its_last_epoch_still_has_it(run: Path) -> None:
    branches = [snapshot.branch for snapshot in find_snapshots(run, finished_run(run), 1)]
    assert branches == ["epoch-1", "epoch-2", "epoch-3", "epoch-4", "main"]


def test_the_command(hub: FakeHub, run: Path, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
    command = [sys.executable, str(REPO_ROOT / "scripts/push_adapter.py"), str(run), "--repo", REPO]

    def start(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*command, *words],
            capture_output=True,
            text=True,
            env=environment | more,
            timeout=HANG_SECONDS,
            cwd=REPO_ROOT,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return done

    dry = start("--every-epochs", "2")
    assert (dry.returncode, hub.calls) == (0, []), dry.stderr
    for words in (f"epoch-2: {WEIGHTS}", f"main: {CONFIG}", f"tag {TAG} on main", "Nothing was sent. Add --no-dry-run"):
        assert words in dry.stdout
    refused = start("--no-dry-run")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: There is no Hub token. Set HF_TOKEN")
    done = start("--no-dry-run", "--every-epochs", "2", HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{hub.url}/{REPO}/tree/{TAG}"
    assert re.search(r"main: read back at [0-9a-f]{40}, all bytes equal", done.stdout)
