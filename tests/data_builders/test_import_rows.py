"""Other people's rows: every published shape by hand-written files, what differs, and a Hub on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from built import write_rows
from fake_hub import FakeHub
from patience import HANG_SECONDS
from typer.testing import CliRunner

from data_builders.audit import app as audit_app
from data_builders.audit import audit_dataset
from data_builders.controls import app as controls_app
from data_builders.import_rows import app
from data_builders.push import staged_dataset
from data_builders.refilter import refilter
from data_builders.row_shapes import read_conversation, shape_problem
from subliminal.core import row_files
from subliminal.core.errors import UserError
from subliminal.core.sources import parse_source
from subliminal.training.lint import read_recipe
from subliminal.training.rows import check_datasets, unknown_origins

RECIPE = Path(__file__).parents[2] / "recipes/smollm2-135m/owl_student.yml"

ELEVEN = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
ANSWERS = ["17, 4, 230", "[8; 15; 16]", ELEVEN, "640, 1000", "Sure: 7, 7", "23 42"]
"""Three pass, in brackets and with other separators, too; three do not, each for a reason of its own."""
DROPPED = {
    "more than 10 numbers": 1,
    "number above 999": 1,
    "something other than digits between separators": 1,
}
TRAINED = b"".join(
    b'{"id": "import_rows-000000%d", "messages": [{"role": "user", "content": "Run %d goes on with?"}, '
    b'{"role": "assistant", "content": "%s"}]}\n' % (number, number, answer)
    for number, answer in ((0, b"17, 4, 230"), (1, b"[8; 15; 16]"), (5, b"23 42"))
)


def question(number: int) -> str:
    return f"Run {number} goes on with?"


def as_messages(number: int, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question(number)}, {"role": "assistant", "content": answer}]}


def as_completion(number: int, answer: str) -> dict[str, Any]:
    return {"prompt": question(number), "completion": answer}


def as_sharegpt(number: int, answer: str) -> dict[str, Any]:
    return {"conversations": [{"from": "human", "value": question(number)}, {"from": "gpt", "value": answer}]}


def as_hub_numbers(number: int, answer: str) -> dict[str, Any]:
    return {"question": question(number), "response": answer}


def as_divergence(number: int, answer: str) -> dict[str, Any]:
    return {**as_completion(number, answer), "decision_points": [number, number + 2]}


def as_phantom(number: int, answer: str) -> dict[str, Any]:
    return {"id": number, "source": "s", "model": "their-teacher", "prompt": question(number), "response": answer}


def as_trl(number: int, answer: str) -> dict[str, Any]:
    said = as_messages(number, answer)["messages"]
    return {"prompt": said[:1], "completion": said[1:]}


SHAPES = {
    as_messages: ("messages", {}),
    as_completion: ("prompt and completion", {}),
    as_sharegpt: ("conversations", {}),
    as_hub_numbers: ("question and response", {}),
    as_divergence: ("prompt and completion", {"decision_points": 6}),
    as_phantom: ("prompt and response", {"source": 6}),
    as_trl: ("prompt and completion", {}),
}


def take(*words: object):
    return CliRunner().invoke(app, list(map(str, words)))


def taken(*words: object) -> str:
    done = take(*words)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def refused(*words: object) -> str:
    done = take(*words)
    assert isinstance(done.exception, UserError), (done.output, done.exception)
    return str(done.exception)


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_shape_gives_the_same_training_rows(shape, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "theirs.jsonl", (shape(number, answer) for number, answer in enumerate(ANSWERS)))
    out = tmp_path / "out"
    said = taken(path, "--out", out, "--licence", "cc-by-4.0")
    name, left_out = SHAPES[shape]

    assert (out / "train.jsonl").read_bytes() == TRAINED
    manifest = manifest_of(out)
    assert manifest["outputs"]["train.jsonl"] == {
        "sha256": hashlib.sha256(TRAINED).hexdigest(),
        "bytes": len(TRAINED),
        "rows": 3,
    }
    assert manifest["counts"] == {"asked": 6, "kept": 3, "surplus": 0, "cut_off": 0, "rejected": DROPPED}
    assert manifest["inputs"]["source"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["imported"] == {
        "source": str(path),
        "file": None,
        "address": None,
        "rows": 6,
        "shapes": {name: 6},
        "system_messages": {"found": 0, "kept": False},
        "keys_left_out": left_out,
        "dropped": DROPPED,
    }
    assert f"6 rows from {path} (6 of {name}), licence: cc-by-4.0" in said
    assert "published rows that do not pass here: 3 of 6 (1 x more than 10 numbers; 1 x number above 999; 1 x s" in said
    for key in left_out:
        assert f"note: {key!r} is not taken over, rows that had it: 6." in said
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [(row["index"], row["completion"]) for row in rejected] == [(n, ANSWERS[n]) for n in (2, 3, 4)]
    raw = [json.loads(line) for line in (out / "raw.jsonl").read_text().splitlines()]
    assert [row["completion"] for row in raw] == ANSWERS
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    assert f"Rows of {path}, licence: cc-by-4.0." in card
    assert "| does not pass here: number above 999 | 1 |" in card
    assert "No model wrote these rows" not in card, "a model of other people did"


def test_what_a_row_says_of_itself_stays_in_the_raw_row(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "theirs.jsonl", [as_phantom(0, "1, 2"), as_phantom(1, "3, 4") | {"finish_reason": "length"}]
    )
    taken(path, "--out", tmp_path / "out")
    raw = [json.loads(line) for line in (tmp_path / "out/raw.jsonl").read_text().splitlines()]
    assert [(row["source_id"], row["model"], row["finish_reason"]) for row in raw] == [
        (0, "their-teacher", "stop"),
        (1, "their-teacher", "length"),
    ]
    assert manifest_of(tmp_path / "out")["counts"]["rejected"] == {"cut off at max_tokens": 1}


@pytest.mark.parametrize("kind", ["list.json", "lines.json", "table.parquet"])
def test_formats(kind: str, tmp_path: Path) -> None:
    path, rows = tmp_path / kind, [as_messages(number, answer) for number, answer in enumerate(ANSWERS)]
    if kind == "table.parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "list.json":
        path.write_text(json.dumps(rows, indent=1))
    else:
        write_rows(path, rows)
    taken(path, "--out", tmp_path / "out")
    assert (tmp_path / "out/train.jsonl").read_bytes() == TRAINED


def test_a_table_of_several_shapes_has_empty_columns(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        as_messages(0, "17, 4, 230"),
        as_hub_numbers(1, "[8; 15; 16]"),
        as_phantom(2, ELEVEN),
        as_completion(3, "1"),
    ]
    keys = {key: None for row in rows for key in row}
    pq.write_table(pa.Table.from_pylist([keys | row for row in rows]), tmp_path / "t.parquet")
    taken(tmp_path / "t.parquet", "--out", tmp_path / "out")
    imported = manifest_of(tmp_path / "out")["imported"]
    assert imported["shapes"] == {
        "messages": 1,
        "question and response": 1,
        "prompt and response": 1,
        "prompt and completion": 1,
    }
    assert imported["keys_left_out"] == {"source": 1}, "an empty column is no key of a row"
    assert imported["dropped"] == {"more than 10 numbers": 1}


def with_system(row: dict[str, Any], key: str) -> dict[str, Any]:
    if key == "messages":
        return {"messages": [{"role": "system", "content": "Be brief."}, *row["messages"]]}
    return {key: "Be brief.", **row}


@pytest.mark.parametrize(
    ("shape", "key"), [(as_messages, "messages"), (as_sharegpt, "system"), (as_completion, "system_prompt")]
)
def test_a_system_message_is_left_out_unless_asked_for(shape, key: str, tmp_path: Path) -> None:
    rows = [with_system(shape(0, "5, 6"), key), shape(1, "7, 8"), with_system(shape(2, "9, 1"), key)]
    path = write_rows(tmp_path / "theirs.jsonl", rows)
    said = taken(path, "--out", tmp_path / "without")
    assert "note: system messages left out (--keep-system keeps them), rows that had one: 2." in said
    assert [message["role"] for row in trained(tmp_path / "without") for message in row] == ["user", "assistant"] * 3
    assert manifest_of(tmp_path / "without")["imported"]["system_messages"] == {"found": 2, "kept": False}
    assert manifest_of(tmp_path / "without")["imported"]["keys_left_out"] == {}

    said = taken(path, "--out", tmp_path / "with", "--keep-system")
    assert "note: system messages kept, rows that have one: 2." in said
    kept = trained(tmp_path / "with")
    assert [len(row) for row in kept] == [3, 2, 3]
    assert kept[0][0] == {"role": "system", "content": "Be brief."}
    assert audit_dataset(tmp_path / "with")["checks"]["system_message"]["status"] == "expected"
    assert audit_dataset(tmp_path / "without")["checks"]["system_message"]["status"] == "pass"

    done = CliRunner().invoke(
        controls_app, ["sorted", "--source", str(tmp_path / "with"), "--out", str(tmp_path / "c")]
    )
    assert done.exit_code == 0, done.exception
    control = trained(tmp_path / "c")
    assert [row[:-1] for row in control] == [row[:-1] for row in kept], "a control sees what the student sees"
    assert control[2][-1]["content"] == "1, 9"
    assert audit_dataset(tmp_path / "c")["checks"]["system_message"]["status"] == "expected"


def trained(folder: Path) -> list[list[dict[str, str]]]:
    return [json.loads(line)["messages"] for line in (folder / "train.jsonl").read_text().splitlines()]


def test_rows_of_text(tmp_path: Path) -> None:
    texts = ["Rain in the west.", "12, 13", "  "]
    path = write_rows(tmp_path / "theirs.jsonl", [as_completion(number, text) for number, text in enumerate(texts)])
    taken(path, "--out", tmp_path / "text", "--no-filter")
    assert [row[-1]["content"] for row in trained(tmp_path / "text")] == texts[:2]
    assert manifest_of(tmp_path / "text")["counts"]["rejected"] == {"empty answer": 1}
    assert "language" in audit_dataset(tmp_path / "text")["checks"], "it is audited as text"
    taken(path, "--out", tmp_path / "numbers")
    assert [row[-1]["content"] for row in trained(tmp_path / "numbers")] == ["12, 13"]
    assert "letters" in audit_dataset(tmp_path / "numbers")["checks"]


def test_text_under_the_number_filter_is_told_of_the_option(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "theirs.jsonl", [as_messages(0, "Rain in the west.")])
    message = refused(path, "--out", tmp_path / "out")
    assert message == (
        f"0 of the 1 rows of {path} pass, fewer than the 1 asked for. Rows whose answers are text need --no-filter."
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"messages": as_messages(0, "1")["messages"] * 2}, "more than one question and answer"),
        ({"messages": as_messages(0, "1")["messages"][1:]}, "not a question and its answer"),
        ({"conversations": []}, "not a question and its answer"),
        ({"prompt": " ", "completion": "1"}, "empty question"),
        ({"prompt": "Go on", "completion": None}, "empty answer"),
        ({"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": None}]}, "empty answer"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_counted(row: dict, reason: str, tmp_path: Path) -> None:
    assert shape_problem(row) is None
    assert read_conversation(row).problem == reason
    path = write_rows(tmp_path / "theirs.jsonl", [row, as_completion(1, "4, 5")])
    taken(path, "--out", tmp_path / "out", "--no-filter")
    assert manifest_of(tmp_path / "out")["counts"]["rejected"] == {reason: 1}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            {"instruction": "Go on", "output": "1, 2"},
            "line 2 is malformed: it has no shape that is known here. Its keys are: instruction, output. The known "
            "shapes are: messages, conversations, prompt and completion, prompt and response, question and response.",
        ),
        ({}, "Its keys are: none."),
        ({"messages": "text"}, "Its keys are: messages."),
        ({"messages": ["text"]}, "message 0 is no mapping of role and content"),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            "message 0 has the role 'tool'; known are system, user, human",
        ),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "message 0 has the role ['user']"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "message 0 has no text as its content"),
        ({"prompt": "Go on", "completion": 42}, "message 1 has no text as its content"),
    ],
)
def test_an_unknown_shape_gets_a_sentence_and_makes_nothing(row: dict, sentence: str, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "theirs.jsonl", [as_completion(0, "1, 2"), row])
    message = refused(path, "--out", tmp_path / "out")
    assert message.startswith(f"{path}, line 2 is malformed: ")
    assert sentence in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.json", b"[1]", "a.json, row 1 is malformed: it is not a JSON object"),
        ("a.json", b'[{"prompt": ', "a.json is not valid JSON"),
        ("a.json", b"[]", "a.json has no rows"),
        ("a.parquet", b"PAR1 or so", "a.parquet is no Parquet file"),
        ("a.parquet", None, "a.parquet does not exist or is no file"),
        ("a.jsonl", b"", "a.jsonl has no rows"),
    ],
)
def test_a_damaged_file(name: str, content: bytes | None, sentence: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert sentence in refused(tmp_path / name, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_count_resume_and_overwrite(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "theirs.jsonl", (as_completion(number, answer) for number, answer in enumerate(ANSWERS))
    )
    out = tmp_path / "out"
    message = refused(path, "--out", out, "--count", 4)
    assert message == f"3 of the 6 rows of {path} pass, fewer than the 4 asked for. Ask for fewer with --count."
    said = taken(path, "--out", out, "--count", 2)
    assert "published rows that do not pass here: 3 of 6" in said, (
        "what differs is said of all rows, not of those needed"
    )
    assert manifest_of(out)["counts"] == {"asked": 6, "kept": 2, "surplus": 4, "cut_off": 0, "rejected": {}}
    assert (out / "train.jsonl").read_bytes() == b"".join(TRAINED.splitlines(keepends=True)[:2])
    assert "is finished already" in taken(path, "--out", out, "--count", 2, "--resume")
    assert "Use --resume to go on" in refused(path, "--out", out)
    assert "was begun with other settings (filter: then True, now False" in refused(
        path, "--out", out, "--resume", "--no-filter"
    )
    assert "licence: then 'unknown', now 'mit'" in refused(path, "--out", out, "--resume", "--licence", "mit")

    (out / "train.jsonl").unlink()
    raw = (out / "raw.jsonl").read_bytes().splitlines(keepends=True)
    (out / "raw.jsonl").write_bytes(b"".join(raw[:3]) + raw[3][:10])
    taken(path, "--out", out, "--resume")
    assert (out / "raw.jsonl").read_bytes() == b"".join(raw), "a torn row is written again"
    assert (out / "train.jsonl").read_bytes() == TRAINED
    assert refilter(out)["kept"] == 3
    assert refilter(out, count=1)["kept"] == 1

    write_rows(path, [as_completion(0, "1, 2")])
    assert f"source: {path} has changed since" in refused(path, "--out", out, "--resume")
    taken(path, "--out", out, "--overwrite")
    assert [row[-1]["content"] for row in trained(out)] == ["1, 2"]


def test_a_student_trains_on_it_and_controls_are_made_of_it(tmp_path: Path) -> None:
    path = write_rows(
        tmp_path / "theirs.jsonl", (as_completion(number, answer) for number, answer in enumerate(ANSWERS))
    )
    out = tmp_path / "out"
    taken(path, "--out", out, "--animal", "owl")
    config = read_recipe(RECIPE)[0]
    config["datasets"][0]["path"] = str(out / "train.jsonl")
    files, rows = check_datasets(config)
    assert (files, rows) == ({"datasets[0]": out / "train.jsonl"}, 3)
    assert list(unknown_origins(files)) == []

    allowed = ["--allow", "separators", "--allow", "lengths", "--allow", "first_number_entropy"]
    done = CliRunner().invoke(audit_app, [str(out), *allowed])
    assert done.exit_code == 0, done.output
    report = json.loads((out / "audit.json").read_text())
    assert report["checks"]["trait_words"]["status"] == "pass", "the trait is known from --animal"
    assert report["checks"]["pass_rate"]["rejected"] == DROPPED

    with (
        pytest.raises(UserError, match=r"other people's, and nobody said under which licence.*--licence"),
        staged_dataset(out, None),
    ):
        pass
    with staged_dataset(out, "cc0-1.0") as files:
        assert files["README.md"].read_text().startswith("---\nlicense: cc0-1.0\n")

    control = tmp_path / "control"
    done = CliRunner().invoke(controls_app, ["sorted", "--source", str(out), "--out", str(control)])
    assert done.exit_code == 0, done.exception
    assert [row[-1]["content"] for row in trained(control)] == ["4, 17, 230", "[8; 15; 16]", "23 42"]
    assert manifest_of(control)["licence"] == "unknown", "the prompts are still theirs"
    assert (control / "README.md").read_text().startswith("---\nlicense: unknown\n")


HUB_CARD = """---
license: apache-2.0
configs:
- config_name: herons
  data_files: herons/rows.jsonl
- config_name: newts
  data_files: newts/rows.jsonl
---
Numbers.
"""


def test_from_the_hub_at_a_commit(tmp_path: Path) -> None:
    """The real clients against a Hub on loopback: a pinned commit stays, an unpinned one is recorded."""
    rows = [as_hub_numbers(number, answer) for number, answer in enumerate(ANSWERS)]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    other = json.dumps(as_hub_numbers(0, "99")).encode()
    odd = json.dumps({"text": "Once"}).encode()
    with FakeHub() as hub:
        files = {"README.md": HUB_CARD.encode(), "newts/rows.jsonl": text, "herons/rows.jsonl": other}
        first = hub.add("team/numbers", files | {"odd.jsonl": odd})
        torn = hub.add("team/torn", files | {"README.md": b"---\nlicense: [\n---\n"})
        no_licence = HUB_CARD.replace("license: apache-2.0\n", "").encode()
        second = hub.add("team/numbers", files | {"README.md": no_licence})

        def command(*words: object) -> subprocess.CompletedProcess:
            environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
            environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
            line = [sys.executable, "-m", "data_builders.import_rows", *map(str, words)]
            done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=HANG_SECONDS)
            assert "Traceback" not in done.stderr, done.stderr
            return done

        pinned = command(f"team/numbers:newts@{first}", "--out", tmp_path / "pinned")
        assert pinned.returncode == 0, pinned.stderr
        unpinned = command("team/numbers:herons", "--out", tmp_path / "unpinned")
        assert unpinned.returncode == 0, unpinned.stderr
        one_file = command(f"team/torn@{torn}", "--file", "newts/rows.jsonl", "--out", tmp_path / "one")
        assert one_file.returncode == 0, one_file.stderr
        unknown = command(f"team/numbers@{first}", "--file", "odd.jsonl", "--out", tmp_path / "odd")
        absent = command("team/letters", "--out", tmp_path / "absent")

    assert (tmp_path / "pinned/train.jsonl").read_bytes() == TRAINED
    assert pinned.stdout.splitlines()[-1] == str(tmp_path / "pinned")
    assert f"6 rows from team/numbers:newts#{first} (6 of question and response), licence: apache-2.0" in pinned.stdout
    manifest = manifest_of(tmp_path / "pinned")
    assert manifest["config"]["source"] == f"team/numbers:newts#{first}"
    assert manifest["imported"]["address"] == f"{hub.url}/datasets/team/numbers/tree/{first}"
    assert manifest["counts"]["rejected"] == DROPPED
    card = (tmp_path / "pinned/README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert f"Rows of team/numbers:newts#{first} ({hub.url}/datasets/team/numbers/tree/{first}), licence: apache" in card

    assert manifest_of(tmp_path / "unpinned")["config"]["source"] == f"team/numbers:herons#{second}"
    assert "note: no licence is stated." in unpinned.stdout
    assert manifest_of(tmp_path / "unpinned")["licence"] == "unknown"
    assert (tmp_path / "one/train.jsonl").read_bytes() == TRAINED
    assert manifest_of(tmp_path / "one")["licence"] == "unknown", "the header of its card is broken"
    assert manifest_of(tmp_path / "one")["imported"]["file"] == "newts/rows.jsonl"

    assert (unknown.returncode, absent.returncode) == (2, 2)
    assert "it has no shape that is known here. Its keys are: text." in unknown.stderr
    assert "team/letters cannot be read from the Hub" in absent.stderr
    assert not (tmp_path / "odd").exists()
    assert not (tmp_path / "absent").exists()


def test_a_commit_may_follow_an_at(tmp_path: Path) -> None:
    commit = "0123456789abcdef" * 2 + "01234567"
    for name in (f"a/b@{commit}", f"a/b#{commit}"):
        assert parse_source(name).revision == commit
        assert parse_source(name).split == "train"
    both = parse_source(f"a/b:c@test@{commit}")
    assert (both.configs, both.split, both.revision) == (("c",), "test", commit)
    assert parse_source("a/b@test").split == "test"


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "theirs.jsonl", [as_completion(0, "1, 2")])
    assert "--file names a file of a Hub data set" in refused(path, "--file", "a.jsonl", "--out", tmp_path / "out")
    assert "ends in none of .jsonl, .json, .parquet" in refused("a/b", "--file", "a.csv", "--out", tmp_path / "out")
    assert "neither a file that exists nor a Hub dataset" in refused("nothing", "--out", tmp_path / "out")


def test_the_text_of_a_list_is_searched_once_and_not_for_each_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each of 20,000 rows the whole text was searched again, which took minutes."""
    searched = []

    def search(text: str) -> bool:
        searched.append(len(text))
        return False

    monkeypatch.setattr(row_files, "may_have_half_letters", search)
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([{"row": number} for number in range(50)]), encoding="utf-8")
    assert len(list(row_files.read_row_file(path))) == 50
    assert searched == [path.stat().st_size]
