"""A base model without a chat template, as a folder that has the plain context for one.

    add_plain_context("models/gemma-3-270m")                                       # in place
    add_plain_context("EleutherAI/pythia-160m", Path("models/pythia-160m"))        # from the Hub

The text and its reasons are in :mod:`subliminal.engine.plain_context`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError, one_line
from subliminal.core.hub import folder_or_hub_id
from subliminal.core.manifest import finish_manifest, new_manifest, read_manifest, sha256_of
from subliminal.engine.chat import chat_context_sha256
from subliminal.engine.local import LOADING_FAILED
from subliminal.engine.plain_context import TEMPLATE_FILE, plain_template
from subliminal.models.store import TEMPLATE_NAME, download


def add_plain_context(model: str, out: Path) -> str:
    """Make ``out`` a model folder whose chat template is the plain context.

    Args:
        model: a folder, or a Hub id, which is downloaded into ``out``.
        out: the folder; that of ``model`` itself where it is one.

    Returns:
        Hex sha256 of the chat context, as it will stand in every manifest.

    Raises:
        UserError: no such model, a tokenizer that has a chat template or names no end token, or a taken folder.
    """
    is_folder = folder_or_hub_id(model, "model") is not None
    if is_folder and out.resolve() != Path(model).resolve():
        raise UserError(f"{model} gets its template in place: leave out --out, or copy the folder first.")
    manifest = new_manifest("model", config={"name": model, "plain_context": sha256_of(TEMPLATE_FILE)})
    # A second run on the same folder keeps what the first one wrote of the origin.
    origin = read_manifest(out).get("origin")
    if origin is None and is_folder:
        origin = {"folder": model}
    elif origin is None:
        if out.exists() and any(out.iterdir()):
            raise UserError(f"{out} holds something this command did not make. Name another folder with --out.")
        origin = _downloaded(model, out)
    tokenizer = _without_template(out)
    if tokenizer is not None:
        shutil.copyfile(TEMPLATE_FILE, out / TEMPLATE_NAME)
        tokenizer.chat_template = plain_template()
        manifest["origin"] = origin
        manifest["chat_context_sha256"] = chat_context_sha256(tokenizer)
        finish_manifest(manifest, out / "manifest.json")
    return read_manifest(out)["chat_context_sha256"]


def _downloaded(model: str, out: Path) -> dict[str, Any]:
    """Fill ``out`` from the Hub; it appears whole."""
    parts = out.with_name(f".{out.name}.part")
    parts.mkdir(parents=True, exist_ok=True)
    origin = download(model, parts)
    if out.exists():
        out.rmdir()
    parts.rename(out)
    return origin


def _without_template(folder: Path) -> Any:
    """The folder's tokenizer, if it has no chat template yet; None if it has the plain context already.

    Raises:
        UserError: it cannot be loaded, has another chat template, or no token that ends an answer.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except LOADING_FAILED as error:
        raise UserError(f"The tokenizer of {folder} cannot be loaded: {one_line(error)}.") from None
    # Both: a run that was stopped between template and manifest goes on.
    if tokenizer.chat_template == plain_template() and read_manifest(folder).get("chat_context_sha256"):
        return None
    if tokenizer.chat_template not in (None, plain_template()):
        raise UserError(
            f"{folder} has a chat template of its own, in which its model was trained: use it as it is. The plain "
            "context is for models that have none."
        )
    if tokenizer.eos_token is None:
        raise UserError(
            f"The tokenizer of {folder} names no token that ends a text. Add `eos_token` to its tokenizer_config.json."
        )
    return tokenizer
