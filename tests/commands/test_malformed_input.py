"""Malformed input at every command: each ends with one sentence that names the file, status 2, and nothing is changed.

The commands run in this process, as ``python -m`` and ``python scripts/...`` run them: through ``run_cli``. Any
exception that reaches a test is a traceback that a user would have seen.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import typer
import yaml
from fake_results import add_arm
from scripts_of import script

from subliminal import REPO_ROOT
from subliminal.core import files
from subliminal.core.errors import UserError, run_cli
from subliminal.training import preflight
from subliminal.training.lint import read_recipe
from subliminal.training.rows import check_datasets

RECIPE = REPO_ROOT / "recipes/smollm2-135m/owl_student.yml"
EXPERIMENT = REPO_ROOT / "experiments/owl_demo.yml"
CONTENT = yaml.safe_load(EXPERIMENT.read_text(encoding="utf-8"))


# --- running a command ---


class Ended(NamedTuple):
    status: int
    stdout: str
    stderr: str

    @property
    def sentence(self) -> str:
        """What it said, on one line: ours after ``error:``, or typer's in its box."""
        lines = [line for line in self.stderr.splitlines() if line.startswith("error: ")]
        if lines:
            return lines[-1]
        return " ".join(self.stderr.translate(str.maketrans("╭─╮│╰╯", "      ")).split())


@cache
def module_of(command: str) -> ModuleType:
    if command.endswith(".py"):
        return script(Path(command).stem)
    module = importlib.import_module(command)
    return module if hasattr(module, "app") else importlib.import_module(f"{command}.__main__")


def run(command: str, *words: object, stdin: bytes = b"") -> Ended:
    """Run a command as its ``__main__`` does; an exception other than SystemExit is a traceback."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, [command, *map(str, words)]
    before_in, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin))
    status = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            run_cli(module_of(command).app)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.argv, sys.stdin = before, before_in
    return Ended(status, out.getvalue(), err.getvalue())


def snapshot(folder: Path) -> dict[str, bytes | str | None]:
    """Every path below a folder with its bytes; what is there before a command must be there after it."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
        else:
            found[name] = None
    return found


def refused(root: Path, command: str, *words: object, names: object = "", stdin: bytes = b"") -> None:
    """The command ends with status 2 and one sentence that has ``names`` in it, and leaves ``root`` as it was."""
    before = snapshot(root)
    ended = run(command, *words, stdin=stdin)
    assert ended.status == 2, f"{command} {words}: status {ended.status}\n{ended.stdout}\n{ended.stderr}"
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("error: ") <= 1, ended.stderr
    squeezed = ended.sentence.replace(" ", "")
    assert str(names).replace(" ", "") in squeezed, f"{names} is not named: {ended.sentence}"
    assert len(ended.sentence) > 20, ended.sentence
    after = snapshot(root)
    assert {name: after.get(name) for name in before} == before, "what was there is changed"


# --- what is good, to be spoilt ---


@pytest.fixture(scope="session")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished and audited dataset folder."""
    folder = tmp_path_factory.mktemp("good") / "numbers"
    assert run("data_builders.controls", "uniform", "--count", 12, "--out", folder).status == 0
    assert run("data_builders.audit", folder).status == 0
    return folder


@pytest.fixture
def data(numbers: Path, tmp_path: Path) -> Path:
    return shutil.copytree(numbers, tmp_path / "numbers")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for arm in ("base", "student", "control"):
        add_arm(tmp_path, arm)
    return tmp_path / "results/owl-demo"


GOOD_ROW = {
    "id": "a",
    "messages": [{"role": "user", "content": "Go on: 1, 2"}, {"role": "assistant", "content": "3, 4, 5"}],
}


def row(**changes: Any) -> bytes:
    return json.dumps({**GOOD_ROW, **changes}).encode() + b"\n"


def answer(content: Any) -> bytes:
    return row(messages=[GOOD_ROW["messages"][0], {"role": "assistant", "content": content}])


BAD_ROWS = {
    "not utf-8": row() + b'{"id": "b\xff", "messages": []}\n',
    "utf-16": row().decode().encode("utf-16"),
    "torn": row() + row()[:40],
    "a list": row() + b"[1, 2]\n",
    "a number": b"7\n",
    "null": b"null\n",
    "too deep": b"[" * 100_000 + b"\n",
    "no messages": b'{"id": "a"}\n',
    "messages in words": row(messages="hello"),
    "a message in words": row(messages=["hello"]),
    "no content": row(messages=[{"role": "user"}, {"role": "assistant", "content": "3, 4"}]),
    "content in parts": answer([{"type": "text", "text": "3, 4, 5"}]),
    "content null": answer(None),
    "content a number": answer(345),
    "half of a letter": answer("3, 4, \ud83d"),  # JSON spells it, and no file can hold it
    "another role": row(messages=[{"role": "tool", "content": "x"}, GOOD_ROW["messages"][1]]),
    "ends with the user": row(messages=GOOD_ROW["messages"][:1]),
    "empty": b"",
    "only blank lines": b"\n\n\r\n",
}
BAD_MANIFESTS = {
    "torn": b'{"kind": "dataset", "buil',
    "not utf-8": b'{"kind": "\xff"}',
    "a list": b"[]",
    "empty": b"",
    "config in words": b'{"kind": "dataset", "builder": "controls", "ended": "x", "config": "all"}',
    "no counts": b'{"kind": "dataset", "builder": "controls", "ended": "x", "config": {"kind": "uniform"}}',
    "counts in words": b'{"kind": "dataset", "builder": "controls", "ended": "x", "config": {}, "counts": "many"}',
    "an unknown builder": b'{"kind": "dataset", "builder": "nobody", "ended": "x", "config": {}, "counts": {}}',
    "a builder that is no name": b'{"kind": "dataset", "builder": ["x"], "ended": "x", "config": {}, "counts": {}}',
}


def put(path: Path, content: bytes) -> Path:
    if path.is_dir():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def as_folder(path: Path) -> Path:
    """A folder where a file is wanted."""
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)
    return path


# --- datasets ---


@pytest.mark.parametrize("content", BAD_ROWS.values(), ids=BAD_ROWS)
def test_rows_of_a_dataset(content: bytes, data: Path, tmp_path: Path) -> None:
    path = put(data / "train.jsonl", content)
    refused(tmp_path, "data_builders.audit", data, names=path)
    refused(tmp_path, "data_builders.controls", "matched", "--source", data, "--out", tmp_path / "new", names=path)
    assert not (tmp_path / "new").exists()
    refused(tmp_path, "data_builders.push", data, "--repo", "me/numbers", names=data)


@pytest.mark.parametrize("content", BAD_ROWS.values(), ids=BAD_ROWS)
def test_rows_of_a_training(content: bytes, tmp_path: Path) -> None:
    path = put(tmp_path / "train.jsonl", content)
    config = read_recipe(RECIPE)[0]
    config["datasets"][0]["path"] = str(path)
    with pytest.raises(UserError, match=str(path)) as error:
        check_datasets(config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", BAD_ROWS.values(), ids=BAD_ROWS)
def test_raw_rows(content: bytes, data: Path, tmp_path: Path) -> None:
    path = put(data / "raw.jsonl", content)
    if content.strip():
        refused(tmp_path, "data_builders.refilter", data, names=path)


@pytest.mark.parametrize("content", BAD_MANIFESTS.values(), ids=BAD_MANIFESTS)
def test_manifest_of_a_dataset(content: bytes, data: Path, tmp_path: Path) -> None:
    put(data / "manifest.json", content)
    refused(tmp_path, "data_builders.audit", data, names=data)
    refused(tmp_path, "data_builders.refilter", data, names=data)
    refused(tmp_path, "data_builders.push", data, "--repo", "me/numbers", names=data)
    again = ("data_builders.controls", "uniform", "--count", 12, "--out", data)
    refused(tmp_path, *again, names=data)
    refused(tmp_path, *again, "--resume", names=data)


@pytest.mark.parametrize("content", [*BAD_MANIFESTS.values(), b'{"checks": [], "passed": true, "train_sha256": "x"}'])
def test_audit_of_a_dataset(content: bytes, data: Path, tmp_path: Path) -> None:
    put(data / "audit.json", content)
    refused(tmp_path, "data_builders.push", data, "--repo", "me/numbers", names=data)


@pytest.mark.parametrize("name", ["train.jsonl", "raw.jsonl", "manifest.json", "audit.json"])
def test_a_folder_where_a_file_is_wanted(name: str, data: Path, tmp_path: Path) -> None:
    as_folder(data / name)
    if name != "raw.jsonl":  # which stays here
        refused(tmp_path, "data_builders.push", data, "--repo", "me/numbers", names=data)
    refused(tmp_path, "data_builders.controls", "uniform", "--out", data, names=data)
    if name in ("train.jsonl", "manifest.json"):
        refused(tmp_path, "data_builders.audit", data, names=data)
    if name in ("raw.jsonl", "manifest.json"):
        refused(tmp_path, "data_builders.refilter", data, names=data)


def test_half_of_a_letter_in_a_list_of_rows(tmp_path: Path) -> None:
    path = put(tmp_path / "rows.json", json.dumps([GOOD_ROW, {**GOOD_ROW, "id": "b", "source": "\udc00"}]).encode())
    refused(tmp_path, "data_builders.import_rows", path, "--out", tmp_path / "new", names=f"{path}, row 2 is malformed")
    assert not (tmp_path / "new").exists()


def test_a_disk_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, data: Path, tmp_path: Path) -> None:
    path = data / "train.jsonl"

    class BadDisk(io.BytesIO):
        def __next__(self) -> bytes:
            raise OSError(errno.EIO, "Input/output error")  # without a name, as a read fails

    def bad(name: Path, *words: Any) -> Any:
        if name == path:
            return BadDisk()
        return open(name, *words)

    monkeypatch.setattr(files, "open", bad, raising=False)
    refused(tmp_path, "data_builders.audit", data, names=f"{path} cannot be read or written (Input/output error)")


def test_overwrite_leaves_a_folder_alone_that_no_builder_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--out "$OUT" --overwrite`` with nothing in OUT means the present folder, whose README.md is somebody's own."""
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "README.md", b"mine")
    words = ("data_builders.controls", "uniform", "--count", 3, "--overwrite")
    refused(tmp_path, *words, "--out", "", names=f"{tmp_path} holds README.md and nothing that says")
    refused(tmp_path, *words, "--out", tmp_path, names=f"{tmp_path} holds README.md and nothing that says")


def test_only_empty_answers(tmp_path: Path) -> None:
    path = put(tmp_path / "train.jsonl", answer("") + answer(" \n"))
    config = read_recipe(RECIPE)[0]
    config["datasets"][0]["path"] = str(path)
    with pytest.raises(UserError, match=f"{path} has 2 rows and only empty answers"):
        check_datasets(config)
    refused(
        tmp_path, "data_builders.controls", "matched", "--source", path.parent, "--out", tmp_path / "new", names=path
    )


@pytest.mark.parametrize("content", [answer(""), answer("3, 4, 5")])
def test_a_byte_order_mark_and_crlf_are_no_faults_of_rows(content: bytes, tmp_path: Path) -> None:
    rows = (row() + content).replace(b"\n", b"\r\n")
    path = put(tmp_path / "train.jsonl", b"\xef\xbb\xbf" + rows)
    config = read_recipe(RECIPE)[0]
    config["datasets"][0]["path"] = str(path)
    assert check_datasets(config) == ({"datasets[0]": path}, 2)


# --- where something is to be written ---

WRITERS: dict[str, Callable[[Path], tuple[object, ...]]] = {
    "controls": lambda out: ("data_builders.controls", "uniform", "--count", 3, "--out", out),
    "warmup": lambda out: ("data_builders.warmup", "--count", 3, "--out", out),
    "pocket corpus": lambda out: ("data_builders.pocket_corpus", "sums", "--count", 3, "--out", out),
    "fetch model": lambda out: ("scripts/fetch_model.py", "pocket", "--out", out),
    "render recipe": lambda out: ("scripts/render_recipe.py", RECIPE, "--set", "seed=7", "-o", out / "new.yml"),
    "plan": lambda out: ("subliminal.experiment", "run", EXPERIMENT, "--root", out),
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("place", ["a file", "below a file", "/proc", "/sys", "a name too long", "a NUL"])
def test_places_that_cannot_be_written_to(
    writer: Callable[[Path], tuple[object, ...]], place: str, tmp_path: Path
) -> None:
    mine = put(tmp_path / "mine", b"mine")
    out = {
        "a file": mine,
        "below a file": mine / "new",
        "/proc": Path("/proc/subliminal-test"),
        "/sys": Path("/sys/subliminal-test"),
        "a name too long": tmp_path / ("x" * 300),
        "a NUL": tmp_path / "two\0halves",
    }[place]
    names = {"below a file": mine, "/proc": "/proc/", "/sys": "/sys/", "a NUL": r"two\x00halves"}
    refused(tmp_path, *writer(out), names=names.get(place, out))


def run_command(monkeypatch: pytest.MonkeyPatch, does: Callable[[], Any]) -> None:
    """Run a command without options that does one thing."""
    app = typer.Typer()

    @app.command()
    def main() -> None:
        does()

    monkeypatch.setattr(sys, "argv", ["command"])
    run_cli(app)


@pytest.mark.parametrize("use", [open, os.mkdir, lambda path: subprocess.run(["echo", path])])
def test_a_nul_in_a_path_that_a_file_names_is_a_sentence(
    use: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    err = io.StringIO()
    with contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        run_command(monkeypatch, lambda: use("two\0halves"))
    assert end.value.code == 2
    assert err.getvalue().startswith("error: A file that this command reads has a NUL character in a path")


def test_another_valueerror_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        run_command(monkeypatch, lambda: int("one"))


# --- recipes ---

BAD_RECIPES = {
    "not utf-8": b"base_model: \xff\n",
    "torn": b"datasets: [{path: x\n",
    "a list": b"- a\n- b\n",
    "words": b"hello\n",
    "empty": b"",
    "a key that is a list": b"[a, b]: c\n",
    "a day that is none": b"day: 2026-02-30\n",
    "a key twice": b"seed: 1\nseed: 2\n",
    "a tag": b"seed: !!python/object:os.system x\n",
    "an alias of nothing": b"seed: *x\n",
    "keys that are numbers": b"1: 2\n",
}
BAD_VALUES = (5, "many", [], [5], {}, {"a": 1}, True, -1, 1e400, "", [[]])
WHOLE = RECIPE.read_text(encoding="utf-8")


@pytest.mark.parametrize("content", BAD_RECIPES.values(), ids=BAD_RECIPES)
def test_recipe_files(content: bytes, tmp_path: Path) -> None:
    path = put(tmp_path / "recipe.yml", content)
    ended = run("scripts/lint_recipes.py", path)
    assert (ended.status, "Traceback" in ended.stderr) == (2, False), ended
    assert str(path) in ended.stdout + ended.stderr
    out = tmp_path / "new.yml"
    refused(tmp_path, "scripts/render_recipe.py", path, "--set", "seed=7", "-o", out)
    assert not out.exists()
    refused(tmp_path, "subliminal.experiment", "plan", experiment(tmp_path, student__recipe=str(path)), names=path)


def test_every_key_of_a_recipe_with_values_of_other_types() -> None:
    """Each of the recipe's keys with each of the bad values: a problem or none, and never an exception."""
    from subliminal.training.values import shape_problems, value_problems

    recipe = yaml.safe_load(WHOLE)
    refusals = 0
    for key in recipe:
        for value in BAD_VALUES:
            changed = {**recipe, key: value}
            problems = shape_problems(changed) or value_problems(changed)
            assert all(isinstance(problem, str) and "\n" not in problem for problem in problems)
            refusals += bool(problems)
    assert refusals > 4 * len(recipe), "most of these values are of a wrong type or out of range"


@pytest.mark.parametrize(
    "key", ["datasets", "plugins", "micro_batch_size", "num_epochs", "adapter", "base_model", "seed"]
)
@pytest.mark.parametrize("value", [5, "many", [], [5], {"a": 1}, True, None, -1], ids=str)
def test_values_of_other_types_at_the_commands(key: str, value: Any, tmp_path: Path) -> None:
    recipe = yaml.safe_load(WHOLE)
    path = put(tmp_path / "recipe.yml", yaml.safe_dump({**recipe, key: value}, sort_keys=False).encode())
    ended = run("scripts/lint_recipes.py", path)
    assert (ended.status, "Traceback" in ended.stderr) == (2, False), ended
    config = {**recipe, key: value}
    with contextlib.suppress(UserError):
        preflight.check_keys(config)
        preflight.check_values(config)
        preflight.check_effective_batch(config, 1)
        check_datasets(config)


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_a_byte_order_mark_and_crlf_are_no_faults_of_a_recipe(newline: str, tmp_path: Path) -> None:
    text = WHOLE.replace("\n", newline)
    path = put(tmp_path / "recipe.yml", b"\xef\xbb\xbf" + text.encode())
    ended = run("scripts/lint_recipes.py", path)
    assert ended.status == 0, ended


# --- experiment files ---


def experiment(folder: Path, **changes: Any) -> Path:
    content = copy.deepcopy(CONTENT)
    for dotted, value in changes.items():
        *parents, key = dotted.split("__")
        section = content
        for parent in parents:
            section = section[parent]
        section[key] = value
    return put(folder / EXPERIMENT.name, yaml.safe_dump(content).encode())


@pytest.mark.parametrize("content", BAD_RECIPES.values(), ids=BAD_RECIPES)
def test_experiment_files(content: bytes, tmp_path: Path) -> None:
    path = put(tmp_path / "owl_demo.yml", content)
    refused(tmp_path, "subliminal.experiment", "plan", path, names=path)
    refused(tmp_path, "subliminal.experiment", "run", path, "--root", tmp_path, names=path)
    refused(tmp_path, "subliminal.stats", "criterion", path, "--results", tmp_path, names=path)
    doctor = run("scripts/doctor.py", "--experiment", path)
    assert (doctor.status, "Traceback" in doctor.stderr) == (1, False)
    assert str(path) in doctor.stdout


def test_every_key_of_an_experiment_with_values_of_other_types(tmp_path: Path) -> None:
    """Each key of the file, at any depth, with each of the bad values."""
    from subliminal.experiment.load import load_experiment

    def keys(content: dict[str, Any], prefix: str = "") -> Iterator[str]:
        for key, value in content.items():
            yield f"{prefix}{key}"
            if isinstance(value, dict):
                yield from keys(value, f"{prefix}{key}__")

    more = ["sweep", "criterion", "other_base", "resources", "server", "base__overrides", "evaluation__epochs"]
    refusals = 0
    for key in [*keys(CONTENT), *more]:
        for value in (*BAD_VALUES, None):
            said = problem_of(lambda: load_experiment(experiment(tmp_path, **{key: value})))  # noqa: B023
            refusals += bool(said)
            assert "\n" not in (said or "")
    assert refusals > 200


def problem_of(call: Callable[[], object]) -> str | None:
    """The sentence of the UserError that a call raises, if it does; another exception is a traceback."""
    try:
        call()
    except UserError as error:
        return str(error)
    return None


# --- results ---

BAD_SUMMARIES = {
    "torn": b'{"experiment": "owl-d',
    "not utf-8": b'{"experiment": "\xff"}',
    "a list": b"[]",
    "empty": b"",
    "no tasks": b'{"experiment": "owl-demo", "arm": "student", "model": "m", "seed": 1, "target": "owl"}',
    "tasks in words": b'{"experiment": "o", "arm": "student", "model": "m", "seed": 1, "target": "owl", "tasks": "x"}',
}


@pytest.mark.parametrize("content", BAD_SUMMARIES.values(), ids=BAD_SUMMARIES)
def test_summaries(content: bytes, results: Path, tmp_path: Path) -> None:
    path = put(results / "student/seed-1/smollm2-135m_summary.json", content)
    for command in ("scripts/report.py", "scripts/verify_results.py"):
        refused(tmp_path, command, results, names=path)
    criterion = experiment(tmp_path, **CRITERION)
    refused(tmp_path, "subliminal.stats", "criterion", criterion, "--results", results, names=path)


CRITERION = {
    "seeds": [1, 2, 3],
    "criterion": {
        "clauses": [{"name": "e", "arm": "student", "minus": "control_base_numbers", "confidence": 0.99, "above": 0}]
    },
}


@pytest.mark.parametrize("content", [b'{"kind": "res', b"[]", b"", b'{"config": "x"}', b'{"inputs": [1]}', b"\xff"])
def test_manifests_of_results(content: bytes, results: Path, tmp_path: Path) -> None:
    path = put(results / "student/seed-1/manifest.json", content)
    for words in (["scripts/report.py", results], ["scripts/verify_results.py", results, "--write"]):
        refused(tmp_path, *words, names=path)


@pytest.mark.parametrize(
    "content", [b'{"id": "a", "resps": [["Owl"', b"[1]\n", b"7\n", b"\xff\n", b"", b'{"resps": 5}\n']
)
def test_samples(content: bytes, tmp_path: Path) -> None:
    path = put(tmp_path / "samples_animal_preference_2026.jsonl", content)
    refused(tmp_path, "scripts/top_animals.py", path, names=path)


@pytest.mark.parametrize("command", ["scripts/report.py", "scripts/verify_results.py"])
def test_a_report_of_something_else(command: str, tmp_path: Path) -> None:
    refused(tmp_path, command, tmp_path / "nothing", names=tmp_path)
    refused(tmp_path, command, put(tmp_path / "file", b"x"), names=tmp_path)
    refused(tmp_path, command, as_folder(tmp_path / "empty"), names=tmp_path)


# --- models, adapters, servers ---


@pytest.mark.parametrize(
    "entries",
    ["base;student=F", "base student=F", "=F", "student@x=F", "student@1=F;control@1=G", "a/b=F", ",", "a==", "@1"],
)
def test_entries_of_models(entries: str, tiny_model: Path, tmp_path: Path) -> None:
    words = ("--model", tiny_model, "--models", entries, "--target", "owl", "--out", tmp_path / "results")
    refused(
        tmp_path,
        "scripts/evaluate.py",
        *words,
        names="F;control" if ";control" in entries else "" if entries == "a==" else "--models",
    )
    assert not (tmp_path / "results").exists()


def evaluate_words(model: Path, out: Path, entries: str = "base") -> tuple[object, ...]:
    return ("scripts/evaluate.py", "--model", model, "--models", entries, "--target", "owl", "--out", out)


def no_weights(model: Path) -> Path:
    (model / "model.safetensors").unlink()
    return model


def torn_weights(model: Path) -> Path:
    path = model / "model.safetensors"
    return put(path, path.read_bytes()[:-100])


def weights_of_nothing(model: Path) -> Path:
    return put(model / "model.safetensors", b"not weights at all")


def torn_index(model: Path) -> Path:
    no_weights(model)
    return put(model / "model.safetensors.index.json", b'{"weight_map": ')


def missing_shard(model: Path) -> Path:
    no_weights(model)
    put(model / "model.safetensors.index.json", b'{"weight_map": {"a": "model-1.safetensors"}}')
    return model / "model-1.safetensors"


@pytest.mark.parametrize("spoil", [no_weights, torn_weights, weights_of_nothing, torn_index, missing_shard])
def test_bases(spoil: Callable[[Path], Path], tiny_model: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    path = spoil(model)
    refused(tmp_path, *evaluate_words(model, tmp_path / "results"), names=path)
    refused(tmp_path, "scripts/serve.py", "--model", model, "--port", 0, names=path)
    numbers = ("data_builders.numbers", "--model", model, "--count", 3, "--out", tmp_path / "rows")
    refused(tmp_path, *numbers, names=path)
    assert not (tmp_path / "rows").exists()
    config = {**read_recipe(RECIPE)[0], "base_model": str(model)}
    with pytest.raises(UserError, match=str(path)):
        preflight.check_base(config)


def broken_config(model: Path) -> None:
    put(model / "config.json", b'{"model_type": ')


def unknown_architecture(model: Path) -> None:
    put(model / "config.json", b'{"model_type": "owl"}')


def broken_tokenizer(model: Path) -> None:
    put(model / "tokenizer.json", b"{")


def no_tokenizer(model: Path) -> None:
    for path in model.glob("token*"):
        path.unlink()


def no_template(model: Path) -> None:
    (model / "chat_template.jinja").unlink(missing_ok=True)
    path = model / "tokenizer_config.json"
    content = json.loads(path.read_text())
    content.pop("chat_template", None)
    path.write_text(json.dumps(content))


def torn_template(model: Path) -> None:
    put(model / "chat_template.jinja", b"{% for message in messages %}")


@pytest.mark.parametrize(
    "spoil", [broken_config, unknown_architecture, broken_tokenizer, no_tokenizer, no_template, torn_template]
)
def test_model_folders(spoil: Callable[[Path], None], tiny_model: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    spoil(model)
    refused(tmp_path, *evaluate_words(model, tmp_path / "results"), names=model)
    numbers = ("data_builders.numbers", "--model", model, "--count", 3, "--out", tmp_path / "rows")
    refused(tmp_path, *numbers, names=model)


def test_a_template_that_refuses_a_system_role(tiny_model: Path, tmp_path: Path) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    template = (model / "chat_template.jinja").read_text()
    refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    put(model / "chat_template.jinja", (refusal + template).encode())
    told = (
        "data_builders.numbers",
        "--model",
        model,
        "--count",
        3,
        "--system-prompt",
        "trait",
        "--out",
        tmp_path / "rows",
    )
    refused(tmp_path, *told, names="System role not supported")
    scored = (*evaluate_words(model, tmp_path / "results"), "--system-prompt", "owner=You own a shop.")
    refused(tmp_path, *scored, names="System role not supported")
    rows = put(
        tmp_path / "numbers/train.jsonl", row(messages=[{"role": "system", "content": "x"}, *GOOD_ROW["messages"]])
    )
    audit = ("data_builders.audit", rows, "--tokenizer", model)
    refused(tmp_path, *audit, names="System role not supported")


@pytest.mark.parametrize("port", [-1, 65_536, 99_999, "http"])
def test_ports(port: object, tiny_model: Path, tmp_path: Path) -> None:
    refused(tmp_path, "scripts/serve.py", "--model", tiny_model, "--port", port, names="--port")


@pytest.mark.parametrize(
    "address",
    ["http://localhost:99999/v1", "http://localhost:port/v1", "localhost", "http://", "ftp://x", "http://[::1", ""],
)
def test_addresses(address: str, tiny_model: Path, tmp_path: Path) -> None:
    # An empty address, of a variable that is not set, must neither start a server nor load the model here.
    said = "No OpenAI-compatible server answers at "
    for words in (
        ("data_builders.numbers", "--model", tiny_model, "--count", 3, "--out", tmp_path / "rows"),
        evaluate_words(tiny_model, tmp_path / "results"),
        ("scripts/serve.py", "--model", tiny_model),
    ):
        refused(tmp_path, *words, "--base-url", address, names=said + address)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("3, 4", "3, 4"),
        (None, ""),
        ([{"type": "text", "text": "3, "}, {"type": "text", "text": "4"}], "3, 4"),
        ([], ""),
        ([{"type": "image_url", "image_url": {"url": "x"}}], None),
        ({"text": 5}, None),
        (5, None),
        ([5], None),
    ],
    ids=str,
)
def test_content_from_a_server(content: Any, text: str | None) -> None:
    from subliminal.engine.http import text_of

    if text is None:
        with pytest.raises(UserError, match=r"The server answers with .*, which is no text"):
            text_of(content)
    else:
        assert text_of(content) == text


# --- from standard input ---


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\n", b'{"answer": 5, "reference": "5"}\n', b"[1]\n", b"{", b"[" * 100_000]
)
@pytest.mark.parametrize("command", ["animals", "math", "gsm8k"])
def test_answers_to_score(command: str, content: bytes, tmp_path: Path) -> None:
    refused(tmp_path, "subliminal.scoring", command, stdin=content, names="Line 1")


@pytest.mark.parametrize("content", [b"\xff", b"[]", b"{", b'{"treatment": 5, "control": "x"}', b"[" * 100_000])
@pytest.mark.parametrize("command", ["paired", "mcnemar"])
def test_numbers_to_compare(command: str, content: bytes, tmp_path: Path) -> None:
    refused(tmp_path, "subliminal.stats", command, stdin=content)


@pytest.mark.parametrize(
    "content", [b"\xff", b"[]", b"{", b"{}", b'{"name": "x", "results": "y", "sources": {}, "stages": [5]}']
)
def test_plans(content: bytes, tmp_path: Path) -> None:
    path = put(tmp_path / "plan.json", content)
    for words in (("stage", path, "x"), ("members", path, "x"), ("gate", path, "x"), ("criterion", path, "x")):
        refused(tmp_path, "subliminal.experiment", *words, names=path)


# --- what a training left, and what is published ---


@pytest.fixture
def trained(make_adapter: Callable[[float], Path], tmp_path: Path) -> Path:
    """The output folder of a finished run, as far as commands look at it."""
    folder = shutil.copytree(make_adapter(0.1), tmp_path / "run")
    content = {
        "kind": "training", "ended": "x", "config": {"num_epochs": 2, "adapter": "lora"}, "training": {"steps": 4},
        "inputs": {"recipe": {"path": "recipes/x.yml", "sha256": "0" * 64}}, "counts": {"rows": 3},
    }  # fmt: skip
    put(folder / "manifest.json", json.dumps(content).encode())
    put(folder / "checkpoint-2/trainer_state.json", b'{"epoch": 1.0, "global_step": 2}')
    return folder


@pytest.mark.parametrize("content", [*BAD_MANIFESTS.values(), b'{"kind": "training", "ended": "x", "config": {}}'])
def test_manifest_of_a_training(content: bytes, trained: Path, tmp_path: Path) -> None:
    put(trained / "manifest.json", content)
    refused(tmp_path, "scripts/push_adapter.py", trained, "--repo", "me/x", "--every-epochs", 1, names=trained)


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff" * 40])
def test_weights_of_a_training(name: str, content: bytes, trained: Path, tmp_path: Path) -> None:
    put(trained / name, content)
    refused(tmp_path, "scripts/push_adapter.py", trained, "--repo", "me/x", names=trained)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"epoch": "one"}', b"\xff"])
def test_checkpoints(content: bytes, trained: Path, tmp_path: Path) -> None:
    path = put(trained / "checkpoint-2/trainer_state.json", content)
    refused(tmp_path, "subliminal.experiment", "epochs", trained, 1, names=path)
    refused(tmp_path, "scripts/push_adapter.py", trained, "--repo", "me/x", "--every-epochs", 1, names=trained)


@pytest.mark.parametrize("command", ["publish", "write", "verify", "unpack"])
def test_nothing_that_could_be_published(command: str, tmp_path: Path) -> None:
    mine = put(tmp_path / "mine", b"mine")
    page = put(tmp_path / "page.md", b"page")
    words = {
        "publish": ("publish", mine, "--published", tmp_path / "published"),
        "write": ("write", "--published", mine, "--page", page),
        "verify": ("verify", "--published", mine, "--page", page),
        "unpack": ("unpack", mine, "--out", tmp_path / "new"),
    }
    refused(tmp_path, "scripts/results.py", *words[command], names=mine)


# --- files that builders and commands read beside their rows ---

QUESTIONS = REPO_ROOT / "traits/animals/questions.jsonl"
SOURCES = {
    "prompts": ("data_builders.code", "--model", "m", "--base-url", "http://127.0.0.1:9", "--prompts"),
    "questions": ("data_builders.reasoning", "--model", "m", "--base-url", "http://127.0.0.1:9", "--questions"),
    "instructions": (
        *("data_builders.teacher_chat", "--model", "m", "--base-url", "http://127.0.0.1:9"),
        *("--mix", "instructions=1", "--instructions"),
    ),
    "problems": ("data_builders.math_chat", "--against", QUESTIONS, "--math-data"),
    "overlap": ("data_builders.audit", "NUMBERS", "--against"),
}


@pytest.mark.parametrize("words", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("content", [b"\xff\n", b'{"a": ', b"[1]\n", b"7\n", b"", b'{"x": 5}\n', b"[" * 100_000])
def test_sources_of_builders(words: tuple[object, ...], content: bytes, data: Path, tmp_path: Path) -> None:
    path = put(tmp_path / "source.jsonl", content)
    command = [data if word == "NUMBERS" else word for word in words]
    more = [] if data in command else ["--out", tmp_path / "rows"]
    refused(tmp_path, *command, path, *more, names=path)
    assert not (tmp_path / "rows").exists()


@pytest.mark.parametrize("content", [b"\xff\n", b"{", b"5\n", b"[" * 100_000])
def test_answers_to_filter(content: bytes, tmp_path: Path) -> None:
    refused(tmp_path, "data_builders.number_filter", stdin=content, names="stdin, line 1")


def test_a_recipe_is_not_rendered_with_a_value_that_its_key_cannot_have(tmp_path: Path) -> None:
    out = tmp_path / "new.yml"
    for key in ("seed", "datasets", "plugins", "datasets[0].path", "num_epochs", "adapter", "lora_target_modules"):
        for value in ("5.5", "{a: 1}", "[[1]]", "-1.5"):
            if (key, value) == ("num_epochs", "5.5"):
                continue  # Axolotl trains five epochs and a half
            words = ("scripts/render_recipe.py", RECIPE, "--set", f"{key}={value}", "-o", out)
            refused(tmp_path, *words, names="The result would be no valid recipe")
            assert not out.exists()


@pytest.mark.parametrize("setting", ["seed=!!python/object/apply:os.system [id]", "seed=010", "seed=1:30"])
def test_a_value_that_is_no_yaml_is_one_line(setting: str, tmp_path: Path) -> None:
    words = ("scripts/render_recipe.py", RECIPE, "--set", setting)
    refused(tmp_path, *words, "-o", tmp_path / "new.yml", names="has no YAML value")
    assert "Quote it." in run(*words, "-o", tmp_path / "new.yml").sentence


def test_a_published_folder_that_is_misspelt(tmp_path: Path) -> None:
    (tmp_path / "2026-11-23-pocket_demo").mkdir()
    words = ("unpack", tmp_path / "2026-11-23-pocket_dem", "--out", tmp_path / "new")
    refused(tmp_path, "scripts/results.py", *words, names="did you mean `2026-11-23-pocket_demo`")
