"""Packing wheels for a host without network, with small wheels made here and pip kept off the network."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

from subliminal import REPO_ROOT
from subliminal.core import wheels
from subliminal.core.errors import UserError

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
    """A folder that pip takes wheels from, and nothing else; returns ``tmp_path`` with a lock in it."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    make_wheel(shelf, "top", "1.0", ("middle==2.0", "present>=1", "unwanted", 'windows; sys_platform == "win32"'))
    make_wheel(shelf, "middle", "2.0", ("present>=1", "big[more]"))
    make_wheel(
        shelf, "big", "3.0", ('extra_need>=1; extra == "more"', 'never; extra == "less"'), bytes(range(256)) * 1200
    )
    make_wheel(shelf, "extra_need", "1.0")
    make_wheel(shelf, "present", "9.0")
    lock = "top==1.0\nmiddle==2.0\nbig==3.0  # a comment\nextra-need==1.0\npresent==9.0\nunwanted==1.0\n"
    (tmp_path / "lock.txt").write_text(lock)
    return tmp_path


@pytest.fixture
def shelf_only(index, monkeypatch):
    """The same without pip, which takes half a second a wheel."""

    def fetch(name, version, folder, target):
        return next((index / "shelf").glob(f"{name.replace('-', '_')}-{version}-*.whl"))

    monkeypatch.setattr(wheels, "_fetch", fetch)
    return index


def collect(index: Path, **changes):
    settings = {"roots": ["top"], "host": {"present": None, "middle": Version("1.0")}, "leave_out": ["unwanted"]}
    settings |= {"drop_files": [], "work": index / "pack", **changes}
    return wheels.collect(index / "lock.txt", wheels.Target(HERE, 28), **settings)


def test_packs_exactly_what_the_host_lacks(shelf_only):
    packed = collect(shelf_only)
    assert sorted(packed.wheels) == ["big", "extra-need", "middle", "top"]
    assert packed.notes == ["left out: unwanted (wanted by top)"]
    assert packed.unmet == []


def test_an_unknown_host_version_does_not_fulfil_an_exact_pin(shelf_only):
    assert "middle" in collect(shelf_only, host={"present": Version("1.5"), "middle": None}).wheels


def test_a_host_version_that_fulfils_is_left_there_and_its_own_needs_too(shelf_only):
    packed = collect(shelf_only, host={"present": Version("1.5"), "middle": Version("2.0")})
    assert sorted(packed.wheels) == ["top"]


def test_a_host_version_too_old_is_replaced_from_the_lock(shelf_only):
    assert packed_version(collect(shelf_only, host={"present": Version("0.5")}), "present") == "9.0"


def packed_version(packed: wheels.Packed, name: str) -> str:
    return packed.wheels[name].name.split("-")[1]


def test_a_requirement_that_nothing_fulfils_is_listed(shelf_only):
    lock = shelf_only / "lock.txt"
    lock.write_text(lock.read_text().replace("extra-need==1.0\n", ""))
    packed = collect(shelf_only)
    assert packed.unmet == ['UNMET: big requires extra_need>=1; extra == "more"; the host has none known']


def test_chunks_keep_their_size_and_install(shelf_only):
    packed = collect(shelf_only)
    limit = 160 * 1024
    folders = wheels.write_chunks(packed.wheels, shelf_only / "pack", limit)
    assert [folder.name for folder in folders] == [f"pack-{i}" for i in range(1, len(folders) + 1)]
    assert len(folders) >= 3  # the big wheel has 300 KiB
    for folder in folders:
        assert sum(file.stat().st_size for file in folder.iterdir()) <= limit
    assert (shelf_only / "pack.txt").read_text().splitlines() == [
        "big==3.0",
        "extra-need==1.0",
        "middle==2.0",
        "top==1.0",
    ]

    outputs = [install(folder, shelf_only / "site") for folder in reversed(folders)]
    assert "still to come" in outputs[0].stderr
    path = outputs[-1].stdout.strip().splitlines()[-1].removeprefix("export PYTHONPATH=").split()[0]
    code = "import big, middle, top; print(big.version, len(open(big.__path__[0] + '/payload.bin', 'rb').read()))"
    result = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert result.stdout == f"3.0 {256 * 1200}\n"


def install(folder: Path, prefix: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, folder / "install.py", "--prefix", prefix]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_damaged_wheel_is_not_installed(shelf_only):
    (folder,) = wheels.write_chunks(collect(shelf_only).wheels, shelf_only / "pack", 2**20)
    with open(folder / "top-1.0-py3-none-any.whl", "r+b") as wheel:
        wheel.seek(40)
        wheel.write(b"damage")
    result = install(folder, shelf_only / "site")
    assert result.returncode == 1
    assert "top-1.0-py3-none-any.whl arrived damaged" in result.stderr


def test_dropped_files_are_gone_from_the_packed_wheel_only(shelf_only):
    packed = collect(shelf_only, drop_files=["big/*.bin"])
    with zipfile.ZipFile(packed.wheels["big"]) as archive:
        assert "big/payload.bin" not in archive.namelist()
        assert "big/__init__.py" in archive.namelist()
    assert zipfile.ZipFile(collect(shelf_only).wheels["big"]).getinfo("big/payload.bin").file_size == 256 * 1200


@pytest.mark.parametrize("line", ["top>=1", "top", "-e ."])
def test_a_lock_that_is_not_pinned_is_refused(shelf_only, line):
    (shelf_only / "lock.txt").write_text(line)
    with pytest.raises(UserError, match="no NAME==VERSION"):
        collect(shelf_only)


def test_wrong_names_and_missing_files_are_sentences(index):
    with pytest.raises(UserError, match=r"lock\.txt does not pin typo"):
        collect(index, roots=["typo"])
    with pytest.raises(UserError, match="does not exist"):
        wheels.read_pins(index / "none.txt")
    with pytest.raises(UserError, match="neither downloaded nor built"):
        collect(index, leave_out=[])


def test_the_command_ends_with_status_1_when_something_is_unmet(index):
    (index / "host.txt").write_text("Present==1.2\n")
    (index / "lock.txt").write_text("top==1.0\nmiddle==2.0\nbig==3.0\n")
    command = [sys.executable, REPO_ROOT / "scripts" / "offline_wheels.py", index / "lock.txt", "--root", "top"]
    command += ["--host", index / "host.txt", "--leave-out", "unwanted", "--out", index / "p", "--python-version", HERE]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert "UNMET: big requires extra_need>=1" in result.stdout
    assert set(json.loads((index / "p-1" / "chunk.json").read_text())["sha256"]) == {
        f"{name}-py3-none-any.whl" for name in ("top-1.0", "middle-2.0", "big-3.0")
    }
