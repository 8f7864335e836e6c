"""Power against R and G*Power, against simulated experiments, and as a command."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import ttest_rel
from statsmodels.stats.power import ttest_power

from subliminal.core.errors import UserError
from subliminal.stats.log_odds import log_odds_of
from subliminal.stats.power.design import ICC, RUN_SD, Design, design_of
from subliminal.stats.power.detection import detection_power, needed, smallest_effect
from subliminal.stats.result import QUESTIONS, RUNS
from subliminal.stats.verdict import verdict

PLAN = Design(questions=50, samples=200, seeds=3, baseline=0.012)
# Exact probabilities have no sampling noise, and the log-odds of 0.5 and of 0.5 + HALF lie half a standard deviation of
# a pair's difference apart: the textbook's paired t test.
EVEN = Design(questions=50, samples=None, seeds=34, baseline=0.5, run_sd=1.0, icc=0.0)
HALF = float(expit(0.5 * 2**0.5)) - 0.5


def test_over_runs_it_is_power_of_the_paired_t_test_of_log_odds():
    """G*Power 3.1: an effect of half a standard deviation of the differences, power 0.8, needs 34 pairs."""
    assert needed(HALF, EVEN, RUNS).seeds == 34
    assert detection_power(HALF, EVEN, RUNS) == pytest.approx(0.808, abs=5e-4)
    assert smallest_effect(EVEN, RUNS, power=0.8077775) == pytest.approx(HALF, rel=1e-3)


def test_over_questions_it_is_power_of_the_paired_t_test():
    """G*Power 3.1: an effect of half a standard deviation of the differences, power 0.8, needs 34 pairs."""
    design = Design(questions=50, samples=None, seeds=1, baseline=0.49, icc=0.04**2 / (2 * 0.2499))
    assert needed(0.02, design, QUESTIONS).questions == 34
    assert detection_power(0.02, replace(design, questions=34), QUESTIONS) == pytest.approx(0.808, abs=5e-4)


def experiments(design, effect, repeats, rng, these_questions=False):
    """Measured rates of simulated experiments, two arrays of shape (repeats, runs, questions).

    With ``these_questions`` the arms' means are exact on the questions drawn, which is what runs are compared on.
    """
    arms = []
    for mean in (design.baseline + effect, design.baseline):
        rates = rng.beta(mean * (1 / design.icc - 1), (1 - mean) * (1 / design.icc - 1), (repeats, 1, design.questions))
        if these_questions:
            rates = rates * mean / rates.mean(axis=2, keepdims=True)
        shifts = rng.normal(0, design.run_sd, (repeats, design.seeds, 1))
        arms.append(rng.binomial(design.samples, expit(logit(rates.clip(0, 1)) + shifts)) / design.samples)
    return arms


@pytest.mark.parametrize("seeds", [3, 5, 8])
@pytest.mark.parametrize("samples", [20, 200])
def test_simulated_runs_see_the_smallest_effect_as_often_as_stated(samples, seeds):
    design = replace(PLAN, samples=samples, seeds=seeds)
    effect = smallest_effect(design, RUNS)
    arms = experiments(design, effect, 1000, np.random.default_rng(0), these_questions=True)
    student, control = (log_odds_of(arm.mean(axis=2), samples * design.questions) for arm in arms)
    seen = np.mean(ttest_rel(student, control, axis=1).pvalue < 0.05)
    assert seen == pytest.approx(0.8, abs=0.07), f"effect {effect:.4f}"


@pytest.mark.parametrize("samples", [2, 200])
def test_simulated_questions_see_the_smallest_effect_as_often_as_stated(samples):
    design = replace(PLAN, samples=samples, seeds=1, run_sd=0.0)
    effect = smallest_effect(design, QUESTIONS)
    student, control = (arm[:, 0] for arm in experiments(design, effect, 1000, np.random.default_rng(1)))
    seen = np.mean(ttest_rel(student, control, axis=1).pvalue < 0.05)
    assert seen == pytest.approx(0.8, abs=0.07), f"effect {effect:.4f}"


@pytest.mark.parametrize("unit", [RUNS, QUESTIONS])
def test_what_is_needed_would_do_and_one_less_would_not(unit):
    sizes = needed(0.01, PLAN, unit)
    tried = 0
    for size in ("seeds", "questions", "samples"):
        if count := getattr(sizes, size):
            tried += 1
            assert detection_power(0.01, replace(PLAN, **{size: count}), unit) >= 0.8
            assert detection_power(0.01, replace(PLAN, **{size: count - 1}), unit) < 0.8
    assert tried


def test_more_of_everything_sees_more():
    for unit in (RUNS, QUESTIONS):
        effect = smallest_effect(PLAN, unit)
        assert smallest_effect(replace(PLAN, samples=2), unit) > effect
        assert smallest_effect(replace(PLAN, seeds=8), unit) < effect
        assert smallest_effect(replace(PLAN, questions=200), unit) < effect
    assert smallest_effect(replace(PLAN, likeness=0.8), QUESTIONS) < smallest_effect(PLAN, QUESTIONS)
    assert smallest_effect(replace(PLAN, run_sd=0.5), RUNS) > smallest_effect(PLAN, RUNS)


def test_one_run_per_arm_sees_nothing_of_the_training_data():
    alone = replace(PLAN, seeds=1)
    assert smallest_effect(alone, RUNS) is None
    assert detection_power(0.9, alone, RUNS) == 0
    sizes = needed(0.03, alone, RUNS)
    assert sizes.seeds >= 2
    assert sizes.samples is None  # samples do not stand in for runs


def test_samples_do_not_make_up_for_runs_that_differ():
    assert needed(0.01, PLAN, RUNS).samples is None
    assert needed(0.01, replace(PLAN, run_sd=0.01, samples=2), RUNS).samples > 2


def test_more_searches_above_what_there_is():
    strong = replace(PLAN, seeds=8)
    assert needed(0.2, strong, RUNS).seeds < 8
    assert needed(0.2, strong, RUNS, more=True).seeds == 9
    assert needed(0.2, strong, RUNS, more=True).samples == 201


def test_a_search_gives_up_where_no_size_would_do():
    assert needed(1e-5, replace(PLAN, run_sd=1.0), RUNS).seeds is None


def test_a_finished_experiment_gives_its_design_back():
    true = Design(questions=400, samples=100, seeds=40, baseline=0.05, run_sd=0.3, icc=0.08)
    student, control = (arm[0] for arm in experiments(true, 0.0, 1, np.random.default_rng(2)))
    found = design_of(student, control, 100)
    assert (found.questions, found.samples, found.seeds) == (400, 100, 40)
    assert found.baseline == pytest.approx(0.05, rel=0.1)
    assert found.icc == pytest.approx(0.08, rel=0.25)
    assert found.run_sd == pytest.approx(0.3, rel=0.25)
    assert found.likeness < 0.15
    assert design_of(student, student, 100).likeness > 0.9


def test_pairs_that_move_against_each_other_need_more_runs():
    logits = np.array([[-1.0, -2.0, -3.0], [-7.0, -6.0, -5.0]])
    student, control = (np.repeat(expit(arm), 2).reshape(3, 2) for arm in logits)
    # The differences are 6, 4 and 2 nats: a standard deviation of 2. That of each arm is 1.
    paired = design_of(student, control, None, paired=True)
    assert paired.run_sd == pytest.approx(2 / np.sqrt(2))
    assert design_of(student, control, None).run_sd == pytest.approx(1.0)
    # What a library says of three, four and five differences of mean 4 and standard deviation 2.
    power = [ttest_power(4 / 2, count, 0.05 / 2, alternative="larger") for count in (3, 4, 5)]
    effect = float(expit(logit(control.mean()) + 4) - control.mean())
    found = [detection_power(effect, replace(paired, seeds=count), RUNS) for count in (3, 4, 5)]
    assert found == pytest.approx(power)
    assert needed(effect, paired, RUNS).seeds == 5
    told = verdict(student, control, None, paired=True).sentence
    assert "if the difference varies between runs by a standard deviation of 2.00 nats as here, 5 training runs" in told
    # Two arms with the same ups and downs need fewer.
    same = design_of(student, expit(logit(student) - 4), None, paired=True)
    assert same.run_sd == RUN_SD, "differences that are all equal tell nothing"


def test_what_sampling_adds_is_no_spread_of_pairs():
    rng = np.random.default_rng(4)
    rates = expit(rng.normal(-3, 0.5, (2_000, 1)))
    student, control = (rng.binomial(200, np.repeat(rates, 10, axis=1)) / 200 for _ in range(2))
    assert design_of(student, control, 200).run_sd == pytest.approx(0.5, abs=0.03)
    # The noise is taken at the mean rate; the lower rates have more of it, which leaves 0.05.
    assert design_of(student, control, 200, paired=True).run_sd == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("samples", [None, 1, 20])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_rates_that_tell_nothing_leave_the_assumptions(rate, samples):
    found = design_of([[rate] * 5], [[rate] * 5], samples)
    assert (found.run_sd, found.icc, found.likeness) == (RUN_SD, ICC, 0.0)
    assert detection_power(0.5 if rate == 0 else -0.5, found, QUESTIONS) <= 1


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Design(1, 200, 3, 0.012), "questions is 1. Give a whole number, 2 or more"),
        (lambda: Design(50, 0, 3, 0.012), "samples is 0. Give a whole number, 1 or more"),
        (lambda: Design(50, 200, "3", 0.012), "seeds is '3'"),
        (lambda: Design(50, 200, 3, 1.2), "baseline is 1.2. Give a number from 0 to 1"),
        (lambda: Design(50, 200, 3, 0.012, run_sd=-1), "run_sd is -1"),
        (lambda: Design(50, 200, 3, float("nan")), "baseline is nan"),
        (lambda: needed(0, PLAN, RUNS), "effect of 0 is not to be seen"),
        (lambda: needed("a", PLAN, RUNS), "effect of 'a' is not to be seen"),
        (lambda: needed(0.995, PLAN, RUNS), "effect of 0.995 on a baseline of 0.012 is no rate"),
        (lambda: smallest_effect(PLAN, RUNS, power=80), "power is 80. Give a number between 0 and 1"),
        (lambda: smallest_effect(PLAN, RUNS, alpha=0.9), "power of 0.8 at alpha 0.9"),
    ],
)
def test_impossible_designs_get_a_sentence(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()


def test_nothing_is_seen_above_a_baseline_of_1():
    assert smallest_effect(replace(PLAN, baseline=1.0), RUNS) is None
