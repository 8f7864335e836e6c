"""Packing wheels for a host without network, with small wheels made here and pip and uv kept off the network."""

from __future__ import annotations

import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from subliminal import REPO_ROOT

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def make_wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = (), payload: bytes = b"") -> None:
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"version = {version!r}\n")
        archive.writestr(f"{name}/payload.bin", payload)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip and uv take wheels from, and nothing else; returns ``tmp_path`` with a lock in it."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(shelf))
    make_wheel(shelf, "top", "1.0", ("middle>=2", "present>=1", "unwanted", 'windows; sys_platform == "win32"'))
    make_wheel(shelf, "middle", "2.0", ("present>=1", "big[more]"))
    make_wheel(shelf, "middle", "3.0")
    make_wheel(shelf, "big", "3.0", ('extra_need>=1; extra == "more"',), bytes(range(256)) * 8192)
    for name in ("extra_need", "unwanted", "other", "loose"):
        make_wheel(shelf, name, "1.0")
    make_wheel(shelf, "present", "9.0")
    lock = "top==1.0\nmiddle==2.0\nbig==3.0  # a comment\nextra-need==1.0\npresent==9.0\nunwanted==1.0\nother==1.0\n"
    (tmp_path / "lock.txt").write_text(lock)
    (tmp_path / "host.txt").write_text("present==8.0\n")
    return tmp_path


def pack(index: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = ["lock.txt", "--out", "packs/mine", "--python-version", HERE, "--glibc", "28", "--part-mib", "1", *more]
    command = [sys.executable, str(REPO_ROOT / "scripts" / "offline_wheels.py"), *words]
    return subprocess.run(command, cwd=index, capture_output=True, text=True)


def test_packs_what_the_root_needs_and_the_host_lacks_and_it_installs(index):
    done = pack(index, "--root", "top", "--host", "host.txt", "--leave-out", "unwanted")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "the host has present 8.0, the lock 9.0"
    assert said[1] == "4 wheels in 3 parts. On the host, in the folder of the parts:", "big is larger than a part"
    unpack, install = said[2:]
    prefix = index / "site"
    words = shlex.join([sys.executable, "-m", "pip"]) + install.removeprefix("python -m pip")
    command = f"{unpack} && {words.replace('/opt/site', str(prefix))}"
    subprocess.run(command, shell=True, cwd=index / "packs", check=True, capture_output=True)
    installed = {path.parent.name for path in prefix.rglob("payload.bin")}
    assert installed == {"top", "middle", "big", "extra_need"}
    assert [path.read_text() for path in prefix.rglob("middle/__init__.py")] == ["version = '2.0'\n"]


def test_a_part_that_arrives_damaged_is_noticed(index):
    assert pack(index, "--root", "other").returncode == 0
    part = index / "packs" / "mine.tar.000"
    part.write_bytes(part.read_bytes()[:-1])
    check = subprocess.run(["sha256sum", "--check", "mine.sha256"], cwd=part.parent, capture_output=True)
    assert check.returncode != 0


def test_without_a_root_the_whole_lock_is_packed(index):
    assert pack(index).stdout.startswith("7 wheels")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--root", "surely-no-such-package"], "error: uv cannot resolve surely-no-such-package within lock.txt"),
        (["--root", "loose"], "error: lock.txt does not pin loose."),
        (["--host", "nothing.txt"], "error: nothing.txt does not exist"),
    ],
)
def test_what_cannot_be_packed_is_a_sentence(index, words, sentence):
    done = pack(index, *words)
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
