"""What an arm says after each epoch, read from results.

``student_epoch-2`` is the student after its second epoch. The last point of a curve is the finished training, which
stands at the number of epochs that its recipe had.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subliminal.core.manifest import read_manifest
from subliminal.evaluation.lineage import places_of, root_of
from subliminal.experiment.epochs import epoch_of
from subliminal.report.data import EXACT, PROBABILITY, Results
from subliminal.report.tables.pairs import pairs
from subliminal.stats.dose.curve import DoseCurve, EffectAt, dose_curve
from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.shares import mean_interval

END = "end"
"""What stands for the epoch of a finished training whose recipe is not here."""


@dataclass(frozen=True)
class EpochPoint:
    """What one arm says after one epoch.

    Attributes:
        place: on the axis of epochs.
        label: the epoch in words.
        name: what results call the model.
        shares: seed -> how often the target is named, or the right answer given; a fraction.
        log_odds: the same in nats.
    """

    place: float
    label: str
    name: str
    shares: dict[int, float]
    log_odds: dict[int, float]

    @property
    def mean(self) -> float:
        """Of the log-odds, over seeds."""
        return float(np.mean(list(self.log_odds.values())))

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the mean: 95 %, Student's t over seeds; None with one seed."""
        return mean_interval(np.array(list(self.log_odds.values())))


@dataclass(frozen=True)
class Effect:
    """Treatment minus reference of the same epoch, within each seed; ``labels`` are the epochs in words."""

    treatment: str
    reference: str
    curve: DoseCurve
    labels: list[str]


@dataclass(frozen=True)
class ByEpoch:
    """What was found of one target, by one measure.

    Attributes:
        target: the option that the shares are of; None of right answers.
        task: what the models were scored by.
        measure: the task for a reader.
        curves: arm -> its curve, in order of epochs.
        base: log-odds of the base, mean over seeds: where every curve begins; None where it was not scored.
        effects: of all pairs of arms that have curves; the first is the student above its first control.
    """

    target: str | None
    task: str
    measure: str
    curves: dict[str, list[EpochPoint]]
    base: float | None
    effects: list[Effect]


def by_epoch(results: Results) -> ByEpoch | None:
    """The curves of all arms that have checkpoints; None without any.

    Args:
        results: of one report.
    """
    task = _task(results)
    if task is None:
        return None
    early: dict[str, list[tuple[int, str]]] = {}
    for name in results.checkpoints:
        arm, epoch = epoch_of(name)
        if not results.rates(name, task).empty:
            early.setdefault(arm, []).append((epoch, name))
    ranks = {arm: rank for rank, arm in enumerate(results.manifests)}
    curves = {}
    # Arms in the order of the report; of an arm with checkpoints alone there is no rank yet.
    for arm in sorted(early, key=lambda arm: ranks.get(arm, len(ranks))):
        curves[arm] = _curve(results, task, arm, sorted(early[arm]))
    base = None
    if not results.rates("base", task).empty:
        base = float(np.mean(list(_log_odds(results, "base", task).values())))
    effects = []
    # Arms that were scored at their end alone have no curve to be held against.
    for treatment, reference in pairs(results):
        if treatment in curves and reference in curves:
            effects += _effect(treatment, reference, curves)
    return ByEpoch(results.target, task, results.measure_name(task), curves, base, effects)


def _task(results: Results) -> str | None:
    """What checkpoints were scored by: the exact probability of the target, else another exact task, else any."""
    scored = []
    for task in results.kinds:
        if any(not results.rates(name, task).empty for name in results.checkpoints):
            scored.append(task)

    # Checkpoints are scored by fewer tasks than finished models, so that the report's own choice may not be there.
    def place(task: str) -> tuple[bool, bool]:
        exact = results.kinds[task] in (EXACT, PROBABILITY)
        return task != results.about.task("preference_logprob"), not exact

    return min(scored, key=place, default=None)


def _curve(results: Results, task: str, arm: str, early: list[tuple[int, str]]) -> list[EpochPoint]:
    """The points of one arm; ``early`` has the epochs of its checkpoints and what results call them."""
    points = [(float(epoch), str(epoch), name) for epoch, name in early]
    if arm in results.arms and not results.rates(arm, task).empty:
        end = _epochs(results, arm)
        if end is None:
            # Behind the last epoch that is known, under a label that claims no number.
            points.append((points[-1][0] + 1, END, arm))
        else:
            # A checkpoint of the last epoch has the weights of the finished training: one point, of the latter.
            points = [point for point in points if point[0] < end]
            points.append((end, f"{end:g}", arm))
    found = []
    for place, label, name in points:
        found.append(EpochPoint(place, label, name, results.by_seed(name, task), _log_odds(results, name, task)))
    return found


def _log_odds(results: Results, name: str, task: str) -> dict[int, float]:
    """Seed -> log-odds, nats."""
    shares = results.by_seed(name, task)
    values = log_odds_of(list(shares.values()), results.answers(name, task)).tolist()
    return dict(zip(shares, values, strict=True))


def _epochs(results: Results, arm: str) -> float | None:
    """How many epochs the recipe of an arm had; None where no manifest tells, or seeds had other recipes.

    A training that was told its steps has no number of epochs either.
    """
    found = set()
    for manifest in results.manifests[arm].values():
        config = manifest.get("config") or {}
        run = config.get("adapter") or config.get("model")
        if not run:
            return None
        # Relative paths are from the checkout that the results lie in, or that the command runs in.
        for folder in places_of(root_of(results.folder), run):
            recipe = read_manifest(folder).get("config", {})
            epochs = recipe.get("num_epochs")
            if (recipe.get("max_steps") or 0) > 0:  # it ended there, and not at its last epoch
                return None
            if isinstance(epochs, int | float):
                found.add(float(epochs))
                break
    if len(found) != 1:
        return None
    return found.pop()


def _effect(treatment: str, reference: str, curves: dict[str, list[EpochPoint]]) -> list[Effect]:
    """The difference at every epoch that both arms have; nothing with fewer than two of them, or no seed in common."""
    beside = {point.label: point for point in curves[reference]}
    effects, labels = [], []
    for point in curves[treatment]:
        other = beside.get(point.label)
        if other is None:
            continue
        runs = {}
        for seed in sorted(point.log_odds.keys() & other.log_odds.keys()):
            runs[seed] = point.log_odds[seed] - other.log_odds[seed]
        effects.append(EffectAt(point.name, {"epoch": point.place}, runs))
        labels.append(point.label)
    curve = dose_curve(effects, reference=treatment)
    if curve is None:
        return []
    return [Effect(treatment, reference, curve, labels)]
