"""One result folder: whole or absent, and what of an interrupted one can be used again.

``results/<experiment>/<arm>/seed-<n>/`` holds lm-eval's own output, untouched, in ``lm_eval/``,
``{model}_results.json`` (one row a question), ``{model}_summary.json`` (what the report reads) and ``manifest.json``.
All of it is written into a hidden neighbour first, task by task, and renamed at the end, so a folder that exists is
finished. A run that was killed leaves the neighbour, whose finished tasks ``--resume`` uses.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_object, write_json, write_text
from subliminal.core.manifest import finish_manifest, sha256_of

EVALUATE_AGAIN = "Evaluate that arm again with --overwrite."

_MAY_CHANGE = ("batch_size",)
"""Settings that may change on ``--resume``, since they decide none of the answers."""


class ResultFolder:
    """The folder of one evaluation.

    Args:
        path: where the result appears.
        manifest: of this evaluation (``config`` and ``inputs`` tell it from others).
        resume: a finished result is kept, an interrupted one is gone on with.
        overwrite: what is there and cannot be kept is replaced; without it, it is an error.

    Raises:
        UserError: something is there that may not be replaced, or is no result of this evaluation.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], *, resume: bool, overwrite: bool):
        self.path, self.manifest, self.overwrite = path, manifest, overwrite
        # Beside its final place, so that the rename stays within one disk.
        self.partial = path.with_name(f".{path.name}.partial")
        self.finished = self._keep(path, resume, overwrite)
        self.begun = not self.finished and self._keep(self.partial, resume, overwrite)

    def _keep(self, folder: Path, resume: bool, overwrite: bool) -> bool:
        """Whether what lies in ``folder`` is of this evaluation and is to be used."""
        if not folder.exists():
            return False
        if not resume and not overwrite:
            what = "exists already"
            if folder == self.partial:
                what = "holds an evaluation that was interrupted"
            raise UserError(f"{folder} {what}. Use --resume to keep what is finished, --overwrite, or --out.")
        problem: str | None = "not asked for"
        if resume:
            problem = self._problem(folder)
        if problem and not overwrite:
            raise UserError(f"{problem} Use --overwrite to replace it, or --out for another folder.")
        return problem is None

    def _problem(self, folder: Path) -> str | None:
        """Why ``folder`` is not a whole result (or for the partial folder: the beginning) of this evaluation."""
        if problem := result_problem(folder, begun=folder == self.partial):
            return problem
        begun_with = read_object(folder / "manifest.json", EVALUATE_AGAIN)
        changed = []
        for key, value in self.manifest["config"].items():
            if key not in _MAY_CHANGE and begun_with["config"].get(key) != value:
                changed.append(key)
        # Paths may be spelled in another way: only the bytes count.
        before = {name: file["sha256"] for name, file in begun_with["inputs"].items()}
        now = {name: file["sha256"] for name, file in self.manifest["inputs"].items()}
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                changed.append(name)
        if changed:
            return f"{folder} holds another evaluation: {', '.join(changed)} changed since."
        return None

    def note_context(self, context: str | None) -> None:
        """Write down the chat context, and refuse to go on with answers that were given in another.

        Raises:
            UserError: the interrupted evaluation had another context, and may not be replaced.
        """
        begun_in = None
        if self.begun:
            begun_in = read_object(self.partial / "manifest.json", EVALUATE_AGAIN).get("chat_context_sha256")
        self.manifest["chat_context_sha256"] = context
        if begun_in in (None, context):
            return
        if not self.overwrite:
            raise UserError(
                f"{self.partial} was begun in another chat context ({begun_in[:12]}) than the model gives now "
                f"({str(context)[:12]}): the chat template has changed since. Use --overwrite to start over, or --out."
            )
        self.begun = False

    def begin(self) -> None:
        """Make the partial folder, or throw away what an interrupted task left in it."""
        if self.begun:
            for task in (self.partial / "tasks").glob("*"):
                if not (task / "done.json").is_file():
                    shutil.rmtree(task)
            return
        shutil.rmtree(self.partial, ignore_errors=True)
        (self.partial / "tasks").mkdir(parents=True)
        # Through JSON and back: a tuple is a list in the file that it is compared with.
        write_json(self.partial / "manifest.json", json.loads(json.dumps(self.manifest)))

    def task(self, name: str) -> Path:
        """Where a task's files go until all tasks are done."""
        return self.partial / "tasks" / name

    def read_task(self, name: str) -> dict[str, Any] | None:
        """What :meth:`keep_task` kept, or None."""
        path = self.task(name) / "done.json"
        if not path.is_file():
            return None
        return read_object(path, EVALUATE_AGAIN)

    def keep_task(self, name: str, piece: dict[str, Any]) -> None:
        """Mark a task as finished."""
        # Written last, so that a task without it was cut off.
        write_text(self.task(name) / "done.json", json.dumps(piece))  # not indented: that takes ten times as long

    def finish(self, model: str, results: dict[str, Any], summary: dict[str, Any], facts: dict[str, Any]) -> None:
        """Put everything together and let the folder appear.

        Args:
            model: short name of the model, which its files start with.
            results: what ``{model}_results.json`` is to hold.
            summary: what ``{model}_summary.json`` is to hold.
            facts: what the run adds to the manifest.
        """
        whole = self.partial / "whole"
        shutil.rmtree(whole, ignore_errors=True)
        (whole / "lm_eval").mkdir(parents=True)
        for path in sorted((self.partial / "tasks").glob("*/lm_eval/*")):
            shutil.copy2(path, whole / "lm_eval")
        write_json(whole / f"{model}_results.json", results)
        write_json(whole / f"{model}_summary.json", summary)
        outputs = {}
        for path in sorted(whole.rglob("*")):
            if path.is_file():
                outputs[str(path.relative_to(whole))] = sha256_of(path)
        finish_manifest({**self.manifest, **facts, "outputs": outputs}, whole / "manifest.json")
        # Right before the rename: until then a killed run leaves the old result.
        if self.path.exists():
            shutil.rmtree(self.path)
        whole.rename(self.path)
        shutil.rmtree(self.partial)


def result_problem(folder: Path, *, begun: bool = False, made_anew: tuple[str, ...] = ()) -> str | None:
    """What is wrong with a result folder, as a sentence that names the file; None for a whole one.

    Args:
        folder: ``results/<experiment>/<arm>/seed-<n>``.
        begun: it is the hidden folder of an interrupted evaluation, which need not be whole.
        made_anew: endings of files that may have been made again from the raw answers since, by other code.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        return f"{folder} holds no finished evaluation: it has no manifest.json."
    try:
        manifest = read_object(path, EVALUATE_AGAIN)
    except UserError as error:
        return str(error)
    if manifest.get("kind") != "result" or not isinstance(manifest.get("config"), dict):
        return f"{path} is not the manifest of an evaluation."
    if begun:
        return None
    if "ended" not in manifest:
        return f"{folder} holds no finished evaluation: {path} has no end time."
    for name, sha256 in manifest.get("outputs", {}).items():
        if not (folder / name).is_file():
            return f"{folder / name} is missing, which the evaluation wrote."
        if not name.endswith(made_anew) and sha256_of(folder / name) != sha256:
            return f"{folder / name} is not as the evaluation wrote it: it was cut off or changed."
    return None
