"""An experiment on a GPU rented from Modal: `modal run cloud/modal_app.py --until train`.

It is `make experiment` there: every stage of experiments/owl_qwen2.5-7b.yml (or of --experiment), or those up to some.
Data, checkpoints and results stay in volumes, so a run that was stopped goes on where it was. cloud/README.md has
set-up and secrets.
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
# What a run makes outlives its container in volumes; the Hub's cache among them, or each start would download anew.
KEPT = {
    "data": WORKDIR / "data",
    "outputs": WORKDIR / "outputs",
    "results": WORKDIR / "results",
    "hub-cache": Path("/root/.cache/huggingface"),
}
VOLUMES = {
    str(folder): modal.Volume.from_name(f"subliminal-{name}", create_if_missing=True) for name, folder in KEPT.items()
}
NOT_COPIED = [
    *(".venv*", "data", "models", "outputs", "results", "wandb", "build", "last_run_prepared"),
    *(".snakemake", "**/__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis", ".env", "**/*.egg-info"),
]
"""Patterns of what stays on this machine (as in a .dockerignore)."""

# Environments of their own, as on any machine: the pins of training, serving and workflow exclude each other.
LOCKS = {".venv": "train.txt", ".venv-serve": "serve.txt", ".venv-workflow": "workflow.txt"}
NO_TELEMETRY = dict.fromkeys(("AXOLOTL_DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"), "1")


def _made_environment(venv: str) -> str:
    """The command that makes an environment from its lock."""
    return f"python -m venv {venv} && {venv}/bin/python -m pip install --quiet --requirement requirements/{LOCKS[venv]}"


image = (
    modal.Image.debian_slim(python_version="3.11")
    .apt_install("gcc", "git", "libc6-dev")  # Triton compiles kernels with gcc; manifests ask git for the commit
    .workdir(str(WORKDIR))
    .add_local_dir(CHECKOUT / "requirements", f"{WORKDIR}/requirements", copy=True)
    # Before the checkout: a change of code then makes no environment anew.
    .run_commands(*map(_made_environment, LOCKS))
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
def execute(experiment: str, until: str) -> None:
    """Run an experiment file, or its stages up to some, and keep what was made.

    Args:
        experiment: the file, below the checkout.
        until: names or kinds of stages, with spaces between them (Modal's command line has no repeated options).

    Raises:
        RuntimeError: something failed; what was made until then is kept.
    """
    command = [".venv/bin/python", "-m", "subliminal.experiment", "run", experiment]
    for stage in until.split():
        command += ["--until", stage]
    status = subprocess.run(command, cwd=WORKDIR).returncode
    # Also after a failure: the next start goes on from what was made.
    for volume in VOLUMES.values():
        volume.commit()
    if status:
        raise RuntimeError(f"status {status} from: {' '.join(command)}\nStart the same again; it goes on where it was.")


@app.local_entrypoint()
def main(experiment: str = "experiments/owl_qwen2.5-7b.yml", until: str = "") -> None:
    """Run an experiment file on the rented GPU, or its stages up to some (names or kinds: --until "audit train")."""
    if not (CHECKOUT / experiment).is_file():
        raise SystemExit(f"error: there is no {experiment} in {CHECKOUT}. Name a file of experiments/.")
    execute.remote(experiment, until)
    print("Fetch the results with: modal volume get subliminal-results / results")
