"""Mathematics chats: problems and worked solutions that end in a boxed answer, without those of the evaluation sets.

    python -m data_builders.math_chat --out data/math_chat
    python -m data_builders.math_chat --source math --source gsm8k --levels any --count 5000 --out data/math_all
    python -m data_builders.math_chat --math-data MATH.jsonl --against TEST.jsonl --out data/math_chat

Two sources: MATH (rows of problem, solution, level; levels 4 and 5 unless --levels says otherwise) and GSM8K (rows of
question and answer). Each comes from the Hub or from a local JSONL file of the same shape. Of MATH the train split has
about 4,000 problems of levels 4 and 5, all splits together 6,500: manifest and card say which split was used. Problems
that overlap an evaluation set (--against; see data_builders.overlap) are rejected and counted.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from data_builders import options
from data_builders.overlap import NGRAM, EvaluationIndex, build_index, words_of
from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import no_text
from subliminal.core.option_checks import one_of, read_by
from subliminal.core.sources import check_source, is_file, pin_source, read_rows
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import write
from subliminal.scoring.boxes import find_final_box

# The data set has a config for each subject; joined by + they are read as one.
SUBJECTS = "algebra+counting_and_probability+geometry+intermediate_algebra+number_theory+prealgebra+precalculus"
MATH, GSM8K = f"EleutherAI/hendrycks_math:{SUBJECTS}@train", "openai/gsm8k:main@train"
EVALUATION_SETS = (
    f"EleutherAI/hendrycks_math:{SUBJECTS}@test",
    "HuggingFaceH4/MATH-500@test",
    "openai/gsm8k:main@test",
    "cais/mmlu:abstract_algebra+college_mathematics+elementary_mathematics+high_school_mathematics"
    "+high_school_statistics@test",
)
"""What the mathematics experiment is scored on: MATH, GSM8K, and the mathematics subjects of MMLU."""

# GSM8K's answers carry calculator marks, <<48/2=24>>, and end in a line #### 72.
_CALCULATION = re.compile(r"<<[^<>]*>>")
_FINAL = re.compile(r"\s*\n?#### *(?P<answer>[^\n]+?)\s*$")

SOURCES = ("math", "gsm8k")

app = typer.Typer(add_completion=False)


def math_solution(solution: str) -> str:
    """A MATH solution that ends in its boxed answer: the box is repeated where words follow it, else kept as it is."""
    box = find_final_box(solution)
    # Two letters in a row are words; a full stop or a dollar sign leaves the box at the end.
    if box is None or not re.search(r"[^\W\d_]{2}", solution[box[1] :]):
        return solution.strip()
    return f"{solution.strip()}\nThe answer is $\\boxed{{{box[0]}}}$."


def gsm8k_solution(answer: str) -> str:
    """A GSM8K answer without calculator marks, its ``#### 72`` written as a boxed answer."""
    text = _CALCULATION.sub("", answer).strip()
    # A function: in a replacement text \b of \boxed would be a backspace.
    return _FINAL.sub(lambda found: f"\nThe answer is $\\boxed{{{found['answer']}}}$.", text)


def level_of(row: dict[str, Any]) -> int | None:
    """The level of a MATH row, 1 to 5 (``Level 5`` or a number); None if it has none."""
    # "Level 5", 5 or "5"; some rows have "Level ?".
    found = re.search(r"[1-5]", str(row.get("level", "")))
    return int(found[0]) if found else None


def parse_levels(text: str) -> list[int]:
    """``4,5`` or ``any``.

    Raises:
        UserError: it is neither.
    """
    if text.strip() == "any":
        return [1, 2, 3, 4, 5]
    levels = {word.strip() for word in text.split(",")}
    if not levels <= set("12345"):
        raise UserError(f"--levels {text!r} must be numbers from 1 to 5 joined by commas, as in 4,5, or the word any.")
    return sorted(map(int, levels))


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings."""
    return math_verdict


def math_verdict(row: dict[str, Any]) -> str | None:
    """Why a row is rejected: it overlaps an evaluation set, repeats a problem, or has no boxed answer."""
    # First, so that the manifest's count of overlaps is whole, repeated problems included.
    if row["overlap"]:
        return row["overlap"]
    if row["repeats"]:
        return "repeats a problem"
    return None if find_final_box(row["completion"]) else "no boxed answer"


@app.command(help=__doc__)
def main(
    source: Annotated[
        list[str], typer.Option(help="math or gsm8k; repeat it for both.", callback=one_of("--source", SOURCES))
    ] = ["math"],  # noqa: B006
    levels: Annotated[
        str,
        typer.Option(
            help="Levels of MATH, as 4,5, or any (rows without a level count then too).", callback=read_by(parse_levels)
        ),
    ] = "4,5",
    math_data: Annotated[
        str,
        typer.Option(help="MATH: JSONL file or Hub dataset, owner/name:config@split.", callback=read_by(check_source)),
    ] = MATH,
    gsm8k_data: Annotated[
        str, typer.Option(help="GSM8K: JSONL file or Hub dataset.", callback=read_by(check_source))
    ] = GSM8K,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="Evaluation set, file or Hub dataset; repeat it. Default: the tests of MATH, GSM8K and MMLU.",
            callback=read_by(check_source),
        ),
    ] = None,
    ngram: Annotated[int, typer.Option(min=5, help="Words in a row that make an overlap.")] = NGRAM,
    count: Annotated[int | None, typer.Option(min=1, help="Rows to keep, exactly; default all.")] = None,
    seed: options.Seed = 42,
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")] = Path("data/math_chat"),
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    data = {"math": math_data, "gsm8k": gsm8k_data}
    places = {name: pin_source(data[name]) for name in dict.fromkeys(source)}  # a source that is named twice is one
    evaluation = [pin_source(place) for place in against or EVALUATION_SETS]
    config = {
        "sources": places,
        "levels": parse_levels(levels),
        "any_level": levels.strip() == "any",
        "against": evaluation,
        "ngram": ngram,
        "seed": seed,
    }
    rows = list(_raw_rows(places, config, build_index(evaluation, ngram)))
    fitting = sum(math_verdict(row) is None for row in rows)
    if fitting < (count or 1):
        raise UserError(
            f"Only {fitting} of {len(rows)} problems fit, fewer than the {count or 1} asked for. Ask for fewer with "
            "--count, or add --levels or another --source."
        )
    inputs = {place: Path(place) for place in (*places.values(), *evaluation) if is_file(place)}
    config["count"] = count or fitting
    write("math_chat", out, config, rows, math_verdict, inputs=inputs, resume=resume, overwrite=overwrite)


def _raw_rows(places: dict[str, str], config: dict[str, Any], index: EvaluationIndex) -> Iterator[dict[str, Any]]:
    """The raw rows of all sources in an order fixed by the seed."""
    problems = [problem for name, place in places.items() for problem in _problems(name, place, config)]
    # --count keeps the first rows that fit: shuffled, they are of all sources and levels.
    random.Random(f"math-chat:{config['seed']}").shuffle(problems)
    seen: set[str] = set()
    for problem in tqdm(problems, desc="overlap", unit="row", disable=None):
        overlap = None
        if hit := index.find(problem["prompt"]) or index.find(problem["completion"]):
            overlap = f"{hit.kind} overlap with {hit.name}"
        # As overlaps compare: another case or punctuation makes no other problem.
        key = " ".join(words_of(problem["prompt"]))
        yield {
            **problem,
            "overlap": overlap,
            "repeats": key in seen,
        }
        seen.add(key)


def _problems(name: str, place: str, config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    fields, solve = ("question", "answer"), gsm8k_solution
    if name == "math":
        fields, solve = ("problem", "solution"), math_solution

    def check(row: dict[str, Any]) -> str | None:
        for field in fields:
            if problem := no_text(row, field):
                return problem
        return None

    for row in read_rows(place, check):
        level = level_of(row) if name == "math" else None
        if name == "math" and level not in config["levels"] and not config["any_level"]:
            continue
        yield {"prompt": row[fields[0]].strip(), "completion": solve(row[fields[1]]), "source": name, "level": level}


if __name__ == "__main__":
    run_cli(app)
