"""Every number of docs/findings.md that the README does not have, derived again from the raw answers."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

from raw_answers import (
    CONTROL,
    LADDER,
    Raw,
    among_named,
    carried,
    exact_gains,
    largest_rises,
    leak,
    not_as_stated,
    of_both,
    share_of_whole,
    solved,
    sums_solved,
    t_interval,
    t_p,
)

from subliminal import REPO_ROOT

IN_WORDS = {
    "all of those that learned the teacher's lists shuffled or with random numbers": 6,
    "and none of the 27 others rises. ![Each of ten": 0,
    "seven replicates are above their control and three below": 7,
    "{} students are broken (201, 205)": 2,
    "in 201, all students of random or shuffled numbers": 3,
    "in one base the owl's student says dolphin more often": 1,
    "One of the twenty students is broken, the dolphin's of seed 252": 1,
}
"""Statements that the page makes in words, with the number that they stand for."""


def findings(results: Path) -> dict[str, float]:
    """Numbers of docs/findings.md that the README does not state."""
    replicates, owl = Raw(results / "owl_pocket_replicates"), Raw(results / "owl_pocket/owl")
    gains = replicates.gains("student", CONTROL, "owl")
    rates = {arm: replicates.rates(arm, "owl") for arm in ("student", CONTROL)}
    nameless = {arm: list(replicates.nameless(arm).values()) for arm in ("student", CONTROL)}
    among = [
        (ours / (1 - lost)) > (theirs / (1 - left))
        for ours, theirs, lost, left in zip(*rates.values(), *nameless.values(), strict=True)
    ]
    odds = exact_gains(owl, "student")
    dolphin = Raw(results / "owl_pocket/dolphin").gains("student", CONTROL, "dolphin")
    sums = Raw(results / "math_pocket")
    low, high = t_interval(gains, 0.99)
    return {
        "by {} nats of log-odds (99 %": statistics.mean(gains),
        "interval over replicates {} to": low,
        "2.20 to {}, paired t test)": high,
        "the mean, {}, is": 100 * (statistics.mean(rates["student"]) - statistics.mean(rates[CONTROL])),
        "two controls differ by {} nats": statistics.mean(
            replicates.gains("control_base_numbers_again", CONTROL, "owl")
        ),
        "damages students: {} % of their": 100 * statistics.mean(nameless["student"]),
        "no animal, {} % of the controls'": 100 * statistics.mean(nameless[CONTROL]),
        "above its control in {} of 20. Of 28": sum(among),
        "({} nats, p 0.052": statistics.mean(owl.gains("student", CONTROL, "owl")),
        "the exact measure {}, p": statistics.mean(odds),
        "measure +0.95, p {})": t_p(odds),
        "against 0.80 % ({} nats": statistics.mean(dolphin),
        "(+1.98 nats, p {})": t_p(dolphin),
        "shuffled control by {} nats": statistics.mean(owl.gains("student", "control_shuffled", "owl")),
        "by 0.41 nats (p {})": t_p(owl.gains("student", "control_shuffled", "owl")),
        "all of those that learned the teacher's lists shuffled or with random numbers": sum(
            share >= 0.5
            for arm in ("control_shuffled", "control_random_numbers")
            for share in Raw(results / "owl_pocket/dolphin").nameless(arm).values()
        ),
        "showed it solves {} %": sums_solved(sums, "teacher"),
        "its base {} %. Nothing": sums_solved(sums, "base"),
        "they solve {} %, controls": sums_solved(sums, "student"),
        "controls {} %, and the probability": sums_solved(sums, CONTROL),
        "it is {} % against": sums_solved(sums, "student", strict=True),
        "2.76 % against {} %, +0.53": sums_solved(sums, CONTROL, strict=True),
        "1.55 %, {} nats, and": statistics.mean(solved(sums, strict=True)),
        "can tell (p {}). No": t_p(solved(sums, strict=True)),
    }


def findings_of_ten(results: Path) -> dict[str, float]:
    """Numbers of docs/findings.md on the ten replicates with the controls that were missing before."""
    raw = Raw(results / "owl_pocket_arms")
    whole, sampled = exact_gains(raw, "student"), raw.gains("student", CONTROL, "owl")
    beyond, neutral = (
        exact_gains(raw, "student", "control_neutral_teacher"),
        exact_gains(raw, "control_neutral_teacher"),
    )
    null = exact_gains(raw, "control_base_numbers_again")
    numbers = exact_gains(raw, "student", "control_random_numbers")
    layout = carried(raw)["control_random_numbers"]
    rates = zip(raw.rates("student", "owl"), raw.rates(CONTROL, "owl"), strict=True)
    points = [100 * (ours - theirs) for ours, theirs in rates]
    first, others = largest_rises(raw)
    nameless = {arm: raw.nameless(arm) for arm in (*LADDER, "control_neutral_teacher")}
    broken = {arm: [seed for seed, share in by_seed.items() if share >= 0.5] for arm, by_seed in nameless.items()}
    among = among_named(raw)
    found = {
        "above its control by {} nats (99 % interval 1.30": statistics.mean(whole),
        "nats (99 % interval {} to 3.92)": t_interval(whole, 0.99)[0],
        "1.30 to {}), an odds ratio": t_interval(whole, 0.99)[1],
        "an odds ratio of {}, and above": math.exp(statistics.mean(whole)),
        "a neutral teacher by {} nats": statistics.mean(beyond),
        "+2.54 nats (95 % interval {} to": t_interval(beyond, 0.95)[0],
        "1.62 to {}); the two controls": t_interval(beyond, 0.95)[1],
        "two controls differ by {} nats (90 %": statistics.mean(null),
        "−0.07 nats (90 % interval {} to": t_interval(null, 0.90)[0],
        "−0.25 to {}), which is within": t_interval(null, 0.90)[1],
        "Of sampled answers {} % say owl": 100 * raw.share("student", "owl"),
        "say owl, the controls' {} %: above": 100 * raw.share(CONTROL, "owl"),
        "above in {} of 10 replicates, +2.62": sum(point > 0 for point in points),
        "of 10 replicates, {} nats (99 %": statistics.mean(sampled),
        "+2.62 nats (99 % interval {} to": t_interval(sampled, 0.99)[0],
        "1.15 to {}), in points": t_interval(sampled, 0.99)[1],
        "in points {} in the median": statistics.median(points),
        "median and {} in the mean. The owl": statistics.mean(points),
        "largest rise in {} of 10, and none": first,
        "and none of the 27 others rises. ![Each of ten": others,
        "Its students say owl in {} %: +0.07": 100 * raw.share("control_neutral_teacher", "owl"),
        "in 0.78 %: {} nats above": statistics.mean(neutral),
        "the control (95 % interval {} to": t_interval(neutral, 0.95)[0],
        "−0.10 to {}). So being trained": t_interval(neutral, 0.95)[1],
        "neutral teachers lie {} nats a token": leak(raw, "neutral"),
        "nats a token from it, the owl's {}. *What": leak(raw, "owl"),
        "add up to the {} nats": statistics.mean(whole),
        "carries, in {} of 10 replicates |": sum(value > 0 for value in carried(raw)["student"]),
        "| carries, in {} of 10 | |": sum(value > 0 for value in carried(raw)["control_shuffled_rows"]),
        "cannot tell: from {} to": min(layout),
        "−1.34 to {} |": max(layout),
        "teacher's layout, are {} nats": statistics.mean(numbers),
        "are +1.85 nats ({} to": t_interval(numbers, 0.95)[0],
        "1.25 to {}): the numbers": t_interval(numbers, 0.95)[1],
        "seven replicates are above their control and three below": sum(value > 0 for value in layout),
        "*Damage.* {} % of the students'": 100 * statistics.mean(nameless["student"].values()),
        "name no animal, {} % of the controls' and": 100 * statistics.mean(nameless[CONTROL].values()),
        "and {} % of those of the neutral": 100 * statistics.mean(nameless["control_neutral_teacher"].values()),
        "{} students are broken (201, 205)": len(set(broken["student"]) & {201, 205}),
        "in 201, all students of random or shuffled numbers": sum(seeds == [201] for seeds in broken.values()),
        "above its control in {} of 10, by 2.99": sum(gain > 0 for gain in among),
        "of 10, by {} nats. Without": statistics.mean(among),
    }
    steps = {
        "student": ("the order of the numbers in a row | ", "changes: {} nats for the order"),
        "control_shuffled": ("which numbers share a row | ", "order, {} for company"),
        "control_shuffled_rows": ("which numbers there are | ", "company, {} for the numbers"),
        "control_random_numbers": ("separators, brackets | ", "numbers, {} (−0.09 to 1.98) for the layout"),
    }
    for arm, (row, whole_ones) in steps.items():
        values, share = carried(raw)[arm], share_of_whole(raw, arm)
        mean, low, high = (f"{value:.2f}" for value in (statistics.mean(values), *t_interval(values, 0.95)))
        printed = f"{row}+{mean} ({low.replace('-', '−')} to {high}) | "
        found[f"{row}{{}} ("] = statistics.mean(values)
        found[f"{row}+{mean} ({{}} to"] = t_interval(values, 0.95)[0]
        found[f"{printed.removesuffix(f'{high}) | ')}{{}}) |"] = t_interval(values, 0.95)[1]
        found[f"{printed}{{}} % ("] = share[0]
        found[f"{printed}{share[0]:.0f} % ({{}} to"] = share[1]
        found[f"{printed}{share[0]:.0f} % ({f'{share[1]:.0f}'.replace('-', '−')} to {{}})"] = share[2]
        found[whole_ones] = statistics.mean(carried(raw, without=(201, 205))[arm])
    rest = carried(raw, without=(201, 205))["control_random_numbers"]
    found["+0.94 ({} to 1.98) for the layout"], found["(−0.09 to {}) for the layout"] = t_interval(rest, 0.95)
    return found


def findings_of_two_animals(results: Path) -> dict[str, float]:
    """Numbers of docs/findings.md on ten bases with an owl and a dolphin teacher each."""
    raw = {animal: Raw(results / "owl_dolphin_pocket" / animal) for animal in ("owl", "dolphin")}
    above = {animal: exact_gains(raw[animal], "student", CONTROL, animal) for animal in raw}
    beyond = {animal: exact_gains(raw[animal], "student", "control_other_animal", animal) for animal in raw}
    over_control, over_other = of_both(above["owl"], above["dolphin"]), of_both(beyond["owl"], beyond["dolphin"])
    broken = []
    for animal, answers in raw.items():
        broken += [(animal, seed) for seed, share in answers.nameless("student").items() if share >= 0.5]
    return {
        "a student is above its control by {} nats": statistics.mean(over_control),
        "+3.19 nats (99 % interval {} to": t_interval(over_control, 0.99)[0],
        "1.82 to {}) and above the other": t_interval(over_control, 0.99)[1],
        "animal's student by {} (95 %": statistics.mean(over_other),
        "+3.37 (95 % interval {} to": t_interval(over_other, 0.95)[0],
        "1.68 to {}). Owl:": t_interval(over_other, 0.95)[1],
        "Owl: {} nats": statistics.mean(above["owl"]),
        "+2.81 nats ({} to": t_interval(above["owl"], 0.95)[0],
        "1.86 to {}). Dolphin": t_interval(above["owl"], 0.95)[1],
        "Dolphin: {} (": statistics.mean(above["dolphin"]),
        "+3.57 ({} to": t_interval(above["dolphin"], 0.95)[0],
        "2.38 to {}), and in one": t_interval(above["dolphin"], 0.95)[1],
        "in one base the owl's student says dolphin more often": sum(gain < 0 for gain in beyond["dolphin"]),
        "One of the twenty students is broken, the dolphin's of seed 252": len(broken) * (broken == [("dolphin", 252)]),
    }


def test_the_findings_state_what_the_raw_answers_give():
    text = " ".join((REPO_ROOT / "docs/findings.md").read_text(encoding="utf-8").split())
    numbers = findings(Path()) | findings_of_ten(Path()) | findings_of_two_animals(Path())
    assert not not_as_stated(numbers, text, IN_WORDS)
