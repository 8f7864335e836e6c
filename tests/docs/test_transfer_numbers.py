"""What docs/analysis.md says of predictors of the effect, derived again from records and raw answers."""

from __future__ import annotations

import csv
import json
import math
from functools import cache
from pathlib import Path

import pytest
from pyarrow import parquet
from raw_answers import CONTROL, PUBLISHED, Raw, log_odds
from scipy import stats

from subliminal import REPO_ROOT

DOCS = " ".join((REPO_ROOT / "docs/analysis.md").read_text(encoding="utf-8").split())
REAL = "animals_qwen2.5-coder-0.5b"
POCKET = "owl_pocket_replicates"
STUDENTS = [(animal, seed) for animal in ("dolphin", "owl", "penguin") for seed in (71, 72, 73, 74, 75)]
FIRST = [(animal, seed) for animal, seed in STUDENTS if seed <= 73]
"""The students of the three replicates that were published first."""


@cache
def records(experiment: str) -> dict[str, str]:
    (file,) = PUBLISHED.glob(f"*-{experiment}/records.parquet")
    return {row["path"]: row["content"] for row in parquet.read_table(file).to_pylist()}


def record(experiment: str, path: str) -> dict:
    return json.loads(records(experiment)[path])


def correlation(values: list[float], effects: list[float]) -> str:
    """Spearman's rho with Bonett and Wright's interval, as the docs write it."""
    rho = stats.spearmanr(values, effects).statistic
    reach = stats.norm.ppf(0.975) * math.sqrt((1 + rho**2 / 2) / (len(values) - 3))
    low, high = math.tanh(math.atanh(rho) - reach), math.tanh(math.atanh(rho) + reach)
    return f"{rho:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


def real_effects(students: list[tuple[str, int]]) -> list[float]:
    found = []
    for animal, seed in students:
        raw = Raw(Path(REAL) / animal)
        found.append(log_odds(raw, "student", seed, animal) - log_odds(raw, CONTROL, seed, animal))
    return found


def real_values(predictor: str, students: list[tuple[str, int]]) -> list[float]:
    """One value of a predictor for each student."""
    found = []
    for animal, seed in students:
        of = record(REAL, f"results/{REAL}/leak-seed-{seed}/leak.json")["teachers"][animal]
        counts = record(REAL, f"data/{REAL}/{animal}_numbers-seed-{seed}/manifest.json")["counts"]
        neutral = record(REAL, f"results/{REAL}/leak-seed-{seed}/leak.json")["teachers"]["neutral"]
        values = {
            "pass rate": counts["kept"] / (counts["asked"] - counts["surplus"]),
            "leak": of["answer"]["kl_nats_a_token"],
            "leak above neutral": of["answer"]["kl_nats_a_token"] - neutral["answer"]["kl_nats_a_token"],
            "differing tokens": of["answer"]["differing_share"],
        }
        found.append(values[predictor])
    return found


@pytest.mark.parametrize("predictor", ["pass rate", "leak", "leak above neutral", "differing tokens"])
def test_predictors_of_the_real_model(predictor):
    assert f"| {predictor} | {correlation(real_values(predictor, STUDENTS), real_effects(STUDENTS))} |" in DOCS


def test_effects_of_the_real_model():
    effects = real_effects(STUDENTS)
    assert len(effects) == 15
    assert f"fifteen students (effects from {min(effects):.2f} to {max(effects):.2f} nats)" in DOCS


def test_the_pass_rate_of_the_first_students():
    assert len(FIRST) == 9
    first = correlation(real_values("pass rate", FIRST), real_effects(FIRST))
    assert f"the pass rate had shown {first}; six more make it smaller" in DOCS
    rhos = [stats.spearmanr(real_values("pass rate", of), real_effects(of)).statistic for of in (STUDENTS, FIRST)]
    assert 0 < rhos[0] < rhos[1]


def test_the_rate_of_the_real_models_teachers():
    rates = [Raw(Path(REAL) / animal).exact("teacher", seed)[animal] for animal, seed in STUDENTS]
    assert min(rates) >= 0.9999
    below_one = [min(rate, 1 - 1e-9) for rate in rates]  # owls' teachers are alike: a sum of shares rounds to 1
    told = correlation(below_one, real_effects(STUDENTS))
    assert f"in 99.99 % or more, so that their rate says little (rho {told})" in DOCS


def test_predictors_of_the_twenty_pocket_replicates():
    raw = Raw(Path(POCKET))
    seeds = raw.seeds("student")
    assert len(seeds) == 20
    effects = [log_odds(raw, "student", seed) - log_odds(raw, CONTROL, seed) for seed in seeds]
    audits = [record(POCKET, f"data/{POCKET}/owl_numbers-seed-{seed}/audit.json") for seed in seeds]
    lengths = [audit["checks"]["lengths"]["mean"] for audit in audits]
    teachers = [log_odds(raw, "teacher", seed) for seed in seeds]
    largest = correlation(lengths, effects)
    assert f"largest rho is {largest} of the numbers a row" in DOCS
    assert f"the teacher's rate has {correlation(teachers, effects)}" in DOCS
    told = f"(effects from {min(effects):.2f} to {max(effects):.2f} nats)".replace("-", "−")
    assert f"Of the twenty published replicates {told}" in DOCS


def test_predictors_of_the_owl_and_dolphin_students():
    experiment = "owl_dolphin_pocket"
    with (PUBLISHED / "2026-11-29-owl_dolphin_transfer/measured.csv").open(encoding="utf-8", newline="") as file:
        measured = list(csv.DictReader(file))
    assert len(measured) == 20
    effects, bases, rates = [], [], []
    for row in measured:
        animal, seed = row["animal"], int(row["seed"])
        raw = Raw(Path(experiment) / animal)
        effects.append(log_odds(raw, "student", seed, animal) - log_odds(raw, CONTROL, seed, animal))
        bases.append(log_odds(raw, "base", seed, animal))
        counts = record(experiment, f"data/{experiment}/{animal}_numbers-seed-{seed}/manifest.json")["counts"]
        rates.append(counts["kept"] / (counts["asked"] - counts["surplus"]))
    assert f"on each; effects from {min(effects):.2f} to {max(effects):.2f} nats)" in DOCS
    assert f"the base's rate has {correlation(bases, effects)}" in DOCS
    assert f"the pass rate {correlation(rates, effects)}" in DOCS
    told = {
        "coverage": "coverage has {}",
        "first-order rise above control": "above the control's {}",
        "steering": "steering {}",
    }
    for name, words in told.items():
        assert words.format(correlation([float(row[name]) for row in measured], effects)) in DOCS
