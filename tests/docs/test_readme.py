"""Every command in a README, in docs/, CONTRIBUTING.md, RESULTS.md or BENCHMARKS.md is one that exists.

That is: targets, scripts, modules, options, recipes and folders.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from warm_python import WarmPython

from subliminal import REPO_ROOT

DOCUMENTS = [
    *(REPO_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "RESULTS.md", "BENCHMARKS.md")),
    *sorted((REPO_ROOT / "docs").glob("*.md")),
    *sorted((REPO_ROOT / "results/published").glob("*/README.md")),
    *(
        path
        for folder in ("cloud", "eval_tasks", "experiments", "recipes", "results/replicate", "tests", "workflow")
        for path in sorted((REPO_ROOT / folder).rglob("README.md"))
    ),
]
FENCE = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
INSPECT = ".venv-inspect/bin/inspect"
IMPORTED = ("aiohttp", "numpy", "pydantic", "typer", "yaml")
"""What many commands import before they print their help."""
MADE_BY_RUNS = ("data/", "models/", "outputs/", "results/")


def _commands(text: str) -> list[str]:
    """The commands of all bash blocks: comments dropped, continued lines joined, nested --run commands included."""
    found = []
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            line = re.sub(r"(^|\s)#.*", "", line).strip()
            if line:
                found.append(line)
                found += [word for word in shlex.split(line) if " " in word and word.startswith("python ")]
    return found


CASES = [(path.relative_to(REPO_ROOT), command) for path in DOCUMENTS for command in _commands(path.read_text())]


Help = Callable[..., str]
"""``--help`` of a program (the words behind ``python``)."""


@pytest.fixture(scope="module")
def help_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Help]:
    environment = {"COLUMNS": "300", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    warm = WarmPython(tmp_path_factory.mktemp("warm"), IMPORTED, environment)

    @cache
    def help_of(*words: str) -> str:
        status, printed = warm.run(REPO_ROOT, *words, "--help")
        assert status == 0, printed
        return printed

    yield help_of
    warm.stop()


def _subcommand(words: list[str], help_of: Help, *program: str) -> list[str]:
    """The first word, if it is a command of the program."""
    commands = help_of(*program).partition("Commands")[2]
    return words[:1] if words and re.search(rf"^\W*{re.escape(words[0])} ", commands, re.MULTILINE) else []


def _check_options(words: list[str], text: str) -> None:
    own = words[: words.index("--")] if "--" in words else words  # what follows `--` is for another program
    for word in own:
        if word.startswith("--"):
            assert re.search(rf"(?<![\w-]){re.escape(word.partition('=')[0])}(?![\w-])", text), f"no option {word}"


def _check_paths(words: list[str]) -> None:
    for word in words:
        is_path = re.fullmatch(r"[\w./-]+\.(ya?ml|py|jsonl)", word) or word.rstrip("/") in ("eval_tasks", "recipes")
        if is_path and not word.startswith(MADE_BY_RUNS):
            assert (REPO_ROOT / word).exists(), f"{word} does not exist"


@pytest.mark.parametrize(("document", "command"), CASES, ids=[f"{path}:{command[:60]}" for path, command in CASES])
def test_command_exists(document: Path, command: str, help_of: Help) -> None:
    words = shlex.split(command.replace("$LAUNCH", "accelerate launch -m axolotl.cli.train"))
    if "|" in words:  # what feeds a pipe is plain shell
        words = words[words.index("|") + 1 :]
    while words and "=" in words[0]:
        words = words[1:]
    if not words:
        return
    _check_paths(words)
    program, rest = words[0], words[1:]
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (REPO_ROOT / "Makefile").read_text(), re.MULTILINE)
        for word in rest:
            assert "=" in word or word in targets, f"no make target {word}"
    elif program == "python" and rest[0] == "-m" and rest[1].startswith(("benchmarks", "data_builders", "subliminal")):
        _check_options(rest[2:], help_of("-m", rest[1], *_subcommand(rest[2:], help_of, "-m", rest[1])))
    elif program == "python" and rest[0].startswith("scripts/"):
        _check_options(rest[1:], help_of(rest[0], *_subcommand(rest[1:], help_of, rest[0])))
    elif program.startswith("scripts/"):
        assert os.access(REPO_ROOT / program, os.X_OK), f"{program} is no program of ours"
    elif program in ("accelerate", "lm_eval", "axolotl", "modal", "srun", "kubectl", "pytest", "apt-get", INSPECT) or (
        program == "python" and rest[1].startswith(("axolotl", "pytest"))
    ):
        pass  # other people's options; the paths were checked above, the recipes in tests/recipes
    else:
        others = ("source", "export", "git", "cd", "ln", "hf", "pip", "set", "tar", "axolotl")
        assert program.rpartition("/")[2] in others, program


def test_commands_are_found() -> None:
    found = [str(path) for path, _ in CASES]
    assert found.count("README.md") >= 6
    assert sum(path.startswith("docs/") for path in found) >= 30


def test_the_readme_is_a_page_and_links_to_every_document() -> None:
    text = (REPO_ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    for path in (REPO_ROOT / "docs").glob("*.md"):
        assert f"](docs/{path.name})" in text, path.name


def test_folders_of_the_map_exist() -> None:
    text = (REPO_ROOT / "README.md").read_text()
    folders = re.findall(r"^\| `([\w/]+)/` \|", text, re.MULTILINE)
    assert len(folders) >= 8
    for folder in folders:
        assert (REPO_ROOT / folder).is_dir(), folder


FOLDERS = (
    "accelerate_configs|benchmarks|cloud|data_builders|eval_tasks|notebooks|recipes|scripts|src|tests|traits|workflow"
)
PATH = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*\w(?![\w*{{<])")


def test_files_that_a_text_names_are_there() -> None:
    """What stands outside of command blocks; BENCHMARKS.md names files of older commits, too."""
    named, absent = 0, []
    for path in DOCUMENTS:
        if path.name == "BENCHMARKS.md" or "published" in path.parts:
            continue
        for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", path.read_text())):
            for word in PATH.findall(code):
                named += 1
                if not any((folder / word).exists() for folder in (REPO_ROOT, path.parent)):
                    absent.append(f"{path.relative_to(REPO_ROOT)}: {word}")
    assert absent == []
    assert named > 80


def _anchors(text: str) -> set[str]:
    """What a page's headings are called in links to them, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_links_point_somewhere() -> None:
    for path in DOCUMENTS:
        for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]+))?\)", path.read_text()):
            page = path
            if target:
                page = path.parent / target
            assert page.exists(), f"{path}: {target}"
            if anchor and page.suffix == ".md":
                assert anchor in _anchors(page.read_text()), f"{path}: {target}#{anchor}"
