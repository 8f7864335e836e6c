"""Pack pinned wheels for a host without network, in chunks of a size that can be carried there.

    python scripts/offline_wheels.py requirements/train.txt --root axolotl --root lm_eval \\
        --host host.txt --leave-out gradio --leave-out xformers --out packs/axolotl

takes the root packages and whatever they require (the whole lock if no root is given), leaves out what `pip list
--format=freeze` on the host (host.txt) shows as good enough, and writes packs/axolotl-1/, packs/axolotl-2/, ... and
packs/axolotl.txt, the list of what is packed (pass it as another --host to pack something else on top). On the host,
`python packs/axolotl-1/install.py --prefix /opt/site` installs a chunk; once all are there it prints the PYTHONPATH to
set. Source packages are built here and packed if the result is pure Python.

Requirements that nothing fulfils are listed at the end, and the status is then 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from subliminal.core.errors import run_cli

app = typer.Typer(add_completion=False, rich_markup_mode=None)
LISTS: list[str] = []


@app.command(help=__doc__)
def main(
    lock: Annotated[Path, typer.Argument(help="Pinned requirements, such as requirements/train.txt.")],
    out: Annotated[Path, typer.Option(help="Chunks are OUT-1/, OUT-2/, ...; the list is OUT.txt.")],
    root: Annotated[list[str], typer.Option(help="Package to start from; repeat for more.")] = LISTS,
    host: Annotated[list[Path], typer.Option(help="What the host has: one NAME or NAME==VERSION a line.")] = LISTS,
    leave_out: Annotated[list[str], typer.Option(help="Package to leave out on purpose.")] = LISTS,
    drop_files: Annotated[list[str], typer.Option(help="Files to drop from wheels, a glob over their paths.")] = LISTS,
    python_version: Annotated[str, typer.Option(help="Python of the host.")] = "3.12",
    glibc: Annotated[int, typer.Option(help="Second number of the host's glibc version, 2.N.")] = 39,
    chunk_mib: Annotated[float, typer.Option(help="Largest size of a chunk, in MiB.")] = 60,
) -> None:
    from subliminal.core.wheels import Target, collect, read_pins, write_chunks

    target = Target(python_version, glibc)
    packed = collect(
        lock, target, roots=root, host=read_pins(*host), leave_out=leave_out, drop_files=drop_files, work=out
    )
    for folder in write_chunks(packed.wheels, out, int(chunk_mib * 2**20)):
        print(f"{folder}: {sum(file.stat().st_size for file in folder.iterdir()) / 2**20:.1f} MiB")
    for line in packed.notes:
        print(line)
    print(f"{len(packed.wheels)} wheels, listed in {out}.txt")
    raise typer.Exit(1 if packed.unmet else 0)


if __name__ == "__main__":
    run_cli(app)
