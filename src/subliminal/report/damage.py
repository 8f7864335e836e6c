"""Damage: which models still answer with an animal, and whether an effect is one of whole models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from subliminal.core.formatting import interval, nats, nats_interval, number, percent
from subliminal.experiment.arms import arm_kind
from subliminal.experiment.sweep.factors import arm_at, point_of
from subliminal.report.blocks import Section, Table, or_dash
from subliminal.report.data import LISTS, SAMPLED, Results
from subliminal.report.tables.estimates import estimates
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
from subliminal.stats.shares import mean_interval


@dataclass(frozen=True)
class Health:
    """One arm. ``states`` maps seed -> "whole", "damaged" or "broken"; shares are means over seeds, fractions.

    Attributes:
        nameless: answers that name no animal.
        other: answers that name an animal that is not tracked.
        among: the target's share of the answers that name an animal, by seed.
        moved: total variation from the control of the same seed (at the same point); None for the control itself.
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


def main_task(results: Results) -> str | None:
    """The task whose answers are looked at: sampled ones, else exact probabilities."""
    for task in results.preference_tasks:
        # A sampled task says what a model answers; exact probabilities know the tracked names alone.
        if results.kinds[task] == SAMPLED:
            return task
    return next(iter(results.preference_tasks), None)


def control_of(results: Results) -> str | None:
    """The first control: what any training on numbers does."""
    # The first in the order of reports, in which the plain control comes before its variants.
    return next((arm for arm in results.arms if arm.startswith("control")), None)


def _control_for(arm: str, control: str | None, arms: list[str]) -> str | None:
    """What an arm is held against: the control that was trained at its own point of a sweep, else the first control.

    The first control is for bases, which learned no rows, and for the control at a point itself: nothing else tells
    what the point does.
    """
    kind, of_control = arm_kind(arm), arm_kind(control or "")
    if kind is None or kind.rows is None or of_control is None:
        return control
    _, values = point_of(arm)
    own = arm_at(of_control, values)
    if own == arm or own not in arms:
        return control
    return own


def health(results: Results) -> list[Health]:
    """Every arm that answered the main task, in the order of reports; empty without shares by seed."""
    task = main_task(results)
    control = control_of(results)
    tells = _tells_a_wreck(results, task)
    shares_of = {arm: _shares(results, arm, task) for arm in results.arms}
    found = []
    for arm, shares in shares_of.items():
        if not shares:
            continue
        of_control = shares_of.get(_control_for(arm, control, results.arms), {})
        # What each seed's model is held against.
        references = of_control
        moved = []
        if arm != control:  # which has no distance from itself
            moved = [total_variation(shares[seed], of_control[seed]) for seed in shares if seed in of_control]
        elif not tells:
            # Nothing else would tell that the control itself is a wreck.
            references = dict.fromkeys(shares, _mean_share(shares_of.get("base", {})))
        states = {}
        for seed, share in shares.items():
            states[seed] = state(share, references.get(seed), tells_a_wreck=tells)
        found.append(
            Health(
                arm=arm,
                nameless=float(np.mean(list(map(nameless, shares.values())))),
                other=float(np.mean([share.get("other", 0.0) for share in shares.values()])),
                among={seed: among_named(share, results.target) for seed, share in shares.items()},
                moved=_mean(moved),
                lists=_mean(results.rates(arm, LISTS).to_numpy()),
                states=states,
            )
        )
    return found


def _mean(values: Any) -> float | None:
    """None of nothing."""
    if np.size(values) == 0:
        return None
    return float(np.mean(values))


def _tells_a_wreck(results: Results, task: str | None) -> bool:
    """Whether a large share without a tracked animal means a broken model.

    Exact probabilities know the tracked animals alone. A base that has read the world names others, or none, in more
    than half of its answers and is no wreck; what its students lose is seen against their controls, and what these
    lose against the base.
    """
    if task is None or results.kinds[task] == SAMPLED:
        return True
    return all(nameless(share) < BROKEN for share in _shares(results, "base", task).values())


def _shares(results: Results, arm: str | None, task: str | None) -> dict[int, dict[str, float]]:
    """Seed -> name -> share."""
    return results.shares(arm, task).to_dict("index")


def _mean_share(shares: dict[int, dict[str, float]]) -> dict[str, float]:
    """The mean over seeds of what each name has."""
    names = {name for share in shares.values() for name in share}
    return {name: float(np.mean([share.get(name, 0.0) for share in shares.values()])) for name in names}


def damage_section(results: Results) -> Section | None:
    """Every arm's health, and the effect among answers that name an animal; None without shares."""
    arms = health(results)
    if not arms:
        return None
    control = control_of(results)
    task = main_task(results)
    kind = results.about.singular
    kinds = results.about.plural
    share = "that share"
    rule = f"A model is broken if {100 * BROKEN:g} % or more of its answers name no {kind}."
    if not _tells_a_wreck(results, task):
        # Exact probabilities of a model that knows more animals: what is not tracked is most of its answers.
        rule = f"The base itself gives {100 * BROKEN:g} % or more to none of the tracked {kinds}, which is no damage."
        share = "the share of no tracked one"
    if control:
        rule += f" It is damaged if {share} is {100 * DAMAGED:g} points or more above {control}'s"
        if any(_control_for(arm.arm, control, results.arms) != control for arm in arms):
            rule += " (of an arm that was trained at a point of the sweep: above that of the control at this point)"
        if not _tells_a_wreck(results, task):
            rule += ", which is held against the base's"
        rule += "."
    text = [
        f"{rule} The rule is fixed in the code. A broken student's share of one {kind} is that of a wreck, and so is a "
        f"broken control's. Moved: total variation from the control of the same seed over all {kinds}, 0 to 1. "
        f"{results.measure_name(task).capitalize()}.",
        *_among_said(results, arms),
    ]
    header = ["arm", f"name no {kind}", f"name another {kind}"]
    header += [f"{results.target} among answers with {results.about.a}", "moved"]
    asked_for_lists = any(arm.lists is not None for arm in arms)
    if asked_for_lists:
        header.append("valid number lists")
    rows = []
    for arm in arms:
        among = float(np.mean(list(arm.among.values())))
        cells = [arm.arm, percent(arm.nameless), percent(arm.other), percent(among), or_dash(arm.moved, number)]
        if asked_for_lists:
            cells.append(or_dash(arm.lists, percent))
        rows.append([*cells, _states(arm)])
    return Section("Damage", text, [Table([*header, "state, seeds"], rows)])


def lists_section(results: Results) -> Section | None:
    """Valid number lists, an arm a row: students and controls learned to write them, and a broken model does not."""
    measured = []
    for task in results.health_tasks:
        measured += estimates(results, [task])
    if not measured:
        return None
    rows = []
    for e in measured:
        counts = []
        for seed, right in results.rates(e.arm, e.task).iterrows():
            counts.append(f"seed {seed}: {int(right.sum())} of {right.size}")
        rows.append([e.arm, percent(e.mean), interval(*e.interval), "; ".join(counts)])
    text = (
        "Health of the models. Each is asked for number lists as students are in training, one answer to a "
        "prompt at temperature 1; shown is the share of answers that the filter of number rows keeps, with a 95 % "
        "interval over prompts. A student that writes fewer valid lists than its control was damaged by its training, "
        "whatever it says of the trait."
    )
    header = ["arm", "valid number lists", "95 % interval, %", "valid answers"]
    return Section("Valid number lists", [text], [Table(header, rows)])


def damage_notes(results: Results) -> list[str]:
    """Which arms have broken models, if any: no comparison with a wreck without a word."""
    told = []
    for arm in health(results):
        broken = arm.seeds(BROKEN_WORD)
        if broken:
            verb = "is broken "
            if told:  # "student is broken in ..., control in ..."
                verb = ""
            told.append(f"{arm.arm} {verb}in {len(broken)} of {len(arm.states)} seeds ({', '.join(map(str, broken))})")
    if not told:
        return []
    return [
        f"{', '.join(told)}: half or more of the answers name no {results.about.singular}. What is compared there is "
        "compared with a wreck; see Damage."
    ]


def _states(arm: Health) -> str:
    """ "broken 108, 119; damaged 101", or "whole"."""
    told = []
    for word in (BROKEN_WORD, DAMAGED_WORD):
        seeds = arm.seeds(word)
        if seeds:
            told.append(f"{word} {', '.join(map(str, seeds))}")
    return "; ".join(told) or "whole"


def _among_said(results: Results, arms: list[Health]) -> list[str]:
    """The effect among answers that name an animal, student against control by seed."""
    among = {arm.arm: arm.among for arm in arms}
    control = control_of(results)
    of_student, of_control = among.get("student", {}), among.get(control or "", {})
    seeds = [seed for seed in of_student if seed in of_control]
    if not seeds:
        return []
    ours = np.array([of_student[seed] for seed in seeds])
    theirs = np.array([of_control[seed] for seed in seeds])
    said = (
        f"Among answers that name {results.about.a} the student names {results.target} more often than its "
        f"control in {int(np.sum(ours > theirs))} of {len(seeds)} seeds"
    )
    answers = results.answers(control, main_task(results))
    gains = log_odds_of(ours, answers) - log_odds_of(theirs, answers)
    ends = mean_interval(gains)
    if ends is None:
        return [f"{said}."]
    return [f"{said}, by {nats(float(gains.mean()))} nats {nats_interval(*ends)} (95 %, t over seeds)."]
