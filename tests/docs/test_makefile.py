"""The menu: what `make help` shows, and which targets fetch SmolLM2."""

from __future__ import annotations

import os
import re
import shlex
import subprocess

import pytest

from subliminal import REPO_ROOT

ABSENT = "SMOLLM2=models/not-there/manifest.json"


def _make(*words: str) -> str:
    # What stood on the command line of a `make test CORES=3` reaches these tests, and is none of theirs.
    settings = re.findall(r"^([A-Z]+) \?=", (REPO_ROOT / "Makefile").read_text(), re.MULTILINE)
    environment = {}
    for name, value in os.environ.items():
        if not name.startswith(("MAKE", "MFLAGS")) and name not in settings:
            environment[name] = value
    command = ["make", "--no-print-directory", *words]
    done = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_is_in_groups_and_the_two_commands_stand_first() -> None:
    text = _make("help")
    groups = text.strip().split("\n\n")
    targets = [re.findall(r"^  make ([\w-]+) +\S", group, re.MULTILINE) for group in groups]
    assert targets[0] == ["demo", "test"]
    assert len(groups) >= 4
    for group, names in zip(groups, targets, strict=True):
        title, *lines = group.splitlines()
        assert not title.startswith(" ")
        assert len(lines) == len(names) > 0
    phony = re.search(r"^\.PHONY: (.*)$", (REPO_ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    listed = [target for group in targets for target in group]
    assert sorted(listed) == sorted(set(phony) - {"help"})


@pytest.mark.parametrize(
    ("words", "fetches"),
    [
        (["demo"], False),
        (["setup"], False),
        (["experiment", "EXP=experiments/owl_pocket.yml"], False),
        (["experiment", "EXP=experiments/owl_demo.yml"], True),
        (["demo-smollm2"], True),
        (["test"], True),
        (["test-slow"], False),
        (["test-workflow"], True),
    ],
)
def test_smollm2_is_fetched_where_it_is_needed_alone(words: list[str], fetches: bool) -> None:
    assert ("scripts/fetch_model.py not-there" in _make("-n", ABSENT, *words)) == fetches


def test_verbose_reaches_the_run() -> None:
    words = ["-n", "experiment", "EXP=experiments/owl_pocket.yml"]
    assert "--verbose" in _make(*words, "VERBOSE=1")
    assert "--verbose" not in _make(*words)


@pytest.mark.parametrize(
    ("words", "cores"),
    [
        # Every core: with two, trainings of four threads take turns on a GPU that they may share.
        (["experiment"], None),
        (["experiment", "CORES=16"], "16"),
        (["demo"], "2"),
        (["demo", "CORES=4"], "4"),
        (["demo-smollm2"], "2"),
    ],
)
def test_an_experiment_takes_every_core_and_the_demo_two(words: list[str], cores: str | None) -> None:
    told = re.findall(r"subliminal\.experiment run .*?--cores (\d+)", _make("-n", ABSENT, *words))
    assert told == [cores] * (cores is not None)


@pytest.mark.parametrize("target", ["plan", "experiment", "doctor"])
def test_a_path_with_spaces_is_one_word_of_the_command(target: str) -> None:
    path = "/tmp/with space é/owl.yml"
    (line,) = [line for line in _make("-n", ABSENT, target, f"EXP={path}").splitlines() if path in line]
    assert path in shlex.split(line)
