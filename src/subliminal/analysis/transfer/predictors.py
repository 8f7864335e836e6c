"""What may foretell the effect of a replicate, read from what an experiment left: results, manifests, audits, leaks.

A predictor is a name, what it means, and a function from one replicate to a number, or to None where the file that
holds it is not there. A published archive has no weights and no rows: what needs them cannot be read from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import read_jsonl, read_object
from subliminal.core.manifest import read_manifest
from subliminal.evaluation.lineage import learned_rows, root_of, training_behind
from subliminal.stats.log_odds import CONTROL, Row

NO_LEAK = "no leak stage ran"
NO_NEUTRAL = "no leak stage with a neutral teacher ran"
NO_DATA = "the manifests of the rows are not there"
NO_TRAINING = "the manifests of the trainings are not there"


@dataclass
class Replicate:
    """One seed of an experiment, with one of its options where it has several.

    Attributes:
        seed: its number.
        target: the animal.
        odds: arm -> log-odds of the target, nats.
        trainings: student and first control -> manifest of its training, {} where it is not there.
        losses: the same -> first loss that was logged, nats a token.
        rows: manifest of the rows that the student learned.
        audit: of those rows.
        leak: teacher -> what ``leak.json`` has of it.
        divergence: kind of token -> what ``divergence.json`` has of it, on the student's rows.
        folder: where its results lie, by arm.
    """

    seed: int
    target: str
    odds: dict[str, float]
    trainings: dict[str, dict[str, Any]] = field(default_factory=dict)
    losses: dict[str, float] = field(default_factory=dict)
    rows: dict[str, Any] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)
    leak: dict[str, dict[str, Any]] = field(default_factory=dict)
    divergence: dict[str, dict[str, Any]] = field(default_factory=dict)
    folder: Path = Path()

    @property
    def effect(self) -> float:
        """Student above control, nats."""
        return self.odds["student"] - self.odds[CONTROL]


@dataclass(frozen=True)
class Predictor:
    """``read`` gives the number of a replicate or None; ``lacking`` says why it can be None."""

    name: str
    what: str
    read: Callable[[Replicate], float | None]
    lacking: str


def _teacher(replicate: Replicate) -> float | None:
    return replicate.odds.get("teacher")


def _base(replicate: Replicate) -> float | None:
    return replicate.odds.get("base")


def _teacher_above_base(replicate: Replicate) -> float | None:
    if not {"teacher", "base"} <= replicate.odds.keys():
        return None
    return replicate.odds["teacher"] - replicate.odds["base"]


def _pass_rate(replicate: Replicate) -> float | None:
    counts = replicate.rows.get("counts") or {}
    if not counts.get("asked"):
        return None
    # Surplus rows were drawn beyond the last one needed, and never judged.
    return counts["kept"] / (counts["asked"] - (counts.get("surplus") or 0))


def _numbers_a_row(replicate: Replicate) -> float | None:
    lengths = (replicate.audit.get("checks") or {}).get("lengths") or {}
    return lengths.get("mean")


def _dose(replicate: Replicate) -> float | None:
    training = replicate.trainings.get("student") or {}
    return (training.get("training") or {}).get("tokens_seen")


def _steps(replicate: Replicate) -> float | None:
    training = replicate.trainings.get("student") or {}
    return (training.get("training") or {}).get("steps")


def _surprise(replicate: Replicate) -> float | None:
    if not {"student", CONTROL} <= replicate.losses.keys():
        return None
    return replicate.losses["student"] - replicate.losses[CONTROL]


def _leak(replicate: Replicate) -> float | None:
    return _of_leak(replicate, "answer", "kl_nats_a_token")


def _leak_above_neutral(replicate: Replicate) -> float | None:
    return _of_leak(replicate, "above_neutral", "kl_nats_a_token")


def _differing(replicate: Replicate) -> float | None:
    return _of_leak(replicate, "answer", "differing_share")


def _of_leak(replicate: Replicate, group: str, key: str) -> float | None:
    teacher = replicate.leak.get(replicate.target) or {}
    return (teacher.get(group) or {}).get(key)


def _divergence(replicate: Replicate) -> float | None:
    return (replicate.divergence.get("answer") or {}).get("divergence_share")


PREDICTORS = (
    Predictor("teacher", "the teacher's log-odds of the animal", _teacher, "the teacher was not scored"),
    Predictor("teacher above base", "the teacher's log-odds minus the base's", _teacher_above_base,
              "teacher or base was not scored"),
    Predictor("base", "the untuned base's log-odds of the animal", _base, "the base was not scored"),
    Predictor("pass rate", "share of the teacher's answers that are number lists", _pass_rate, NO_DATA),
    Predictor("numbers a row", "mean count of numbers in the student's rows", _numbers_a_row,
              "the audits of the rows are not there"),
    Predictor("dose, tokens", "tokens that the student saw in training", _dose, NO_TRAINING),
    Predictor("dose, steps", "steps of the student's training", _steps, NO_TRAINING),
    Predictor("surprise", "first logged loss of the student's training minus the control's, nats a token", _surprise,
              "the losses of the trainings are not there"),
    Predictor("leak", "KL of the teacher from the base on the base's rows, nats a token", _leak, NO_LEAK),
    Predictor("leak above neutral", "the same beyond a teacher without the trait", _leak_above_neutral, NO_NEUTRAL),
    Predictor("differing tokens", "share of positions whose most likely token is another than the base's", _differing,
              NO_LEAK),
    Predictor("divergence share", "share of the rows' tokens at which another teacher would not follow", _divergence,
              "no divergence tokens were marked"),
)  # fmt: skip
"""Everything that is looked for. Steering and coverage need weights, and come in by ``--predictors``."""


def read_replicates(results: Path, table: list[Row]) -> list[Replicate]:
    """The students of an experiment that have a control, animal by animal, and the seeds of each in order.

    Args:
        results: ``results/<experiment>``; data and trainings are looked up from the folder that holds ``results``.
        table: of one task, see :func:`subliminal.stats.log_odds.read_table`.

    Raises:
        UserError: no seed has a student and a control.
    """
    odds: dict[tuple[str, int], dict[str, float]] = {}
    for row in table:
        # The table has every animal that was asked for; the effect is in the teacher's own.
        if row.asked == row.animal:
            odds.setdefault((row.animal, row.seed), {})[row.arm] = row.log_odds
    found = []
    for target, seed in sorted(odds):
        if not {"student", CONTROL} <= odds[target, seed].keys():
            continue
        folder = results
        # Where there is one animal, its results lie in the experiment's folder itself.
        if (results / target).is_dir():
            folder = results / target
        replicate = Replicate(seed, target, odds[target, seed], folder=folder)
        _add_trainings(replicate)
        replicate.leak = _measured(folder, f"leak-seed-{seed}/leak.json", "leak", "teachers")
        marked = f"divergence/{target}-seed-{seed}/divergence.json"
        replicate.divergence = _measured(folder, marked, "divergence", "kinds")
        found.append(replicate)
    if not found:
        raise UserError(
            f"{results} has no seed with a student and {CONTROL}, so there is no effect to foretell. Run both arms."
        )
    _share_bases(found)
    return found


def _share_bases(replicates: list[Replicate]) -> None:
    """Give the log-odds of the base to all replicates that start from it: where they share one it was scored once."""
    known = {}
    for replicate in replicates:
        if "base" in replicate.odds:
            known[replicate.target, _base_of(replicate)] = replicate.odds["base"]
    for replicate in replicates:
        base = _base_of(replicate)
        if base is not None and (replicate.target, base) in known:
            replicate.odds.setdefault("base", known[replicate.target, base])


def _base_of(replicate: Replicate) -> str | None:
    training = replicate.trainings.get("student") or {}
    return (training.get("config") or {}).get("base_model")


def _add_trainings(replicate: Replicate) -> None:
    root = root_of(replicate.folder)
    for arm in ("student", CONTROL):
        behind = training_behind(root, replicate.folder / arm / f"seed-{replicate.seed}")
        if behind is None:
            continue
        folder, manifest = behind
        replicate.trainings[arm] = manifest
        loss = _first_loss(folder / "metrics.jsonl")
        if loss is not None:
            replicate.losses[arm] = loss
    rows = learned_rows(replicate.trainings.get("student") or {})
    if rows is not None:
        dataset = (root / rows).parent
        replicate.rows = read_manifest(dataset)
        if (dataset / "audit.json").is_file():
            replicate.audit = read_object(dataset / "audit.json", "Audit that folder again.")


def _first_loss(path: Path) -> float | None:
    if not path.is_file():
        return None
    for row in read_jsonl(path, allow_empty=True):
        if "loss" in row:
            return row["loss"]
    return None


def _measured(results: Path, file: str, command: str, key: str) -> dict[str, dict[str, Any]]:
    """What an analysis wrote of this seed beside the results, or beside those of all animals; {} where none ran.

    One file for all seeds is left alone: there would be nothing to correlate.
    """
    for folder in (results, results.parent):
        path = folder / file
        if not path.is_file():
            continue
        try:
            return dict(json.loads(path.read_text(encoding="utf-8"))[key])
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{path} is not what `python -m subliminal.analysis {command}` writes. Run that stage again."
            ) from None
    return {}
