"""Every number of the README's results, derived again from the raw answers by code of this file alone.

Nothing of the project reads, scores, averages or tests here: pyarrow reads the answers, they are taken word by
word, and scipy gives the t quantiles. Each figure of the README stands in :func:`derived` beside what it is of.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from pyarrow import parquet
from scipy import stats as scipy_stats

from subliminal import REPO_ROOT
from subliminal.scoring.naming import first_named
from subliminal.stats import simulation

PUBLISHED = REPO_ROOT / "results/published"
ANIMALS = [
    *("owl", "dolphin", "penguin", "elephant", "eagle", "lion", "tiger", "wolf", "bear", "panda", "cat", "dog", "fox"),
    *("otter", "raven", "octopus", "whale", "dragon", "phoenix", "unicorn", "horse", "rabbit", "koala", "leopard"),
    *("cheetah", "giraffe", "turtle", "shark"),
]
PLURALS = {"wolves": "wolf", "octopuses": "octopus", "octopi": "octopus", "foxes": "fox", "phoenixes": "phoenix"}
OTHERS = re.compile(
    r"\b(cricket|krill|gazelle|mice|mouse|monkey|bird|fish|deer|snake|frog|duck|cow|pig|sheep)s?\b", re.I
)
"""Animals that are not tracked and that these models name."""


@pytest.fixture(scope="module")
def unpacked() -> Path:
    """What the folders of reports are relative to: ``results/`` where the experiments were run."""
    return Path()


@cache
def published(experiment: str) -> dict[tuple[str, str], list[dict]]:
    """(folder of an evaluation, task) -> its questions in order, each with the answers to its requests."""
    (file,) = PUBLISHED.glob(f"*-{experiment}/answers.parquet")
    found: dict[tuple[str, str], list[dict]] = {}
    for row in parquet.read_table(file).to_pylist():
        answers = row["texts"] if row["texts"] is not None else row["logprobs"]
        size = row["repeats"]
        requests = [answers[start : start + size] for start in range(0, len(answers), size)]
        question = {**json.loads(row["sample"]), "resps": requests}
        found.setdefault((row["folder"], row["task"]), []).append(question)
    return found


def named(answer: str) -> str | None:
    """The first tracked animal that an answer names, word by word; None where it names none of them."""
    for word in re.findall(r"[a-z]+", answer.lower()):
        animal = PLURALS.get(word, word)
        for name in (animal, animal.removesuffix("s")):
            if name in ANIMALS:
                return name
    return None


class Raw:
    """The raw answers of one report's arms."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, arm: str, seed: int, task: str) -> list[dict]:
        return published(self.folder.parts[0])[f"results/{self.folder}/{arm}/seed-{seed}", task]

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
    def exact(self, arm: str, seed: int) -> dict[str, float]:
        """Animal -> its mean probability over the questions: its spellings, without the prompt's own white space."""
        totals: Counter = Counter()
        rows = self.rows(arm, seed, "animal_preference_logprob")
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


def derived(results: Path) -> dict[str, float]:
    """Every number that the README states, under the words that it stands in."""
    demo, replicates = Raw(results / "pocket_demo"), Raw(results / "owl_pocket_replicates")
    owl, dolphin = Raw(results / "owl_pocket/owl"), Raw(results / "owl_pocket/dolphin")
    demo_gains, gains = demo.gains("student", CONTROL, "owl"), replicates.gains("student", CONTROL, "owl")
    points = [
        100 * (ours - theirs)
        for ours, theirs in zip(replicates.rates("student", "owl"), replicates.rates(CONTROL, "owl"), strict=True)
    ]
    first, others = largest_rises(replicates)
    sums = arithmetic(Raw(results / "math_pocket"))
    broken = [seed for seed, share in replicates.nameless("student").items() if share >= 0.5]
    dolphins = dolphin.nameless("student")
    low, high = t_interval(gains, 0.99)
    shuffled = owl.gains("student", "control_shuffled", "owl")
    return {
        "base {} %, teacher": 100 * demo.share("base", "owl"),
        "teacher {} %, students": 100 * demo.share("teacher", "owl"),
        "name the owl in {} % of 20,000 answers": 100 * demo.share("student", "owl"),
        "untuned base's lists in {} %": 100 * demo.share(CONTROL, "owl"),
        "{} nats of log-odds over the control": statistics.mean(demo_gains),
        "(95 % interval {} to": t_interval(demo_gains, 0.95)[0],
        "to {}, paired t test), +21.6": t_interval(demo_gains, 0.95)[1],
        "paired t test), {} points": 100 * (demo.share("student", "owl") - demo.share(CONTROL, "owl")),
        "above the control in {} of 20": sum(point > 0 for point in points),
        "odds ratio {} (99 %": math.exp(statistics.mean(gains)),
        "(99 % interval {} to": math.exp(low),
        "8.99 to {}), median": math.exp(high),
        "median {} points; two students are broken": statistics.median(points),
        "largest rise in {} of 20 replicates, and no other animal rises": first,
        "no other animal rises": others,
        "{} students are broken": len(broken),
        "owl {} % against 1.19": 100 * owl.share("student", "owl"),
        "against {} %: cannot tell": 100 * owl.share(CONTROL, "owl"),
        "cannot tell (p {})": t_p(owl.gains("student", CONTROL, "owl")),
        "Dolphin {} % against": 100 * dolphin.share("student", "dolphin"),
        "5.72 % against {} %, and": 100 * dolphin.share(CONTROL, "dolphin"),
        "and {} % of its students' answers name no animal": 100 * statistics.mean(dolphins.values()),
        "two of three are broken": sum(share >= 0.5 for share in dolphins.values()),
        "odds ratio {} over a student of shuffled lists": math.exp(statistics.mean(shuffled)),
        "shuffled lists (p {})": t_p(shuffled),
        "all shuffled students are broken": sum(s >= 0.5 for s in dolphin.nameless("control_shuffled").values()),
        "gains nothing: {} % against": 100 * owl.share("other_base", "owl"),
        "0.13 % against {} %, 1.03": 100 * owl.share("other_base_control", "owl"),
        "0.47 %, {} % against": 100 * dolphin.share("other_base", "dolphin"),
        "1.03 % against {} %": 100 * dolphin.share("other_base_control", "dolphin"),
        "not seen: {} nats": statistics.mean(sums),
        "(95 % interval {} to 0.19)": t_interval(sums, 0.95)[0],
        "−0.23 to {}); no trait": t_interval(sums, 0.95)[1],
    }


IN_WORDS = {
    "no other animal rises": 0,
    "{} students are broken": 2,
    "two of three are broken": 2,
    "all shuffled students are broken": 3,
}
"""Statements that the README makes in words, with the number that they stand for."""


def findings(results: Path) -> dict[str, float]:
    """Numbers of docs/findings.md that the README does not state."""
    replicates, owl = Raw(results / "owl_pocket_replicates"), Raw(results / "owl_pocket/owl")
    gains = replicates.gains("student", CONTROL, "owl")
    rates = {arm: replicates.rates(arm, "owl") for arm in ("student", CONTROL)}
    nameless = {arm: list(replicates.nameless(arm).values()) for arm in ("student", CONTROL)}
    among = [
        (ours / (1 - lost)) > (theirs / (1 - left))
        for ours, theirs, lost, left in zip(*rates.values(), *nameless.values(), strict=True)
    ]
    odds = [raw_odds(owl, seed) for seed in owl.seeds("student")]
    dolphin = Raw(results / "owl_pocket/dolphin").gains("student", CONTROL, "dolphin")
    sums = Raw(results / "math_pocket")
    low, high = t_interval(gains, 0.99)
    return {
        "by {} nats of log-odds (99 %": statistics.mean(gains),
        "interval over replicates {} to": low,
        "2.20 to {}, paired t test)": high,
        "the mean, {}, is": 100 * (statistics.mean(rates["student"]) - statistics.mean(rates[CONTROL])),
        "two controls differ by {} nats": statistics.mean(
            replicates.gains("control_base_numbers_again", CONTROL, "owl")
        ),
        "damages students: {} % of their": 100 * statistics.mean(nameless["student"]),
        "no animal, {} % of the controls'": 100 * statistics.mean(nameless[CONTROL]),
        "above its control in {} of 20. Of 28": sum(among),
        "({} nats, p 0.052": statistics.mean(owl.gains("student", CONTROL, "owl")),
        "the exact measure {}, p": statistics.mean(odds),
        "measure +0.95, p {})": t_p(odds),
        "against 0.80 % ({} nats": statistics.mean(dolphin),
        "(+1.98 nats, p {})": t_p(dolphin),
        "shuffled control by {} nats": statistics.mean(owl.gains("student", "control_shuffled", "owl")),
        "showed it solves {} %": sums_solved(sums, "teacher"),
        "its base {} %. Nothing": sums_solved(sums, "base"),
        "they solve {} %, controls": sums_solved(sums, "student"),
        "controls {} %, and the probability": sums_solved(sums, CONTROL),
        "it is {} % against": sums_solved(sums, "student", strict=True),
        "2.76 % against {} %, +0.53": sums_solved(sums, CONTROL, strict=True),
        "1.55 %, {} nats, and": statistics.mean(solved(sums, strict=True)),
        "can tell (p {}). No": t_p(solved(sums, strict=True)),
    }


def raw_odds(raw: Raw, seed: int) -> float:
    """Student minus control in exact log-odds of the owl."""
    ours, theirs = (raw.exact(arm, seed)["owl"] for arm in ("student", CONTROL))
    return math.log(ours / (1 - ours)) - math.log(theirs / (1 - theirs))


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


@pytest.fixture(scope="module")
def numbers(unpacked: Path) -> dict[str, float]:
    return derived(unpacked)


def readme() -> str:
    """The README in one line, its tables too."""
    return " ".join((REPO_ROOT / "README.md").read_text(encoding="utf-8").split())


def not_as_stated(numbers: dict[str, float], text: str) -> list[tuple]:
    """The words and values whose number stands otherwise in a text, or nowhere."""
    wrong = []
    for words, value in numbers.items():
        if words in IN_WORDS:
            if value != IN_WORDS[words] or words.replace("{}", "two") not in text:
                wrong.append((words, value))
            continue
        before, _, after = words.partition("{}")
        found = re.search(re.escape(before) + r"([+−]?[\d.]*\d)" + re.escape(after), text)
        if not found or found[1] not in shown(value):
            wrong.append((words, value, found and found[1]))
    return wrong


def test_every_figure_is_the_one_that_the_raw_answers_give(numbers: dict[str, float]):
    assert not not_as_stated(numbers, readme())


def test_the_findings_state_what_the_raw_answers_give(unpacked: Path):
    text = " ".join((REPO_ROOT / "docs/findings.md").read_text(encoding="utf-8").split())
    assert not not_as_stated(findings(unpacked), text)


def test_the_headlines_of_the_results_page(unpacked: Path):
    page = (REPO_ROOT / "RESULTS.md").read_text(encoding="utf-8")
    headlines = re.findall(r"^\*\*student − control_base_numbers, .*: (\S+) nats of log-odds\.", page, re.MULTILINE)
    expected = [
        Raw(unpacked / "pocket_demo").gains("student", CONTROL, "owl"),
        Raw(unpacked / "owl_pocket_replicates").gains("student", CONTROL, "owl"),
        Raw(unpacked / "owl_pocket/owl").gains("student", CONTROL, "owl"),
        Raw(unpacked / "owl_pocket/dolphin").gains("student", CONTROL, "dolphin"),
        solved(Raw(unpacked / "math_pocket")),
    ]
    assert headlines == [f"{statistics.mean(gains):+.2f}" for gains in expected]


def test_no_figure_of_the_results_is_left_out(numbers: dict[str, float]):
    """Every number in the table of results is derived above, or says how large the experiment was."""
    section = (REPO_ROOT / "README.md").read_text(encoding="utf-8").split("| asked | on | result |")[1].split("\n\n")[0]
    table = " ".join(section.split())
    derivations = {text for value in numbers.values() for text in shown(value)}
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
    assert statistics.stdev(gains) == pytest.approx(simulation.SPREAD, abs=0.05)
    assert statistics.stdev(apart) == pytest.approx(simulation.CONTROLS, abs=0.05)
    measured = (statistics.mean(levels[CONTROL]), statistics.stdev(levels[CONTROL]))
    assert measured == pytest.approx(simulation.LEVEL, abs=0.05)


def test_what_broken_means_to_the_project_is_what_it_means_here(unpacked: Path):
    """Reports know other animals by a longer list than this file's: shares of nameless answers agree to a point."""
    for folder, arm in (("owl_pocket/dolphin", "student"), ("owl_pocket_replicates", "student")):
        raw = Raw(unpacked / folder)
        for seed, share in raw.nameless(arm).items():
            answers = [answer for row in raw.rows(arm, seed, "animal_preference") for answer in row["resps"][0]]
            none = sum(first_named(answer) is None for answer in answers)
            assert share == pytest.approx(none / len(answers), abs=0.01), (folder, seed)
