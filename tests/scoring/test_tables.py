"""Every rule of the scorers' tables does what its example says."""

import itertools
import re

import pytest

from subliminal.scoring import latex, plain
from subliminal.scoring.clauses import choice
from subliminal.scoring.clauses import negation_words as negation
from subliminal.scoring.letters import STATEMENTS, chosen_letter
from subliminal.scoring.naming import first_named
from subliminal.scoring.numbers import NUMBER_FORMS, SCALES, numbers_in, only_number
from subliminal.scoring.text import (
    NEXT_QUESTIONS,
    THOUGHT_MARKS,
    before_next_question,
    without_chat_marks,
    without_thoughts,
)

RULES = [rule for rule in vars(negation).values() if isinstance(rule, negation.WordRule)]
RULES += [rule for table in (negation.NEGATING, negation.HANDS_ON, negation.ENDS) for rule in table.values()]
SIGN_TABLES = (
    choice.CHOSEN_BEFORE,
    choice.CHOSEN_BEHIND,
    choice.PASSED_BEFORE,
    choice.PASSED_BEHIND,
    choice.CORRECTIONS,
)
SIGNS = [(table, name) for table in SIGN_TABLES for name in table]


@pytest.mark.parametrize("rule", [*plain.BEFORE_UNICODE, *plain.REWRITES, *latex.REWRITES], ids=lambda rule: rule.what)
def test_a_rewrite_does_what_its_example_says(rule):
    assert re.sub(rule.pattern, rule.replacement, rule.example) == rule.becomes


def test_rewrites_have_names_of_their_own():
    for table in (plain.REWRITES, latex.REWRITES):
        assert len({rule.what for rule in table}) == len(table)


@pytest.mark.parametrize("character", latex.CHARACTERS)
def test_no_character_of_the_table_is_left(character):
    assert character not in latex.as_latex(f"x {character} 2")


@pytest.mark.parametrize("form", NUMBER_FORMS, ids=lambda form: form.example)
def test_digits_are_grouped_in_many_ways(form):
    (number,) = numbers_in(form.example)
    assert number.value == form.value
    assert (number.start, number.end) == (0, len(form.example))
    assert re.fullmatch(form.pattern, form.example) or "(?=" in form.pattern


@pytest.mark.parametrize("word", SCALES)
def test_scales(word):
    assert only_number(f"$1.5 {word}") == SCALES[word] * 3 / 2


@pytest.mark.parametrize("mark", THOUGHT_MARKS, ids=lambda mark: mark.example)
def test_thoughts_are_no_part_of_the_answer(mark):
    assert without_thoughts(mark.example).strip() == "Owl"
    cut_off = re.split(mark.closing, mark.example, flags=re.IGNORECASE)[0]
    assert without_thoughts(cut_off).strip() == ""
    opening_in_prompt = re.split(mark.opening, mark.example, flags=re.IGNORECASE | re.MULTILINE)[1]
    assert without_thoughts(opening_in_prompt).strip() == "Owl"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<|channel|>analysis<|message|>cat<|end|><|start|>assistant<|channel|>final<|message|>Owl<|return|>", "Owl"),
        ("analysisA cat?assistantfinalOwl", "Owl"),
        ("Owl<|end|>", "Owl"),
        ("Owl</s>", "Owl"),
        ("Owl<|endoftext|>Human: And a cat?", "Owl"),
        ("<|im_end|>\nOwl", "Owl"),
        ("<think>cat</think>A fox? <answer>Owl</answer> I hope that helps.", "Owl"),
        ("No marks: <b>Owl</b>", "No marks: <b>Owl</b>"),
    ],
)
def test_other_marks(text, answer):
    assert without_chat_marks(without_thoughts(text)).strip() == answer


@pytest.mark.parametrize(("pattern", "example"), NEXT_QUESTIONS)
def test_a_second_question_is_cut_off(pattern, example):
    text = f"#### 7\n\n{example}\n#### 11"
    assert before_next_question(text, 6).strip() == "#### 7"
    assert before_next_question(text, len(text)) == text
    assert re.search(pattern, "\n\n" + example, re.IGNORECASE | re.MULTILINE)


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.what)
def test_a_statement_chooses_its_letter(statement):
    assert re.search(statement.pattern, statement.example, re.MULTILINE)
    assert chosen_letter(statement.example) == "B"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.example)
def test_a_rule_of_negation_does_what_its_example_says(rule):
    assert first_named(rule.example) == rule.animal
    # the example holds a word of the rule, or a pair of words
    words = rule.example.lower().replace(".", " ").replace(",", " ").replace("?", " ").split()
    pairs = {"-".join(pair) for pair in itertools.pairwise(words)}
    assert not rule.words.isdisjoint({*words, *pairs})


@pytest.mark.parametrize(("table", "name"), SIGNS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_sign_of_choice_decides_its_example(table, name, monkeypatch):
    sign = table[name]
    assert first_named(sign.example) == sign.animal
    monkeypatch.delitem(table, name)
    first_named.cache_clear()
    assert first_named(sign.example) != sign.animal
    first_named.cache_clear()


@pytest.mark.parametrize("sign", [choice.REFUSAL, choice.CONSENT], ids=lambda sign: sign.animal)
def test_a_question_of_its_own_decides_its_example(sign):
    assert first_named(sign.example) == sign.animal
