"""The GPUs, and what kernels need beside them. From ``nvidia-smi`` and files; nothing is imported that uses a GPU."""

from __future__ import annotations

import shutil
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from subliminal.core.nvidia import Gpu
from subliminal.doctor.lines import GIB, Line

DRIVER = 580
"""The first NVIDIA driver with CUDA 13, for which torch of both locks is built."""


def gpu_lines(gpus: list[Gpu] | None, torch: str | None) -> Iterator[Line]:
    """One line for each GPU, or that there is none; and whether the installed torch can use it.

    Args:
        gpus: of :func:`list_gpus`.
        torch: version of torch in ``.venv``, or None.
    """
    if gpus is None:
        yield Line("problem", "GPU", "nvidia-smi is there but does not answer; look at the driver")
        return
    if not gpus:
        yield Line("ok", "GPU", "none; the recipes for two CPU cores run (recipes/README.md), those for 7B do not")
        return
    for index, gpu in enumerate(gpus):
        what, text = f"GPU {index}", f"{gpu.name}, {gpu.total / GIB:.1f} GiB, {gpu.used / GIB:.1f} in use"
        # Less is what a desktop or the driver itself takes.
        if gpu.used > 0.1 * gpu.total:
            yield Line("warning", what, f"{text} by other processes")
        else:
            yield Line("ok", what, text)
    if torch and "+cpu" in torch:
        yield Line(
            "problem", "torch", f"{torch} in .venv is a CPU build and does not see the GPU; install a CUDA build"
        )


def kernel_lines(drivers: list[list[str]] | None, environ: Mapping[str, str]) -> Iterator[Line]:
    """What kernels on a GPU need beside it: a driver for the locked CUDA, and what Triton compiles with.

    Args:
        drivers: of ``ask_nvidia_smi("driver_version")``.
        environ: environment variables; CC names a compiler.
    """
    # All GPUs of a machine have one driver.
    version = drivers[0][0] if drivers else ""
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < DRIVER:
        yield Line("warning", "driver", f"{version}; CUDA 13 of the locked torch and vLLM wants {DRIVER} or newer")
    if not environ.get("CC") and not shutil.which("gcc") and not shutil.which("clang"):
        yield Line("warning", "compiler", "none; Triton needs one for its kernels: install gcc, or name one in CC")
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not headers.is_file():
        yield Line("warning", "Python.h", f"{headers} is not there, and Triton compiles with it: install python3-dev")
