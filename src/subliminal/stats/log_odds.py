"""Log-odds: the scale on which rates from 0.1 to 99 % can be compared, and a table of them for a whole experiment.

    table = read_table(Path("results/owl_pocket"), "animal_preference_logprob")

The log-odds of a share p is log(p / (1 - p)), in nats: 1 % against 3 % and 50 % against 76 % are both 1.1 nats apart.
Of exact probabilities the mean over the questions is taken first, then its log-odds. Of sampled answers half an answer
is added to each side, so that an answer that never came has log-odds too (J. B. S. Haldane, Ann. Hum. Genet. 20, 1956;
F. J. Anscombe, Biometrika 43, 1956).
"""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from subliminal.core.errors import UserError
from subliminal.core.files import refuse_published
from subliminal.core.repeated_runs import repeated_runs

SKILL = "mathematics"
"""What stands for the animal where problems with a right answer are solved and none is named."""
NO_ANIMAL = ("other", "none", "own_name", "no_latin", "rest")
"""Names in a summary's ``share`` that are no tracked animal."""
STUDENT, CONTROL = "student", "control_base_numbers"
"""The arms of an effect: a student, and the one that learned as many rows of the untuned base."""
EXACT_TASK = "animal_preference_logprob"
"""The task that has an animal's exact probability."""
LIMIT = 1e-9
"""The least probability, and the least distance from 1, whose log-odds are taken as they are."""


class Row(NamedTuple):
    """How often one model names one animal, or solves problems; then :data:`SKILL` stands for the animal.

    Attributes:
        seed: of the replicate.
        animal: what the experiment's teacher loves, whose results the model's lie among.
        arm: the model's.
        asked: the animal that ``share`` and ``log_odds`` are of.
        share: mean over questions, a fraction.
        log_odds: of that mean, in nats.
    """

    seed: int
    animal: str
    arm: str
    asked: str
    share: float
    log_odds: float


def log_odds(share: float, answers: int | None = None) -> float:
    """The log-odds of one share, in nats; see :func:`log_odds_of`.

    Raises:
        UserError: the share is no fraction.
    """
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise UserError(f"{share!r} has no log-odds. Give a fraction from 0 to 1.")
    return float(log_odds_of(share, answers))


def log_odds_of(rates: Any, answers: int | None = None) -> np.ndarray:
    """The log-odds of mean rates, for tests over runs and replicates.

    Args:
        rates: fractions, any shape.
        answers: behind each rate; None for exact probabilities, which are held within :data:`LIMIT` of 0 and 1: beyond
            it a probability in float32 says nothing.
    """
    rates = np.asarray(rates, dtype=float)
    if answers:
        return np.log((rates * answers + 0.5) / ((1 - rates) * answers + 0.5))
    held = rates.clip(LIMIT, 1 - LIMIT)
    return np.log(held / (1 - held))


def read_table(results: Path, task: str) -> list[Row]:
    """Every animal's log-odds in every model of an experiment; one training under several seeds counts once.

    Args:
        results: ``results/<experiment>``: its arms, or a folder of arms for each animal.
        task: about animals, or of problems with a right answer; models that were not scored by it are left out.

    Raises:
        UserError: the folder is a published archive, a summary is damaged, or one model has two of them.
    """
    refuse_published(results)
    found: dict[tuple[int, str, str], list[Row]] = {}
    repeats = repeated_runs(results)
    for folder in results.glob("*/"):
        repeats |= repeated_runs(folder)
    # One experiment of one animal has its arms in the folder, one of several a folder deeper.
    for pattern in ("*/seed-*/*_summary.json", "*/*/seed-*/*_summary.json"):
        for path in sorted(results.glob(pattern)):
            rows = _rows(path, task)
            # One training under two seeds would count as two replicates.
            if not rows or path.parent in repeats:
                continue
            # Seed, animal and arm tell one model from all others.
            model = rows[0][:3]
            if model in found:
                raise UserError(f"{path} repeats {task} for {path.parent}. Keep one summary of the two.")
            found[model] = rows
    return list(chain.from_iterable(found.values()))


def _rows(path: Path, task: str) -> list[Row]:
    """The rows of one summary; none if it has neither animals nor problems of this task."""
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        measured = summary["tasks"].get(task, {})
        shares = measured.get("share", {})
        samples = measured.get("samples_per_question")
        answers = None  # the probabilities are exact
        if samples:
            answers = samples * len(measured["questions"])
        model = (summary["seed"], summary["target"], summary["arm"])
        if "correct" in measured or "probability" in measured:
            skilled = (summary["seed"], SKILL, summary["arm"])
            solved, problems = _solved(measured)
            return [_row(path, task, skilled, SKILL, solved, problems)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no summary of an evaluation ({error!r}). Evaluate that arm again.") from None
    rows = []
    for name, share in shares.items():
        if name not in NO_ANIMAL:
            rows.append(_row(path, task, model, name, share, answers))
    return rows


def _row(path: Path, task: str, model: tuple[int, str, str], asked: str, share: float, answers: int | None) -> Row:
    """One row of a summary; a share that is no fraction is refused with its place."""
    try:
        return Row(*model, asked, share, log_odds(share, answers))
    except UserError:
        raise UserError(
            f"{path}: {task}: the share of {asked} is {share!r}, no fraction. Evaluate that arm again."
        ) from None


def _solved(measured: dict[str, Any]) -> tuple[float, int | None]:
    """One model's share of problems solved and their number, or its mean probability of the right answer and None."""
    if "correct" in measured:
        return float(np.mean(measured["correct"])), len(measured["correct"])
    return float(np.mean(measured["probability"])), None
