"""An analysis of rows as a job: what it is asked for, its folder, and the manifest that says how it was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subliminal.analysis.scored_rows import RowSource
from subliminal.core.manifest import finish_manifest, new_manifest, sha256_of
from subliminal.core.row_folder import RowFolder
from subliminal.engine.chat import chat_context_sha256

if TYPE_CHECKING:  # imports torch, which takes seconds that a folder which is refused need not wait for
    from subliminal.analysis.models import Models


@dataclass(frozen=True, kw_only=True)
class ScoringJob:
    """What an analysis of rows is asked for, whatever it measures; see ``--help`` for each."""

    base: str
    rows: Path
    out: Path
    limit: int | None = None
    batch_size: int = 32
    dtype: str = "auto"

    def tuned(self) -> dict[str, str]:
        """The models beside the base: name -> folder or Hub id."""
        raise NotImplementedError

    def inputs(self) -> dict[str, Path]:
        """The files that decide the scores, by the names that a manifest gives them."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """The settings as recorded."""
        told = {}
        for name, value in vars(self).items():
            if name != "out":  # a folder that was moved is resumed as well
                told[name] = str(value) if isinstance(value, Path) else value
        return told

    def source(self) -> RowSource:
        """The rows that are scored."""
        return RowSource(self.rows, self.limit, self.batch_size)

    def models(self) -> Models:
        """The models in memory."""
        from subliminal.analysis.models import Models

        return Models(self.base, self.tuned(), self.dtype)


@dataclass(frozen=True, kw_only=True)
class TeachersJob(ScoringJob):
    """An analysis of the base and of teachers by their names: each an adapter on the base, or a whole model."""

    teachers: dict[str, str]

    def tuned(self) -> dict[str, str]:
        return self.teachers

    def inputs(self) -> dict[str, Path]:
        models = {"base": self.base}
        for name, path in self.teachers.items():
            models[f"teacher/{name}"] = path
        return model_inputs(self.rows, models)


def run_job(
    job: ScoringJob, folder: RowFolder, work: Callable[[Models], dict[str, int]], *, resume: bool, overwrite: bool
) -> None:
    """Run an analysis of rows: check and hold its folder, do the work, write the manifest, print the folder.

    Args:
        job: what is to be measured.
        folder: what the analysis writes.
        work: scores the rows with the models and writes all files but the manifest; returns its counts.
        resume, overwrite: see :meth:`RowFolder.check`.

    Raises:
        UserError: the folder must not be written to, or was begun in another chat context, or a model does not fit.
    """
    config, inputs = job.config(), job.inputs()
    folder.check(config, inputs=inputs, resume=resume, overwrite=overwrite)
    # After the check of the folder: loading takes minutes, and a refusal should not.
    models = job.models()
    manifest = new_manifest("analysis", config=config, inputs=inputs)
    manifest["dtype"] = str(models.dtype).removeprefix("torch.")
    manifest["chat_context_sha256"] = chat_context_sha256(models.tokenizer)
    # Only now is the tokenizer here, whose template may have changed since the folder was begun.
    if resume:
        folder.check_context(manifest["chat_context_sha256"])
    with folder.hold(manifest, overwrite=overwrite):
        manifest["counts"] = work(models)
        manifest["outputs"] = {}
        for name in folder.made_files:
            if name != "manifest.json":  # which is yet to be written, and cannot hold its own hash
                manifest["outputs"][name] = sha256_of(folder.path / name)
        finish_manifest(manifest, folder.path / "manifest.json")
    print(folder.path)


def model_inputs(rows: Path, models: dict[str, str]) -> dict[str, Path]:
    """The files that decide scores: the rows, and weights and settings of local models.

    Args:
        rows: the ``train.jsonl``.
        models: what a manifest calls each -> its folder or Hub id.
    """
    found = {"rows": rows}
    for name, path in models.items():
        for pattern in ("*.safetensors", "adapter_config.json"):
            for file in sorted(Path(path).glob(pattern)):
                found[f"{name}/{file.name}"] = file
    return found
