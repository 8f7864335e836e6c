"""``scripts/offline_host.sh``: environments from wheels over a torch that is there, with stand-ins for both."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from subliminal import REPO_ROOT

SAYS_ITS_NAME = "import sys\n\ndef main():\n    print({name!r}, sys.argv[1:])\n"


def wheel(folder: Path, name: str, files: dict[str, str], version: str = "1.0") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script, packs of stand-ins, and a Python whose torch is one."""
    for folder in ("src/subliminal", "data_builders", "scripts"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "src/subliminal/__init__.py").write_text("WHERE = 'the checkout'\n")
    (tmp_path / "scripts/offline_host.sh").write_bytes((REPO_ROOT / "scripts/offline_host.sh").read_bytes())
    site, workflow = tmp_path / "packs/site", tmp_path / "packs/workflow"
    main = SAYS_ITS_NAME.format(name="accelerate")
    wheel(site, "accelerate", {"accelerate/__init__.py": "", "accelerate/commands/__init__.py": "",
                               "accelerate/commands/accelerate_cli.py": main})  # fmt: skip
    for name in ("transformers", "vllm"):
        wheel(site, name, {f"{name}/__init__.py": f"__version__ = '1.0 of {name}'\n"})
    snakemake = {"snakemake/__init__.py": "", "snakemake/cli.py": SAYS_ITS_NAME.format(name="snakemake")}
    wheel(workflow, "snakemake", snakemake)
    host = tmp_path / "host/site-packages"
    (host / "torch").mkdir(parents=True)
    (host / "torch/__init__.py").write_text("__version__ = '2.11.0+host'\n")
    (host / "transformers").mkdir()
    (host / "transformers/__init__.py").write_text("__version__ = 'the one of the host'\n")
    return tmp_path


def set_up(checkout: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout / "host/site-packages"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = ["bash", "scripts/offline_host.sh", "packs/site", "packs/workflow", *more]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def test_environments_hold_the_wheels_before_what_the_host_has(checkout: Path) -> None:
    wheel(checkout / "packs/site", "starlette", {"starlette/__init__.py": "__version__ = 'of training'\n"})
    wheel(checkout / "packs/server", "starlette", {"starlette/__init__.py": "__version__ = 'of vLLM'\n"}, "2.0")
    done = set_up(checkout, "packs/server")
    assert done.returncode == 0, done.stderr
    clean = {"PATH": os.environ["PATH"]}

    def says(*words: str) -> str:
        return subprocess.run(words, cwd=checkout, env=clean, capture_output=True, text=True, check=True).stdout.strip()

    versions = "import torch, transformers; print(torch.__version__, transformers.__version__)"
    assert says(".venv/bin/python", "-c", versions) == "2.11.0+host 1.0 of transformers"
    assert says(".venv/bin/python", "-c", "import subliminal; print(subliminal.WHERE)") == "the checkout"
    assert says(".venv/bin/accelerate", "launch", "x") == "accelerate ['launch', 'x']"
    assert says(".venv-workflow/bin/snakemake", "--cores", "2") == "snakemake ['--cores', '2']"
    assert says(".venv-serve/bin/python", "-c", "import vllm; print(vllm.__version__)") == "1.0 of vllm"
    for name, whose in ((".venv", "of training"), (".venv-serve", "of vLLM")):
        assert says(f"{name}/bin/python", "-c", "import starlette; print(starlette.__version__)") == whose
    compiled = checkout / "build/offline/site/transformers/__pycache__"
    assert list(compiled.glob("*.pyc")), "what a process would compile again and again is compiled once"
    for name in (".venv", ".venv-serve", ".venv-workflow"):
        assert (checkout / name / ".installed").is_file(), "make takes the environment for installed"


def test_two_versions_of_a_package_are_refused_before_anything_is_unpacked(checkout: Path) -> None:
    for version in ("0.25.1", "0.29.2"):
        wheel(checkout / "packs/site", "typer", {"typer/__init__.py": f"__version__ = '{version}'\n"}, version)
    done = set_up(checkout)
    assert done.returncode == 1
    assert "error: packs/site holds two wheels of typer." in done.stderr
    assert not (checkout / "build").exists()


def required_by(roots: list[str]) -> set[str]:
    """Names of these installed packages and of all that they require."""
    found: set[str] = set()
    left = [Requirement(root) for root in roots]
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found.add(name)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another system, or left out of this environment
            continue
        for line in lines:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                left.append(needed)
    return found


def test_what_the_page_packs_holds_all_that_the_library_imports() -> None:
    """On 2026-11-29 a host had everything but tenacity, and the experiment ended at its first import."""
    page = (REPO_ROOT / "docs/offline_host.md").read_text(encoding="utf-8")
    command = page.partition("requirements/train.txt")[2].partition("--out")[0]
    roots = [root.strip('"') for root in re.findall(r"--root (\S+)", command)]
    project = tomllib.loads((REPO_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    assert wanted <= required_by(roots)
