"""Starting an experiment as ``make experiment`` does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from subliminal import REPO_ROOT

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1"}


def start(file: Path, root: Path, **environment: str) -> subprocess.Popen[str]:
    """``python -m subliminal.experiment run FILE --root ROOT``; its output goes to ``ROOT/<name>.output``.

    Args:
        file: of the experiment.
        root: for ``data``, ``outputs`` and ``results``.
        environment: variables beside :data:`ENVIRONMENT` and this process's.
    """
    command = [sys.executable, "-m", "subliminal.experiment", "run", str(file), "--root", str(root), "--cores", "2"]
    with open(_output_path(file, root), "w") as written:
        return subprocess.Popen(
            command,
            cwd=REPO_ROOT,
            env={**os.environ, **ENVIRONMENT, **environment},
            stdout=written,
            stderr=subprocess.STDOUT,
            text=True,
        )


def output(file: Path, root: Path) -> str:
    """What the last start of an experiment wrote."""
    return _output_path(file, root).read_text()


def _output_path(file: Path, root: Path) -> Path:
    return root / f"{file.stem}.output"
