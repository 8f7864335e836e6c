"""`python -m subliminal.stats` and `scripts/power.py`: JSON in, JSON out, and a sentence for what is wrong."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys

import pytest
from patience import HANG_SECONDS
from typer.testing import CliRunner

from subliminal import REPO_ROOT, stats
from subliminal.core.errors import UserError
from subliminal.stats.__main__ import app

TREATMENT, CONTROL = [0.15, 0.05, 0.30, 0.10], [0.00, 0.05, 0.10, 0.05]
DESIGN = {"questions": 50, "samples": 200, "baseline": 0.012, "seeds": 3}


def answer(command, data, *arguments):
    """What a command writes for some data on standard input."""
    stdin = data if isinstance(data, str) else json.dumps(data)
    done = CliRunner().invoke(app, [command, *arguments], input=stdin)
    if done.exception:
        raise done.exception
    return json.loads(done.stdout)


def test_module_runs_as_a_filter():
    command = [sys.executable, "-m", "subliminal.stats", "paired"]
    data = json.dumps({"treatment": TREATMENT, "control": CONTROL})
    done = subprocess.run(command, input=data, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == stats.paired(TREATMENT, CONTROL)
    assert list(json.loads(done.stdout)) == ["difference", "ci95", "p_permutation", "p_t", "p_wilcoxon", "unit"]


def test_module_ends_with_one_sentence_and_status_2():
    command = [sys.executable, "-m", "subliminal.stats", "wilson"]
    done = subprocess.run(command, input='{"successes": 3}', capture_output=True, text=True, timeout=HANG_SECONDS)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'error: Standard input holds the keys [\'successes\']. Send {"successes": 3, "n": 200}.\n'


def test_wilson():
    out = answer("wilson", {"successes": 81, "n": 263})
    assert list(out) == ["rate", "ci95", "successes", "n"]
    assert out["rate"] == 81 / 263
    assert out["ci95"] == list(stats.wilson(81, 263))


def test_mcnemar():
    before = [True] * 2 + [False] * 19
    after = [True] + [False] + [True] * 7 + [False] * 12
    out = answer("mcnemar", {"treatment": before, "control": after})
    keys = ["difference", "ci95", "only_treatment", "only_control", "p_exact", "p_mid", "unit", "n"]
    assert list(out) == keys
    assert (out["only_treatment"], out["only_control"], out["unit"], out["n"]) == (1, 7, "questions", 21)
    assert (out["p_exact"], out["p_mid"]) == pytest.approx((18 / 256, 10 / 256))


def test_specificity_over_questions_and_over_runs():
    out = answer("specificity", {"target": TREATMENT, "others": {"cat": CONTROL, "dog": CONTROL}})
    assert list(out) == ["difference", "scale", "ci95", "p", "unit", "n", "method"]
    assert (out["unit"], out["difference"]) == ("questions", pytest.approx(0.1))
    runs = {"target": [TREATMENT, CONTROL], "others": {"cat": [CONTROL], "dog": [TREATMENT]}}
    out = answer("specificity", runs)
    assert (out["unit"], out["n"], out["scale"]) == ("training runs", [2, 2], "nats")
    assert out["difference"] == pytest.approx(0, abs=1e-9)


def test_power():
    out = answer("power", DESIGN)
    assert list(out) == ["smallest_effect", "design", "power", "alpha", "sentences"]
    expected = stats.smallest_effect(stats.Design(**DESIGN), stats.RUNS)
    assert out["smallest_effect"]["training runs"] == expected
    assert out["design"] == {**DESIGN, "run_sd": 0.25, "icc": 0.05, "likeness": 0.0}
    assert out["sentences"][-1].startswith("Assumed: 5 % of an answer's variance lies between questions")


def test_power_of_an_effect_says_what_would_do():
    out = answer("power", {**DESIGN, "samples": None, "effect": 0.02, "power": 0.9, "run_sd": 0.1})
    needed = out["needed"]
    assert list(needed) == ["training runs", "questions"]
    assert all(list(value) == ["seeds", "questions", "samples", "power"] for value in needed.values())
    assert needed["training runs"]["seeds"] >= 2
    assert needed["training runs"]["questions"] is None
    assert (needed["questions"]["seeds"], needed["questions"]["samples"]) == (None, None)
    assert 0 < needed["training runs"]["power"] <= 1


def test_a_file_does_as_well(tmp_path):
    path = tmp_path / "counts.json"
    path.write_text('{"successes": 1, "n": 29}')
    assert answer("wilson", "", str(path))["n"] == 29


@pytest.mark.parametrize(
    ("command", "data", "sentence"),
    [
        ("paired", "", "Standard input is not valid JSON"),
        ("paired", '{"treatment": [0.1,', "not valid JSON"),
        ("paired", "[1, 2]", "holds a JSON list"),
        ("paired", {"treatment": [0.1, 0.2]}, r"the keys \['treatment'\]"),
        ("paired", '{"treatment": [0.1, NaN], "control": [0.1, 0.2]}', r"treatment\[1\] is nan"),
        ("wilson", {"successes": "3", "n": 9}, "'3' successes in 9 trials are impossible"),
        ("wilson", {"successes": 3, "n": 0}, "3 successes in 0 trials"),
        ("mcnemar", {"treatment": [1, 0], "control": ["yes", 0]}, r"control\[0\] is 'yes'"),
        ("specificity", {"target": [0.1, 0.2], "others": [0.1]}, "others names no student of another animal"),
        ("specificity", {"target": [[0.1, 0.2]], "others": {"cat": [0.1], "dog": [0.1]}}, "target has 1 training run"),
        ("power", {"questions": 50}, r"the keys \['questions'\]. Send"),
        ("power", {**DESIGN, "sd": 1}, "the keys"),
        ("power", {**DESIGN, "baseline": 1.2}, "baseline is 1.2"),
        ("power", {**DESIGN, "power": 80}, "power is 80"),
        ("power", {**DESIGN, "effect": "big"}, "effect of 'big'"),
    ],
)
def test_bad_input_gets_a_sentence(command, data, sentence):
    with pytest.raises(UserError, match=sentence):
        answer(command, data)


def test_a_missing_file_gets_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"none.json cannot be read \(No such file"):
        answer("wilson", "", str(tmp_path / "none.json"))


@pytest.mark.parametrize("command", ["paired", "wilson", "mcnemar", "specificity", "power"])
def test_help_names_every_key_that_comes_out(command):
    data = {
        "paired": {"treatment": TREATMENT, "control": CONTROL},
        "wilson": {"successes": 1, "n": 2},
        "mcnemar": {"treatment": [1, 0], "control": [0, 0]},
        "specificity": {"target": TREATMENT, "others": {"cat": CONTROL}},
        "power": {**DESIGN, "effect": 0.01},
    }[command]
    words = CliRunner().invoke(app, [command, "--help"]).stdout
    missing = [key for key in (*data, *answer(command, data)) if key not in words]
    assert not missing


def test_power_script_prints_the_sentences():
    script = runpy.run_path(str(REPO_ROOT / "scripts" / "power.py"))
    options = ["--questions", "50", "--samples", "200", "--baseline", "0.012", "--seeds", "3", "--effect", "0.005"]
    done = CliRunner().invoke(script["app"], options)
    assert done.stdout.splitlines() == stats.power_table(stats.Design(**DESIGN), effect=0.005)["sentences"]
    assert done.stdout.startswith("Over training runs (“the teacher's data did it”): +")


def test_power_script_ends_with_a_sentence():
    script = runpy.run_path(str(REPO_ROOT / "scripts" / "power.py"))
    done = CliRunner().invoke(script["app"], ["--questions", "1", "--baseline", "0.012", "--seeds", "3"])
    assert isinstance(done.exception, UserError)
    assert "questions is 1" in str(done.exception)


def test_power_script_has_the_defaults_of_the_library():
    script = runpy.run_path(str(REPO_ROOT / "scripts" / "power.py"))
    done = CliRunner().invoke(script["app"], ["--questions", "50", "--baseline", "0.012", "--seeds", "1"])
    assert done.stdout.splitlines() == stats.power_table(stats.Design(50, None, 1, 0.012))["sentences"]
