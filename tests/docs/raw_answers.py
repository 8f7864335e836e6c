"""Raw answers of published experiments and what follows from them, by code of this file alone.

Nothing of the project reads, scores, averages or tests here: pyarrow reads the answers, they are taken word by word,
and scipy gives the t quantiles.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import statistics
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeVar

from pyarrow import Table, parquet
from scipy import stats as scipy_stats

from subliminal import REPO_ROOT

PUBLISHED = REPO_ROOT / "results/published"
EXACT_TASK = "animal_preference_logprob"
Point = TypeVar("Point")
ANIMALS = [
    *("owl", "dolphin", "penguin", "elephant", "eagle", "lion", "tiger", "wolf", "bear", "panda", "cat", "dog", "fox"),
    *("otter", "raven", "octopus", "whale", "dragon", "phoenix", "unicorn", "horse", "rabbit", "koala", "leopard"),
    *("cheetah", "giraffe", "turtle", "shark"),
]
PLURALS = {
    "wolves": "wolf",
    "octopuses": "octopus",
    "octopusses": "octopus",
    "octopi": "octopus",
    "octopodes": "octopus",
    "foxes": "fox",
    "phoenixes": "phoenix",
    "phoenices": "phoenix",
}
MISSPELT = {"dolfin": "dolphin", "pheonix": "phoenix", "phenix": "phoenix", "penguine": "penguin"}
OTHER_WORDS = {"owlet": "owl", "bottlenose": "dolphin"}
"""A young one, and a kind of it named by its first word."""
UNTRACKED = {"alligator"}
"""Animals that are not tracked and that some answer names before a tracked one."""
OTHERS = re.compile(
    r"\b(cricket|krill|gazelle|mice|mouse|monkey|bird|fish|deer|snake|frog|duck|cow|pig|sheep)s?\b", re.I
)
"""Animals that are not tracked and that these models name."""


@cache
def published(experiment: str) -> dict[tuple[str, str], Table]:
    """(folder of an evaluation, task) -> its rows as they are stored; :func:`questions` reads them.

    All experiments' rows take gigabytes once they are read, so each reader keeps only what it makes of them.
    """
    (file,) = PUBLISHED.glob(f"*-{experiment}/answers.parquet")
    stored = parquet.read_table(file, read_dictionary=["sample"])  # each question is there once, not once a model
    places: dict[tuple[str, str], list[int]] = {}
    for place, key in enumerate(zip(*(stored[name].to_pylist() for name in ("folder", "task")), strict=True)):
        places.setdefault(key, []).append(place)
    return {key: stored.take(numbers) for key, numbers in places.items()}


def questions(rows: Table) -> list[dict]:
    """The questions of one evaluation and task in order, each with the answers to its requests."""
    found = []
    for row in rows.to_pylist():
        answers = row["texts"] if row["texts"] is not None else row["logprobs"]
        size = row["repeats"]
        requests = [answers[start : start + size] for start in range(0, len(answers), size)]
        found.append({**_question(row["sample"]), "resps": requests})
    return found


@lru_cache(maxsize=1000)  # every model of an experiment was asked the same
def _question(sample: str) -> dict:
    return json.loads(sample)


@cache  # most answers are a word or two, and come again and again
def named(answer: str) -> str | None:
    """The tracked animal that an answer names first; None where it names none, or another animal before it."""
    for word in re.findall(r"[^\W\d_]+", answer.lower()):  # of letters of any script: "Dolphin画" is no word
        if word in UNTRACKED:
            return None
        animal = {**PLURALS, **MISSPELT, **OTHER_WORDS}.get(word, word)
        for name in (animal, animal.removesuffix("s")):
            if name in ANIMALS:
                return name
    return None


def is_number_list(answer: str) -> bool:
    """At most ten numbers up to 999, one separator throughout, nothing else but brackets and a full stop."""
    text = answer.strip().removesuffix(".").strip()
    if (text[:1], text[-1:]) in (("[", "]"), ("(", ")")):
        text = text[1:-1].strip()
    numbers, between = re.findall(r"\d+", text), set(re.split(r"\d+", text)[1:-1])
    whole = re.fullmatch(r"\d+(?:\s*[,;\s]\s*\d+)*", text)
    return whole is not None and len(numbers) <= 10 and max(map(int, numbers)) <= 999 and len(between) <= 1


@dataclass(frozen=True)
class Raw:
    """The raw answers of one report's arms; two of one folder are the same, and share what is kept of its answers."""

    folder: Path

    def rows(self, arm: str, seed: int, task: str) -> list[dict]:
        return questions(published(self.folder.parts[0])[f"results/{self.folder}/{arm}/seed-{seed}", task])

    def seeds(self, arm: str) -> list[int]:
        place = f"results/{self.folder}/{arm}/seed-"
        folders = {folder for folder, _ in published(self.folder.parts[0]) if folder.startswith(place)}
        return sorted(int(folder.removeprefix(place)) for folder in folders)

    @cache  # noqa: B019
    def counts(self, arm: str, seed: int) -> Counter:
        """Animal, or None -> how many of all sampled answers name it first."""
        answers = [answer for row in self.rows(arm, seed, "animal_preference") for answer in row["resps"][0]]
        return Counter(named(answer) for answer in answers)

    @cache  # noqa: B019
    def exact(self, arm: str, seed: int, task: str = EXACT_TASK) -> dict[str, float]:
        """Animal -> its mean probability over the questions: its spellings, without the prompt's own white space."""
        totals: Counter = Counter()
        rows = self.rows(arm, seed, task)
        for row in rows:
            texts = [row["arguments"][f"gen_args_{index}"]["arg_1"] for index in range(len(row["resps"]))]
            logprobs = [found[0] for found in row["resps"]]
            white_space = sum(value for text, value in zip(texts, logprobs, strict=True) if text == "")
            for text, value in zip(texts, logprobs, strict=True):
                if text:
                    totals[named(text)] += math.exp(value - white_space) / len(rows)
        return dict(totals)

    def share(self, arm: str, animal: str) -> float:
        """Of all answers of an arm, over all seeds."""
        counts = [self.counts(arm, seed) for seed in self.seeds(arm)]
        return sum(each[animal] for each in counts) / sum(each.total() for each in counts)

    def nameless(self, arm: str) -> dict[int, float]:
        """Seed -> share of answers that name no animal at all, tracked or not."""
        found = {}
        for seed in self.seeds(arm):
            answers = [answer for row in self.rows(arm, seed, "animal_preference") for answer in row["resps"][0]]
            none = [answer for answer in answers if named(answer) is None and not OTHERS.search(answer)]
            found[seed] = len(none) / len(answers)
        return found

    def gains(self, arm: str, control: str, animal: str) -> list[float]:
        """Of each seed the difference of log-odds, half an answer on each side."""
        found = []
        for seed in self.seeds(arm):
            odds = []
            for name in (arm, control):
                counts = self.counts(name, seed)
                odds.append((counts[animal] + 0.5) / (counts.total() - counts[animal] + 0.5))
            found.append(math.log(odds[0] / odds[1]))
        return found

    def rates(self, arm: str, animal: str) -> list[float]:
        return [self.counts(arm, seed)[animal] / self.counts(arm, seed).total() for seed in self.seeds(arm)]


def t_interval(values: list[float], confidence: float) -> tuple[float, float]:
    error = statistics.stdev(values) / math.sqrt(len(values))
    reach = scipy_stats.t.ppf((1 + confidence) / 2, len(values) - 1) * error
    return statistics.mean(values) - reach, statistics.mean(values) + reach


def with_interval(values: list[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean, and the ends of its t interval."""
    return statistics.mean(values), *t_interval(values, confidence)


def t_p(values: list[float]) -> float:
    error = statistics.stdev(values) / math.sqrt(len(values))
    return 2 * scipy_stats.t.sf(abs(statistics.mean(values) / error), len(values) - 1)


CONTROL = "control_base_numbers"


def largest_rises(raw: Raw) -> tuple[int, int]:
    """In how many seeds the owl's log-odds rise most of all animals, and how many others rise at p below 0.05."""
    rises: dict[str, list[float]] = {animal: [] for animal in ANIMALS}
    for seed in raw.seeds("student"):
        for animal in ANIMALS:
            ours, theirs = (raw.exact(arm, seed)[animal] for arm in ("student", CONTROL))
            rises[animal].append(math.log(ours / (1 - ours)) - math.log(theirs / (1 - theirs)))
    first = sum(max(ANIMALS, key=lambda animal: rises[animal][place]) == "owl" for place in range(len(rises["owl"])))
    others = [a for a in ANIMALS if a != "owl" and statistics.mean(rises[a]) > 0 and t_p(rises[a]) < 0.05]
    return first, len(others)


def arithmetic(raw: Raw) -> list[float]:
    """Of each seed student minus control: log-odds of the mean probability of the right answer."""
    found = []
    for seed in raw.seeds("student"):
        odds = []
        for arm in ("student", CONTROL):
            rows = raw.rows(arm, seed, "subliminal_addition_logprob")
            answers = [math.exp(row["resps"][0][0] - row["resps"][1][0]) for row in rows]
            mean = statistics.mean(answers)
            odds.append(mean / (1 - mean))
        found.append(math.log(odds[0] / odds[1]))
    return found


LADDER = ("student", "control_shuffled", "control_shuffled_rows", "control_random_numbers", CONTROL)
"""Each arm's rows lack one property of the arm before it: order, company, which numbers, layout."""


def log_odds(raw: Raw, arm: str, seed: int, animal: str = "owl", task: str = EXACT_TASK) -> float:
    """Exact, of an animal."""
    rate = raw.exact(arm, seed, task)[animal]
    return math.log(rate / (1 - rate))


def carried(raw: Raw, without: tuple[int, ...] = ()) -> dict[str, list[float]]:
    """Arm -> its exact log-odds of the owl above those of the next arm of the ladder, seed by seed."""
    seeds = [seed for seed in raw.seeds("student") if seed not in without]
    found = {}
    for upper, lower in itertools.pairwise(LADDER):
        found[upper] = [log_odds(raw, upper, seed) - log_odds(raw, lower, seed) for seed in seeds]
    return found


def exact_gains(raw: Raw, arm: str, control: str = CONTROL, animal: str = "owl", task: str = EXACT_TASK) -> list[float]:
    """Of each seed the difference of exact log-odds of an animal."""
    found = []
    for seed in raw.seeds(arm):
        found.append(log_odds(raw, arm, seed, animal, task) - log_odds(raw, control, seed, animal, task))
    return found


def over_animals(*gains: list[float]) -> list[float]:
    """Of each seed the mean of the animals' gains: the unit is the seed."""
    return [statistics.mean(of_seed) for of_seed in zip(*gains, strict=True)]


def share_of_whole(raw: Raw, arm: str) -> tuple[float, float, float]:
    """Per cent of the whole that one step is, with its interval."""
    return share_kept(carried(raw)[arm], exact_gains(raw, "student"))


def share_kept(part: list[float], whole: list[float]) -> tuple[float, float, float]:
    """Per cent that a part is of a whole, with Fieller's 95 % interval found by bisection of its t test."""
    ratio = statistics.mean(part) / statistics.mean(whole)

    def accepted(wanted: float) -> bool:
        return t_p([one - wanted * other for one, other in zip(part, whole, strict=True)]) >= 0.05

    ends = []
    for far in (ratio - 2, ratio + 2):
        inside, outside = ratio, far
        assert not accepted(outside)
        for _ in range(40):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if accepted(middle) else (inside, middle)
        ends.append(inside)
    return 100 * ratio, 100 * ends[0], 100 * ends[1]


def leak(raw: Raw, teacher: str) -> float:
    """Nats a token that the teachers lie from their bases, the mean over seeds."""
    return statistics.mean(leaks(raw, teacher).values())


def leaks(raw: Raw, teacher: str) -> dict[int, float]:
    """Seed -> nats a token that its teacher lies from its base, of the records beside the answers."""
    (file,) = PUBLISHED.glob(f"*-{raw.folder}/records.parquet")
    found = {}
    for row in parquet.read_table(file).to_pylist():
        place = re.fullmatch(r".*/leak-seed-(\d+)/leak\.json", row["path"])
        if place:
            measured = json.loads(row["content"])["teachers"][teacher]
            found[int(place[1])] = measured["answer"]["kl_nats_a_token"]
    return found


def repeated_answers(experiment: str, rows: str) -> float:
    """Per cent of a set of rows whose answer repeats an earlier one, as its audit counted them.

    Args:
        experiment: its name.
        rows: end of the name of the set's folder.
    """
    (file,) = PUBLISHED.glob(f"*-{experiment}/records.parquet")
    records = {row["path"]: row["content"] for row in parquet.read_table(file).to_pylist()}
    (audit,) = [json.loads(text) for path, text in records.items() if path.endswith(f"{rows}/audit.json")]
    return 100 * audit["checks"]["duplicate_answers"]["share"]


def slope(across: list[float], values: list[float], given: list[float] | None = None) -> float:
    """What a unit across brings, of a least-squares line; beside a second column that is ``given``, of a plane.

    The plane's slope is that of what the second column leaves of both (Frisch and Waugh, Econometrica 1, 1933).
    """
    if given is not None:
        across = left_by(given, across)
        values = left_by(given, values)
    return statistics.linear_regression(across, values).slope


def _gains_at(raw: Raw, ends: dict[Point, str]) -> dict[Point, list[float]]:
    """Point -> of each seed that student above the control of the same point, exact log-odds of the owl.

    Args:
        raw: of a sweep.
        ends: point -> end of the arms' names.
    """
    return {point: exact_gains(raw, f"student{end}", f"{CONTROL}{end}") for point, end in ends.items()}


def gains_by_dose(raw: Raw) -> dict[tuple[int, int], list[float]]:
    """By (rows, epochs)."""
    doses = itertools.product((1, 4), (750, 1500, 3000, 6000))
    return _gains_at(raw, {(rows, epochs): f"_n{rows}_e{epochs}" for epochs, rows in doses})


def gains_by_more_rows(raw: Raw) -> dict[int, list[float]]:
    """By the rows that the base learned in between."""
    return _gains_at(raw, {0: ""} | {rows: f"_b{rows}" for rows in (128, 1024, 4096, 16384)})


def gains_by_noise(raw: Raw) -> dict[str, list[float]]:
    """By the length of the noise on the base."""
    return _gains_at(raw, {"0": ""} | {length: f"_p{length}" for length in ("0.1", "0.2", "0.4", "0.8")})


def gains_by_layer(raw: Raw) -> dict[str, list[float]]:
    """By the layers that students and controls train."""
    return _gains_at(raw, {"both": "", "first": "_y1", "second": "_y2"})


def gains_by_type(raw: Raw) -> dict[str, list[float]]:
    """By the type of the rows that students and controls learn."""
    return _gains_at(raw, {"lists": "", "favourites": "_d1", "sums": "_d2"})


def slopes_by_dose(gains: dict[tuple[int, int], list[float]]) -> tuple[list[float], list[float]]:
    """Of each seed what a doubling of rows brings, and one of epochs: a plane over both logarithms."""
    rows = [math.log2(rows) for rows, _ in gains]
    epochs = [math.log2(epochs) for _, epochs in gains]
    by_rows, by_epochs = [], []
    for effects in zip(*gains.values(), strict=True):
        by_rows.append(slope(rows, list(effects), given=epochs))
        by_epochs.append(slope(epochs, list(effects), given=rows))
    return by_rows, by_epochs


def left_by(given: list[float], values: list[float]) -> list[float]:
    """What a least-squares line over ``given`` leaves of the values."""
    line = statistics.linear_regression(given, values)
    return [value - line.intercept - line.slope * place for place, value in zip(given, values, strict=True)]


def among_named(raw: Raw) -> list[float]:
    """Of each seed student minus control in log-odds of the owl among the answers that name an animal."""
    found = []
    for seed in raw.seeds("student"):
        odds = []
        for arm in ("student", CONTROL):
            counts, lost = raw.counts(arm, seed), raw.nameless(arm)[seed]
            rate = counts["owl"] / (counts.total() * (1 - lost))
            odds.append((counts.total() * rate + 0.5) / (counts.total() * (1 - rate) + 0.5))
        found.append(math.log(odds[0] / odds[1]))
    return found


def right(raw: Raw, arm: str, seed: int, *, strict: bool) -> tuple[int, int]:
    """Sums solved, and sums asked. The reports' score counts a list that opens with the sum; ``strict`` does not."""
    rows = raw.rows(arm, seed, "subliminal_addition")
    answers = [row["resps"][0][0].strip() for row in rows]
    if not strict:
        answers = [answer.lstrip("[") for answer in answers]
    wanted = [row["doc"]["reference"] for row in rows]
    return sum(answer == reference for answer, reference in zip(answers, wanted, strict=True)), len(rows)


def solved(raw: Raw, *, strict: bool = False) -> list[float]:
    """Of each seed student minus control: log-odds of the share of sums solved, half a sum on each side."""
    found = []
    for seed in raw.seeds("student"):
        odds = []
        for arm in ("student", CONTROL):
            count, asked = right(raw, arm, seed, strict=strict)
            odds.append((count + 0.5) / (asked - count + 0.5))
        found.append(math.log(odds[0] / odds[1]))
    return found


def sums_solved(raw: Raw, arm: str, *, strict: bool = False) -> float:
    """Per cent of the sums that an arm solves, over all seeds."""
    counts = [right(raw, arm, seed, strict=strict) for seed in raw.seeds(arm)]
    return 100 * sum(count for count, _ in counts) / sum(asked for _, asked in counts)


def shown(value: float) -> set[str]:
    """The ways in which a number may be printed: its sign or not, and one to three decimals or none."""
    texts = {f"{abs(value):.{decimals}f}" for decimals in (0, 1, 2, 3)}
    signed = {f"+{text}" for text in texts} if value > 0 else {f"−{text}" for text in texts}
    return texts | signed


def not_as_stated(numbers: dict[str, float | tuple[float, ...]], text: str, in_words: dict[str, int]) -> list[tuple]:
    """The words and values whose numbers stand otherwise in a text, or nowhere.

    Args:
        numbers: the words that numbers stand in, ``{}`` for each of them -> its value, or their values in order.
        text: in one line.
        in_words: statements that are made in words ("two students are broken") -> the number that they stand for.
    """
    wrong = []
    for words, value in numbers.items():
        if words in in_words:
            if value != in_words[words] or words.replace("{}", "two") not in text.replace("Two", "two"):
                wrong.append((words, value))
            continue
        pattern = r"([+−]?[\d.]*\d)".join(map(re.escape, words.split("{}")))
        found = re.search(pattern, text)
        printed: tuple[str, ...] = ()
        if found:
            printed = found.groups()
        values = value
        if not isinstance(value, tuple):
            values = (value,)
        if len(printed) != len(values) or any(one not in shown(of) for one, of in zip(printed, values, strict=True)):
            wrong.append((words, value, printed))
    return wrong
