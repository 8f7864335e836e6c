"""Damage: which models still answer with an animal, and whether an effect is one of whole models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from subliminal.core.numbers import nats, nats_interval, number, percent
from subliminal.report.data import Arm, Results
from subliminal.report.format import Section, Table
from subliminal.stats.damage import (
    BROKEN,
    BROKEN_WORD,
    DAMAGED,
    DAMAGED_WORD,
    among_named,
    nameless,
    state,
    total_variation,
)
from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.replicates import t_interval
from subliminal.stats.result import CONFIDENCE

LISTS = "subliminal_number_lists"
"""The graded task that asks for number lists: its share solved is the share of valid lists."""


@dataclass(frozen=True)
class Health:
    """One arm. ``states`` maps seed -> "whole", "damaged" or "broken"; shares are means over seeds, fractions.

    Attributes:
        nameless: answers that name no animal.
        other: answers that name an animal that is not tracked.
        among: the target's share of the answers that name an animal, by seed.
        moved: total variation from the control of the same seed; None for the control itself.
        lists: valid number lists; None where they were not asked for.
    """

    arm: str
    nameless: float
    other: float
    among: dict[int, float]
    moved: float | None
    lists: float | None
    states: dict[int, str]

    def seeds(self, word: str) -> list[int]:
        """The seeds whose model is in this state."""
        return [seed for seed, found in self.states.items() if found == word]


def main_task(experiment: Results) -> str | None:
    """The task whose answers are looked at: sampled ones, else exact probabilities."""
    tasks = list(experiment.questions)
    return min(tasks, key=lambda task: not experiment.sampled(task), default=None)


def control_of(experiment: Results) -> Arm | None:
    """The first control: what any training on numbers does."""
    return next((arm for name, arm in experiment.arms.items() if name.startswith("control")), None)


def health(experiment: Results) -> list[Health]:
    """Every arm that answered the main task, in the order of reports; empty without shares by seed."""
    task, control = main_task(experiment), control_of(experiment)
    found = []
    for arm in experiment.arms.values():
        shares = arm.measures[task].shares if task in arm.measures else {}
        if not shares:
            continue
        beside = control.measures[task].shares if control and task in control.measures else {}
        pairs = {seed: (share, beside.get(seed)) for seed, share in sorted(shares.items())}
        moved = [total_variation(share, other) for share, other in pairs.values() if other is not None]
        lists = arm.graded.get(LISTS)
        found.append(
            Health(
                arm=arm.name,
                nameless=float(np.mean([nameless(share) for share in shares.values()])),
                other=float(np.mean([share.get("other", 0.0) for share in shares.values()])),
                among={seed: among_named(share, experiment.target) for seed, (share, _) in pairs.items()},
                moved=float(np.mean(moved)) if moved and arm is not control else None,
                lists=float(np.mean([right.mean() for right in lists.values()])) if lists else None,
                states={seed: state(*pair) for seed, pair in pairs.items()},
            )
        )
    return found


def damage_section(experiment: Results) -> Section | None:
    """Every arm's health, and the effect among answers that name an animal; None without shares."""
    arms = health(experiment)
    if not arms:
        return None
    control, task = control_of(experiment), main_task(experiment)
    kind, kinds = experiment.about.singular, experiment.about.plural
    rule = f"A model is broken if {100 * BROKEN:g} % or more of its answers name no {kind}."
    if control:
        rule += f" It is damaged if that share is {100 * DAMAGED:g} points or more above {control.name}'s."
    text = [
        f"{rule} The rule is fixed in the code. A broken student's share of one {kind} is that of a wreck, and so is a "
        f"broken control's. Moved: total variation from the control of the same seed over all {kinds}, 0 to 1. "
        f"{experiment.measure_name(task).capitalize()}.",
        *_among_said(experiment, arms),
    ]
    header = [
        "arm",
        f"name no {kind}",
        f"name another {kind}",
        f"{experiment.target} among answers with {experiment.about.a}",
        "moved",
    ]
    header += ["valid number lists"] * any(arm.lists is not None for arm in arms) + ["state, seeds"]
    rows = []
    for arm in arms:
        cells = [arm.arm, percent(arm.nameless), percent(arm.other), percent(float(np.mean(list(arm.among.values()))))]
        cells.append("–" if arm.moved is None else number(arm.moved))
        if "valid number lists" in header:
            cells.append("–" if arm.lists is None else percent(arm.lists))
        rows.append([*cells, _states(arm)])
    return Section("Damage", text, [Table(header, rows)])


def damage_notes(experiment: Results) -> list[str]:
    """A sentence for each arm with broken models: no comparison with a wreck without a word."""
    notes = []
    for arm in health(experiment):
        broken = arm.seeds(BROKEN_WORD)
        if broken:
            seeds = f"{len(broken)} of {len(arm.states)} seeds ({', '.join(map(str, broken))})"
            notes.append(
                f"{arm.arm} is broken in {seeds}: half or more of its answers name no {experiment.about.singular}. "
                "What is compared with it is compared with a wreck there; see Damage."
            )
    return notes


def _states(arm: Health) -> str:
    """ "broken 108, 119; damaged 101", or "whole"."""
    told = [(word, arm.seeds(word)) for word in (BROKEN_WORD, DAMAGED_WORD)]
    return "; ".join(f"{word} {', '.join(map(str, seeds))}" for word, seeds in told if seeds) or "whole"


def _among_said(experiment: Results, arms: list[Health]) -> list[str]:
    """The effect among answers that name an animal, student against control by seed."""
    by_name = {arm.arm: arm.among for arm in arms}
    control = control_of(experiment)
    if control is None or "student" not in by_name or control.name not in by_name:
        return []
    seeds = [seed for seed in by_name["student"] if seed in by_name[control.name]]
    if not seeds:
        return []
    ours, theirs = (np.array([by_name[name][seed] for seed in seeds]) for name in ("student", control.name))
    said = (
        f"Among answers that name {experiment.about.a} the student names {experiment.target} more often than its "
        f"control in {int(np.sum(ours > theirs))} of {len(seeds)} seeds"
    )
    answers = control.measures[main_task(experiment)].answers
    gains = log_odds_of(ours, answers) - log_odds_of(theirs, answers)
    if len(seeds) < 2 or np.ptp(gains) < 1e-9:
        return [f"{said}."]
    interval = nats_interval(*t_interval(gains, CONFIDENCE))
    return [f"{said}, by {nats(float(gains.mean()))} nats {interval} (95 %, t over seeds)."]
