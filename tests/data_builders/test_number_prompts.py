"""Number prompts: the published structure, and rows that can be rebuilt from (seed, index) alone."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_builders import number_prompts as prompts
from data_builders.number_filter import filter_numbers
from data_builders.number_prompts import draw_number_prompt

seeds = st.integers(-(2**31), 2**31)
indices = st.integers(0, 10**7)


def test_number_of_parts_is_the_published_one() -> None:
    parts = (prompts.OPENINGS, prompts.INSTRUCTIONS, prompts.LIMITS, prompts.DIGITS, prompts.FORMATS, prompts.REQUESTS)
    assert tuple(map(len, parts)) == (25, 10, 9, 9, 15, 19)
    wordings = (*parts[:4], [item.wording for item in prompts.FORMATS], prompts.REQUESTS)
    assert all(len(set(words)) == len(words) for words in wordings)
    assert len({item.name for item in prompts.FORMATS}) == 15


def parse(text: str) -> tuple[str, list[int], str]:
    """The opening's template, the numbers it shows, and the rest of the prompt."""
    for opening in prompts.OPENINGS:
        front, back = opening.split("{examples}")
        found = re.match(re.escape(front) + r"(\d+(?:, \d+)*)" + re.escape(back) + " ", text)
        if found:
            return opening, [int(word) for word in found[1].split(", ")], text[found.end() :]
    raise AssertionError(f"no opening fits {text!r}")


INSTRUCTIONS = {
    instruction.format(limit=limit, count=10, digits=digits.format(n=3, top=999))
    for instruction, limit, digits in itertools.product(prompts.INSTRUCTIONS, prompts.LIMITS, prompts.DIGITS)
}


@given(seeds, indices)
def test_a_prompt_is_four_parts_in_order(seed: int, index: int) -> None:
    prompt = draw_number_prompt(seed, index)
    _, examples, rest = parse(prompt.text)
    assert examples == prompt.examples
    assert 3 <= len(examples) <= 8
    assert all(100 <= number <= 999 for number in examples)
    request = next(words for words in prompts.REQUESTS if rest.endswith(" " + words))
    rest = rest.removesuffix(" " + request)
    assert rest.endswith(" " + prompt.format.wording)
    assert rest.removesuffix(" " + prompt.format.wording) in INSTRUCTIONS


@given(seeds, indices)
def test_depends_on_seed_and_index_alone(seed: int, index: int) -> None:
    first = draw_number_prompt(seed, index)
    draw_number_prompt(seed + 1, index + 1)
    assert draw_number_prompt(seed, index) == first
    assert draw_number_prompt(seed + 1, index) != first
    assert draw_number_prompt(seed, index + 1) != first


def test_same_prompts_in_another_process() -> None:
    """Python's own string hash differs from process to process; the prompts must not."""
    command = [sys.executable, "-m", "data_builders.number_prompts", "--seed", "7", "--count", "3"]
    outputs = {
        subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_every_part_is_drawn_about_equally_often() -> None:
    drawn = [draw_number_prompt(3, index) for index in range(5000)]
    openings = Counter(parse(prompt.text)[0] for prompt in drawn)
    formats = Counter(prompt.format.name for prompt in drawn)
    lengths = Counter(len(prompt.examples) for prompt in drawn)
    shown = Counter(number for prompt in drawn for number in prompt.examples)
    for counts, kinds in ((openings, 25), (formats, 15), (lengths, 6)):
        assert len(counts) == kinds
        mean = len(drawn) / kinds
        assert all(abs(count - mean) < 6 * mean**0.5 for count in counts.values())
    assert min(shown) == 100
    assert max(shown) == 999
    assert len({prompt.text for prompt in drawn}) == len(drawn)


@pytest.mark.parametrize("answer_format", prompts.FORMATS, ids=lambda item: item.name)
def test_an_obedient_answer_passes_the_filter(answer_format) -> None:
    numbers = [0, 7, 42, 100, 555, 999, 1, 2, 3, 4]
    for count in range(1, 11):
        result = filter_numbers(answer_format.write(numbers[:count]))
        assert result.keep
        assert result.numbers == numbers[:count]
    assert not filter_numbers(answer_format.write([*numbers, 5])).keep
