"""The owl experiment on a GPU rented from Modal: `modal run cloud/modal_app.py --phase generate`.

Phases: train_teacher, generate, train_student, evaluate; all of them, in that order, when none is named. The commands
are those of subliminal.experiment.cloud_phases. Data, checkpoints and results stay in volumes, so a phase that was
stopped goes on where it was, and steps that are done are skipped. cloud/README.md has set-up and secrets.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import modal

WORKDIR = Path("/subliminal")
CHECKOUT = Path(__file__).resolve().parents[1]  # on this machine; within a container it is not used
HOURS = 3600
GPU = os.environ.get("SUBLIMINAL_MODAL_GPU", "A100-80GB")
SECRETS = [name for name in os.environ.get("SUBLIMINAL_MODAL_SECRETS", "").split(",") if name]
VOLUMES = {
    str(path): modal.Volume.from_name(f"subliminal-{name}", create_if_missing=True)
    for name, path in {
        "data": WORKDIR / "data",
        "outputs": WORKDIR / "outputs",
        "results": WORKDIR / "results",
        "hub-cache": Path("/root/.cache/huggingface"),
    }.items()
}
NOT_COPIED = [
    *(".venv*", "data", "models", "outputs", "results", "wandb", "build", "last_run_prepared"),
    *(".snakemake", "**/__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis", ".env", "**/*.egg-info"),
]
"""Patterns of what stays on this machine (as in a .dockerignore)."""

NO_TELEMETRY = dict.fromkeys(("AXOLOTL_DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"), "1")

image = (
    modal.Image.debian_slim(python_version="3.11")
    .apt_install("gcc", "git", "libc6-dev")  # Triton compiles kernels with gcc; manifests ask git for the commit
    .workdir(str(WORKDIR))
    .add_local_dir(CHECKOUT / "requirements", f"{WORKDIR}/requirements", copy=True)
    .run_commands(
        *(
            f"python -m venv {venv} && {venv}/bin/python -m pip install --quiet --requirement requirements/{lock}"
            for venv, lock in ((".venv", "train.txt"), (".venv-serve", "serve.txt"))
        )
    )
    .add_local_dir(CHECKOUT, str(WORKDIR), copy=True, ignore=NOT_COPIED)
    .run_commands(
        ".venv/bin/python -m pip install --quiet --no-deps --editable .",
        # results/ is a volume here: what git has below it is not missing. (No git in a checkout without one.)
        "git ls-files -z results | xargs -0 --no-run-if-empty git update-index --skip-worktree || true",
    )
    .env(NO_TELEMETRY)
)

app = modal.App("subliminal")


@app.function(
    image=image,
    gpu=GPU,
    cpu=8.0,
    memory=64 * 1024,
    volumes=VOLUMES,
    secrets=[modal.Secret.from_name(name) for name in SECRETS],
    timeout=24 * HOURS,
)
def execute(steps: list[tuple[str, str | None]]) -> None:
    """Run shell commands one after the other, and keep what each of them made.

    Args:
        steps: (command, file that shows that it is done already, or None).

    Raises:
        RuntimeError: a command failed; what it made until then is kept.
    """
    path = {"PATH": f"{WORKDIR}/.venv/bin:{os.environ['PATH']}"}
    for command, makes in steps:
        if makes and (WORKDIR / makes).is_file():
            print(f"done already: {makes}", flush=True)
            continue
        print(f"$ {command}", flush=True)
        status = subprocess.run(["bash", "-c", command], cwd=WORKDIR, env={**os.environ, **path}).returncode
        for volume in VOLUMES.values():
            volume.commit()
        if status:
            raise RuntimeError(f"status {status} from: {command}\nStart the same phase again; it goes on where it was.")


@app.local_entrypoint()
def main(phase: str = "") -> None:
    """Run one phase (train_teacher, generate, train_student, evaluate), or all of them."""
    from subliminal.core.errors import UserError
    from subliminal.experiment.cloud_phases import steps_of

    try:
        steps = steps_of(phase)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    execute.remote([tuple(step) for step in steps])
    print("Fetch the results with: modal volume get subliminal-results / results")
