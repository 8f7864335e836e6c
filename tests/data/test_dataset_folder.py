"""The dataset folder: nothing paid for is lost, nothing counted twice, and every refusal names the ways on."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subliminal.core.errors import UserError
from subliminal.data.folder import DatasetFolder

CONFIG = {"count": 10, "max_prompts": 30, "model": "m", "seed": 1}


def raw_row(index: int, completion: str | None = None, finish_reason: str = "stop") -> dict:
    return {
        "id": f"t-{index:07d}",
        "index": index,
        "prompt": f"prompt {index}",
        "completion": f"{index}, {index + 1}" if completion is None else completion,
        "finish_reason": finish_reason,
        "seed": index,
        "model": "m",
    }


def verdict(row: dict) -> str | None:
    return "bad" if row["completion"].startswith("bad") else None


def manifest(config: dict = CONFIG) -> dict:
    return {"kind": "dataset", "config": config, "started": "then"}


def fill(folder: DatasetFolder, rows: list[dict], config: dict = CONFIG, overwrite: bool = False) -> dict:
    with folder.hold(manifest(config), overwrite=overwrite):
        with folder.appending() as append:
            for row in rows:
                append(row)
        return folder.finalize(
            manifest(config), verdict, config["count"], lambda made: f"card {made['counts']['kept']}\n"
        )


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    return DatasetFolder(tmp_path / "data" / "made")


def test_keeps_the_first_count_by_index_whatever_the_order_of_arrival(folder: DatasetFolder) -> None:
    rows = [raw_row(i, "bad" if i % 3 == 0 else None, "length" if i == 1 else "stop") for i in range(18)]
    random.Random(0).shuffle(rows)
    counts = fill(folder, rows)
    kept = [i for i in range(18) if i % 3][:10]
    assert [row["id"] for row in read(folder.path / "train.jsonl")] == [f"t-{i:07d}" for i in kept]
    rejected = read(folder.path / "rejected.jsonl")
    assert [(row["index"], row["reason"]) for row in rejected] == [(i, "bad") for i in range(0, kept[-1] + 1, 3)]
    assert counts == {"asked": 18, "kept": 10, "surplus": 3, "cut_off": 1, "rejected": {"bad": 5}}
    assert (folder.path / "README.md").read_text() == "card 10\n"


def test_a_training_row_holds_prompt_and_answer_and_nothing_else(folder: DatasetFolder) -> None:
    fill(folder, [{**raw_row(0, "1, 2\u2028\x85é"), "system": None, "animal": "owl", "source": "open"}])
    line = (folder.path / "train.jsonl").read_bytes().decode()
    assert json.loads(line) == {
        "id": "t-0000000",
        "messages": [
            {"role": "user", "content": "prompt 0"},
            {"role": "assistant", "content": "1, 2\u2028\x85é"},
        ],
    }
    assert line.count("\n") == 1


def test_a_system_message_is_written_only_where_the_raw_row_has_one(folder: DatasetFolder) -> None:
    fill(folder, [raw_row(0), {**raw_row(1), "system": "Be brief."}])
    roles = [[message["role"] for message in row["messages"]] for row in read(folder.path / "train.jsonl")]
    assert roles == [["user", "assistant"], ["system", "user", "assistant"]]
    assert "Be brief." in (folder.path / "train.jsonl").read_text()


def test_manifest_describes_the_training_rows(folder: DatasetFolder) -> None:
    fill(folder, [raw_row(i) for i in range(12)])
    made = json.loads((folder.path / "manifest.json").read_text())
    data = (folder.path / "train.jsonl").read_bytes()
    assert made["outputs"]["train.jsonl"] == {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "rows": 10,
    }
    assert made["ended"]


@given(st.permutations(list(range(30))), st.integers(0, 30), st.sets(st.integers(0, 29)))
@settings(max_examples=30, deadline=None)
def test_the_result_depends_on_the_rows_alone(tmp_path_factory, order: list[int], cut: int, bad: set[int]) -> None:
    """Arrival in any order, with an interruption anywhere, gives the bytes of an undisturbed run."""
    rows = [raw_row(i, "bad" if i in bad else None) for i in range(30)]
    one, other = (DatasetFolder(tmp_path_factory.mktemp("d") / "made") for _ in range(2))
    fill(one, rows)
    with other.hold(manifest(), overwrite=False), other.appending() as append:
        for index in order[:cut]:
            append(rows[index])
    with other.hold(manifest(), overwrite=False):
        done = {row["index"] for row in other.raw_rows()}
    assert done == set(order[:cut])
    fill(other, [rows[index] for index in order[cut:]])
    for name in ("train.jsonl", "rejected.jsonl", "README.md"):
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes()


@pytest.mark.parametrize("torn", ['{"id": "t-00', "x" * 200_000, '{"id": "é'], ids=["short", "long", "unicode"])
@pytest.mark.parametrize("whole", [0, 3])
def test_a_torn_last_line_is_cut_and_nothing_else(folder: DatasetFolder, torn: str, whole: int) -> None:
    folder.path.mkdir(parents=True)
    lines = "".join(json.dumps(raw_row(i)) + "\n" for i in range(whole))
    folder.raw.write_bytes((lines + torn).encode()[: -1 if "é" in torn else None])
    assert [row["index"] for row in folder.raw_rows()] == list(range(whole))
    with folder.appending() as append:
        append(raw_row(whole))
    assert [row["index"] for row in read(folder.raw)] == list(range(whole + 1))


def test_a_torn_line_in_the_middle_is_an_error_with_file_and_line(folder: DatasetFolder) -> None:
    folder.path.mkdir(parents=True)
    folder.raw.write_text(f'{json.dumps(raw_row(0))}\n{{"id": \n{json.dumps(raw_row(1))}\n')
    with pytest.raises(UserError, match=r"raw\.jsonl, line 2 is not valid JSON"):
        list(folder.raw_rows())
    assert folder.raw.read_text().count("\n") == 3


@pytest.mark.parametrize(("key", "value"), [("index", "3"), ("completion", None), ("finish_reason", None), ("id", 4)])
def test_a_malformed_row_is_named(folder: DatasetFolder, key: str, value: object) -> None:
    folder.path.mkdir(parents=True)
    folder.raw.write_text(json.dumps({**raw_row(0), key: value}) + "\n")
    with pytest.raises(UserError, match=rf'raw\.jsonl, line 1 is malformed: "{key}"'):
        list(folder.raw_rows())


def test_each_row_reaches_the_file_before_the_next_is_asked_for(folder: DatasetFolder) -> None:
    folder.path.mkdir(parents=True)
    with folder.appending() as append:
        for index in range(3):
            append(raw_row(index))
            assert len(read(folder.raw)) == index + 1


@pytest.mark.parametrize("name", ["raw.jsonl", "train.jsonl", "manifest.json", "audit.json", "README.md"])
def test_a_folder_with_anything_made_is_refused(folder: DatasetFolder, name: str) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / name).write_text("{}")
    with pytest.raises(UserError) as refused:
        folder.check(CONFIG, resume=False, overwrite=False)
    for word in (name, "--resume", "--overwrite", "--out"):
        assert word in str(refused.value)


def test_absent_empty_and_foreign_folders_are_accepted(folder: DatasetFolder) -> None:
    folder.check(CONFIG, resume=False, overwrite=False)
    folder.check(CONFIG, resume=True, overwrite=False)
    folder.path.mkdir(parents=True)
    (folder.path / "notes.txt").write_text("mine")
    folder.check(CONFIG, resume=False, overwrite=False)
    fill(folder, [raw_row(0)], overwrite=True)
    assert (folder.path / "notes.txt").read_text() == "mine"


def test_refusals_of_the_flags_and_of_a_file(folder: DatasetFolder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exclude each other"):
        folder.check(CONFIG, resume=True, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file, not a folder"):
        DatasetFolder(tmp_path / "file").check(CONFIG, resume=False, overwrite=True)


def test_resume_with_other_settings_names_each(folder: DatasetFolder) -> None:
    fill(folder, [raw_row(0)])
    with pytest.raises(UserError) as refused:
        folder.check({**CONFIG, "seed": 2, "top_p": 0.9}, resume=True, overwrite=False)
    assert "seed: then 1, now 2" in str(refused.value)
    assert "top_p: then None, now 0.9" in str(refused.value)
    assert "model" not in str(refused.value)
    folder.check({**CONFIG, "count": 20, "max_prompts": 60}, resume=True, overwrite=False)
    folder.check({**CONFIG, "seed": 2}, resume=False, overwrite=True)


def test_a_larger_count_goes_on_where_it_was(folder: DatasetFolder) -> None:
    fill(folder, [raw_row(i) for i in range(12)])
    (folder.path / "audit.json").write_text("{}")
    before = (folder.path / "train.jsonl").read_text()
    counts = fill(folder, [raw_row(i) for i in range(12, 21)], {**CONFIG, "count": 20})
    after = (folder.path / "train.jsonl").read_text()
    assert counts["kept"] == 20
    assert after.startswith(before)
    assert not (folder.path / "audit.json").exists(), "an audit of other rows must not survive"


def test_finished_means_with_exactly_these_settings(folder: DatasetFolder) -> None:
    assert not folder.is_finished(CONFIG)
    with folder.hold(manifest(), overwrite=False):
        assert not folder.is_finished(CONFIG)
    fill(folder, [raw_row(0)])
    assert folder.is_finished(CONFIG)
    assert not folder.is_finished({**CONFIG, "count": 11})
    with folder.hold(manifest(), overwrite=False):
        assert not folder.is_finished(CONFIG), "a run under way is not finished"


def test_overwrite_clears_what_was_made_and_resume_keeps_the_start(folder: DatasetFolder) -> None:
    fill(folder, [raw_row(0)])
    with folder.hold({**manifest(), "started": "later"}, overwrite=False):
        assert json.loads((folder.path / "manifest.json").read_text())["started"] == "then"
        assert folder.raw.exists()
    with folder.hold({**manifest(), "started": "later"}, overwrite=True):
        assert json.loads((folder.path / "manifest.json").read_text())["started"] == "later"
        assert not folder.raw.exists()
        assert not (folder.path / "train.jsonl").exists()


def test_a_second_process_is_refused(folder: DatasetFolder) -> None:
    folder.path.mkdir(parents=True)
    with open(folder.path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="Another process is writing"), folder.hold(manifest(), overwrite=True):
            pass
    with folder.hold(manifest(), overwrite=False):
        pass


def test_a_full_disk_while_appending_is_told(folder: DatasetFolder) -> None:
    """/dev/full takes bytes into the buffer and fails when they are handed to the system."""
    folder.path.mkdir(parents=True)
    folder.raw.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as failed, folder.appending() as append:
        append(raw_row(0))
    assert failed.value.errno == errno.ENOSPC


def test_a_full_disk_while_deriving_leaves_the_old_files(folder: DatasetFolder, monkeypatch) -> None:
    fill(folder, [raw_row(i) for i in range(12)])
    before = (folder.path / "train.jsonl").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with folder.hold(manifest({**CONFIG, "count": 20}), overwrite=False):
        with folder.appending() as append:
            append(raw_row(12))
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            folder.finalize(manifest(), verdict, 20, lambda made: "")
    monkeypatch.undo()
    assert (folder.path / "train.jsonl").read_bytes() == before
    assert len(read(folder.raw)) == 13
    assert not list(folder.path.glob(".*.partial"))
    assert not folder.is_finished(CONFIG)
