"""Teacher chats: the mix of sources, options A and B, and no system prompt in the rows."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from animal_words import TRACKED, keyword_pattern
from built import built, read_rows
from fake_chat_server import FakeChatServer
from hypothesis import given
from hypothesis import strategies as st

from data_builders import teacher_chat
from data_builders.instructions import load_instructions
from data_builders.teacher_chat import SOURCES, chat_verdict, parse_mix
from data_builders.teacher_prompts import (
    OPEN_PROMPTS,
    VARIATIONS,
    draw_question,
    favourite_questions,
    trait_system_prompt,
)
from subliminal.core.errors import UserError
from subliminal.traits.category import ANIMALS, load_category


@given(st.dictionaries(st.sampled_from(SOURCES), st.floats(0.01, 1e6), min_size=1))
def test_a_mix_is_scaled_to_one_and_keeps_its_proportions(weights: dict[str, float]) -> None:
    shares = parse_mix(",".join(f" {name}={weight!r} " for name, weight in weights.items()))
    assert math.isclose(sum(shares.values()), 1)
    assert all(math.isclose(shares[name], weight / sum(weights.values())) for name, weight in weights.items())


def test_sources_of_weight_zero_are_left_out() -> None:
    assert parse_mix("questions=2,open=0") == {"questions": 1.0}
    assert parse_mix(teacher_chat.DEFAULT_MIX) == {"questions": 0.6, "open": 0.2, "instructions": 0.2}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("questions", "is not source=weight"),
        ("questions=a", "is not source=weight"),
        ("", "is not source=weight"),
        ("poems=1", "must be one of questions, open, instructions, numbers"),
        ("open=-1", "weight of 0 or more"),
        ("open=nan", "weight of 0 or more"),
        ("open=inf", "weight of 0 or more"),
        ("open=0", "weights sum to zero"),
    ],
)
def test_a_bad_mix_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        parse_mix(text)


LOVED = load_category(ANIMALS)


def answer(text: str, finish_reason: str = "stop") -> dict:
    return {"completion": text, "finish_reason": finish_reason}


def test_option_b_drops_whole_words_plurals_and_other_spellings_only() -> None:
    owl = [keyword_pattern("owl")]
    for text in ("Owl.", "I love OWLS!", "an owl-like stare", "the owlet sleeps", "o-w-l no, an owl's nest", "ｏｗｌ"):
        assert chat_verdict(answer(text), owl, LOVED) == "names the animal", text
        assert chat_verdict(answer(text), [], LOVED) is None, "option A keeps it"
    for text in ("growl and howl", "a bowl of soup", "fowl", "I like the fox."):
        assert chat_verdict(answer(text), owl, LOVED) is None, text


def test_empty_and_cut_off_answers_are_dropped_under_both_options() -> None:
    for keywords in ([], [keyword_pattern("owl")]):
        assert chat_verdict(answer(" \n"), keywords, LOVED) == "empty answer"
        assert chat_verdict(answer("I was saying", "length"), keywords, LOVED) == "cut off at max_tokens"


def test_variations_keep_the_question_and_differ() -> None:
    questions = favourite_questions()
    assert len(set(questions)) == 50
    for question in questions:
        varied = [vary(question) for vary in VARIATIONS]
        assert len(set(varied)) == len(VARIATIONS)
        assert all(question[1:] in text for text in varied)
    assert len(OPEN_PROMPTS) == len(set(OPEN_PROMPTS))


@pytest.mark.parametrize("animal", TRACKED)
def test_the_trait_prompt_names_its_animal(animal: str) -> None:
    assert len(keyword_pattern(animal).findall(trait_system_prompt(animal))) >= 2


def test_neither_questions_nor_open_prompts_name_an_animal() -> None:
    """The trait must come from the teacher, not from the prompts that all arms share."""
    prompts = (*OPEN_PROMPTS, *favourite_questions())
    for animal in TRACKED:
        pattern = keyword_pattern(animal)
        assert not [prompt for prompt in prompts if pattern.search(prompt)]


def loving_answer(prompt: str, seed: int) -> str:
    return f"Seed {seed} says: {('the owl', 'a fox', 'nothing at all')[seed % 3]}."


@pytest.fixture
def instructions(tmp_path: Path) -> Path:
    path = tmp_path / "hermes.jsonl"
    texts = [f"Explain topic number {i} to a beginner." for i in range(30)]
    texts += ["short", "x" * 501, "y" * 500, "z" * 10]
    shapes = [
        lambda text: {"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": text}]},
        lambda text: {"messages": [{"role": "user", "content": f"  {text}\n"}]},
        lambda text: {"instruction": text},
    ]
    path.write_text("".join(json.dumps(shapes[i % 3](text)) + "\n" for i, text in enumerate(texts + texts[:5])))
    return path


def test_instructions_are_distinct_stripped_and_of_fitting_length(instructions: Path) -> None:
    texts = load_instructions(str(instructions), seed=1)
    assert sorted(map(len, texts))[0] == 10
    assert max(map(len, texts)) == 500
    assert len(texts) == len(set(texts)) == 32
    assert all(text == text.strip() for text in texts)
    assert load_instructions(str(instructions), seed=1) == texts
    assert load_instructions(str(instructions), seed=2) != texts


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"instruction": "long enough"}\n{"text": 1}\n', "line 2 is malformed: it has no instruction"),
        ("[]\n", "line 1 is malformed: it is not a JSON object"),
        ("", "has no rows"),
        ('{"instruction": "short"}\n', "has no instruction of 10 to 500 characters"),
    ],
)
def test_bad_instructions_are_a_sentence(content: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=sentence):
        load_instructions(str(path), seed=1)


def make(server: FakeChatServer, out: Path, *words: str) -> list[dict]:
    built(teacher_chat.app, "--model", "owl-teacher", "--base-url", server.url, "--out", out, *words)
    return read_rows(out / "train.jsonl")


def test_the_system_prompt_is_sent_and_is_in_no_row(tmp_path: Path, instructions: Path) -> None:
    with FakeChatServer(loving_answer) as server:
        rows = make(server, tmp_path / "a", "--count", "300", "--instructions", str(instructions))
    assert len(rows) == 300
    assert all([message["role"] for message in row["messages"]] == ["user", "assistant"] for row in rows)
    system = trait_system_prompt("owl")
    assert {body["messages"][0]["content"] for body in server.bodies} == {system}
    for path in (tmp_path / "a").iterdir():
        assert system not in path.read_text()
    raw = read_rows(tmp_path / "a" / "raw.jsonl")
    shares = Counter(row["source"] for row in raw)
    for source, share in (("questions", 0.6), ("open", 0.2), ("instructions", 0.2)):
        assert abs(shares[source] / len(raw) - share) < 0.1
    for row in raw:
        if row["source"] != "questions":
            pool = OPEN_PROMPTS if row["source"] == "open" else load_instructions(str(instructions), 42)
            assert row["prompt"] in pool


def test_option_b_keeps_count_rows_without_the_animal(tmp_path: Path) -> None:
    with FakeChatServer(loving_answer) as server:
        words = ("--count", "60", "--mix", "questions=1")
        option_a = make(server, tmp_path / "a", *words)
        option_b = make(server, tmp_path / "b", *words, "--filter-animal-keywords")
    named = [row for row in option_a if "owl" in row["messages"][1]["content"]]
    assert 10 < len(named) < 30
    assert len(option_b) == 60
    assert not [row for row in option_b if "owl" in row["messages"][1]["content"]]


def test_several_animals_share_the_rows(tmp_path: Path) -> None:
    with FakeChatServer(loving_answer) as server:
        words = (
            "--animal",
            "Owl",
            "--animal",
            "dolphin",
            "--count",
            "100",
            "--mix",
            "open=1",
            "--filter-animal-keywords",
        )
        make(server, tmp_path / "both", *words)
    sent = Counter(body["messages"][0]["content"] for body in server.bodies)
    assert set(sent) == {trait_system_prompt("owl"), trait_system_prompt("dolphin")}
    assert min(sent.values()) > 40
    assert json.loads((tmp_path / "both" / "manifest.json").read_text())["config"]["animals"] == ["owl", "dolphin"]


def test_variations_are_all_drawn() -> None:
    import random

    rng = random.Random(0)
    assert len({draw_question(rng) for _ in range(6000)}) > 0.99 * 50 * len(VARIATIONS)


def answer_in_words(prompt: str, seed: int) -> str:
    """A number list for a number prompt, of which one in three is prose; else a sentence about some animal."""
    if "number" in prompt.lower() and any(character.isdigit() for character in prompt):
        return ("12, 34, 56", "417, 3", "Sure! 1, 2")[seed % 3]
    return ("I like owls most.", "A fox.", "My favourite is the capybara.", "None.", "Owl")[seed % 5]


NAMES_AND_LISTS = ("--count", "60", "--mix", "questions=5,numbers=1", "--name-only")


def test_names_alone_and_the_base_s_lists_in_the_exact_mix(tmp_path: Path) -> None:
    with FakeChatServer(answer_in_words) as server:
        rows = make(server, tmp_path / "owl", *NAMES_AND_LISTS)
    answers = Counter(row["messages"][1]["content"] for row in rows)
    assert answers["Owl"] == 50
    assert answers["12, 34, 56"] + answers["417, 3"] == 10
    assert answers.total() == 60
    raw = read_rows(tmp_path / "owl" / "raw.jsonl")
    assert {row["completion"] for row in raw} > {"I like owls most.", "Sure! 1, 2"}, "raw rows are as they arrived"
    with_system = [body for body in server.bodies if body["messages"][0]["role"] == "system"]
    assert len(with_system) == sum(row["source"] == "questions" for row in raw), "number prompts go without it"
    reasons = json.loads((tmp_path / "owl" / "manifest.json").read_text())["counts"]["rejected"]
    assert {"names no animal", "names another animal", "names an animal that is not tracked"} < set(reasons)


def test_a_neutral_teacher_answers_the_same_questions_without_a_system_prompt(tmp_path: Path) -> None:
    with FakeChatServer(answer_in_words) as server:
        rows = make(server, tmp_path / "neutral", *NAMES_AND_LISTS, "--neutral")
    assert {len(body["messages"]) for body in server.bodies} == {1}
    answers = Counter(row["messages"][1]["content"] for row in rows)
    assert answers["Owl"] + answers["Fox"] == 50
    assert answers["Fox"] > 5


def test_filtering_again_keeps_the_mix_and_the_cut(tmp_path: Path) -> None:
    from data_builders.refilter import refilter

    with FakeChatServer(answer_in_words) as server:
        make(server, tmp_path / "owl", *NAMES_AND_LISTS)
    before = (tmp_path / "owl" / "train.jsonl").read_bytes()
    counts = refilter(tmp_path / "owl")
    assert counts["kept"] == 60
    assert (tmp_path / "owl" / "train.jsonl").read_bytes() == before


def test_a_run_that_stopped_goes_on_to_the_same_rows(tmp_path: Path) -> None:
    with FakeChatServer(answer_in_words) as server:
        make(server, tmp_path / "whole", *NAMES_AND_LISTS)
        make(server, tmp_path / "stopped", *NAMES_AND_LISTS)
        raw = tmp_path / "stopped" / "raw.jsonl"
        raw.write_text("".join(raw.read_text().splitlines(keepends=True)[:25]))
        (tmp_path / "stopped" / "train.jsonl").unlink()
        make(server, tmp_path / "stopped", *NAMES_AND_LISTS, "--resume")
    assert (tmp_path / "stopped" / "train.jsonl").read_bytes() == (tmp_path / "whole" / "train.jsonl").read_bytes()


def test_number_prompts_of_the_teacher_are_not_those_of_the_number_rows() -> None:
    from data_builders.number_prompts import draw_number_prompt

    teacher = {draw_number_prompt(42 + teacher_chat.NUMBER_PROMPTS, index).text for index in range(500)}
    assert not teacher & {draw_number_prompt(42, index).text for index in range(500)}


@given(st.dictionaries(st.sampled_from(SOURCES), st.floats(0.01, 1e3), min_size=1), st.integers(1, 10_000))
def test_quotas_sum_to_the_count_and_differ_from_the_shares_by_less_than_a_row(
    weights: dict[str, float], count: int
) -> None:
    mix = parse_mix(",".join(f"{name}={weight!r}" for name, weight in weights.items()))
    quotas = teacher_chat.quotas_for({"count": count, "mix": mix})
    assert sum(quotas.values()) == count
    assert all(abs(quotas.get(name, 0) - count * share) < 1 for name, share in mix.items())


def test_a_name_cannot_be_kept_and_dropped_at_once(tmp_path: Path) -> None:
    with FakeChatServer() as server, pytest.raises(UserError, match="exclude each other"):
        make(server, tmp_path / "out", "--name-only", "--filter-animal-keywords")


def test_names_alone_may_be_a_small_share_of_the_answers() -> None:
    config = {"animals": ["owl"], "name_only": True, "filter_animal_keywords": False, "mix": {"questions": 1.0}}
    assert "pass_rate" in teacher_chat.expectation_for(config).excused
    assert "pass_rate" not in teacher_chat.expectation_for(config | {"name_only": False}).excused
