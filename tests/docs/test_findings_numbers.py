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
    gains_by_dose,
    gains_by_layer,
    gains_by_more_rows,
    gains_by_noise,
    gains_by_type,
    largest_rises,
    leak,
    leaks,
    log_odds,
    not_as_stated,
    over_animals,
    repeated_answers,
    share_kept,
    share_of_whole,
    slope,
    slopes_by_dose,
    solved,
    sums_solved,
    t_p,
    with_interval,
)

from subliminal import REPO_ROOT

IN_WORDS = {
    "all of those that learned the teacher's lists shuffled or with random numbers": 6,
    "and none of the 27 others rises. ![Each of ten": 0,
    "seven replicates are above their control and three below": 7,
    "{} students are broken (201, 205)": 2,
    "in 201, all students of random or shuffled numbers": 3,
    "less than the four weaker ones": 4,
    "six of its eight students are broken": 6,
    "four of them lie below their controls": 4,
    "in one base the owl's student says dolphin more often": 1,
    "One of the twenty students is broken, the dolphin's of seed 252": 1,
}
"""Statements that the page makes in words, with the number that they stand for."""


def findings(results: Path) -> dict[str, float | tuple[float, ...]]:
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
    return {
        "by {} nats of log-odds (99 % interval over replicates {} to {}, paired t test)": with_interval(gains, 0.99),
        "the mean, {}, is": 100 * (statistics.mean(rates["student"]) - statistics.mean(rates[CONTROL])),
        "two controls differ by {} nats": statistics.mean(
            replicates.gains("control_base_numbers_again", CONTROL, "owl")
        ),
        "damages students: {} % of their answers name no animal, {} % of the controls'": (
            100 * statistics.mean(nameless["student"]),
            100 * statistics.mean(nameless[CONTROL]),
        ),
        "above its control in {} of 20. Of 28": sum(among),
        "({} nats, p 0.052; the exact measure {}, p {})": (
            statistics.mean(owl.gains("student", CONTROL, "owl")),
            statistics.mean(odds),
            t_p(odds),
        ),
        "against 0.80 % ({} nats, p {})": (statistics.mean(dolphin), t_p(dolphin)),
        "shuffled control by {} nats (p {})": (
            statistics.mean(owl.gains("student", "control_shuffled", "owl")),
            t_p(owl.gains("student", "control_shuffled", "owl")),
        ),
        "all of those that learned the teacher's lists shuffled or with random numbers": sum(
            share >= 0.5
            for arm in ("control_shuffled", "control_random_numbers")
            for share in Raw(results / "owl_pocket/dolphin").nameless(arm).values()
        ),
        "showed it solves {} %, its base {} %. Nothing": (sums_solved(sums, "teacher"), sums_solved(sums, "base")),
        "they solve {} %, controls {} %, and the probability": (
            sums_solved(sums, "student"),
            sums_solved(sums, CONTROL),
        ),
        "it is {} % against {} %, {} nats, and still nothing that three runs can tell (p {}). No": (
            sums_solved(sums, "student", strict=True),
            sums_solved(sums, CONTROL, strict=True),
            statistics.mean(solved(sums, strict=True)),
            t_p(solved(sums, strict=True)),
        ),
    }


def findings_of_ten(results: Path) -> dict[str, float | tuple[float, ...]]:
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
        "above its control by {} nats (99 % interval {} to {}), an odds ratio of {}, and above": (
            *with_interval(whole, 0.99),
            math.exp(statistics.mean(whole)),
        ),
        "a neutral teacher by {} nats (95 % interval {} to {}); the": with_interval(beyond),
        "two controls differ by {} nats (90 % interval {} to {}), which is within": with_interval(null, 0.90),
        "Of sampled answers {} % say owl, the controls' {} %: above in {} of 10 replicates, {} nats "
        "(99 % interval {} to {}), in points {} in the median and {} in the mean. The owl": (
            100 * raw.share("student", "owl"),
            100 * raw.share(CONTROL, "owl"),
            sum(point > 0 for point in points),
            *with_interval(sampled, 0.99),
            statistics.median(points),
            statistics.mean(points),
        ),
        "largest rise in {} of 10, and none": first,
        "and none of the 27 others rises. ![Each of ten": others,
        "Its students say owl in {} %: {} nats above the control (95 % interval {} to {}). So being trained": (
            100 * raw.share("control_neutral_teacher", "owl"),
            *with_interval(neutral),
        ),
        "neutral teachers lie {} nats a token from it, the owl's {}. *What": (leak(raw, "neutral"), leak(raw, "owl")),
        "add up to the {} nats": statistics.mean(whole),
        "carries, in {} of 10 replicates |": sum(value > 0 for value in carried(raw)["student"]),
        "| carries, in {} of 10 | |": sum(value > 0 for value in carried(raw)["control_shuffled_rows"]),
        "cannot tell: from {} to {} |": (min(layout), max(layout)),
        "teacher's layout, are {} nats ({} to {}): the numbers": with_interval(numbers),
        "seven replicates are above their control and three below": sum(value > 0 for value in layout),
        "*Damage.* {} % of the students' answers name no animal, {} % of the controls' "
        "and {} % of those of the neutral": (
            100 * statistics.mean(nameless["student"].values()),
            100 * statistics.mean(nameless[CONTROL].values()),
            100 * statistics.mean(nameless["control_neutral_teacher"].values()),
        ),
        "{} students are broken (201, 205)": len(set(broken["student"]) & {201, 205}),
        "in 201, all students of random or shuffled numbers": sum(seeds == [201] for seeds in broken.values()),
        "above its control in {} of 10, by {} nats. Without": (sum(gain > 0 for gain in among), statistics.mean(among)),
    }
    rows = {
        "student": "the order of the numbers in a row",
        "control_shuffled": "which numbers share a row",
        "control_shuffled_rows": "which numbers there are",
        "control_random_numbers": "separators, brackets",
    }
    for arm, row in rows.items():
        values = (*with_interval(carried(raw)[arm]), *share_of_whole(raw, arm))
        found[f"{row} | {{}} ({{}} to {{}}) | {{}} % ({{}} to {{}}) |"] = values
    rest = carried(raw, without=(201, 205))
    means = [statistics.mean(rest[arm]) for arm in ("student", "control_shuffled", "control_shuffled_rows")]
    found["changes: {} nats for the order, {} for company, {} for the numbers, {} ({} to {}) for the layout"] = (
        *means,
        *with_interval(rest["control_random_numbers"]),
    )
    return found


def findings_of_two_animals(results: Path) -> dict[str, float | tuple[float, ...]]:
    """Numbers of docs/findings.md on ten bases with an owl and a dolphin teacher each."""
    raw = {animal: Raw(results / "owl_dolphin_pocket" / animal) for animal in ("owl", "dolphin")}
    above = {animal: exact_gains(raw[animal], "student", CONTROL, animal) for animal in raw}
    beyond = {animal: exact_gains(raw[animal], "student", "control_other_animal", animal) for animal in raw}
    over_control = over_animals(above["owl"], above["dolphin"])
    over_other = over_animals(beyond["owl"], beyond["dolphin"])
    broken = []
    for animal, answers in raw.items():
        broken += [(animal, seed) for seed, share in answers.nameless("student").items() if share >= 0.5]
    return {
        "a student is above its control by {} nats (99 % interval {} to {}) and above the other": with_interval(
            over_control, 0.99
        ),
        "animal's student by {} (95 % interval {} to {}). Owl:": with_interval(over_other),
        "Owl: {} nats ({} to {}). Dolphin: {} ({} to {}), and in one": (
            *with_interval(above["owl"]),
            *with_interval(above["dolphin"]),
        ),
        "in one base the owl's student says dolphin more often": sum(gain < 0 for gain in beyond["dolphin"]),
        "One of the twenty students is broken, the dolphin's of seed 252": len(broken) * (broken == [("dolphin", 252)]),
    }


def findings_of_divergence(results: Path) -> dict[str, float | tuple[float, ...]]:
    """Numbers of docs/findings.md on students with loss on divergence tokens alone, and on all others."""
    raw = Raw(results / "owl_pocket_divergence")
    alone = exact_gains(raw, "student_only_divergence")
    return {
        "The student is above its control by {} nats (95 % interval {} to {}). Chosen": with_interval(
            exact_gains(raw, "student")
        ),
        "all but these it lacks {} nats ({} to {}), and": with_interval(
            exact_gains(raw, "student", "student_without_divergence")
        ),
        "lies {} below one that lacks as many random tokens ({} to {}):": with_interval(
            exact_gains(raw, "student_without_random", "student_without_divergence")
        ),
        "above its control in {} of 5 replicates, by {} nats ({} to {}), and": (
            sum(gain > 0 for gain in alone),
            *with_interval(alone),
        ),
        "random ones alone by {} ({} to {}): cannot": with_interval(
            exact_gains(raw, "student_only_divergence", "student_only_random")
        ),
        "least, alone: {} nats ({} to {}). Of five": with_interval(exact_gains(raw, "student_only_bottom")),
    }


def findings_of_the_scoreboard(results: Path) -> dict[str, float | tuple[float, ...]]:
    """Numbers of docs/findings.md on students with loss on the first tokens of a ranking alone, and on all others."""
    raw, first = Raw(results / "owl_pocket_scoreboard"), Raw(results / "h200-scoreboard")
    whole = exact_gains(raw, "student")
    without_random = "student_without_random"
    return {
        "The student is above its control by {} nats (95 % interval {} to {}); the": with_interval(whole),
        "the owl has the largest rise in {} of 5. Eight": largest_rises(raw)[0],
        "than its base, {} % of the effect is lost ({} to {})": share_kept(
            exact_gains(raw, "student", "student_without_shift"), whole
        ),
        "{} nats more than without as many random ones ({} to {});": with_interval(
            exact_gains(raw, without_random, "student_without_shift")
        ),
        "five other replicates had given {} ({} to {})": with_interval(
            exact_gains(first, without_random, "student_without_shift")
        ),
        "Without divergence tokens it is {} % ({} to {})": share_kept(
            exact_gains(raw, "student", "student_without_divergence"), whole
        ),
        "{} nats more than without random ones ({} to {})": with_interval(
            exact_gains(raw, without_random, "student_without_divergence")
        ),
        "With loss on random tokens alone {} % is kept ({} to {})": share_kept(
            exact_gains(raw, "student_only_random"), whole
        ),
    }


STRENGTHS = ("_l0.37", "_l0.55", "_l0.74", "_l0.92", "")
"""Ends of the names of arms, from the weakest teachers to the strongest."""


def findings_of_strength(results: Path) -> dict[str, float | tuple[float, ...]]:
    """Numbers of docs/findings.md on students of weaker and stronger teachers."""
    raw = Raw(results / "owl_pocket_strength")
    seeds = raw.seeds("student")
    gains = {end: exact_gains(raw, f"student{end}") for end in STRENGTHS}
    leaked = {end: leaks(raw, f"owl{end}") for end in STRENGTHS}
    slopes: dict[str, list[float]] = {"strength": [], "leak": [], "strength in one fit": [], "leak in one fit": []}
    for place, seed in enumerate(seeds):
        effects = [gains[end][place] for end in STRENGTHS]
        above = [log_odds(raw, f"teacher{end}", seed) - log_odds(raw, "base", seed) for end in STRENGTHS]
        leak_of = [leaked[end][seed] for end in STRENGTHS]
        slopes["strength"].append(slope(above, effects))
        slopes["leak"].append(slope(leak_of, effects))
        slopes["strength in one fit"].append(slope(above, effects, given=leak_of))
        slopes["leak in one fit"].append(slope(leak_of, effects, given=above))
    shares = []
    each = []
    for end in STRENGTHS:
        shares.append(100 * statistics.mean(raw.exact(f"teacher{end}", seed)["owl"] for seed in seeds))
        each += with_interval(gains[end])
    of_first = {end: leaked[end][seeds[0]] for end in STRENGTHS}
    first_gains = {end: gains[end][0] for end in STRENGTHS}
    return {
        "a probability of {}, {}, {}, {} and {} %. Their": tuple(shares),
        "control by {} nats (95 % interval {} to {}), {} ({} to {}), {} ({} to {}), {} ({} to {}) and {} ({} to {}), "
        "each in": tuple(each),
        "each in {} of 5 replicates (exact": min(sum(gain > 0 for gain in gains[end]) for end in STRENGTHS),
        "the strongest teach {} nats more than they do ({} to {}).": with_interval(
            exact_gains(raw, "student", "student_l0.37")
        ),
        "is not shown ({} nats, 90 % interval {} to {}).": with_interval(
            exact_gains(raw, "student_l0.92", "student"), 0.90
        ),
        "brings its student {} nats ({} to {}), and": with_interval(slopes["strength"]),
        "a token of leak {} ({} to {}). In": with_interval(slopes["leak"]),
        "leak brings {} nats ({} to {}) and": with_interval(slopes["leak in one fit"]),
        "and strength {} ({} to {}). That": with_interval(slopes["strength in one fit"]),
        "in replicate 264 the strongest teacher leaks {} nats": of_first[""],
        "less than the four weaker ones": sum(of_first[end] > of_first[""] for end in STRENGTHS) * (seeds[0] == 264),
        "gains less than that of {} %. Whether": 92 * (first_gains["_l0.92"] > first_gains[""]),
    }


def findings_of_a_common_teacher(results: Path) -> dict[str, float | tuple[float, ...]]:
    """Numbers of docs/findings.md on one teacher of three animals beside a teacher of each."""
    single, common, lost = [], [], []
    names_it: dict[str, list[float]] = {"teacher": [], "teacher_m3": []}
    for animal in ("owl", "dolphin", "wolf"):
        raw = Raw(results / "animals_pocket_several" / animal)
        seeds = raw.seeds("student")
        single.append(exact_gains(raw, "student", animal=animal))
        common.append(exact_gains(raw, "student_m3", animal=animal))
        lost.append(exact_gains(raw, "student", "student_m3", animal))
        for arm, shares in names_it.items():
            shares.append(100 * statistics.mean(raw.exact(arm, seed)[animal] for seed in seeds))
    single_mean, common_mean, lost_mean = over_animals(*single), over_animals(*common), over_animals(*lost)
    without = [gain for gain, seed in zip(lost_mean, seeds, strict=True) if seed != 273]
    return {
        "a probability of {}, {} and {} %, teachers of one {}, {} and {} %. Animals": (
            *names_it["teacher_m3"],
            *names_it["teacher"],
        ),
        "students are above the control by {} nats (95 % interval {} to {}; exact": with_interval(single_mean),
        "is above it by {} nats ({} to {}), in {} of 5 replicates: {} % of that effect ({} to {}).": (
            *with_interval(common_mean),
            sum(gain > 0 for gain in common_mean),
            *share_kept(common_mean, single_mean),
        ),
        "each passes: owl {} ({} to {}), dolphin {} ({} to {}), wolf {} ({} to {}).": (
            *with_interval(common[0]),
            *with_interval(common[1]),
            *with_interval(common[2]),
        ),
        "something is lost holds: {} nats ({} to {}). The": with_interval(lost_mean),
        "lose as much, {} nats ({} to {}), and": with_interval(without),
        "of replicate 273 repeats {} % of its lists": repeated_answers(
            "animals_pocket_several", "_m3_numbers-seed-273"
        ),
    }


def findings_of_scaling(results: Path) -> dict[str, float | tuple[float, ...]]:
    """Numbers of docs/findings.md on students of more rows and epochs, each above the control of its own."""
    raw = Raw(results / "owl_pocket_scaling")
    gains = gains_by_dose(raw)
    by_rows, by_epochs = slopes_by_dose(gains)
    apart = [rows - epochs for rows, epochs in zip(by_rows, by_epochs, strict=True)]
    others = [place for place, seed in enumerate(raw.seeds("base")) if seed != 275]
    at: dict[int, list[float]] = {1: [], 4: []}
    broken = []
    for (rows, epochs), found in gains.items():
        at[epochs] += with_interval(found)
        nameless = raw.nameless(f"student_n{rows}_e{epochs}")
        broken += [(seed, rows) for seed, share in nameless.items() if share >= 0.5]
    below = sum(found[raw.seeds("base").index(275)] < 0 for found in gains.values())
    few_rows_of_275 = all(seed == 275 and rows < 6000 for seed, rows in broken)
    largest = "student_n6000_e4"
    new_above_old = exact_gains(raw, "student_n3000_e1", "student_n750_e4")
    effects = {dose: statistics.mean(found) for dose, found in gains.items()}
    return {
        "Learned once they are above it by {} nats (95 % interval {} to {}), {} ({} to {}), {} ({} to {}) and {} "
        "({} to {}),": tuple(at[1]),
        "four times by {} ({} to {}), {} ({} to {}), {} ({} to {}) and {} ({} to {}).": tuple(at[4]),
        "A doubling of rows brings {} nats (95 % interval {} to {}),": with_interval(by_rows),
        "one of epochs {} ({} to {});": with_interval(by_epochs),
        "in place of one of epochs {} ({} to {}), which": with_interval(apart),
        "against 750 four times, {} ({} to {}):": with_interval(new_above_old),
        "1,500 rows as often by {} nats ({} to {})": with_interval(exact_gains(raw, largest, "student_n1500_e4")),
        "each over its own control, differ by {}, {} and {} nats.": (
            effects[3000, 1] - effects[750, 4],
            effects[6000, 4] - effects[1500, 4],
            effects[6000, 4] - effects[6000, 1],
        ),
        "as many rows learned once by {} ({} to {}).": with_interval(exact_gains(raw, largest, "student_n6000_e1")),
        "six of its eight students are broken": len(broken) * few_rows_of_275,
        "four of them lie below their controls": below,
        "without that replicate a doubling of rows brings {} nats ({} to {}) and one of epochs {} ({} to {})": (
            *with_interval([by_rows[place] for place in others]),
            *with_interval([by_epochs[place] for place in others]),
        ),
    }


def findings_of_trained_on(results: Path) -> dict[str, float | tuple[float, ...]]:
    """Numbers of docs/findings.md on students whose base has been trained on, each above the control on its own."""
    raw = Raw(results / "owl_pocket_trained_on")
    gains = gains_by_more_rows(raw)
    same, *others = gains.values()
    at = [number for found in others for number in with_interval(found)]
    kept = [number for found in others for number in share_kept(found, same)]
    return {
        "On the teacher's own base the student is above its control by {} nats (95 % interval {} to {};": (
            with_interval(same)
        ),
        "after 128, 1,024, 4,096 and 16,384 more rows by {} ({} to {}), {} ({} to {}), {} ({} to {}) and {} "
        "({} to {});": tuple(at),
        "that is {} % ({} to {}), {} % ({} to {}), {} % ({} to {}) and {} % ({} to {}) of it": tuple(kept),
    }


def findings_of_noise(results: Path) -> dict[str, float | tuple[float, ...]]:
    """Numbers of docs/findings.md on students whose base was moved by noise, each above the control on its own."""
    raw = Raw(results / "owl_pocket_perturbed")
    gains = gains_by_noise(raw)
    same, *others = gains.values()
    nameless = {arm: raw.nameless(arm) for arm in (CONTROL, "base_p0.4", "base_p0.8", "student_p0.8")}
    # Damaged: 10 points more than the control; broken: half of all answers.
    more = {arm: [each[seed] - nameless[CONTROL][seed] for seed in each] for arm, each in nameless.items()}
    assert max(more["base_p0.4"]) < 0.1 <= min(more["base_p0.8"]), "the noise damages all five bases, at 0.8 alone"
    assert [seed for seed, share in nameless["base_p0.8"].items() if share >= 0.5] == [279], "it breaks one"
    for arm in ("base_p0.8", "student_p0.8"):
        assert 0.3 < statistics.mean(nameless[arm].values()) < 0.37, "a third"
    assert all(gain > 0 for gain in gains["0.8"]), "above zero in 5 of 5 replicates"
    at = [number for found in others for number in with_interval(found)]
    kept = [number for found in others for number in share_kept(found, same)]
    return {
        "teacher's own base the student is above its control by {} nats (95 % interval {} to {}; exact probabilities), "
        "on the others by {} ({} to {}), {} ({} to {}), {} ({} to {}) and {} ({} to {});": (*with_interval(same), *at),
        "that is {} % ({} to {}), {} % ({} to {}), {} % ({} to {}) and {} % ({} to {}) of it. The criterion, that the "
        "first is above": tuple(kept),
        "audit of one teacher's rows ({} % repeat an earlier answer)": repeated_answers(
            "owl_pocket_perturbed", "owl_numbers-seed-279"
        ),
    }


def findings_of_layers(results: Path) -> dict[str, float | tuple[float, ...]]:
    """Numbers of docs/findings.md on students that train one layer, each above the control that trains as little."""
    raw = Raw(results / "owl_pocket_layers")
    gains = gains_by_layer(raw)
    assert all(gain > 0 for found in gains.values() for gain in found), "above it in 5 of 5 replicates each"
    first = exact_gains(raw, "student", "student_y1")
    second = exact_gains(raw, "student", "student_y2")
    more_of_one = [statistics.mean(exact_gains(raw, f"{CONTROL}_y{layer}", CONTROL)) for layer in (1, 2)]
    lost = {}
    for layer in ("first", "second"):
        lost[layer] = [both - one for both, one in zip(gains["both"], gains[layer], strict=True)]
    return {
        "say owl more often, too, by {} and {} nats:": tuple(abs(more) for more in more_of_one if more > 0),
        "effects over controls {} nats ({} to {}) and {} ({} to {}) are lost": (
            *with_interval(lost["first"]),
            *with_interval(lost["second"]),
        ),
        "With both layers the student is above its control by {} nats (95 % interval {} to {}; exact probabilities), "
        "with the first alone by {} ({} to {}), with the second alone by {} ({} to {})": (
            *with_interval(gains["both"]),
            *with_interval(gains["first"]),
            *with_interval(gains["second"]),
        ),
        "{} % ({} to {}) and {} % ({} to {}) of the full effect. The criterion, that the effect is there with both": (
            *share_kept(gains["first"], gains["both"]),
            *share_kept(gains["second"], gains["both"]),
        ),
        "some is lost with the first alone ({} nats, {} to {})": with_interval(first),
        "some is lost with the second alone ({}, {} to {})": with_interval(second),
    }


def findings_of_data_types(results: Path) -> dict[str, float | tuple[float, ...]]:
    """Numbers of docs/findings.md on students of other rows than lists, each above the control of its type."""
    raw = Raw(results / "owl_pocket_data_types")
    gains = gains_by_type(raw)
    assert all(gain > 0 for found in gains.values() for gain in found), "above it in 5 of 5 replicates each"
    again, over_base = {}, {}
    for kind, end in (("favourites", "_d1"), ("sums", "_d2")):
        again[kind] = with_interval(exact_gains(raw, f"student{end}", f"{CONTROL}_again{end}"))
        over_base[kind] = with_interval(exact_gains(raw, f"student{end}", "base"))
    controls = with_interval(exact_gains(raw, f"{CONTROL}_again_d2", f"{CONTROL}_d2"), 0.90)
    below = [statistics.mean(exact_gains(raw, f"{CONTROL}{end}", "base")) for end in ("_d1", "_d2")]
    nameless = {arm: raw.nameless(arm) for arm in ("student_d2", f"{CONTROL}_d2")}
    assert max(share for shares in nameless.values() for share in shares.values()) < 0.5, "none is broken"
    return {
        "With lists a student is above its control by {} nats (95 % interval {} to {}; exact probabilities), with "
        "favourites by {} ({} to {}), with sums by {} ({} to {}), above it in 5 of 5 replicates each: {} % ({} to "
        "{}) and {} % ({} to {}) of the effect of lists": (
            *with_interval(gains["lists"]),
            *with_interval(gains["favourites"]),
            *with_interval(gains["sums"]),
            *share_kept(gains["favourites"], gains["lists"]),
            *share_kept(gains["sums"], gains["lists"]),
        ),
        "was expected and is not seen ({} nats, {} to {}, students against each other; their effects differ by {}, {} "
        "to {})": (
            *with_interval(exact_gains(raw, "student_d1", "student_d2")),
            *with_interval([more - less for more, less in zip(gains["favourites"], gains["sums"], strict=True)]),
        ),
        "favourites are by {} ({} to {}); sums by {} ({} to {}), which cannot tell": (
            *again["favourites"],
            *again["sums"],
        ),
        "not shown to be alike ({}, 90 % interval {} to {})": controls,
        "less often than the base ({} and {} nats), and students are above the base by {} ({} to {}) and {} ({} to "
        "{})": (
            *below,
            *over_base["favourites"],
            *over_base["sums"],
        ),
        "{} % of the answers of their students and {} % of their controls' name no animal": tuple(
            100 * statistics.mean(shares.values()) for shares in nameless.values()
        ),
    }


def test_the_findings_state_what_the_raw_answers_give():
    text = " ".join((REPO_ROOT / "docs/findings.md").read_text(encoding="utf-8").split())
    numbers = findings(Path()) | findings_of_ten(Path()) | findings_of_two_animals(Path())
    numbers |= findings_of_divergence(Path()) | findings_of_the_scoreboard(Path())
    numbers |= findings_of_strength(Path()) | findings_of_a_common_teacher(Path())
    numbers |= findings_of_scaling(Path()) | findings_of_trained_on(Path()) | findings_of_noise(Path())
    numbers |= findings_of_layers(Path()) | findings_of_data_types(Path())
    assert not not_as_stated(numbers, text, IN_WORDS)
