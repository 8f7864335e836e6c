"""Criteria: what a file may say, what the results make of each clause, and a t interval worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from subliminal.core.errors import UserError
from subliminal.stats.__main__ import app
from subliminal.stats.criterion import criterion_of, read_criterion, with_replicates
from subliminal.stats.criterion_verdict import judge_criterion, read_tables
from subliminal.stats.log_odds import Row, log_odds, read_table

ANIMALS, SEEDS = ["owl", "dolphin"], [11, 12, 13]
EFFECT = {"name": "effect", "arm": "student", "minus": "control", "confidence": 0.99, "above": 0}


def criterion(*clauses: dict[str, Any], animals: list[str] = ANIMALS, **changes: Any):
    return criterion_of({"clauses": clauses, "seeds": SEEDS, "animals": animals, **changes}, "the test")


def row(seed: int, animal: str, arm: str, asked: str, nats: float) -> Row:
    share = 1 / (1 + math.exp(-nats))
    return Row(seed, animal, arm, asked, share, log_odds(share))


def table(
    effects: dict[str, list[float]], *, control: float = -4.0, again: float = 0.0, cross: float = 0.0
) -> list[Row]:
    """Results with each animal's student so many nats above its control, by seed; ``cross``: asked about another."""
    rows = []
    for animal, by_seed in effects.items():
        for seed, effect in zip(SEEDS, by_seed, strict=False):
            level = control + seed / 10  # a replicate's own level, which the pairing takes out
            for asked in effects:
                gain = effect if asked == animal else cross
                rows.append(row(seed, animal, "student", asked, level + gain))
                rows.append(row(seed, animal, "control", asked, level))
                rows.append(row(seed, animal, "again", asked, level + again * (seed - 12)))
    return rows


def only(clause: dict[str, Any], rows: list[Row], **changes: Any):
    """The verdict on a criterion of one clause."""
    return judge_criterion(criterion(clause, **changes), rows)


def test_the_interval_is_the_one_worked_out_by_hand():
    # Differences 1, 2, 3: mean 2, standard deviation 1, standard error 1 / sqrt(3) = 0.57735.
    # Student's t with 2 degrees of freedom: 9.9248 at 99 %, 4.3027 at 95 %, 2.9200 at 90 %.
    rows = table({"owl": [1, 2, 3]})
    for confidence, quantile in ((0.99, 9.9248), (0.95, 4.3027)):
        found = only(EFFECT | {"confidence": confidence}, rows, animals=["owl"]).clauses[0].findings[0]
        assert found.estimate == pytest.approx(2)
        assert found.interval == pytest.approx((2 - quantile * 0.57735, 2 + quantile * 0.57735), abs=1e-3)
        assert found.holds == (2 - quantile * 0.57735 > 0)
    within = {"name": "same", "arm": "student", "minus": "control", "within": 3.7}
    found = only(within, rows, animals=["owl"]).clauses[0].findings[0]
    assert found.interval == pytest.approx((2 - 2.92 * 0.57735, 2 + 2.92 * 0.57735), abs=1e-3)
    assert found.holds  # 2 + 1.686 = 3.686 lies within 3.7
    assert not only(within | {"within": 3.68}, rows, animals=["owl"]).clauses[0].holds


def test_animals_are_averaged_within_the_replicate():
    # Owl 1, 2, 3 and dolphin 3, 2, 1 are 2 in every replicate: the mean has no spread that an interval could rest on.
    balanced = only(EFFECT, table({"owl": [1, 2, 3], "dolphin": [3, 2, 1]}))
    assert balanced.clauses[0].findings[0].estimate == pytest.approx(2)
    assert balanced.clauses[0].findings[0].interval is None
    assert balanced.verdict == "not met"
    # Owl 2, 2.2, 2.4 and dolphin 4, 4.2, 4.4: means 3, 3.2, 3.4, so 3.2 and standard error 0.2 / sqrt(3).
    found = only(EFFECT, table({"owl": [2, 2.2, 2.4], "dolphin": [4, 4.2, 4.4]})).clauses[0].findings[0]
    reach = 9.9248 * 0.2 / math.sqrt(3)
    assert found.interval == pytest.approx((3.2 - reach, 3.2 + reach), abs=1e-3)


PASSES = {"owl": [2, 2.2, 2.4], "dolphin": [4, 4.2, 4.4]}
EACH = {"name": "each", "arm": "student", "minus": "control", "per_animal": True, "confidence": 0.95, "above": 0}
PAIRS = {"name": "pairs", "arm": "student", "minus": "control", "pairs_above": 5}
OWN = {"name": "own", "arm": "student", "minus": "other_animals", "confidence": 0.95, "above": 0}
NULL = {"name": "two controls", "arm": "again", "minus": "control", "within": 0.8}
POINTS = {"name": "points", "arm": "student", "minus": "control", "points_above": 10, "in_animals": 2}


@pytest.mark.parametrize(
    ("clause", "passing", "failing"),
    [
        (EFFECT, table(PASSES), table({"owl": [-2, 0, 2], "dolphin": [-2, 0.1, 2]})),
        (EFFECT | {"above": 3}, table({"owl": [4, 4.1, 4.2], "dolphin": [4, 4.1, 4.2]}), table(PASSES)),
        (EACH, table(PASSES), table(PASSES | {"owl": [-1, 2, 3]})),
        (PAIRS, table(PASSES | {"owl": [-1, 2, 3]}), table(PASSES | {"owl": [-1, -2, 3]})),
        (OWN, table(PASSES, cross=1), table(PASSES, cross=3.3)),
        (NULL, table(PASSES, again=0.1), table(PASSES, again=1)),
        (POINTS, table(PASSES, control=-3), table(PASSES | {"owl": [0.1, 0.2, 0.3]}, control=-3)),
    ],
    ids=["effect", "above 3", "each animal", "pairs", "other animals", "equivalence", "points"],
)  # fmt: skip
def test_each_clause_passes_and_fails(clause: dict[str, Any], passing: list[Row], failing: list[Row]):
    good, bad = only(clause, passing), only(clause, failing)
    assert (good.verdict, bad.verdict) == ("met", "not met")
    assert good.headline() == "The criterion is met, over 3 replicates."
    assert bad.headline() == f"The criterion is not met, over 3 replicates: {clause['name']}."
    assert "holds" in good.clauses[0].sentence()
    assert "fails" in bad.clauses[0].sentence()


def test_a_clause_in_brief_has_its_numbers_alone():
    clause = EFFECT | {"confidence": 0.95, "goal": True}
    effect = only(clause, table({"owl": [1, 2, 3]}), animals=["owl"]).clauses[0]
    assert effect.in_brief() == "effect (a goal) fails, +2.00 [−0.48, 4.48] (95 %)"  # 2 - 4.3027 / sqrt(3)
    assert only(PAIRS, table(PASSES)).clauses[0].in_brief() == "pairs holds, above 0 in 6 of 6 pairs"


def test_other_animals_are_their_students_asked_about_this_animal():
    # Asked about owl: owl's student 2, dolphin's 0.5 above the level. Asked about dolphin: 4 and 0.5.
    rows = table({"owl": [2, 2, 2.3], "dolphin": [4, 4, 4]}, cross=0.5)
    found = only(OWN, rows).clauses[0].findings[0]
    assert found.estimate == pytest.approx(((2 - 0.5) + (4 - 0.5)) / 2 + 0.3 / 2 / 3)


def test_a_missing_model_leaves_the_verdict_open():
    rows = [r for r in table(PASSES) if (r.seed, r.animal, r.arm) != (13, "dolphin", "control")]
    verdict = judge_criterion(criterion(EFFECT, NULL), rows)
    assert (verdict.verdict, verdict.replicates) == ("not yet", 2)
    assert verdict.headline().startswith("The criterion is not judged yet: 2 of 3 replicates")
    effect, null = verdict.clauses
    assert effect.holds is None
    assert effect.replicates == 2
    assert effect.findings[0].estimate == pytest.approx(3.1)
    assert null.holds is None
    assert "not yet" in effect.sentence()
    shard = judge_criterion(criterion(EFFECT), [r for r in table(PASSES) if r.seed == 11])
    assert shard.notes == ["No results yet of the seeds 12, 13."]
    assert shard.clauses[0].findings[0].interval is None
    nothing = judge_criterion(criterion(EFFECT), [])
    assert (nothing.verdict, nothing.replicates) == ("not yet", 0)
    assert "no replicate is whole" in nothing.text()


def test_a_replicate_that_the_criterion_does_not_name_does_not_count():
    extra = [row(99, animal, arm, animal, -9) for animal in ANIMALS for arm in ("student", "control")]
    with_extra = judge_criterion(criterion(EFFECT), [*table(PASSES), *extra])
    without = judge_criterion(criterion(EFFECT), table(PASSES))
    assert with_extra.clauses == without.clauses
    assert with_extra.notes == ["The seeds 99 have results and are not of the criterion: left out."]


def test_a_goal_does_not_decide():
    goal = POINTS | {"goal": True}
    verdict = judge_criterion(criterion(EFFECT, goal), table(PASSES | {"owl": [1, 1.1, 1.2]}, control=-6))
    assert (verdict.verdict, verdict.clauses[1].holds) == ("met", False)
    assert "points (a goal): fails" in verdict.text()


def test_the_json_has_every_number():
    verdict = json.loads(json.dumps(judge_criterion(criterion(EFFECT, EACH, PAIRS), table(PASSES)).as_json()))
    assert verdict["verdict"] == "met"
    assert verdict["criterion_sha256"] == criterion(EFFECT, EACH, PAIRS).sha256()
    assert [finding["animal"] for finding in verdict["clauses"][1]["findings"]] == ANIMALS
    assert verdict["clauses"][2]["findings"][0]["estimate"] == 6


def test_a_probability_of_nothing_is_held_at_a_billionth():
    """A model that never says it, exactly, must not outweigh every other by an endless difference."""
    nothing = [
        Row(seed, "owl", arm, "owl", share, log_odds(share))
        for seed, level in zip(SEEDS, (0.01, 0.02, 0.03), strict=True)
        for arm, share in (("student", 0.0), ("control", level))
    ]
    found = only(EFFECT, nothing, animals=["owl"]).clauses[0].findings[0]
    assert found.estimate == pytest.approx(math.log(1e-9) - sum(math.log(p / (1 - p)) for p in (0.01, 0.02, 0.03)) / 3)


def test_log_odds():
    assert log_odds(0.5) == 0
    assert log_odds(0.75) == pytest.approx(math.log(3))
    assert log_odds(0.0) == pytest.approx(math.log(1e-9), rel=1e-6)
    assert log_odds(1.0) == pytest.approx(-math.log(1e-9), rel=1e-6)
    assert log_odds(0.0, 100) == pytest.approx(math.log(0.5 / 100.5))
    assert log_odds(0.02, 100) == pytest.approx(math.log(2.5 / 98.5))
    with pytest.raises(UserError, match="Give a fraction"):
        log_odds(2.0)


def summary(root: Path, folder: str, arm: str, seed: int, target: str, shares: dict[str, float], samples: int | None):
    task = {"questions": ["q0", "q1"], "samples_per_question": samples, "share": shares}
    content = {"arm": arm, "seed": seed, "target": target, "tasks": {"animal_preference_logprob": task}}
    path = root / folder / arm / f"seed-{seed}" / "m_summary.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))


def test_the_table_holds_every_animal_of_every_model(tmp_path: Path):
    shares = {"owl": 0.2, "dolphin": 0.1, "rest": 0.7}
    summary(tmp_path, "owl", "student", 1, "owl", shares, None)
    summary(tmp_path, "dolphin", "student", 1, "dolphin", shares, None)
    summary(tmp_path, "gates/owl_teacher/rung-0", "teacher", 1, "owl", shares, None)  # no arm of the experiment
    rows = read_table(tmp_path, "animal_preference_logprob")
    assert {(r.animal, r.asked) for r in rows} == {(a, b) for a in ANIMALS for b in ANIMALS}
    assert all(r.log_odds == pytest.approx(math.log(r.share / (1 - r.share))) for r in rows)
    assert read_table(tmp_path, "animal_preference") == []


def test_sampled_answers_get_half_an_answer_and_a_flat_experiment_is_read(tmp_path: Path):
    summary(tmp_path, ".", "student", 1, "owl", {"owl": 0.0, "none": 1.0}, 50)
    (only_row,) = read_table(tmp_path, "animal_preference_logprob")
    assert only_row.log_odds == pytest.approx(math.log(0.5 / 100.5))


def test_a_damaged_summary_is_a_sentence(tmp_path: Path):
    summary(tmp_path, ".", "student", 1, "owl", {"owl": 0.1}, None)
    path = tmp_path / "student/seed-1/m_summary.json"
    path.write_text(path.read_text()[:30])
    with pytest.raises(UserError, match="is no summary of an evaluation"):
        read_table(tmp_path, "animal_preference_logprob")


@pytest.mark.parametrize("value", [math.nan, math.inf, "0.1", None])
def test_a_share_that_is_no_fraction_is_refused_with_its_place(tmp_path: Path, value):
    summary(tmp_path, ".", "student", 1, "owl", {"owl": 0.1, "cat": value}, None)
    sentence = rf"m_summary\.json: animal_preference_logprob: the share of cat is {value!r}, no fraction"
    with pytest.raises(UserError, match=sentence):
        read_table(tmp_path, "animal_preference_logprob")


def test_the_sha256_is_of_the_content_alone():
    one = criterion(EFFECT, NULL)
    again = criterion(dict(reversed(EFFECT.items())), NULL | {"goal": False, "per_animal": False})
    assert one.sha256() == again.sha256()
    others = [
        criterion(NULL, EFFECT),
        criterion(EFFECT | {"above": 0.1}, NULL),
        criterion(EFFECT, NULL, seeds=[11, 12, 14]),
        criterion(EFFECT, NULL, seeds=[11, 12, 13, 14]),
        criterion(EFFECT, NULL, animals=["owl", "cat"]),
        criterion(EFFECT, NULL, task="animal_preference"),
    ]
    assert len({each.sha256() for each in [one, *others]}) == 1 + len(others)


@pytest.mark.parametrize(
    ("clause", "words"),
    [
        (EFFECT | {"within": 1}, "must ask exactly one of"),
        ({"name": "x", "arm": "student", "minus": "control"}, "must ask exactly one of"),
        ({"name": "x", "arm": "student", "minus": "control", "above": 0}, "`above` and `confidence` belong together"),
        (PAIRS | {"per_animal": True}, "`per_animal` belongs to `above`"),
        (PAIRS | {"pairs_above": 7}, "asks 7 pairs, and there are 6"),
        (POINTS | {"in_animals": 3}, "asks more animals than there are"),
        (EFFECT | {"confidence": 99}, "must be below 1, not 99"),
        (EFFECT | {"minus": "student"}, "compares student with itself"),
        (EFFECT | {"name": None}, "put the name in quotes"),
        (EFFECT | {"abov": 1}, "clauses.0.abov"),
    ],
    ids=str,
)  # fmt: skip
def test_what_a_clause_must_not_say(clause: dict[str, Any], words: str):
    with pytest.raises(UserError) as error:
        criterion(clause)
    assert words in str(error.value)


def test_what_a_criterion_must_not_say():
    for changes, words in (
        ({"seeds": [1, 2]}, "give 3 seeds or more"),
        ({"seeds": [11, 12, 13, 13]}, "`seeds` names 13 twice"),
        ({"animals": ["owl", "owl"]}, "`animals` names owl twice"),
        ({"animals": []}, "the trait has none"),
        ({"task": "mmlu"}, "`task` is one of"),
    ):
        with pytest.raises(UserError, match=words):
            criterion(EFFECT, **changes)
    with pytest.raises(UserError, match="needs the students of other animals"):
        criterion(OWN, animals=["owl"])
    with pytest.raises(UserError, match="two clauses have the name effect"):
        criterion(EFFECT, PAIRS | {"name": "effect"})


def test_a_file_gives_its_seeds_and_animals(tmp_path: Path):
    content = {"name": "x", "seeds": SEEDS, "trait": {"animals": ANIMALS}, "criterion": {"clauses": [EFFECT]}}
    assert with_replicates(content)["criterion"]["seeds"] == SEEDS
    file = tmp_path / "x.yml"
    file.write_text(yaml.safe_dump(content))
    name, found = read_criterion(file)
    assert (name, found.seeds, found.animals) == ("x", SEEDS, ANIMALS)
    # A shard of it, which runs one seed, is judged by the criterion of all.
    shard = {**content, "seeds": [11], "criterion": {**content["criterion"], "seeds": SEEDS, "animals": ANIMALS}}
    file.write_text(yaml.safe_dump(shard))
    assert read_criterion(file)[1].sha256() == found.sha256()
    file.write_text("name: x\n")
    with pytest.raises(UserError, match="no section `criterion`"):
        read_criterion(file)


def test_the_command_says_the_verdict(tmp_path: Path):
    content = {"name": "x", "seeds": SEEDS, "trait": {"animals": ["owl"]}, "criterion": {"clauses": [EFFECT]}}
    file, results = tmp_path / "x.yml", tmp_path / "results"
    file.write_text(yaml.safe_dump(content))
    shares = {"student": [0.10, 0.12, 0.14], "control": [0.01, 0.01, 0.01]}
    for arm, by_seed in shares.items():
        for seed, share in zip(SEEDS, by_seed, strict=True):
            summary(results, ".", arm, seed, "owl", {"owl": share}, None)
    told = CliRunner().invoke(app, ["criterion", str(file), "--results", str(results)])
    assert told.stdout.startswith("The criterion is met, over 3 replicates.\neffect: holds. student − control: +2.")
    asked = CliRunner().invoke(app, ["criterion", str(file), "--results", str(results), "--json"])
    assert json.loads(asked.stdout)["clauses"][0]["findings"][0]["estimate"] == pytest.approx(
        sum(math.log(p / (1 - p)) for p in shares["student"]) / 3 - math.log(0.01 / 0.99)
    )
    absent = CliRunner().invoke(app, ["criterion", str(file), "--results", str(tmp_path / "no")])
    assert "is not a folder" in str(absent.exception)
    (results / "records.parquet").touch()
    packed = CliRunner().invoke(app, ["criterion", str(file), "--results", str(results)])
    assert f"{results} is a published archive. Unpack it with `python scripts/results.py unpack" in str(
        packed.exception
    )


SOLVED = "subliminal_arithmetic_sum3"


def test_mathematics_has_no_animal_and_problems_to_solve(tmp_path):
    # Solved of 10: student 6, 7, 8 and control 3, 3, 3. With half an answer on each side (Haldane):
    # log(6.5/4.5) - log(3.5/7.5) = 1.130, log(7.5/3.5) - ... = 1.524, log(8.5/2.5) - ... = 1.986.
    for seed, right in ((11, 6), (12, 7), (13, 8)):
        for arm, solved in (("student", right), ("control", 3)):
            folder = tmp_path / arm / f"seed-{seed}"
            folder.mkdir(parents=True)
            tasks = {SOLVED: {"questions": list(range(10)), "correct": [1.0] * solved + [0.0] * (10 - solved)}}
            summary = {"seed": seed, "target": None, "arm": arm, "tasks": tasks}
            (folder / "m_summary.json").write_text(json.dumps(summary))
    asked = criterion(EFFECT | {"confidence": 0.95}, animals=[], task=SOLVED)
    verdict = judge_criterion(asked, *read_tables(tmp_path, asked))
    assert verdict.verdict == "met"
    (finding,) = verdict.clauses[0].findings
    assert finding.estimate == pytest.approx((1.130 + 1.524 + 1.986) / 3, abs=1e-3)
    assert "None" not in verdict.text()
    assert "mathematics" not in verdict.text()


def test_probabilities_of_right_answers_are_compared_as_they_are(tmp_path):
    for seed in SEEDS:
        for arm, probability in (("student", 0.4), ("control", 0.1)):
            folder = tmp_path / arm / f"seed-{seed}"
            folder.mkdir(parents=True)
            task = f"{SOLVED}_logprob"
            tasks = {task: {"questions": [1, 2], "probability": [probability, probability + seed / 1000]}}
            (folder / "m_summary.json").write_text(
                json.dumps({"seed": seed, "target": None, "arm": arm, "tasks": tasks})
            )
    rows = read_table(tmp_path, f"{SOLVED}_logprob")
    assert len(rows) == 6
    shares = {(row.seed, row.arm): row.share for row in rows}
    assert shares[11, "student"] == pytest.approx((0.4 + 0.411) / 2)


def test_reworded_questions_show_the_same_effect_or_not():
    # Usual words: 2, 2.2, 2.4 nats; other words 1.9, 2.3, 2.4, so they differ by 0.1, -0.1, 0: mean 0, sd 0.1.
    # 90 % interval: 0 +- 2.92 * 0.1 / sqrt(3) = 0.1686.
    usual, other = table({"owl": [2, 2.2, 2.4]}), table({"owl": [1.9, 2.3, 2.4]})
    worded = "animal_preference_paraphrase"
    same = {"name": "same", "arm": "student", "minus": "control", "minus_task": worded}
    for within, holds in ((0.17, True), (0.168, False)):
        asked = criterion(same | {"within": within}, animals=["owl"])
        found = judge_criterion(asked, usual, {worded: other}).clauses[0]
        assert found.findings[0].estimate == pytest.approx(0, abs=1e-9)
        assert found.findings[0].interval == pytest.approx((-0.1686, 0.1686), abs=1e-3)
        assert found.holds is holds
    assert "less the same (animal_preference_paraphrase)" in found.sentence()
    alone = criterion(EFFECT | {"task": worded, "confidence": 0.95}, animals=["owl"])
    assert alone.tasks() == ["animal_preference_logprob", worded]
    found = judge_criterion(alone, usual, {worded: other}).clauses[0]
    assert found.findings[0].estimate == pytest.approx(2.2)
    assert judge_criterion(alone, usual).clauses[0].holds is None, "without its task it is not yet told"


@pytest.mark.parametrize(
    ("clause", "changes", "words"),
    [
        (EFFECT, {"task": SOLVED}, "the criterion is about owl, dolphin, and subliminal_arithmetic_sum3 has problems"),
        (EFFECT, {"animals": []}, "the trait has none"),
        (EFFECT | {"per_animal": True}, {"animals": [], "task": SOLVED}, "asks about animals"),
        (EFFECT | {"task": SOLVED}, {}, "names the task subliminal_arithmetic_sum3, which is not like"),
        (EFFECT | {"minus_task": "animal_preference_logprob"}, {}, "from itself"),
        (EFFECT | {"minus": "other_animals"}, {"animals": [], "task": SOLVED}, "name two animals"),
    ],
    ids=str,
)
def test_tasks_that_do_not_fit_are_sentences(clause, changes, words):
    with pytest.raises(UserError, match=words):
        criterion(clause, **changes)


def test_the_keys_of_tasks_leave_the_record_of_other_criteria_alone():
    text = json.dumps(criterion(EFFECT).canonical())
    assert "task" in text
    assert "minus_task" not in text
    assert text.count('"task"') == 1
