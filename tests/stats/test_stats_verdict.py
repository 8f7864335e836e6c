"""Verdicts: the four claims, their sentences, and that none is stronger than the statistics."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.special import expit, logit

from subliminal import stats
from subliminal.core.errors import UserError
from subliminal.stats.power.design import RUN_SD
from subliminal.stats.replicates import over_replicates
from subliminal.stats.verdict import replicates_verdict

QUESTIONS = 50


def arm(*rates, spread=0.0, seed=0):
    """Runs with these mean rates, shape (runs, 50); ``spread`` is the standard deviation between questions."""
    shifts = np.random.default_rng(seed).normal(0, spread, QUESTIONS) if spread else np.zeros(QUESTIONS)
    return np.clip(np.array(rates)[:, None] + shifts - shifts.mean(), 0, 1)


CONTROL = arm(0.010, 0.012, 0.014)


@pytest.mark.parametrize(
    ("student", "claim"),
    [
        (arm(0.048, 0.050, 0.052), "student above control"),
        (arm(0.001, 0.001, 0.002), "student below control"),
        (arm(0.011, 0.012, 0.013), "no difference within the margin"),
        (arm(0.010, 0.030, 0.080), "cannot tell"),
    ],
)
@pytest.mark.parametrize("paired", [True, False])
def test_four_claims_over_training_runs(student, claim, paired):
    verdict = stats.verdict(student, CONTROL, 200, paired=paired)
    assert (verdict.claim, verdict.unit) == (claim, "training runs")
    assert verdict.result == stats.over_runs(student, CONTROL, 200 * QUESTIONS, paired=paired)
    assert verdict.sentence.lower().startswith(claim)
    assert (verdict.needed is not None) == (claim == "cannot tell")
    if verdict.needed:
        assert verdict.needed.seeds > 3
        assert f"{verdict.needed.seeds} training runs per arm" in verdict.sentence


@pytest.mark.parametrize(
    ("student", "control", "claim"),
    [
        (arm(0.05)[0] + 0.01 * (np.arange(50) % 3), arm(0.01)[0], "student above control"),
        (arm(0.01)[0], arm(0.05)[0] + 0.01 * (np.arange(50) % 3), "student below control"),
        (arm(0.05)[0] + 0.001 * (np.arange(50) % 2), arm(0.0505)[0], "no difference within the margin"),
        (arm(0.05)[0], arm(0.05)[0], "cannot tell"),
        (arm(0.03, spread=0.1)[0], arm(0.02, spread=0.1, seed=1)[0], "cannot tell"),
    ],
)
def test_four_claims_over_questions(student, control, claim):
    verdict = stats.models_verdict(student, control, 200)
    assert (verdict.claim, verdict.unit) == (claim, "questions")
    assert verdict.result == stats.over_questions(student, control)
    assert "these two models" in verdict.sentence.lower()
    assert "teacher's data" not in verdict.sentence
    if verdict.needed:
        assert verdict.needed.questions > 50
        assert f"{verdict.needed.questions:,} questions" in verdict.sentence


@pytest.mark.parametrize(
    ("runs", "which"),
    [
        ((1, 1), "one training run per arm"),
        ((1, 3), "one training run in the student arm"),
        ((3, 1), "one training run in the control arm"),
    ],
)
@pytest.mark.parametrize("rate", [0.9, 0.012, 0.0])
def test_one_training_run_is_never_enough(runs, which, rate):
    student, control = arm(*[rate] * runs[0]), arm(*[0.012] * runs[1])
    verdict = stats.verdict(student, control, 1000)
    assert (verdict.claim, verdict.result, verdict.unit) == ("cannot tell", None, "training runs")
    assert verdict.sentence.startswith(f"Cannot tell ({which}): only the spread between runs shows")
    assert verdict.needed.seeds >= 2


def test_one_run_and_two_models_are_told_apart():
    """The same rates: nothing about training data, and a clear difference of two models."""
    student, control = arm(0.3, spread=0.05), arm(0.012, spread=0.01, seed=1)
    assert stats.verdict(student, control, 200).claim == "cannot tell"
    models = stats.models_verdict(student[0], control[0], 200)
    assert models.claim == "student above control"
    assert "the chance of one training run" in models.sentence


def test_verdict_takes_runs_and_models_verdict_takes_one_model():
    with pytest.raises(UserError, match="not a list of rates"):
        stats.verdict(CONTROL[0], CONTROL[0], 200)
    with pytest.raises(UserError, match="comparison over runs"):
        stats.models_verdict(CONTROL, CONTROL, 200)


def test_runs_without_any_spread_cannot_tell():
    verdict = stats.verdict(arm(0.0, 0.0, 0.0), arm(0.0, 0.0, 0.0), 2)
    assert verdict.claim == "cannot tell"
    assert "the runs of each arm are all equal, so their spread cannot be estimated" in verdict.sentence


def test_test_and_interval_must_agree():
    """p = 0.011 with an interval that holds 0: nothing is claimed, and the sentence says why."""
    result = stats.Result(0.01, 0.01, 0.011, (-0.001, 0.02), stats.QUESTIONS, (50, 50), "paired test over questions")
    from subliminal.stats.verdict import _claim
    from subliminal.stats.wording import verdict_sentence

    assert _claim(result, 0.01) == "cannot tell"
    assert "do not agree" in verdict_sentence("cannot tell", result, 0.01)


def test_a_wider_margin_is_met_more_easily():
    student = arm(0.010, 0.017, 0.024)
    assert stats.verdict(student, CONTROL, 200, paired=True).claim == "cannot tell"
    assert stats.verdict(student, CONTROL, 200, margin=2.0, paired=True).claim == "no difference within the margin"


def test_sentences():
    """Word for word: these are what a reader takes away."""
    above = stats.verdict(arm(0.048, 0.050, 0.052), CONTROL, 200).sentence
    assert above == (
        "Student above control: the teacher's data multiplies the odds by 4.36 (difference +1.47 nats, "
        "95 % interval +1.04 to +1.91, p = 0.005, Welch's t test of log-odds over 3 and 3 training runs)."
    )
    below = stats.verdict(arm(0.001, 0.001, 0.002), CONTROL, 200, paired=True).sentence
    assert below == (
        "Student below control: the teacher's data divides the odds by 9.20 (difference −2.22 nats, "
        "95 % interval −2.87 to −1.57, p = 0.005, paired t test of log-odds over 3 training runs)."
    )
    same = stats.verdict(arm(0.011, 0.012, 0.013), CONTROL, 200, paired=True).sentence
    assert same == (
        "No difference within the margin: the teacher's data changes the log-odds by less than 0.8 nats "
        "(difference +0.01 nats, 95 % interval −0.21 to +0.22, p = 0.900, "
        "paired t test of log-odds over 3 training runs)."
    )
    open_question = stats.verdict(arm(0.010, 0.030, 0.080), CONTROL, None).sentence
    assert re.fullmatch(
        r"Cannot tell whether the teacher's data made a difference "
        r"\(difference \+0\.92 nats, 95 % interval −\d\.\d\d to \+\d\.\d\d, p = 0\.\d{3}, "
        r"Welch's t test of log-odds over 3 and 3 training runs\): the interval holds 0 and reaches beyond ±0\.8 nats"
        r"\. "
        r"To see a difference of \+1\.\d\d points with 80 % power, if runs vary by a standard deviation of "
        r"\d\.\d+ in log-odds, \d+ training runs per arm would do\.",
        open_question,
    ), open_question
    alone = stats.verdict(arm(0.05), arm(0.01), 200).sentence
    assert alone == (
        "Cannot tell (one training run per arm): only the spread between runs shows whether the teacher's data made a "
        "difference. To see a difference of +4.00 points with 80 % power, if runs vary by a standard deviation of "
        f"{RUN_SD} in log-odds, 3 training runs per arm would do; more samples alone would not."
    )


@pytest.mark.parametrize("samples", [None, 20, 200])
@pytest.mark.parametrize(("student", "control"), [(0.01, 0.0034), (0.05, 0.0), (0.0, 0.02), (0.97, 0.4)])
def test_what_is_to_be_seen_of_single_runs_is_what_was_measured(student, control, samples):
    """In points: sampled answers get half an answer on each side for their log-odds, and lose it again."""
    said = stats.verdict(arm(student), arm(control), samples)
    assert said.needed.effect == pytest.approx(student - control, abs=2e-9)


def test_a_margin_above_no_answers_is_told_in_points():
    """0.8 nats above none of 1,000 answers: 0.5 · e^0.8 of 1,000.5 in odds, less the half answer: 0.61 answers."""
    said = stats.verdict(arm(0.0), arm(0.0), 20).sentence
    assert "To see a difference of +0.06 points with 80 % power" in said


def test_a_difference_that_points_cannot_show_is_not_called_none():
    never = stats.verdict(arm(0.0), arm(0.0), None).sentence
    assert "To see a difference of less than 0.0001 points with 80 % power" in never
    assert "difference of 0.00" not in never


@pytest.mark.parametrize("margin", [0, -0.01, 10, "wide", None])
def test_a_margin_that_is_none_gets_a_sentence(margin):
    for runs in (1, 3):
        with pytest.raises(UserError, match="margin is"):
            stats.verdict(CONTROL[:runs], CONTROL[:runs], 200, margin=margin)
    with pytest.raises(UserError, match="margin is"):
        stats.models_verdict(CONTROL[0], CONTROL[0], 200, margin=margin)


def test_rates_near_the_ends_do_not_break_the_plan():
    for student, control in ((1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0), (1.0, 0.995)):
        for samples in (None, 1, 200):
            verdict = stats.verdict(arm(student), arm(control), samples)
            assert verdict.claim == "cannot tell"
            assert stats.models_verdict(arm(student)[0], arm(control)[0], samples).sentence


BASES = np.array([0.002, 0.01, 0.05, 0.1, 0.3, 0.5])
WAVE = 0.2 * np.array([-1, 1, -1, 1, -1, 1])


@pytest.mark.parametrize(
    ("nats", "claim"),
    [
        (3 + WAVE, "student above control"),
        (-0.5 + WAVE, "student below control"),
        (WAVE, "no difference within the margin"),
        (np.array([0.0, 5, -1, 0, 4, -1]), "cannot tell"),
    ],
)
def test_four_claims_over_replicates(nats, claim):
    student = expit(logit(BASES) + nats)
    verdict = replicates_verdict(list(student), list(BASES))
    assert (verdict.claim, verdict.unit) == (claim, "replicates")
    assert verdict.result == over_replicates(student, BASES)
    assert verdict.sentence.lower().startswith(claim)
    assert "paired t test of log-odds over 6 replicates" in verdict.sentence
    assert (verdict.needed is not None) == (claim == "cannot tell")
    if verdict.needed:
        assert verdict.needed.seeds > 6
        assert f" {verdict.needed.seeds} replicates would do." in verdict.sentence


def test_too_few_or_equal_replicates_tell_nothing():
    few = replicates_verdict([0.5, 0.6], [0.1, 0.1])
    assert (few.claim, few.result) == ("cannot tell", None)
    assert few.sentence.startswith("Cannot tell: 2 replicates do not show")
    equal = replicates_verdict([0.5] * 4, [0.1] * 4)
    assert equal.claim == "cannot tell"
    assert "the differences of all replicates are equal" in equal.sentence
    with pytest.raises(UserError, match="The margin is 5"):
        replicates_verdict([0.5] * 4, [0.1] * 4, margin=5)


def test_sampled_answers_of_replicates_get_half_an_answer_on_each_side():
    """A control that never says it in 100 answers has log-odds, and no replicate outweighs all others by them."""
    student, control = [0.05, 0.06, 0.08], [0.0, 0.01, 0.0]
    verdict = replicates_verdict(student, control, answers=100)
    assert verdict.result == over_replicates(student, control, 100)
    assert verdict.result.estimate < 4
