"""Derive a dataset folder's rows again from raw.jsonl, without any model: a filter or its settings have changed.

    python -m data_builders.refilter data/owl_numbers
    python -m data_builders.refilter data/owl_teacher_chat --set filter_animal_keywords=true --count 3000

The builder and the settings are the manifest's; --set changes settings of the verdict, as banned_words or
filter_animal_keywords. train.jsonl, rejected.jsonl, README.md and manifest.json are written anew (raw.jsonl is only
read), an audit.json goes, and the manifest keeps what it said of model, sampling and start.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from subliminal.core.errors import UserError, run_cli
from subliminal.core.manifest import new_manifest, read_manifest
from subliminal.data.card import dataset_card
from subliminal.data.folder import DatasetFolder
from subliminal.data.generation import report_counts
from subliminal.data.registry import builder_module, content_of, quotas_of

VERDICT_SETTINGS = ("filter_animal_keywords", "banned_words", "language")
"""Settings that only the verdict reads. Any other says how the raw rows were made, which cannot be changed now."""

app = typer.Typer(add_completion=False)


def refilter(folder: Path, *, changes: dict[str, Any] | None = None, count: int | None = None) -> dict[str, Any]:
    """Judge every raw row of a folder again and write what follows from that.

    Args:
        folder: dataset folder with ``raw.jsonl`` and ``manifest.json``.
        changes: new values of settings in :data:`VERDICT_SETTINGS`.
        count: rows to keep; default what the folder was made for.

    Returns:
        The counts, as in the manifest.

    Raises:
        UserError: no raw rows, no manifest, an unknown builder or setting, a malformed raw row, or a folder in use.
    """
    old = read_manifest(folder)
    if not (folder / "raw.jsonl").is_file():
        raise UserError(f"{folder} has no raw.jsonl. Only a folder that a builder made here can be filtered again.")
    if "builder" not in old:
        raise UserError(f"{folder} has no manifest.json of a builder. Run its builder again, with --resume.")
    if not isinstance(old.get("config"), dict) or "count" not in old["config"]:
        raise UserError(f"{folder}/manifest.json has no settings of a builder. Run its builder again, with --resume.")
    config = old["config"] | (changes or {}) | ({"count": count} if count else {})
    # Other settings made the raw rows: changed now, the manifest would say what is not so.
    for key in changes or {}:
        if key not in VERDICT_SETTINGS or key not in old["config"]:
            known = [name for name in VERDICT_SETTINGS if name in old["config"]]
            raise UserError(f"{key} is no setting of this folder's verdict. Those are: {', '.join(known) or 'none'}.")
    builder = builder_module(old, folder / "manifest.json")
    verdict, quotas, content = builder.verdict_for(config), quotas_of(builder, config), content_of(builder, config)
    # What is left out is computed anew.
    made = {key: value for key, value in old.items() if key not in ("ended", "counts", "outputs")}
    # Of the new manifest only who filtered when; model, sampling and start stay those of the rows.
    now = new_manifest("dataset", config=config)
    made |= {"config": config, "refiltered": {key: now[key] for key in ("command", "git", "packages", "started")}}
    target = DatasetFolder(folder)
    for _ in target.raw_rows():  # a malformed one is found before anything is replaced
        pass
    with target.hold(made, overwrite=False):
        return target.finalize(made, verdict, config["count"], dataset_card, quotas=quotas, content=content)


@app.command(help=__doc__)
def main(
    folder: Annotated[Path, typer.Argument(help="Dataset folder.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the verdict as name=JSON value; repeat it.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Rows to keep; default as made.")] = None,
) -> None:
    counts = refilter(folder, changes=dict(map(_setting, set_ or [])), count=count)
    asked = count or read_manifest(folder)["config"]["count"]
    report_counts(folder, counts, asked, "Ask for fewer with --count, or run its builder again with --resume for more.")


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        raise UserError(
            f'--set {text!r} is not name=value with a JSON value, as in {name or "language"}="any".'
        ) from None


if __name__ == "__main__":
    run_cli(app)
