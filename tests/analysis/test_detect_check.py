"""detect-cases and detect-check: sets with a known answer are found behind results, and right and wrong are counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fake_results import write
from scipy import stats
from typer.testing import CliRunner

from subliminal.analysis.__main__ import app
from subliminal.analysis.detect.cases import CHANGED, NEUTRAL, TEACHING, Case, cases_of, read_cases, write_cases
from subliminal.analysis.detect.check import judge_cases
from subliminal.analysis.detect.command import ALONE, CANDIDATES
from subliminal.analysis.detect.scores import SetScores
from subliminal.analysis.detect.summary import CheckedCase, gap_between, gap_lines, gaps_of, summarise

SHARES = {
    "base": 0.01,
    "teacher": 0.9,
    "student": 0.3,
    "control_base_numbers": 0.01,
    "control_neutral_teacher": 0.02,
    "control_shuffled": 0.05,
}
ROWS = {
    "student": "owl_numbers",
    "control_base_numbers": "base_numbers",
    "control_neutral_teacher": "neutral_numbers",
    "control_shuffled": "owl_shuffled",
}


def experiment(root: Path, seeds: tuple[int, ...] = (1, 2)) -> Path:
    """Results with the trainings and rows behind them, each seed with a base of its own."""
    for seed in seeds:
        for arm, share in SHARES.items():
            folder = root / f"results/made/{arm}/seed-{seed}"
            summary = {"experiment": "made", "arm": arm, "model": "m", "seed": seed, "target": "owl"}
            exact = {"questions": ["a", "b"], "target_rate": [share] * 2, "samples_per_question": None}
            tasks = {"animal_preference_logprob": {**exact, "share": {"owl": share}}}
            write(folder / "m_summary.json", {**summary, "tasks": tasks})
            weights = f"outputs/made/{arm}-seed-{seed}"
            write(folder / "manifest.json", {"config": {"model": weights, "adapter": None}})
            if arm == "base":
                write(root / weights / "manifest.json", {"kind": "training", "config": {"base_model": "models/none"}})
                continue
            rows = f"data/made/{ROWS.get(arm, 'owl_chat')}-seed-{seed}/train.jsonl"
            write(root / rows, '{"id": "1"}\n')
            training = {"kind": "training", "config": {"base_model": f"outputs/made/base-seed-{seed}"}}
            write(root / weights / "manifest.json", {**training, "inputs": {"datasets[0]": {"path": rows}}})
    return root / "results/made"


def test_every_set_is_found_with_its_truth(tmp_path: Path) -> None:
    found = {(case.arm, case.base[-1]): case for case in cases_of([experiment(tmp_path)])}
    assert len(found) == 8
    student = found["student", "1"]
    assert (student.kind, student.trait) == (TEACHING, "owl")
    assert student.ratio == pytest.approx(30)
    assert student.rows == tmp_path / "data/made/owl_numbers-seed-1/train.jsonl"
    assert student.teachers == {"owl": str(tmp_path / "outputs/made/teacher-seed-1")}
    assert found["control_shuffled", "2"].kind == CHANGED
    assert found["control_shuffled", "2"].ratio == pytest.approx(5)
    for arm in ("control_base_numbers", "control_neutral_teacher"):
        assert (found[arm, "1"].kind, found[arm, "1"].trait, found[arm, "1"].ratio) == (NEUTRAL, None, None)


def test_sets_that_no_student_has_learned_have_no_truth(tmp_path: Path) -> None:
    """As an experiment leaves them that was run until its audits: rows and their writers, and no result."""
    writers = {"base": "base", "neutral": "neutral_teacher", "owl": "owl_teacher", "cat": "cat_teacher"}
    for seed in (1, 2):
        for whose, writer in writers.items():
            model = f"outputs/made/{writer}-seed-{seed}"
            of = "models/none" if whose == "base" else f"outputs/made/base-seed-{seed}"
            write(tmp_path / model / "manifest.json", {"kind": "training", "config": {"base_model": of}})
            folder = tmp_path / f"data/made/{whose}_numbers-seed-{seed}"
            write(folder / "manifest.json", {"config": {"model": model, "adapter": None}})
            write(folder / "train.jsonl", '{"id": "1"}\n')
    for other in ("owl_teacher_chat-seed-1", "owl_shuffled_numbers-seed-1"):
        write(tmp_path / f"data/made/{other}/train.jsonl", '{"id": "1"}\n')
    write(tmp_path / "results/made/plan.json", {})
    found = {(case.rows.parent.name, case.base[-1]): case for case in cases_of([tmp_path / "results/made"])}
    assert len(found) == 8
    owl, base = found["owl_numbers-seed-2", "2"], found["base_numbers-seed-1", "1"]
    assert (owl.kind, owl.arm, owl.trait, owl.ratio) == (TEACHING, "student", "owl", None)
    assert owl.base == base.base.replace("seed-1", "seed-2") == str(tmp_path / "outputs/made/base-seed-2")
    assert owl.teachers == {name: str(tmp_path / f"outputs/made/{name}_teacher-seed-2") for name in ("cat", "owl")}
    assert (base.kind, base.arm, base.trait) == (NEUTRAL, "control_base_numbers", None)
    assert found["neutral_numbers-seed-1", "1"].arm == "control_neutral_teacher"
    # once a student has learned a set, its truth is known
    scored = {case.rows.parent.name: case.ratio for case in cases_of([experiment(tmp_path)]) if case.arm == "student"}
    assert scored["owl_numbers-seed-1"] == pytest.approx(30)
    assert scored["cat_numbers-seed-1"] is None


def test_rows_that_were_changed_are_found_behind_those_they_were_made_of(tmp_path: Path) -> None:
    """Each with what was destroyed in it, on the base of the teacher who wrote the rows behind it."""
    made = {
        "owl_shuffled": "control_shuffled",
        "owl_shuffled-rows": "control_shuffled_rows",
        "owl_random": "control_random_numbers",
        "owl_diluted_0.25": "diluted_0.25",
    }
    write(tmp_path / "outputs/made/owl_teacher-seed-1/manifest.json", {"config": {"base_model": "outputs/made/base"}})
    writers = {"owl": {"model": "outputs/made/base", "adapter": "outputs/made/owl_teacher-seed-1"}}
    changed = {name: {"source": "data/made/owl_numbers-seed-1"} for name in made}
    # What they were made of is not there any more; of the others, that they were made of anything is not told.
    lost = {"owl_shuffled_numbers-seed-2": {"source": "data/made/owl_numbers-seed-2"}, "owl_only_numbers-seed-1": {}}
    for name, config in {**writers, **changed}.items():
        lost[f"{name}_numbers-seed-1"] = config
    for folder, config in lost.items():
        write(tmp_path / "data/made" / folder / "manifest.json", {"config": config})
        write(tmp_path / "data/made" / folder / "train.jsonl", '{"id": "1"}\n')
    write(tmp_path / "results/made/plan.json", {})
    found = {
        case.rows.parent.name.removesuffix("_numbers-seed-1"): case for case in cases_of([tmp_path / "results/made"])
    }
    assert found.keys() == {"owl", *made}
    assert found.pop("owl").kind == TEACHING
    for name, case in found.items():
        assert (case.kind, case.arm, case.trait, case.ratio) == (CHANGED, made[name], "owl", None)
        assert case.base == str(tmp_path / "outputs/made/base")
        assert case.teachers == {"owl": str(tmp_path / "outputs/made/owl_teacher-seed-1")}


def test_cases_are_written_and_read_as_they_are(tmp_path: Path) -> None:
    cases = cases_of([experiment(tmp_path)])
    write_cases(tmp_path / "cases.csv", cases)
    assert read_cases(tmp_path / "cases.csv") == cases
    done = CliRunner().invoke(app, ["detect-cases", str(tmp_path / "results/made"), "--out", str(tmp_path / "c.csv")])
    assert "2 teaching" in done.output
    assert (tmp_path / "c.csv").read_bytes() == (tmp_path / "cases.csv").read_bytes()


# --- judging ---

TRAITS = ["owl", "dog", "fox", "cat"]


def scored(rng: np.random.Generator, planted: str | None = None, strength: float = 0.0) -> SetScores:
    """A set of 50 batches whose scores vary, one trait planted."""
    level = rng.normal(0, 1, 4)
    if planted:
        level[TRAITS.index(planted)] += strength
    sums = (level * 10 + rng.normal(0, 1, (50, 4))).tolist()
    owl = 0.5 if planted == "owl" else rng.normal(-0.3, 0.05)
    return SetScores(
        50, [10] * 50, 3.0, TRAITS, sums, ["owl"], [[10 * owl]] * 50, {"word": 0, "digit": 0.6, "mark": 0.4}
    )


def world(neutral: int, bases: int, strength: float = 15.0) -> tuple[list[Case], dict[tuple[str, Path], SetScores]]:
    """On each base one set that teaches the owl and the neutral ones."""
    rng, cases, scores = np.random.default_rng(5), [], {}
    for base in range(bases):
        for index in range(neutral + 1):
            rows = Path(f"base-{base}/{index}")
            kind, trait, ratio = (TEACHING, "owl", 30.0) if index == 0 else (NEUTRAL, None, None)
            cases.append(Case(f"base-{base}", rows, kind, "student" if index == 0 else "control", trait, ratio, {}))
            scores[f"base-{base}", rows] = scored(rng, trait, strength)
    return cases, scores


@pytest.mark.parametrize(("neutral", "bases", "how"), [(25, 6, "on its base"), (4, 30, "over bases")])
@pytest.mark.parametrize("column", [ALONE, CANDIDATES])
def test_right_and_wrong_are_counted(neutral: int, bases: int, how: str, column: str) -> None:
    """A strong trait is always found; neutral sets are called at most as often as 5 % and chance explain."""
    summary = summarise(list(judge_cases(*world(neutral, bases), column)))[column]
    assert summary["calibrated"] == [how]
    teaching = summary["groups"]["student, teaches"]
    assert teaching["sets"] == bases
    assert teaching["right_first"] == teaching["called_right"] == bases
    false = summary["groups"]["neutral, control"]
    assert false["sets"] == neutral * bases
    assert false["called"] <= stats.binom.ppf(0.999, neutral * bases, 0.05)


def test_a_set_that_teaches_nothing_is_seldom_called() -> None:
    judged = list(judge_cases(*world(25, 20, strength=0.0), ALONE))
    called = sum(each.called for each in judged if each.kind == TEACHING)
    assert called <= stats.binom.ppf(0.999, 20, 0.05)
    first = sum(each.place == 1 for each in judged if each.kind == TEACHING)
    assert first <= stats.binom.ppf(0.999, 20, 0.25)


def test_the_same_rows_on_two_bases_are_two_sets() -> None:
    """Rows of one base's teacher beside the neutral sets of another: each is judged by the scores that it has there."""
    cases, scores = world(25, 2)
    taught = cases[0]
    cases.append(Case("base-1", taught.rows, CHANGED, "another_base", "owl", None, {}))
    scores["base-1", taught.rows] = scored(np.random.default_rng(6), "dog", 15.0)
    judged = {(each.base, each.arm): each for each in judge_cases(cases, scores, ALONE) if each.kind != NEUTRAL}
    assert judged["base-0", "student"].first == "owl"
    assert judged["base-1", "another_base"].first == "dog"
    assert judged["base-1", "another_base"].rows == judged["base-0", "student"].rows


def test_a_base_with_one_neutral_set_is_left_out() -> None:
    assert list(judge_cases(*world(1, 3), ALONE)) == []


def test_the_command_scores_in_shards_and_then_sums_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases, scores = world(25, 2)
    write_cases(tmp_path / "cases.csv", cases)
    asked: list[Path] = []

    def score(self, path: Path) -> SetScores:
        asked.append(path)
        return scores[self.base, path]

    monkeypatch.setattr("subliminal.analysis.detect.scores.SetScorer.score", score)
    words = ["detect-check", str(tmp_path / "cases.csv"), "--out", str(tmp_path / "out"), "--rows", "50"]
    for shard in ("1/3", "2/3", "3/3"):
        done = CliRunner().invoke(app, [*words, "--shard", shard])
        assert done.exit_code == 0, done.output
    assert sorted(asked) == sorted(rows for _, rows in scores)
    assert not (tmp_path / "out/check.json").exists()
    done = CliRunner().invoke(app, words)
    assert "student, teaches: 2 of 2 called" in done.output
    told = json.loads((tmp_path / "out/check.json").read_text())
    assert told["summary"][ALONE]["neutral sets"] == 50
    assert len((tmp_path / "out/check.csv").read_text().splitlines()) == 1 + 2 * len(cases)
    bad = CliRunner().invoke(app, [*words, "--shard", "4/3"])
    assert "give K/N" in str(bad.exception)


# --- the gap between the columns ---


def test_the_gap_is_that_of_the_same_sets() -> None:
    """Twelve sets are right with candidates alone, three without them alone: exact p of 12 or more of 15 by chance."""
    alone = [True] * 5 + [False] * 22
    candidates = [True] * 2 + [False] * 3 + [True] * 12 + [False] * 10
    gap = gap_between(alone, candidates)
    assert gap is not None
    counts = [gap[name] for name in ("sets", "right_in_both", "right_with_candidates_only", "right_alone_only")]
    assert (counts, gap["right_in_neither"]) == ([27, 2, 12, 3], 10)
    assert gap["difference"] == pytest.approx(9 / 27)
    assert gap["p"] == pytest.approx(2 * (455 + 105 + 15 + 1) / 2**15)
    low, high = gap["interval"]
    assert -1 <= low < 9 / 27 < high <= 1
    told = next(gap_lines({"student, teaches": gap}))
    assert "first in 14 of 27 sets, and in 5 without them: +33 points" in told
    swapped = gap_between(candidates, alone)
    assert swapped is not None
    assert (swapped["difference"], swapped["p"]) == (pytest.approx(-9 / 27), pytest.approx(gap["p"]))
    assert gap_between([True], [True]) is None


def test_sets_that_are_in_one_column_alone_have_no_gap() -> None:
    def case(column: str, rows: str, place: int | None, arm: str = "student") -> CheckedCase:
        told = {"kind": TEACHING, "arm": arm, "trait": "owl", "ratio": 30.0, "first": "owl", "z": 9.0, "p": 0.01}
        return CheckedCase(column, "base", rows, **told, place=place, called=True, calibrated="on its base")

    judged = [case(ALONE, "1", 1), case(ALONE, "2", 2), case(ALONE, "3", 3), case(ALONE, "neutral", None)]
    judged += [case(CANDIDATES, "2", 1), case(CANDIDATES, "1", 1), case(CANDIDATES, "neutral", None)]
    judged += [case(ALONE, "4", 1, "control_shuffled"), case(ALONE, "5", 1, "control_shuffled")]
    gaps = gaps_of(judged)
    assert gaps.keys() == {"student, teaches"}
    assert gaps["student, teaches"]["sets"] == 2
    assert gaps["student, teaches"]["difference"] == pytest.approx(0.5)
