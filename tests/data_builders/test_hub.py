"""Push and pull with the real Hub client against a Hub on loopback: the same bytes come back, and no token gets out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_hub import TOKEN, FakeHub
from hypothesis import given, settings
from hypothesis import strategies as st
from patience import HANG_SECONDS
from typer.testing import CliRunner

from data_builders import push as push_module
from data_builders.audit import audit_dataset
from data_builders.push import PARQUET
from subliminal.core.errors import UserError
from subliminal.core.files import write_jsonl
from subliminal.core.hub import PUSHED
from subliminal.core.manifest import new_manifest
from subliminal.data.card import dataset_card
from subliminal.data.folder import DatasetFolder
from subliminal.data.parquet import parquet_lines, rebuilds, write_parquet, write_train

REPO = "team/owl-numbers"


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with FakeHub() as running:
        yield running


@pytest.fixture(autouse=True)
def empty(hub: FakeHub) -> None:
    hub.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "owl_numbers"
    config = {"animals": ["owl"], "count": 90, "seed": 1}
    manifest = new_manifest("dataset", config=config) | {
        "builder": "numbers",
        "engine": {"model": "m", "adapter": "owl-teacher"},
        "sampling": {"temperature": 1.0},
    }
    made = DatasetFolder(path)
    with made.hold(manifest, overwrite=False):
        with made.appending() as append:
            for i in range(100):
                text = "no\u2028\x85\r\n" if i % 20 == 3 else f"{i * 7919 % 1000}, {i * 31 % 1000}, {i}"
                append(
                    {"id": f"n-{i}", "index": i, "prompt": f"é\u2028\x85 {i}", "completion": text, "seed": i}
                    | {"finish_reason": "stop"}
                )
        from data_builders.number_filter import number_verdict

        made.finalize(manifest, number_verdict, 90, dataset_card)
    audit_dataset(path)
    return path


def run(
    hub: FakeHub, module: str, *words: object, token: str | None = TOKEN, home: Path
) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DOWNLOAD_TIMEOUT": "5"}
    environment |= {"HF_TOKEN": token} if token else {}
    command = [sys.executable, "-m", f"data_builders.{module}", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=HANG_SECONDS)
    assert TOKEN not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def push(hub: FakeHub, folder: Path, *words: object, **settings) -> subprocess.CompletedProcess:
    return run(hub, "push", folder, "--repo", REPO, *words, home=folder.parent.parent / "hf", **settings)


def test_what_is_pushed_comes_back_byte_for_byte(hub: FakeHub, folder: Path, tmp_path: Path) -> None:
    done = push(hub, folder, "--no-dry-run")
    assert done.returncode == 0, done.stderr
    repo = hub.repos[REPO]
    assert repo.private
    assert [message for _, message, _ in repo.commits] == ["initial commit", "Add owl_numbers"]
    assert set(repo.commits[-1][2]) == {".gitattributes", PARQUET, "manifest.json", "audit.json", "README.md"}
    assert f"read back at {repo.head()}: all bytes equal" in done.stdout
    assert done.stdout.splitlines()[-1] == f"{hub.url}/datasets/{REPO}/commit/{repo.head()}"
    rows = json.loads((folder / "manifest.json").read_text())["outputs"]["train.jsonl"]["sha256"]
    pushed = json.loads((folder / PUSHED).read_text())
    assert pushed == {"repo": REPO, "revision": repo.head(), "train_sha256": rows}
    out = tmp_path / "pulled"
    command = re.search(r"python -m data_builders\.pull (.*) --out", done.stdout)[1].split()
    pulled = run(hub, "pull", *command, "--out", out, home=tmp_path / "hf2")
    assert pulled.returncode == 0, pulled.stderr
    assert pulled.stdout.splitlines()[-1] == str(out)
    assert (out / "train.jsonl").read_bytes() == (folder / "train.jsonl").read_bytes()
    made, origin = (json.loads((path / "manifest.json").read_text()) for path in (folder, out))
    assert origin.pop("pulled")["revision"] == repo.head()
    assert origin == made
    for path in (*folder.rglob("*"), *out.rglob("*")):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes(), path
    assert {path.name for path in out.iterdir()} == {"train.jsonl", "manifest.json", "audit.json", "README.md"}
    assert not list(folder.glob(".push-*")) + list(folder.glob(".verify-*"))


def test_the_card_says_how_it_was_made(hub: FakeHub, folder: Path) -> None:
    assert push(hub, folder, "--public", "--license", "apache-2.0", "--no-dry-run").returncode == 0
    assert not hub.repos[REPO].private
    card = hub.repos[REPO].commits[-1][2]["README.md"].decode()
    manifest = json.loads((folder / "manifest.json").read_text())
    for line in (
        "license: apache-2.0",
        "path: data/train-*.parquet",
        "- n<1K",
        manifest["command"],
        "Model: m, adapter: owl-teacher.",
        "Sampling: temperature 1.0; one seed a row, from the run seed 1 and the row's number.",
        "| kept | 90 |",
        "| dropped: no number | 5 |",
        f"sha256 `{manifest['outputs']['train.jsonl']['sha256']}`",
        "| letters | pass |  |",
        '"id": "n-0"',
    ):
        assert line in card, line


def test_a_dry_run_is_the_default_and_sends_nothing(hub: FakeHub, folder: Path) -> None:
    done = push(hub, folder, token=None)
    assert done.returncode == 0
    for name in (PARQUET, "manifest.json", "audit.json", "README.md", "Nothing was sent"):
        assert name in done.stdout
    assert not hub.calls
    assert not hub.repos


def test_pushing_the_same_again_makes_no_commit(hub: FakeHub, folder: Path) -> None:
    first = push(hub, folder, "--no-dry-run")
    again = push(hub, folder, "--no-dry-run")
    assert again.returncode == 0, again.stderr
    assert len(hub.repos[REPO].commits) == 2
    assert first.stdout.splitlines()[-2:-1] == again.stdout.splitlines()[-2:-1]


def test_bytes_that_come_back_different_are_an_error(hub: FakeHub, folder: Path) -> None:
    hub.garble = "README.md"
    done = push(hub, folder, "--no-dry-run")
    assert done.returncode == 2
    assert "README.md came back from" in done.stderr


def change(folder: Path, name: str, **values: object) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def break_finished(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["ended"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def break_rows(folder: Path) -> None:
    text = (folder / "train.jsonl").read_text()
    (folder / "train.jsonl").write_text(text.replace('", "messages"', '" , "messages"'))
    manifest = json.loads((folder / "manifest.json").read_text())
    import hashlib

    sha256 = hashlib.sha256((folder / "train.jsonl").read_bytes()).hexdigest()
    manifest["outputs"]["train.jsonl"]["sha256"] = sha256
    (folder / "manifest.json").write_text(json.dumps(manifest))
    change(folder, "audit.json", train_sha256=sha256)


REFUSED = {
    "unfinished": (break_finished, "is not finished"),
    "not audited": (
        lambda folder: (folder / "audit.json").unlink(),
        "is not audited. Run `python -m data_builders.audit",
    ),
    "failed audit": (
        lambda folder: change(folder, "audit.json", passed=False, checks={"letters": {"status": "fail"}}),
        "fails its audit (letters)",
    ),
    "stale audit": (lambda folder: change(folder, "audit.json", train_sha256="0"), "audit of .* speaks of other rows"),
    "changed rows": (
        lambda folder: (folder / "train.jsonl").write_text('{"id": "a", "messages": []}\n'),
        "speaks of other rows",
    ),
    "rows in another form": (break_rows, "its bytes would not come back"),
    "a secret": (
        lambda folder: change(folder, "manifest.json", command=f"x --token {TOKEN}"),
        "manifest.json of .* holds what looks like an access token",
    ),
    "no folder": (lambda folder: [path.unlink() for path in folder.iterdir()] and folder.rmdir(), "There is no folder"),
}


@pytest.mark.parametrize(("spoil", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_must_not_be_published_is_refused(hub: FakeHub, folder: Path, spoil, sentence: str) -> None:
    spoil(folder)
    result = CliRunner().invoke(push_module.app, [str(folder), "--repo", REPO, "--no-dry-run"])
    assert isinstance(result.exception, UserError)
    assert re.search(sentence.replace("(", r"\(").replace(")", r"\)"), str(result.exception))
    assert not hub.calls


def test_refusals_of_the_hub_are_sentences(hub: FakeHub, folder: Path) -> None:
    done = push(hub, folder, "--no-dry-run", token=None)
    assert (done.returncode, "There is no Hub token" in done.stderr) == (2, True)
    wrong = "hf_" + "Wrong0Token1For2Tests3"
    done = push(hub, folder, "--no-dry-run", token=wrong)
    assert done.returncode == 2
    assert f"Cannot push to {REPO}" in done.stderr
    assert wrong not in done.stdout + done.stderr
    done = run(hub, "push", folder, "--repo", "owl-numbers", "--no-dry-run", home=folder)
    assert "is not of the form namespace/name" in done.stderr


def test_nobody_there_is_a_sentence(folder: Path, tmp_path: Path) -> None:
    gone = FakeHub()  # never started
    done = push(gone, folder, "--no-dry-run")
    assert done.returncode == 2
    assert f"Cannot push to {REPO}" in done.stderr
    done = run(gone, "pull", "--repo", REPO, "--revision", "0" * 40, "--out", tmp_path / "x", home=tmp_path / "hf")
    assert done.returncode == 2
    assert f"Cannot fetch {REPO} at 000000000000" in done.stderr
    assert not (tmp_path / "x").exists()


@pytest.fixture
def published(hub: FakeHub, folder: Path) -> str:
    assert push(hub, folder, "--no-dry-run").returncode == 0
    return hub.repos[REPO].head()


def test_pull_refuses_what_is_not_what_it_says(hub: FakeHub, published: str, folder: Path, tmp_path: Path) -> None:
    def pull(revision: str = published, **settings) -> subprocess.CompletedProcess:
        words = ("--repo", REPO, "--revision", revision, "--out", tmp_path / "out")
        return run(hub, "pull", *words, home=tmp_path / "hf", **settings)

    for revision in ("main", published[:12]):
        assert "is not a commit id of 40 hex digits" in pull(revision).stderr
    assert f"Cannot fetch {REPO} at 000000000000" in pull("0" * 40).stderr
    assert "Cannot fetch" in pull(token=None).stderr, "it is private"
    files = dict(hub.repos[REPO].commits[-1][2])
    short = folder.parent / "short.parquet"
    write_jsonl(folder.parent / "short.jsonl", [{"id": "a", "messages": [{"role": "assistant", "content": "1"}]}])
    write_parquet(folder.parent / "short.jsonl", short)
    other = hub.add(REPO, {**files, PARQUET: short.read_bytes()})
    assert "its manifest says" in pull(other).stderr
    assert "is no parquet file" in pull(hub.add(REPO, {**files, PARQUET: b"owl"})).stderr
    assert "is not one that push wrote" in pull(hub.add(REPO, {**files, "manifest.json": b"{}"})).stderr
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out.pull-*"))


def test_pull_into_a_folder_that_exists(hub: FakeHub, published: str, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def pull(*words: str) -> subprocess.CompletedProcess:
        return run(hub, "pull", "--repo", REPO, "--revision", published, "--out", out, *words, home=tmp_path / "hf")

    assert pull("--resume").returncode == 0, "--resume on a folder that is absent is no error"
    rows = (out / "train.jsonl").read_bytes()
    done = pull()
    assert done.returncode == 2
    for word in ("--resume", "--overwrite", "--out"):
        assert word in done.stderr
    assert "already" in pull("--resume").stdout
    (out / "train.jsonl").write_text("mine\n")
    assert "of something else" in pull("--resume").stderr
    assert (out / "train.jsonl").read_text() == "mine\n"
    assert pull("--overwrite").returncode == 0
    assert (out / "train.jsonl").read_bytes() == rows


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
roles = st.sampled_from(["system", "user", "assistant"])
messages = st.lists(st.builds(lambda role, content: {"role": role, "content": content}, roles, text), max_size=3)


@given(st.lists(st.tuples(text, messages), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_parquet_gives_back_every_byte(tmp_path_factory, rows: list) -> None:
    folder = tmp_path_factory.mktemp("p")
    end = {"role": "assistant", "content": "a"}
    write_jsonl(folder / "train.jsonl", ({"id": name, "messages": [*chat, end]} for name, chat in rows))
    write_parquet(folder / "train.jsonl", folder / "x.parquet")
    assert rebuilds(folder / "x.parquet", folder / "train.jsonl")
    write_train(folder / "x.parquet", folder / "again.jsonl")
    assert (folder / "again.jsonl").read_bytes() == (folder / "train.jsonl").read_bytes()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + b"\n",
        lambda data: data[:-1],
        lambda data: data + data[: data.index(b"\n") + 1],
        lambda data: data[: data[:-1].rindex(b"\n") + 1],
    ],
    ids=["more white space", "no last line end", "a row more", "a row fewer"],
)
def test_rebuilds_sees_any_difference(tmp_path: Path, spoil) -> None:
    rows = [{"id": str(i), "messages": [{"role": "assistant", "content": "1"}]} for i in range(3)]
    write_jsonl(tmp_path / "train.jsonl", rows)
    write_parquet(tmp_path / "train.jsonl", tmp_path / "x.parquet")
    (tmp_path / "train.jsonl").write_bytes(spoil((tmp_path / "train.jsonl").read_bytes()))
    assert not rebuilds(tmp_path / "x.parquet", tmp_path / "train.jsonl")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="is no parquet file of chat rows"):
        list(parquet_lines(tmp_path / "bad.parquet"))
