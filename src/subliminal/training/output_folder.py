"""The output folder of a training run: free, or with checkpoints of the same run, and what it was made with.

:class:`subliminal.axolotl_plugin.StrictRecipe` claims it within Axolotl, before anything slow happens.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_object, write_json
from subliminal.core.manifest import scrub

METRICS = "metrics.jsonl"
MANIFEST = "manifest.json"
RUN_CONFIG = "run_config.json"
"""What the checkpoints of an output folder were trained with; a resumed run must agree with it."""
CONTEXT = "chat_context_sha256"
"""The key of that file for the context in which the rows were rendered, which is known once the tokenizer is loaded."""
MAY_CHANGE = {"auto_resume_from_checkpoints", "resume_from_checkpoint", "overwrite", "dataset_prepared_path"}
"""Keys that may change between the start of a run and its resumption."""
WAYS = "train from the start with --overwrite=true, or choose another --output_dir"
"""Of three ways on, the two that leave the checkpoints behind."""


def plain_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON-ready copy of a run's settings: the recipe with the command line's overrides, without secrets."""
    values = {}
    for key, value in json.loads(scrub(json.dumps(config, default=str))).items():
        if key == "axolotl_config_path" or value is None:
            continue
        # What `scrub` knows by its form (tokens of the Hub) is gone already; other services' keys have none.
        if key.endswith("api_key"):
            value = "***"
        values[key] = value
    return values


def claim_output(config: Mapping[str, Any], prepared: Path) -> None:
    """Make the output folder ready for this run, or refuse.

    A finished run is refused, an unfinished one is resumed if ``auto_resume_from_checkpoints`` is set and its settings
    and data are the same. Checkpoints that a kill left incomplete are deleted, so that the one before is resumed.

    Args:
        config: the recipe with the command line's overrides.
        prepared: of :func:`prepared_path`; its name identifies data and tokenizer.

    Raises:
        UserError: names the ways on.
    """
    output = Path(str(config.get("output_dir") or "./model-out"))
    # Resuming is itself a setting: with it compared no run could go on.
    settings = {key: value for key, value in plain_values(config).items() if key not in MAY_CHANGE}
    settings["data_and_tokenizer"] = prepared.name
    if config.get("overwrite"):
        _discard_run(output)
    # Before anything is written: a refused run leaves the folder as it was.
    if (output / MANIFEST).is_file():
        raise UserError(
            f"{output} holds a finished run. Three ways on: keep it and use it as it is; train again with "
            "--overwrite=true, which deletes it; or choose another --output_dir."
        )
    _drop_torn_checkpoints(output)
    if _checkpoints(output):
        settings |= _check_resumable(output, settings, config)
    else:
        # Steps of a run that left no checkpoint: the new one would write them a second time.
        (output / METRICS).unlink(missing_ok=True)
    write_json(output / RUN_CONFIG, settings)


def claim_context(output: Path, context: str | None) -> None:
    """Note the chat context of a run's rows beside its settings, or refuse to go on with checkpoints of another one.

    The bytes of a local tokenizer are among the settings; a template on the Hub, or one that a package brings, may have
    changed since the run began.

    Args:
        output: claimed by :func:`claim_output`.
        context: hash of the chat context; None where no rows are rendered with a template.

    Raises:
        UserError: names the ways on.
    """
    path = output / RUN_CONFIG
    settings = read_object(path)
    # A run that was begun before contexts were noted has none, and takes the one of now.
    begun_in = settings.get(CONTEXT, context)
    if begun_in != context:
        raise UserError(
            f"{output} holds the checkpoints of a run whose rows were rendered in another chat context "
            f"({str(begun_in)[:12]}, and now {str(context)[:12]}): the chat template has changed. Three ways on: "
            f"resume it with the template that it began with, {WAYS}."
        )
    write_json(path, {**settings, CONTEXT: context})


def _check_resumable(output: Path, settings: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse a run that is not the one that began; returns what was noted of that one beside its settings."""
    if not config.get("auto_resume_from_checkpoints") and not config.get("resume_from_checkpoint"):
        raise UserError(
            f"{output} holds the checkpoints of an unfinished run. Three ways on: resume it with "
            f"--auto_resume_from_checkpoints=true, {WAYS}."
        )
    path = output / RUN_CONFIG
    if not path.is_file():
        return {}
    earlier = read_object(path)
    noted = {}
    if CONTEXT in earlier:  # known later in a run than the settings: :func:`claim_context` compares it
        noted[CONTEXT] = earlier.pop(CONTEXT)
    changed = []
    for key in sorted(earlier.keys() | settings.keys()):
        before, now = earlier.get(key), settings.get(key)
        if before != now:
            changed.append(f"`{key}` was {before!r} and is now {now!r}")
    if changed:
        raise UserError(
            f"{output} holds the checkpoints of a run with other settings: {'; '.join(changed[:4])}. Three ways on: "
            f"resume it with its own settings, {WAYS}."
        )
    return noted


def _checkpoints(output: Path) -> list[Path]:
    return [path for path in output.glob("checkpoint-*") if path.name.split("-")[-1].isdigit()]


def _drop_torn_checkpoints(output: Path) -> None:
    """Delete checkpoints without a readable ``trainer_state.json``, the file that the trainer writes last."""
    for checkpoint in _checkpoints(output):
        try:
            json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            print(f"{checkpoint} is incomplete (its run was killed while writing it) and is deleted.", flush=True)
            shutil.rmtree(checkpoint)


def _discard_run(output: Path) -> None:
    """Delete what an earlier run left in ``output`` and nothing else."""
    for checkpoint in _checkpoints(output):
        shutil.rmtree(checkpoint)
    # The rest of the folder may be somebody's own.
    for name in (MANIFEST, METRICS, RUN_CONFIG, "adapter_model.safetensors", "model.safetensors"):
        (output / name).unlink(missing_ok=True)
