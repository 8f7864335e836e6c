"""Pack pinned wheels for a host without network, cut into parts of a size that can be carried there.

    python scripts/offline_wheels.py requirements/train.txt --root axolotl --root lm_eval \\
        --host host.txt --leave-out gradio --leave-out xformers --out packs/axolotl

takes the root packages and whatever they require, at the lock's versions (the whole lock if no root is given), leaves
out what `pip list --format=freeze` on the host (host.txt) names, and writes packs/axolotl.tar.000, .001, ... with their
sha256 in packs/axolotl.sha256. What the host needs to run is printed last. Source packages are built here, which is
good for pure Python only. A package that the host has in another version than the lock is named and left to the host.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import UserError, run_cli

app = typer.Typer(add_completion=False, rich_markup_mode=None)
NAMES: list[str] = []
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def pins_of(lock: Path, roots: list[str], without: list[str], python: str, glibc: int) -> list[str]:
    """``name==version`` of what the roots need on the host, as uv resolves it within the lock."""
    words = [str(Path(sys.executable).with_name("uv")), "--no-config", "pip", "compile", "--quiet", "--no-header"]
    words += ["--no-annotate", "--python-version", python, "--python-platform", f"x86_64-manylinux_2_{glibc}"]
    for name in without:
        words += ["--no-emit-package", name]
    if roots:
        words += ["--constraint", str(lock), "-"]  # the roots come from standard input
    else:
        words.append(str(lock))
    done = subprocess.run(words, input="\n".join(roots), capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"uv cannot resolve {', '.join(roots) or lock} within {lock}: {done.stderr.strip()[-800:]}")
    pins = [line.split(";")[0].strip() for line in done.stdout.splitlines() if "==" in line]
    locked = {line.split("==")[0].strip() for line in lock.read_text().splitlines()}
    absent = []
    for root in roots:
        package = root.partition("[")[0].replace("_", "-")  # without its extras, spelled as locks spell it
        if package not in locked:
            absent.append(root)
    if absent:
        raise UserError(f"{lock} does not pin {', '.join(absent)}. Name packages that are in the lock.")
    foreign = [pin for pin in pins if pin.split("==")[0] not in locked]
    if foreign:  # torch's CUDA libraries: torch pins them itself, and a build of torch brings its own
        print(f"not in {lock}, so left to the host: {', '.join(foreign)}")
    return [pin for pin in pins if pin not in foreign]


def fetch_wheel(pin: str, folder: Path, python: str, glibc: int) -> None:
    """The wheel of one package, downloaded for the host or built from its source."""
    tags = [f"manylinux_2_{minor}_x86_64" for minor in range(glibc, 4, -1)]  # pip matches each exactly
    tags += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
    host = ["--python-version", python, "--implementation", "cp"]
    for tag in tags:
        host += ["--platform", tag]
    get = [*PIP, "download", "--no-deps", "--only-binary=:all:", *host, "--dest", str(folder), pin]
    if subprocess.run(get, capture_output=True).returncode:
        built = subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), pin], capture_output=True)
        if built.returncode:
            raise UserError(f"{pin} can be neither downloaded nor built: {built.stderr.decode().strip()[-500:]}")


def lacking(pins: list[str], host: Path | None) -> list[str]:
    """The pins of packages that the host lacks; says which it has in another version.

    Args:
        pins: ``name==version`` each.
        host: NAME or NAME==VERSION a line; None is a host that has nothing.
    """
    there = {}
    if host:
        for line in host.read_text().split():
            name, _, version = line.partition("==")
            there[name.lower().replace("_", "-")] = version
    wanted = []
    for pin in sorted(pins):
        name, _, version = pin.partition("==")
        if name not in there:
            wanted.append(pin)
        elif there[name] not in ("", version):
            print(f"the host has {name} {there[name]}, the lock {version}")
    return wanted


def cut_into_parts(packed: Path, out: Path, size: int) -> int:
    """Cut an archive into OUT.tar.000 and so on, with their sha256 in OUT.sha256; returns how many there are."""
    lines = []
    with open(packed, "rb") as whole:
        while part := whole.read(size):
            path = Path(f"{out}.tar.{len(lines):03}")
            path.write_bytes(part)
            lines.append(f"{hashlib.sha256(part).hexdigest()}  {path.name}\n")
    Path(f"{out}.sha256").write_text("".join(lines))
    return len(lines)


@app.command(help=__doc__)
def main(
    lock: Annotated[Path, typer.Argument(help="Pinned requirements, such as requirements/train.txt.")],
    out: Annotated[Path, typer.Option(help="Parts are OUT.tar.000, OUT.tar.001, ...")],
    root: Annotated[list[str], typer.Option(help="Package to start from; repeat for more.")] = NAMES,
    host: Annotated[Path | None, typer.Option(help="What the host has: NAME or NAME==VERSION a line.")] = None,
    leave_out: Annotated[list[str], typer.Option(help="Package to leave out on purpose.")] = NAMES,
    python_version: Annotated[str, typer.Option(help="Python of the host.")] = "3.12",
    glibc: Annotated[int, typer.Option(help="Second number of the host's glibc version, 2.N.")] = 39,
    part_mib: Annotated[int, typer.Option(min=1, help="Size of a part, in MiB.")] = 60,
) -> None:
    for file in (lock, host):
        if file and not file.is_file():
            raise UserError(
                f"{file} does not exist. `make lock` writes locks; `pip list --format=freeze` a host's list."
            )
    wanted = lacking(pins_of(lock, root, leave_out, python_version, glibc), host)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        wheels, packed = Path(scratch) / out.name, Path(scratch) / "all.tar"
        wheels.mkdir()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda pin: fetch_wheel(pin, wheels, python_version, glibc), wanted))
        with tarfile.open(packed, "w") as archive:
            archive.add(wheels, out.name)
        parts = cut_into_parts(packed, out, part_mib * 2**20)
    print(f"{len(wanted)} wheels in {parts} parts. On the host, in the folder of the parts:")
    print(f"sha256sum --check {out.name}.sha256 && cat {out.name}.tar.* | tar x")
    print(f"python -m pip install --no-index --no-deps --ignore-installed --prefix /opt/site {out.name}/*.whl")


if __name__ == "__main__":
    run_cli(app)
