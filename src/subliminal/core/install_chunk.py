"""Install the wheels of this chunk without a network; part of what scripts/offline_wheels.py packs.

    eval "$(python install.py --prefix /opt/site)"

Parts of a wheel that is larger than a chunk are kept in PREFIX/parts until the chunk with the last of them arrives.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PIP = (
    "install --quiet --disable-pip-version-check --no-index --no-deps --ignore-installed --no-compile --no-cache-dir "
    "--no-warn-script-location"
)


def sha256(path):
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def joined(parts, store):
    """Keep this chunk's parts; returns the wheels that are complete now, and prints what is still missing."""
    complete = []
    for part in parts:
        shutil.copy(HERE / part["file"], store / part["file"])
        pieces = [store / f"{part['wheel']}.part-{number:02}" for number in range(part["of"])]
        missing = [piece.name for piece in pieces if not piece.exists()]
        if missing:
            print(f"{part['wheel']}: {len(missing)} of {part['of']} parts are still to come", file=sys.stderr)
            continue
        wheel = store / part["wheel"]
        with open(wheel, "wb") as whole:
            for piece in pieces:
                whole.write(piece.read_bytes())
                piece.unlink()
        complete.append(wheel)
    return complete


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prefix", type=Path, required=True, help="folder to install into; nothing else is touched")
    prefix = parser.parse_args().prefix.resolve()
    store = prefix / "parts"
    store.mkdir(parents=True, exist_ok=True)
    chunk = json.loads((HERE / "chunk.json").read_text())
    wheels = sorted(HERE.glob("*.whl")) + joined(chunk["parts"], store)
    for wheel in wheels:
        if sha256(wheel) != chunk["sha256"][wheel.name]:
            sys.exit(f"error: {wheel.name} arrived damaged (its sha256 differs). Carry this chunk over again.")
    if wheels:
        pip = [sys.executable, "-m", "pip", *PIP.split(), "--prefix", str(prefix)]
        subprocess.run([*pip, *map(str, wheels)], check=True)
        for wheel in store.glob("*.whl"):
            wheel.unlink()
    folders = [*prefix.glob("lib*/python*/*-packages"), *prefix.glob("local/lib/python*/*-packages")]  # Debian: local
    if folders:
        print(f"export PYTHONPATH={':'.join(map(str, folders))} PATH={prefix}/bin:$PATH")


if __name__ == "__main__":
    main()
