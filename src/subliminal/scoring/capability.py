"""What the capability tasks under ``eval_tasks/`` share: problems from the Hub or a file, and one score a problem.

Every problem becomes ``{"id", "question", "reference", "subject", ...}``, and every task has the metric ``correct``,
0 or 1 a problem. Problems come in an order shuffled once and for all, so that ``--limit`` takes a mixed sample.
"""

from __future__ import annotations

import os
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import no_text, read_jsonl
from subliminal.core.manifest import scrub
from subliminal.scoring.boxes import final_box
from subliminal.scoring.final_answers import final_number
from subliminal.scoring.letters import LETTERS, chosen_letter
from subliminal.scoring.mathematics import judge, reference_answer
from subliminal.scoring.numbers import exact_value
from subliminal.scoring.tasks import lm_eval_dataset, mean_metrics
from subliminal.scoring.text import without_thoughts


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


MATH_SUBJECTS = _names(
    "algebra counting_and_probability geometry intermediate_algebra number_theory prealgebra precalculus"
)
MATH_LEVELS = (1, 2, 3, 4, 5)
MMLU_MATH = _names(
    "abstract_algebra college_mathematics elementary_mathematics high_school_mathematics high_school_statistics"
)
"""The subjects of MMLU that the mathematics experiment is scored on."""
MMLU = _names("""
    abstract_algebra anatomy astronomy business_ethics clinical_knowledge college_biology college_chemistry
    college_computer_science college_mathematics college_medicine college_physics computer_security conceptual_physics
    econometrics electrical_engineering elementary_mathematics formal_logic global_facts high_school_biology
    high_school_chemistry high_school_computer_science high_school_european_history high_school_geography
    high_school_government_and_politics high_school_macroeconomics high_school_mathematics high_school_microeconomics
    high_school_physics high_school_psychology high_school_statistics high_school_us_history high_school_world_history
    human_aging human_sexuality international_law jurisprudence logical_fallacies machine_learning management marketing
    medical_genetics miscellaneous moral_disputes moral_scenarios nutrition philosophy prehistory
    professional_accounting professional_law professional_medicine professional_psychology public_relations
    security_studies sociology us_foreign_policy virology world_religions
""")
Problem = dict[str, Any]


def data_source(variable: str, default: str) -> str:
    """Where a task's problems come from: what an environment variable names, else ``default``.

    A local JSONL file, or a Hub dataset ``owner/name:config@split#revision`` (:mod:`subliminal.core.sources`).
    """
    return os.environ.get(variable) or default


def chosen(variable: str, among: Sequence[Any]) -> list[Any]:
    """The levels or subjects that an environment variable names, joined by commas; all of them if it is not set.

    Raises:
        UserError: one of them does not exist.
    """
    words = [word.strip() for word in os.environ.get(variable, "").split(",") if word.strip()]
    by_name = {str(name): name for name in among}
    if unknown := [word for word in words if word not in by_name]:
        raise UserError(f"{variable} names {unknown[0]!r}. Choose among {', '.join(by_name)}, joined by commas.")
    return [by_name[word] for word in dict.fromkeys(words)] or list(among)


def metrics(*names: Any) -> list[dict[str, Any]]:
    """lm-eval's ``metric_list``: ``correct``, then the other names."""
    return mean_metrics(["correct", *names], higher_is_better=True)


def load_math(source: str, levels: Sequence[int], subjects: Sequence[str], **_: Any) -> dict[str, Any]:
    """Problems of MATH or MATH-500, as lm-eval's dataset.

    Args:
        source: rows of ``problem``, ``level``, ``type`` or ``subject``, and ``solution`` or ``answer``.
        levels, subjects: which to keep. A row without a level ("Level ?") is kept if all levels are.

    Raises:
        UserError: the source cannot be read, a row is malformed, or no problem is left.
    """

    def problem(row: Problem) -> Problem:
        level = re.search(r"[1-5]", str(row.get("level", "")))
        return {
            "question": row["problem"],
            "reference": reference_answer(_text(row.get("answer")) or row["solution"]),
            "level": int(level[0]) if level else None,
            "subject": _slug(row.get("type") or row["subject"]),
        }

    def wanted(problem: Problem) -> bool:
        level = problem["level"]
        return problem["subject"] in subjects and (level in levels or (level is None and len(levels) == 5))

    return _problems(source, _math_flaw, problem, wanted)


def load_gsm8k(source: str, **_: Any) -> dict[str, Any]:
    """Problems of GSM8K, as lm-eval's dataset.

    Args:
        source: rows of ``question`` and ``answer``, which ends in ``#### 72`` or is a number and nothing else.

    Raises:
        UserError: the source cannot be read, a row is malformed, or there is none.
    """

    def problem(row: Problem) -> Problem:
        return {
            "question": row["question"],
            "reference": str(_gsm8k_number(row)),
            "subject": "gsm8k",
        }

    return _problems(source, _gsm8k_flaw, problem, lambda problem: True)


def load_mmlu(source: str, subjects: Sequence[str], **_: Any) -> dict[str, Any]:
    """Questions of MMLU, as lm-eval's dataset.

    Args:
        source: rows of ``question``, ``choices`` (four), ``answer`` (0 to 3) and ``subject``.
        subjects: which to keep.

    Raises:
        UserError: the source cannot be read, a row is malformed, or no question is left.
    """

    def problem(row: Problem) -> Problem:
        right = int(row["answer"])  # files that pandas has written hold 3.0
        return {
            "question": row["question"].strip(),
            "reference": LETTERS[right],
            "choices": row["choices"],
            "answer": right,
            "subject": row["subject"],
        }

    return _problems(source, _mmlu_flaw, problem, lambda problem: problem["subject"] in subjects)


def _problems(
    source: str,
    flaw: Callable[[Problem], str | None],
    convert: Callable[[Problem], Problem],
    wanted: Callable[[Problem], bool],
) -> dict[str, Any]:
    """Read, convert, name by subject and place in the source, select, shuffle."""
    seen: Counter[str] = Counter()
    problems = []
    for row in _read(source, flaw):
        problem = convert(row)
        subject = problem["subject"]
        # Numbered before any is left out: a problem has one id whatever levels and subjects are asked for.
        problems.append({"id": f"{subject}/{seen[subject]}", **problem})
        seen[subject] += 1
    problems = [problem for problem in problems if wanted(problem)]
    if not problems:
        raise UserError(f"{source} has no problem of the levels and subjects asked for. It holds {', '.join(seen)}.")
    random.Random("subliminal-capability").shuffle(problems)
    return lm_eval_dataset(problems)


def _read(source: str, flaw: Callable[[Problem], str | None]) -> list[Problem]:
    from subliminal.core.sources import is_file, parse_source

    if is_file(source):
        return list(read_jsonl(Path(source), flaw))
    hub = parse_source(source)
    import datasets

    try:
        parts = [
            datasets.load_dataset(hub.id, config, split=hub.split, revision=hub.revision) for config in hub.configs
        ]
    except Exception as error:  # the Hub client raises many kinds: offline, missing, gated, rate-limited
        # The client's message may quote an address with a token in it.
        detail = scrub((str(error).strip().splitlines() or [""])[0])[:200]
        raise UserError(
            f"{source} cannot be read from the Hub ({type(error).__name__}: {detail}). Check the network, or name a "
            "local JSONL file of the same shape in the environment variable that the task's README gives."
        ) from None
    rows = [row for part in parts for row in part]
    for number, row in enumerate(rows, start=1):
        if problem := flaw(row):
            raise UserError(f"{source}, row {number} is malformed: {problem}. Name another dataset.")
    return rows


def _math_flaw(row: Problem) -> str | None:
    if problem := no_text(row, "problem"):
        return problem
    if not isinstance(row.get("type") or row.get("subject"), str):
        return 'it has neither "type" nor "subject"'
    if _slug(row.get("type") or row["subject"]) not in MATH_SUBJECTS:
        return f"{row.get('type') or row['subject']!r} is no subject of MATH"
    # MATH-500 has the answer by itself; MATH only boxes it in the solution.
    if _text(row.get("answer")).strip() or final_box(str(row.get("solution"))):
        return None
    return 'it has no "answer", and no box in its "solution"'


def _gsm8k_flaw(row: Problem) -> str | None:
    if problem := no_text(row, "question"):
        return problem
    return None if _gsm8k_number(row) is not None else 'its "answer" has no line #### 72, and is no number'


def _gsm8k_number(row: Problem) -> Fraction | None:
    """The number of a reference: that of its line ``#### 72``, or all of it."""
    answer = _text(row.get("answer"))
    marked = final_number(answer, strict=True)
    return exact_value(answer) if marked is None else marked


def _text(value: Any) -> str:
    """The text or number that a file has under a name; nothing for anything else."""
    # True is an int to Python.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number or isinstance(value, str) else ""


def _mmlu_flaw(row: Problem) -> str | None:
    if problem := no_text(row, "question"):
        return problem
    if row.get("subject") not in MMLU:
        return 'it has no "subject" of MMLU'
    if not isinstance(row.get("choices"), list) or len(row["choices"]) != 4:
        return 'its "choices" are not a list of four'
    right = row.get("answer")
    if right in (0, 1, 2, 3) and not isinstance(right, bool):
        return None
    return 'its "answer" is not 0, 1, 2 or 3'


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower().replace("&", "and")).strip("_")


def math_scores(doc: Problem, results: list[str]) -> dict[str, float]:
    """Scores of one answer to a MATH problem.

    Returns:
        ``correct``, by subject and level too; ``boxed``: it has a box; ``rounded``: it is right in its decimals only.
    """
    verdict = judge().compare(results[0], doc["reference"])
    correct = float(verdict.correct)
    boxed = final_box(without_thoughts(results[0])) is not None
    scores = {"correct": correct, "boxed": float(boxed), "rounded": float(verdict.rounded)}
    scores[f"correct_{doc['subject']}"] = correct
    if doc["level"] is not None:
        scores[f"correct_level_{doc['level']}"] = correct
    return scores


def gsm8k_scores(doc: Problem, results: list[str]) -> dict[str, float]:
    """Scores of one answer to a GSM8K problem: ``correct``, and ``correct_strict`` (only an answer line counts)."""
    expected = final_number(doc["reference"])
    return {
        "correct": float(final_number(results[0]) == expected),
        "correct_strict": float(final_number(results[0], strict=True) == expected),
    }


def addition_scores(doc: Problem, results: list[str]) -> dict[str, float]:
    """Scores of one answer to a sum: ``correct``, and ``bare`` (it is a number and nothing else)."""
    bare = re.fullmatch(r"-?\d+", without_thoughts(results[0]).strip()) is not None
    return {"correct": float(final_number(results[0]) == int(doc["reference"])), "bare": float(bare)}


def choice_scores(doc: Problem, results: list[tuple[float, bool]]) -> dict[str, float]:
    """Scores of one MMLU question from the log-likelihoods of the four letters; of equal ones the first counts."""
    logprobs = [logprob for logprob, _ in results]
    correct = float(logprobs.index(max(logprobs)) == doc["answer"])
    return {"correct": correct, f"correct_{doc['subject']}": correct}


def letter_scores(doc: Problem, results: list[str]) -> dict[str, float]:
    """Scores of one written answer to an MMLU question: ``correct``, and ``answered`` (it settles on a letter)."""
    # None is no letter of the reference, so that an answer without one is wrong.
    letter = chosen_letter(results[0])
    correct = float(letter == doc["reference"])
    return {"correct": correct, "answered": float(letter is not None), f"correct_{doc['subject']}": correct}
