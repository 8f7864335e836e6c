"""Collect the wheels that a host without network lacks, and cut them into chunks (``scripts/offline_wheels.py``)."""

from __future__ import annotations

import fnmatch
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from subliminal.core.errors import UserError
from subliminal.core.manifest import sha256_of

INSTALLER = Path(__file__).with_name("install_chunk.py")
"""Copied into every chunk as ``install.py``; imports the standard library only."""


@dataclass(frozen=True)
class Target:
    """The host that the wheels are for: x86-64 Linux with CPython ``python_version`` and glibc 2.``glibc``."""

    python_version: str
    glibc: int

    @property
    def markers(self) -> dict[str, str]:
        """The environment in which requirement markers are evaluated."""
        return {
            "python_version": self.python_version,
            "python_full_version": f"{self.python_version}.0",
            "implementation_name": "cpython",
            "implementation_version": f"{self.python_version}.0",
            "platform_python_implementation": "CPython",
            "sys_platform": "linux",
            "os_name": "posix",
            "platform_system": "Linux",
            "platform_machine": "x86_64",
            "platform_release": "",
            "platform_version": "",
        }

    @property
    def pip_options(self) -> list[str]:
        """pip matches manylinux tags exactly, so every glibc up to the host's is named, newest first."""
        tags = [f"manylinux_2_{minor}_x86_64" for minor in range(self.glibc, 4, -1)]
        tags += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
        platforms = [word for tag in tags for word in ("--platform", tag)]
        return ["--python-version", self.python_version, "--implementation", "cp", *platforms]


@dataclass
class Packed:
    """What :func:`collect` found: wheel files by package, remarks to print, and requirements that nothing fulfils."""

    wheels: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unmet: list[str] = field(default_factory=list)


def read_pins(*files: Path) -> dict[str, Version | None]:
    """Package -> version (None where none is given) from ``pip list --format=freeze`` output or a list of names.

    Raises:
        UserError: a file is missing.
    """
    pins: dict[str, Version | None] = {}
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} does not exist. Make it on the host with `pip list --format=freeze`.")
        for line in file.read_text(encoding="utf-8").splitlines():
            if name := line.split("#")[0].strip():
                name, _, version = name.partition("==")
                pins[canonicalize_name(name.strip())] = Version(version) if version else None
    return pins


def read_lock(lock: Path, markers: Mapping[str, str]) -> dict[str, Version]:
    """Package -> pinned version from a compiled requirements file, as far as its markers hold on the host.

    Raises:
        UserError: the file is missing or has a line that is no ``name==version`` pin.
    """
    if not lock.is_file():
        raise UserError(f"The lock {lock} does not exist. Check the path; `make lock` writes requirements/*.txt.")
    pins = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if not (text := line.split("#")[0].strip()):
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            requirement = None
        clauses = list(requirement.specifier) if requirement else []
        if len(clauses) != 1 or clauses[0].operator != "==":
            raise UserError(f"{lock} has the line {text!r}, which is no NAME==VERSION. Compile it with uv first.")
        if requirement.marker is None or requirement.marker.evaluate({**markers, "extra": ""}):
            pins[canonicalize_name(requirement.name)] = Version(clauses[0].version)
    return pins


def collect(
    lock: Path,
    target: Target,
    *,
    roots: Sequence[str],
    host: Mapping[str, Version | None],
    leave_out: Iterable[str],
    drop_files: Sequence[str],
    work: Path,
) -> Packed:
    """Download the roots and, layer by layer, every requirement of theirs that the host does not fulfil.

    Args:
        lock: pinned requirements; every packed version comes from it.
        target: the host's platform.
        roots: packages to start from; empty for the whole lock.
        host: what the host has. A version that is not known fulfils any requirement but an exact one.
        leave_out: packages that are never packed.
        drop_files: globs of files to remove from the wheels.
        work: wheels are kept in ``<work>.wheels/``, where a second run finds them again.

    Raises:
        UserError: a root is not in the lock, or a package cannot be downloaded or built.
    """
    pins = read_lock(lock, target.markers)
    skipped = {canonicalize_name(name) for name in leave_out}
    folder = work.with_name(f"{work.name}.wheels")
    folder.mkdir(parents=True, exist_ok=True)
    packed, seen = Packed(), set()
    layer = [Requirement(root) for root in roots or pins]
    if unknown := [wanted.name for wanted in layer if canonicalize_name(wanted.name) not in pins]:
        raise UserError(f"{lock} does not pin {', '.join(unknown)}. Name packages that are in the lock.")
    start = {canonicalize_name(wanted.name) for wanted in layer} - skipped
    while layer:
        names = {canonicalize_name(wanted.name) for wanted in layer} - skipped - packed.wheels.keys()
        missing = {
            name
            for name in names & pins.keys()
            if name in start or not all(_fulfils(host, w) for w in layer if canonicalize_name(w.name) == name)
        }
        packed.wheels |= _fetch_all({name: pins[name] for name in missing}, folder, target, drop_files)
        asked = {(canonicalize_name(wanted.name), extra) for wanted in layer for extra in {"", *wanted.extras}}
        new = {pair for pair in asked - seen if pair[0] in packed.wheels}
        seen |= new
        layer = [wanted for name, extra in sorted(new) for wanted in requirements(packed.wheels[name], target, extra)]
    _check(packed, target, host, skipped, seen)
    return packed


def _fulfils(have: Mapping[str, Version | None], wanted: Requirement) -> bool:
    name = canonicalize_name(wanted.name)
    if name not in have:
        return False
    version = have[name]
    if version is None:
        return not any(clause.operator.startswith("==") for clause in wanted.specifier)
    return wanted.specifier.contains(version, prereleases=True)


def requirements(wheel: Path, target: Target, extra: str = "") -> list[Requirement]:
    """What a wheel requires on the target for one extra (``""``: without extras)."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(
            name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1
        )
        headers = HeaderParser().parsestr(archive.read(name).decode())
    wanted = [Requirement(line) for line in headers.get_all("Requires-Dist") or []]
    return [need for need in wanted if not need.marker or need.marker.evaluate({**target.markers, "extra": extra})]


def _check(packed: Packed, target: Target, host: Mapping[str, Version | None], skipped: set[str], seen: set) -> None:
    """Note every requirement that neither the packs nor the host fulfil; those left out on purpose are only remarks."""
    have = {**host, **{name: parse_wheel_filename(wheel.name)[1] for name, wheel in packed.wheels.items()}}
    left_out: dict[str, set[str]] = {}
    for name, extra in sorted(seen):
        for wanted in requirements(packed.wheels[name], target, extra):
            needed = canonicalize_name(wanted.name)
            if needed in skipped and not _fulfils(have, wanted):
                left_out.setdefault(needed, set()).add(name)
            elif not _fulfils(have, wanted):
                packed.unmet.append(f"UNMET: {name} requires {wanted}; the host has {have.get(needed) or 'none known'}")
    packed.notes += [f"left out: {name} (wanted by {', '.join(sorted(by))})" for name, by in sorted(left_out.items())]
    packed.notes += packed.unmet


def _fetch_all(pins: Mapping[str, Version], folder: Path, target: Target, drop_files: Sequence[str]) -> dict[str, Path]:
    from tqdm import tqdm

    def fetch(name: str) -> Path:
        return _without(_fetch(name, pins[name], folder, target), drop_files)

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(pins, tqdm(pool.map(fetch, pins), total=len(pins), disable=None, unit="wheel"), strict=True))


def _fetch(name: str, version: Version, folder: Path, target: Target) -> Path:
    """The wheel of one package: found in ``folder``, downloaded, or built from source."""
    place = folder / f"{name}-{version}"
    if not (done := list(place.glob("*.whl"))):
        place.mkdir(exist_ok=True)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        get = [*pip, "download", "--no-deps", "--only-binary=:all:", *target.pip_options, "-d", str(place)]
        build = [*pip, "wheel", "--no-deps", "-w", str(place)]
        pin = f"{name}=={version}"
        if subprocess.run([*get, pin], capture_output=True).returncode:
            result = subprocess.run([*build, pin], capture_output=True, text=True)
            if result.returncode:
                raise UserError(f"{pin} can be neither downloaded nor built: {result.stderr.strip()[-500:]}")
            if not list(place.glob("*-none-any.whl")):
                shutil.rmtree(place)
                raise UserError(f"{pin} has no wheel for the host, and what was built here is not pure Python.")
        done = list(place.glob("*.whl"))
    return done[0]


def _without(wheel: Path, globs: Sequence[str]) -> Path:
    """The wheel itself, or a copy in a folder ``dropped/`` beside it that lacks the files that match a glob."""
    with zipfile.ZipFile(wheel) as archive:
        drop = {name for name in archive.namelist() for glob in globs if fnmatch.fnmatch(name, glob)}
        if not drop:
            return wheel
        copy = wheel.parent / "dropped" / wheel.name
        copy.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as smaller:
            for item in archive.infolist():
                if item.filename not in drop:
                    smaller.writestr(item, archive.read(item))
    return copy


def write_chunks(wheels: Mapping[str, Path], out: Path, limit: int) -> list[Path]:
    """Write ``<out>-1/`` ... with at most ``limit`` bytes each, and the list ``<out>.txt``; returns the folders.

    A wheel larger than a chunk travels in parts; ``install.py`` joins them.
    """
    for old in out.parent.glob(f"{out.name}-[0-9]*"):
        shutil.rmtree(old)
    room = limit - 64 * 1024  # install.py and the chunk's list
    pieces = [piece for wheel in wheels.values() for piece in _pieces(wheel, room)]
    chunks: list[list[tuple[Path, int, int]]] = []
    for piece in sorted(pieces, key=lambda piece: -piece[2]):
        fitting = (chunk for chunk in chunks if sum(size for _, _, size in chunk) + piece[2] <= room)
        if (chunk := next(fitting, None)) is None:
            chunks.append(chunk := [])
        chunk.append(piece)
    folders = [_write_chunk(out.with_name(f"{out.name}-{i}"), chunk, room) for i, chunk in enumerate(chunks, start=1)]
    pins = (parse_wheel_filename(wheel.name)[:2] for wheel in wheels.values())
    out.with_name(f"{out.name}.txt").write_text("".join(f"{name}=={version}\n" for name, version in sorted(pins)))
    return folders


def _pieces(wheel: Path, room: int) -> Iterator[tuple[Path, int, int]]:
    """(wheel, offset, size) of every part; a wheel that fits is one part."""
    total = wheel.stat().st_size
    for offset in range(0, total, room):
        yield wheel, offset, min(room, total - offset)


def _write_chunk(folder: Path, chunk: Sequence[tuple[Path, int, int]], room: int) -> Path:
    folder.mkdir(parents=True)
    shutil.copy(INSTALLER, folder / "install.py")
    wheels, parts = {}, []
    for wheel, offset, size in chunk:
        whole = size == wheel.stat().st_size
        number = offset // room
        name = wheel.name if whole else f"{wheel.name}.part-{number:02}"
        with open(wheel, "rb") as source:
            source.seek(offset)
            (folder / name).write_bytes(source.read(size))
        if not whole:
            parts.append({"file": name, "wheel": wheel.name, "number": number, "of": -(-wheel.stat().st_size // room)})
        wheels[wheel.name] = sha256_of(wheel)
    (folder / "chunk.json").write_text(json.dumps({"sha256": wheels, "parts": parts}, indent=1))
    return folder
