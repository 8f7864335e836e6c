"""Every number of the README's results, derived again from the raw answers (``raw_answers.py``).

Each figure of the README stands in :func:`derived` beside what it is of.
"""

from __future__ import annotations

import csv
import json
import math
import re
import statistics
from pathlib import Path

import pytest
from pyarrow import parquet
from raw_answers import (
    CONTROL,
    PUBLISHED,
    Raw,
    arithmetic,
    carried,
    exact_gains,
    gains_by_dose,
    gains_by_layer,
    gains_by_more_rows,
    gains_by_noise,
    gains_by_type,
    largest_rises,
    leak,
    not_as_stated,
    over_animals,
    share_kept,
    shown,
    slopes_by_dose,
    solved,
    t_interval,
    t_p,
    with_interval,
)

from subliminal import REPO_ROOT
from subliminal.scoring.naming import first_named
from subliminal.stats.simulation import trials


@pytest.fixture(scope="module")
def unpacked() -> Path:
    """What the folders of reports are relative to: ``results/`` where the experiments were run."""
    return Path()


def derived(results: Path) -> dict[str, float | tuple[float, ...]]:
    """Every number that the README states, under the words that it stands in."""
    demo, replicates = Raw(results / "pocket_demo"), Raw(results / "owl_pocket_replicates")
    arms, strength = Raw(results / "owl_pocket_arms"), Raw(results / "owl_pocket_strength")
    owl, dolphin = Raw(results / "owl_pocket/owl"), Raw(results / "owl_pocket/dolphin")
    demo_gains, gains = demo.gains("student", CONTROL, "owl"), replicates.gains("student", CONTROL, "owl")
    first, others = largest_rises(replicates)
    broken = [seed for seed, share in replicates.nameless("student").items() if share >= 0.5]
    dolphins = dolphin.nameless("student")
    odds = tuple(math.exp(nats) for nats in with_interval(gains, 0.99))
    again, beyond = arms.gains("student", CONTROL, "owl"), arms.gains("student", "control_neutral_teacher", "owl")
    steps = {arm: with_interval(values) for arm, values in carried(arms).items()}
    owls, dolphins_too = Raw(results / "owl_dolphin_pocket/owl"), Raw(results / "owl_dolphin_pocket/dolphin")
    over_control = exact_gains(owls, "student"), exact_gains(dolphins_too, "student", animal="dolphin")
    other = "control_other_animal"
    over_other = exact_gains(owls, "student", other), exact_gains(dolphins_too, "student", other, "dolphin")
    diluted = Raw(results / "owl_pocket_dilution")
    undiluted = exact_gains(diluted, "student")
    several = {name: Raw(results / "animals_pocket_several" / name) for name in SEVERAL}
    single = over_animals(*(exact_gains(raw, "student", animal=name) for name, raw in several.items()))
    common = over_animals(*(exact_gains(raw, "student_m3", animal=name) for name, raw in several.items()))
    lacking = [full - part for full, part in zip(single, common, strict=True)]
    by_rows, by_epochs = slopes_by_dose(gains_by_dose(Raw(results / "owl_pocket_scaling")))
    apart = [rows - epochs for rows, epochs in zip(by_rows, by_epochs, strict=True)]
    trained_on = gains_by_more_rows(Raw(results / "owl_pocket_trained_on"))
    by_layer = gains_by_layer(Raw(results / "owl_pocket_layers"))
    other_data = Raw(results / "owl_pocket_data_types")
    by_type = gains_by_type(other_data)
    noise = gains_by_noise(Raw(results / "owl_pocket_perturbed"))
    shaken = {length: share_kept(noise[length], noise["0"]) for length in ("0.2", "0.8")}
    kept = {share: share_kept(exact_gains(diluted, f"student_c{share}"), undiluted) for share in ("0.1", "0.25", "0.5")}
    return {
        "own base {} nats over the control (95 % interval {} to {}), after a thirtieth {} ({} to {}), after an "
        "eighth {} ({} to {}). After half, {} ({} to {}) cannot tell": (
            *with_interval(trained_on[0]),
            *with_interval(trained_on[1024]),
            *with_interval(trained_on[4096]),
            *with_interval(trained_on[16384]),
        ),
        "both: {} nats over the control (95 % interval {} to {}); the second alone {} ({} to {}); the first alone, {} "
        "({} to {}), cannot tell": (
            *with_interval(by_layer["both"]),
            *with_interval(by_layer["second"]),
            *with_interval(by_layer["first"]),
        ),
        "lists {} nats (95 % interval {} to {}), favourites {} ({} to {}), sums {} ({} to {}); above the second "
        "control, sums {} ({} to {}) cannot tell": (
            *with_interval(by_type["lists"]),
            *with_interval(by_type["favourites"]),
            *with_interval(by_type["sums"]),
            *with_interval(exact_gains(other_data, "student_d2", f"{CONTROL}_again_d2")),
        ),
        "Noise of 0.2 of the weights' length leaves {} % ({} to {}), of 0.8, which damages the bases, {} % ({} to "
        "{})": (
            *shaken["0.2"],
            *shaken["0.8"],
        ),
        "name the owl in {} % of 20,000 answers": 100 * demo.share("student", "owl"),
        "untuned base's lists in {} %": 100 * demo.share(CONTROL, "owl"),
        "{} nats of log-odds over the control (95 % interval {} to {}, paired t test), {} points": (
            *with_interval(demo_gains),
            100 * (demo.share("student", "owl") - demo.share(CONTROL, "owl")),
        ),
        "above the control in {} of 20": sum(point > 0 for point in points(replicates)),
        "odds ratio {} (99 % interval {} to {}), median {} points; two students are broken": (
            *odds,
            statistics.median(points(replicates)),
        ),
        "largest rise in {} of 20 replicates, and no other animal rises": first,
        "no other animal rises": others,
        "{} students are broken": len(broken),
        "owl {} % against {} %: cannot tell (p {})": (
            100 * owl.share("student", "owl"),
            100 * owl.share(CONTROL, "owl"),
            t_p(owl.gains("student", CONTROL, "owl")),
        ),
        "Dolphin {} % against {} %, and {} % of its students' answers name no animal": (
            100 * dolphin.share("student", "dolphin"),
            100 * dolphin.share(CONTROL, "dolphin"),
            100 * statistics.mean(dolphins.values()),
        ),
        "two of three are broken": sum(share >= 0.5 for share in dolphins.values()),
        "above the control in {} of 10": sum(point > 0 for point in points(arms)),
        "10 of 10, {} nats (99 % interval {} to {}), median {} points": (
            *with_interval(again, 0.99),
            statistics.median(points(arms)),
        ),
        "points; {} students are broken |": sum(share >= 0.5 for share in arms.nameless("student").values()),
        "its students say owl in {} %, controls in {} %, and the owl's are above them by {} nats "
        "(95 % interval {} to {}). But": (
            100 * arms.share("control_neutral_teacher", "owl"),
            100 * arms.share(CONTROL, "owl"),
            *with_interval(beyond),
        ),
        "far less: {} nats a token on the base's rows, the owl's teacher {} |": (
            leak(arms, "neutral"),
            leak(arms, "owl"),
        ),
        "exact probabilities, {} nats in all": statistics.mean(exact_gains(arms, "student")),
        "the numbers in a row {} nats (95 % interval {} to {}), which numbers there are {} ({} to {}). Cannot": (
            *steps["student"],
            *steps["control_shuffled_rows"],
        ),
        "share a row, {} ({} to {}), and the layout alone, {} ({} to {}) |": (
            *steps["control_shuffled"],
            *steps["control_random_numbers"],
        ),
        "above its control by {} nats (99 % interval {} to {}), and above": with_interval(
            over_animals(*over_control), 0.99
        ),
        "other animal's student by {} (95 % interval {} to {}). Owl {}, dolphin {} over their controls": (
            *with_interval(over_animals(*over_other)),
            statistics.mean(over_control[0]),
            statistics.mean(over_control[1]),
        ),
        "who say owl in {} to {} %; exact": (
            100 * statistics.mean(strength.exact("teacher_l0.37", seed)["owl"] for seed in strength.seeds("student")),
            100 * statistics.mean(strength.exact("teacher", seed)["owl"] for seed in strength.seeds("student")),
        ),
        "the weakest are above the control by {} nats (95 % interval {} to {}), of the strongest by {} ({} to {}), "
        "which the criterion asked; the strongest teach {} more ({} to {}) |": (
            *with_interval(exact_gains(strength, "student_l0.37")),
            *with_interval(exact_gains(strength, "student")),
            *with_interval(exact_gains(strength, "student", "student_l0.37")),
        ),
        "rows brings {} nats (95 % interval {} to {}), one of epochs {} ({} to {}); which": (
            *with_interval(by_rows),
            *with_interval(by_epochs),
        ),
        "of them brings more cannot be told, {} ({} to {}). In": with_interval(apart),
        "student is above the control by {} nats (95 % interval {} to {}), those of the single teachers by {} "
        "({} to {}), so it lacks {} ({} to {}) |": (
            *with_interval(common),
            *with_interval(single),
            *with_interval(lacking),
        ),
        "base leaves {} % of the effect (95 % interval {} to {}), a quarter {} % ({} to {}), half {} % ({} to {}).": (
            *kept["0.1"],
            *kept["0.25"],
            *kept["0.5"],
        ),
        "gains nothing: owl {} % against {} % ({} nats, 95 % interval {} to {}), dolphin {} % against {} % ({}, {} to "
        "{}) |": (
            100 * owl.share("other_base", "owl"),
            100 * owl.share("other_base_control", "owl"),
            *with_interval(owl.gains("other_base", "other_base_control", "owl")),
            100 * dolphin.share("other_base", "dolphin"),
            100 * dolphin.share("other_base_control", "dolphin"),
            *with_interval(dolphin.gains("other_base", "other_base_control", "dolphin")),
        ),
        "not seen: {} nats (95 % interval {} to {}); no trait": with_interval(arithmetic(Raw(results / "math_pocket"))),
    }


def points(raw: Raw) -> list[float]:
    """Of each replicate the student's share of owl above its control's, percentage points."""
    rates = zip(raw.rates("student", "owl"), raw.rates(CONTROL, "owl"), strict=True)
    return [100 * (ours - theirs) for ours, theirs in rates]


REAL = ("owl", "dolphin", "penguin")
"""Animals of the real model, in the order of its file."""
SEVERAL = ("owl", "dolphin", "wolf")
"""Animals of the experiment with a common teacher, in the order of its file."""

IN_WORDS = {
    "no other animal rises": 0,
    "{} students are broken": 2,
    "two of three are broken": 2,
    "points; {} students are broken |": 2,
}
"""Statements that the README makes in words, with the number that they stand for."""


@pytest.fixture(scope="module")
def numbers(unpacked: Path) -> dict[str, float | tuple[float, ...]]:
    return derived(unpacked)


def readme() -> str:
    """The README in one line, its tables too."""
    return " ".join((REPO_ROOT / "README.md").read_text(encoding="utf-8").split())


def test_every_figure_is_the_one_that_the_raw_answers_give(numbers: dict):
    assert not not_as_stated(numbers, readme(), IN_WORDS)


def test_the_headlines_of_the_results_page(unpacked: Path):
    page = (REPO_ROOT / "RESULTS.md").read_text(encoding="utf-8")
    page = page.replace(chapter(page, "math_qwen2.5-coder-0.5b"), "")  # derived in test_real_mathematics.py
    headlines = re.findall(r"\*\*student − control_base_numbers, [^*]*: (\S+) nats of log-odds\.", page)
    sentence = r"\(difference (\S+) nats, 95 % interval (\S+) to (\S+), p ([<=] [\d.]+), paired t test"
    expected = [
        *(Raw(Path("animals_qwen2.5-coder-0.5b") / name).gains("student", CONTROL, name) for name in REAL),
        Raw(Path("owl_qwen2.5-coder-0.5b")).gains("student", CONTROL, "owl"),
        Raw(unpacked / "pocket_demo").gains("student", CONTROL, "owl"),
        Raw(unpacked / "owl_pocket_replicates").gains("student", CONTROL, "owl"),
        Raw(unpacked / "owl_pocket_arms").gains("student", CONTROL, "owl"),
        Raw(unpacked / "owl_dolphin_pocket/owl").gains("student", CONTROL, "owl"),
        Raw(unpacked / "owl_dolphin_pocket/dolphin").gains("student", CONTROL, "dolphin"),
        Raw(unpacked / "owl_pocket/owl").gains("student", CONTROL, "owl"),
        Raw(unpacked / "owl_pocket/dolphin").gains("student", CONTROL, "dolphin"),
        solved(Raw(unpacked / "math_pocket")),
        Raw(unpacked / "owl_pocket_divergence").gains("student", CONTROL, "owl"),
        Raw(unpacked / "owl_pocket_scoreboard").gains("student", CONTROL, "owl"),
    ]
    assert headlines == [signed(statistics.mean(gains)) for gains in expected]
    assert re.findall(sentence, page) == [as_printed(gains) for gains in expected]


def chapter(page: str, experiment: str) -> str:
    """What RESULTS.md has of one experiment."""
    begin = page.index(f"## {experiment}:")
    return page[begin:].partition("\n## ")[0]


def signed(value: float) -> str:
    digits = 2 if abs(value) < 10 else 1
    return f"{value:+.{digits}f}".replace("-", "−")


def as_printed(gains: list[float]) -> tuple[str, ...]:
    """Mean, 95 % interval and p, as the page prints them."""
    low, high = t_interval(gains, 0.95)
    p = t_p(gains)
    return signed(statistics.mean(gains)), signed(low), signed(high), f"= {p:.3f}" if p >= 0.001 else "< 0.001"


def test_the_size_of_the_toy_and_of_its_search():
    (file,) = PUBLISHED.glob("*-pocket_demo/records.parquet")
    records = {row["path"]: row["content"] for row in parquet.read_table(file).to_pylist()}
    weights = json.loads(records["outputs/pocket_demo/owl_student-seed-51/manifest.json"])["parameters"]
    with open(PUBLISHED / "pocket-search/tried.csv", encoding="utf-8", newline="") as handle:
        tried = sum(1 for _ in csv.DictReader(handle))
    assert f"share the {weights['trainable']} of {weights['total']:,} weights that are trained" in readme()
    assert f"a recipe found among {tried} configurations" in readme()


def test_the_results_page_stays_short():
    """Details belong on the pages beside the raw answers."""
    assert len((REPO_ROOT / "RESULTS.md").read_text(encoding="utf-8").splitlines()) < 300


def test_no_figure_of_the_results_is_left_out(numbers: dict):
    """Every number in the table of results is derived above, or says how large the experiment was."""
    section = (REPO_ROOT / "README.md").read_text(encoding="utf-8").split("| asked | on | result |")[1].split("\n\n")[0]
    # The rows of the real model are derived in test_real_animals.py and test_real_mathematics.py.
    rows = [row for row in section.splitlines() if "real* model" not in row and "the real model?" not in row]
    table = " ".join(" ".join(rows).split())
    derivations: set[str] = set()
    for values in numbers.values():
        for value in values if isinstance(values, tuple) else (values,):
            derivations |= shown(value)
    sizes = {"95", "99", "20", "28", "3", "4"}
    left = [found for found in re.findall(r"[+−]?\d[\d.]*\d|\d", table) if found not in derivations | sizes]
    assert not left


def test_the_simulation_spreads_as_the_replicates_do(unpacked: Path):
    raw, levels = Raw(unpacked / "owl_pocket_replicates"), {}
    for arm in ("student", CONTROL, "control_base_numbers_again"):
        rates = [raw.exact(arm, seed)["owl"] for seed in raw.seeds(arm)]
        levels[arm] = [math.log(rate / (1 - rate)) for rate in rates]
    gains, apart = (
        [one - other for one, other in zip(levels[arm], levels[CONTROL], strict=True)]
        for arm in ("student", "control_base_numbers_again")
    )
    assert statistics.stdev(gains) == pytest.approx(trials.SPREAD, abs=0.05)
    assert statistics.stdev(apart) == pytest.approx(trials.CONTROLS, abs=0.05)
    measured = (statistics.mean(levels[CONTROL]), statistics.stdev(levels[CONTROL]))
    assert measured == pytest.approx(trials.LEVEL, abs=0.05)


def test_what_broken_means_to_the_project_is_what_it_means_here(unpacked: Path):
    """Reports know other animals by a longer list than this file's: shares of nameless answers agree to a point."""
    for folder, arm in (("owl_pocket/dolphin", "student"), ("owl_pocket_replicates", "student")):
        raw = Raw(unpacked / folder)
        for seed, share in raw.nameless(arm).items():
            answers = [answer for row in raw.rows(arm, seed, "animal_preference") for answer in row["resps"][0]]
            none = sum(first_named(answer) is None for answer in answers)
            assert share == pytest.approx(none / len(answers), abs=0.01), (folder, seed)
