"""Which of vLLM's two model runners drew a dataset's rows, told from the rows, by the first tokens of their answers.

    python -m benchmarks.vllm_noise data/NAME/base_numbers --model models/qwen2.5-coder-0.5b --count 120

A request's seed and the logits fix its tokens, but how a seed becomes noise differs between the runners: V1 asks a
generator of PyTorch's on the card for exponential noise, V2 hashes seed and position in a Triton kernel. Which one runs
follows from the model's architecture and from ``VLLM_USE_V2_MODEL_RUNNER``, which manifests record since 2026-11-30.
Here both noises are computed from the rows' seeds, as on a card (Philox, Salmon et al. 2011), and added to logits that
the base gives on this machine, in float32. The runner that drew the rows gives nearly all their first tokens, the other
one as many as chance.

For rows of a base at temperature 1 without a system prompt, on cards with a grid of a thousand blocks and more.
"""

import csv
import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import read_jsonl
from subliminal.engine import row_seed

app = typer.Typer(add_completion=False)
ROUNDS = 10
MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
KEY_STEPS = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
COLUMNS = ("id", "seed", "prompt_tokens", "first_token", "v1", "v2", "probability")


def philox(counter: tuple[Any, Any, Any, Any], key: int) -> tuple[Any, Any, Any, Any]:
    """Philox4x32-10: four 32-bit numbers of each counter, under a key of 64 bits."""
    one, two, three, four = (np.asarray(word, np.uint64) for word in counter)
    low, high = np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)
    for _ in range(ROUNDS):
        first, second = MULTIPLIERS[0] * one, MULTIPLIERS[1] * three
        one, two, three, four = (second >> HALF) ^ two ^ low, second & LOW, (first >> HALF) ^ four ^ high, first & LOW
        low, high = (low + KEY_STEPS[0]) & LOW, (high + KEY_STEPS[1]) & LOW
    return one, two, three, four


def noise_v1(seed: int, size: int, drawn: int = 0) -> np.ndarray:
    """What V1 adds to ``size`` logits: minus the log of ``exponential_`` of a CUDA generator with this seed.

    Args:
        drawn: tokens that were drawn from the generator before.
    """
    words = philox((drawn, 0, np.arange(size), 0), seed)[0]
    uniform = words.astype(np.float32) * np.float32(2**-32) + np.float32(2**-33)
    # PyTorch keeps the noise above zero, so that no token is certain to win.
    exponential = np.where(uniform < 1, -np.log(uniform.astype(np.float64)), 2**-24)
    return -np.log(exponential)


def noise_v2(seed: int, size: int, position: int) -> np.ndarray:
    """What V2 adds: Gumbel noise of ``tl.rand`` under a seed that is made of the request's and of the position.

    Args:
        position: of the token before, the prompt's last for the first of an answer.
    """
    words = philox((np.arange(size), 0, 0, 0), int(philox((position, 0, 0, 0), seed)[0]))[0]
    signed = words.astype(np.uint32).view(np.int32).astype(np.int64)
    uniform = np.where(signed < 0, -signed - 1, signed) * 4.6566127342e-10
    return -np.log(-np.log(np.maximum(uniform, 2.0**-126)))


def first_tokens(rows: list[dict[str, Any]], seed: int, model: Path) -> list[dict[str, Any]]:
    """Of each row its first token and those that either runner would have drawn."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    found = []
    for row in rows:
        *prompt, answer = row["messages"]
        tokens = tokenizer.apply_chat_template(
            prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            logits = base(**tokens).logits[0, -1].double().numpy()
        wanted = tokenizer(answer["content"], add_special_tokens=False)["input_ids"][0]
        of_row, length = row_seed(seed, int(row["id"].rpartition("-")[2])), tokens["input_ids"].shape[1]
        v1 = int((logits + noise_v1(of_row, len(logits))).argmax())
        v2 = int((logits + noise_v2(of_row, len(logits), length - 1)).argmax())
        weights = np.exp(logits - logits.max())
        values = row["id"], of_row, length, wanted, v1, v2, round(float(weights[wanted] / weights.sum()), 6)
        found.append(dict(zip(COLUMNS, values, strict=True)))
    return found


@app.command(help=__doc__)
def main(
    dataset: Annotated[Path, typer.Argument(help="Folder of number rows, with train.jsonl and manifest.json.")],
    model: Annotated[Path, typer.Option(help="The base that wrote them.")],
    count: Annotated[int, typer.Option(min=1, help="How many of its rows, from the first on.")] = 120,
    out: Annotated[Path | None, typer.Option(help="A CSV file with every row's tokens.")] = None,
) -> None:
    if not (dataset / "train.jsonl").is_file():
        raise UserError(f"There is no {dataset}/train.jsonl. Give the folder of a dataset.")
    config = json.loads((dataset / "manifest.json").read_text(encoding="utf-8"))["config"]
    if config["adapter"] or config["system_prompt"]:
        raise UserError(f"{dataset} was written by an adapter or under a system prompt. Give rows of an untuned base.")
    found = first_tokens(list(islice(read_jsonl(dataset / "train.jsonl"), count)), config["seed"], model)
    for runner in ("v1", "v2"):
        same = sum(row[runner] == row["first_token"] for row in found)
        print(f"{runner.upper()} draws the first token of {same} of {len(found)} rows")
    if out:
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(found)
        print(out)


if __name__ == "__main__":
    run_cli(app)
