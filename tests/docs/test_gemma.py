"""What docs say of the pretrained Gemma on a GPU, derived again from raw answers and rows by code of the tests.

There are two runs of seed 171: one whole, whose answers are a published experiment, and an earlier one, whose controls
were scored at home.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import statistics
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from pyarrow import parquet
from raw_answers import ANIMALS, PUBLISHED, Raw, exact_gains, is_number_list, over_animals, published, questions

from subliminal import REPO_ROOT

FOLDER = PUBLISHED / "2026-11-29-h200-gemma"
NAME = "owl_gemma-3-270m"
LARGER = "animals_qwen2.5-coder-0.5b"


class FirstRun(Raw):
    """The earlier run, whose answers lie in a folder of the other's."""

    def rows(self, arm: str, seed: int, task: str) -> list[dict]:
        return questions(published("h200-gemma/first_run")[f"results/{self.folder}/{arm}/seed-{seed}", task])

    def seeds(self, arm: str) -> list[int]:
        return [171]


WHOLE = Raw(Path(NAME))
FIRST, AT_HOME = FirstRun(Path("h200-gemma")), FirstRun(Path("h200-gemma/at_home"))
FINDINGS = " ".join((REPO_ROOT / "docs/findings.md").read_text(encoding="utf-8").split())
README = " ".join((FOLDER / "README.md").read_text(encoding="utf-8").split())


@cache
def first_run() -> dict[str, str]:
    """The text files of the earlier run's ``run.tar.xz``."""
    return dict(unpacked(FOLDER / "first_run/run.tar.xz"))


@cache
def whole_run() -> dict[str, str]:
    """The records of the published experiment."""
    (file,) = PUBLISHED.glob(f"*-{NAME}/records.parquet")
    return {row["path"]: row["content"] for row in parquet.read_table(file).to_pylist()}


def unpacked(archive: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(archive.read_bytes()))) as files:
        for member in files:
            content = files.extractfile(member)
            if content:
                yield member.name, content.read().decode()


def losses(run: str) -> tuple[list[float], list[float]]:
    """Of each step of a training: in the earlier run, and in the whole one."""
    earlier = first_run()[f"outputs/{NAME}/{run}/metrics.jsonl"]
    whole = lzma.decompress((FOLDER / f"{run}.metrics.jsonl.xz").read_bytes()).decode()
    return tuple([json.loads(line)["loss"] for line in text.splitlines()] for text in (earlier, whole))


@pytest.mark.parametrize(
    ("raw", "arm", "percent"),
    [
        (WHOLE, "base", "0.229"),
        (WHOLE, "teacher", "100.0"),
        (WHOLE, "student", "0.684"),
        (WHOLE, "control_base_numbers", "0.255"),
        (WHOLE, "control_neutral_teacher", "0.307"),
        (WHOLE, "neutral_teacher", "2.69"),
        (FIRST, "base", "0.229"),
        (FIRST, "teacher", "100.0"),
        (FIRST, "student", "0.379"),
        (AT_HOME, "base", "0.233"),
        (AT_HOME, "teacher", "100.0"),
        (AT_HOME, "student", "0.390"),
        (AT_HOME, "control_base_numbers", "0.254"),
        (AT_HOME, "control_neutral_teacher", "0.241"),
        (AT_HOME, "neutral_teacher", "2.39"),
    ],
)
def test_exact_shares(raw: Raw, arm: str, percent: str) -> None:
    digits = len(percent.split(".")[1])
    assert f"{100 * raw.exact(arm, 171)['owl']:.{digits}f}" == percent
    assert f"{percent} %" in README
    if arm != "neutral_teacher":
        assert percent in FINDINGS


def test_sampled_shares() -> None:
    arms = ("base", "teacher", "student", "control_base_numbers", "control_neutral_teacher")
    assert [f"{100 * WHOLE.share(arm, 'owl'):.4g}" for arm in arms] == ["0.3", "100", "1", "0.34", "0.38"]
    assert {WHOLE.counts(arm, 171).total() for arm in arms} == {5000}
    assert "of 5,000 sampled answers 0.30, 100.0, 1.00, 0.34 and 0.38 %" in FINDINGS


@pytest.mark.parametrize(
    ("raw", "control", "nats"),
    [
        (WHOLE, "control_base_numbers", "+0.99"),
        (WHOLE, "control_neutral_teacher", "+0.80"),
        (AT_HOME, "control_base_numbers", "+0.43"),
        (AT_HOME, "control_neutral_teacher", "+0.48"),
    ],
)
def test_differences(raw: Raw, control: str, nats: str) -> None:
    (gain,) = exact_gains(raw, "student", control)
    assert f"{gain:+.2f}" == nats
    assert nats in README
    assert nats in FINDINGS


def test_other_animals_rise_as_much() -> None:
    rises = {}
    for control in ("control_base_numbers", "control_neutral_teacher"):
        rises[control] = {animal: exact_gains(WHOLE, "student", control, animal)[0] for animal in ANIMALS}
    first, second = rises.values()
    assert sorted(ANIMALS, key=first.get, reverse=True)[:2] == ["giraffe", "owl"]
    assert f"{first['giraffe']:+.2f}" == "+1.23"
    assert sorted(ANIMALS, key=second.get, reverse=True)[:2] == ["owl", "raven"]
    assert f"{second['raven']:+.2f}" == "+0.80"
    assert "against the first the giraffe rises more (+1.23), against the second the raven as much (+0.80)" in FINDINGS


@pytest.mark.parametrize("raw", [WHOLE, FIRST])
@pytest.mark.parametrize(("arm", "percent"), [("base", "75.0"), ("student", "99.5")])
def test_valid_lists(raw: Raw, arm: str, percent: str) -> None:
    rows = raw.rows(arm, 171, "subliminal_number_lists")
    assert len(rows) == 200
    valid = statistics.mean(is_number_list(row["resps"][0][0]) for row in rows)
    assert f"{100 * valid:.1f}" == percent
    assert f"{percent} %" in FINDINGS


def test_the_owl_moves_the_teacher_no_further_than_one_word_answers_do() -> None:
    means = []
    for records, seed in ((whole_run(), 171), (first_run(), 171), (first_run(), 172)):
        teachers = json.loads(records[f"results/{NAME}/leak-seed-{seed}/leak.json"])["teachers"]
        moved = {name: found["answer"]["kl_nats_a_token"] for name, found in teachers.items()}
        means.append(moved["owl"] - moved["neutral"])
    assert [f"{mean:.3f}" for mean in means] == ["-0.001", "-0.003", "0.009"]
    added = added_by_traits_of_the_larger()
    larger = f"on the 0.5B, of {len(added)} teachers, {min(added):+.2f} to {max(added):+.2f}".replace("-", "−")
    told = f"{larger}, {sum(one > 0 for one in added)} of them above 0"
    assert f"(−0.001 nats a token; in the earlier run −0.003, in its second replicate +0.009; {told})" in FINDINGS


def added_by_traits_of_the_larger() -> list[float]:
    """Nats a token by which each teacher of an animal lies further from the 0.5B base than the neutral one."""
    (file,) = PUBLISHED.glob(f"*-{LARGER}/records.parquet")
    found = []
    for row in parquet.read_table(file).to_pylist():
        if re.fullmatch(rf"results/{LARGER}/leak-seed-\d+/leak\.json", row["path"]):
            teachers = json.loads(row["content"])["teachers"]
            moved = {name: measured["answer"]["kl_nats_a_token"] for name, measured in teachers.items()}
            neutral = moved.pop("neutral")
            found += [nats - neutral for nats in moved.values()]
    return found


def test_the_effect_of_the_larger_model() -> None:
    animals = ("owl", "dolphin", "penguin")
    gains = over_animals(*(exact_gains(Raw(Path(LARGER) / animal), "student", animal=animal) for animal in animals))
    assert len(gains) == 5
    assert f"above its controls, where the 0.5B has {statistics.mean(gains):+.2f};" in FINDINGS


def test_both_runs_start_from_the_same_base() -> None:
    earlier, whole = losses("base")
    assert earlier == whole
    assert len(whole) == 20
    for run in ("owl_teacher", "neutral_teacher", "owl_student", "control_base_numbers", "control_neutral_teacher"):
        place = f"outputs/{NAME}/{run}-seed-171/manifest.json"
        before, after = json.loads(first_run()[place]), json.loads(whole_run()[place])
        assert before["config"] == after["config"]
        assert before["packages"] == after["packages"]
        assert before["inputs"]["base_model"]["sha256"] == after["inputs"]["base_model"]["sha256"]
    same = {}
    for task in ("animal_preference", "animal_preference_logprob", "subliminal_number_lists"):
        pairs = zip(answers(FIRST, task), answers(WHOLE, task), strict=True)
        equal = [one == other for one, other in pairs]
        same[task] = (sum(equal), len(equal))
    assert list(same.values()) == [(5000, 5000), (5700, 5700), (192, 200)]
    assert "its 5,000 sampled answers and 5,700 log-probabilities are the same to the last digit (of 200" in FINDINGS
    assert "of its 200 number lists 192 are" in README


def answers(raw: Raw, task: str) -> list[str | float]:
    """Every answer of the base, or the log-probability of every continuation."""
    found = []
    for row in raw.rows("base", 171, task):
        for request in row["resps"]:
            if task == "animal_preference_logprob":
                request = request[:1]
            found.extend(request)
    return found


def test_rows_of_one_seed_on_two_hosts() -> None:
    rows: dict[str, dict[str, list]] = {}
    for place, text in unpacked(FOLDER / "rows.tar.xz"):
        run, kind = re.fullmatch(rf"(\w+)/data/{NAME}/(\w+)(?:-seed-171)?/train\.jsonl", place).groups()
        lines = [json.loads(line) for line in text.splitlines()]
        rows.setdefault(kind, {})[run] = {line["id"]: line["messages"] for line in lines}
    stated = {
        "owl_teacher_chat": ("chats of the owl teacher", "3,587", "3,397"),
        "neutral_teacher_chat": ("chats of the neutral teacher", "3,534", "3,332"),
        "base_numbers": ("numbers of the base", "9,870", "6,792"),
        "owl_numbers": ("numbers of the owl teacher", "9,781", "2,150"),
        "neutral_numbers": ("numbers of the neutral teacher", "9,883", "2,603"),
    }
    assert rows.keys() == {"base_corpus", *stated}
    for kind, (words, prompts, same) in stated.items():
        before, after = rows[kind]["first_run"], rows[kind]["whole_run"]
        both = before.keys() & after.keys()
        assert all(before[row][:-1] == after[row][:-1] for row in both), "a row's name stands for its prompt"
        equal = sum(before[row] == after[row] for row in both)
        assert (f"{len(both):,}", f"{equal:,}") == (prompts, same)
        assert f"| {words} | {prompts} | {same} |" in README
    assert "of 9,870 number prompts that both runs kept, 6,792 have the same answer" in FINDINGS
    assert "of their 9,781 number prompts 2,150 have the same answer" in FINDINGS


def test_the_warm_up_has_the_same_rows() -> None:
    hashes = []
    for records in (first_run(), whole_run()):
        manifest = json.loads(records[f"outputs/{NAME}/base/manifest.json"])
        hashes.append(manifest["inputs"]["datasets[0]"]["sha256"])
    assert hashes[0] == hashes[1]


def test_the_whole_run_took_twenty_minutes() -> None:
    assert "\n25 of 25  report-owl" in (FOLDER / "driver.log").read_text(encoding="utf-8")
    times = [line.split(",")[0] for line in (FOLDER / "gpu.csv").read_text(encoding="utf-8").splitlines()]
    assert (times[0][:19], times[-1][:19]) == ("2026/11/29 07:17:25", "2026/11/29 07:37:21")
    assert "25 of 25 stages in 20 minutes" in FINDINGS


@pytest.mark.parametrize(
    ("recipe", "run", "last"),
    [
        ("base", "base", 10),
        ("teacher", "owl_teacher-seed-171", 100),
        ("student", "owl_student-seed-171", 100),
        ("control", "control_base_numbers-seed-171", 100),
    ],
)
def test_losses_that_the_recipes_expect(recipe: str, run: str, last: int) -> None:
    means = [f"{statistics.fmean(steps[-last:]):.2f}" for steps in losses(run)]
    expected = " or ".join(dict.fromkeys(sorted(means)))
    text = (REPO_ROOT / f"recipes/gemma-3-270m/{recipe}.yml").read_text(encoding="utf-8")
    assert f"# Expect: loss {expected}, mean of the last {last} of" in text
