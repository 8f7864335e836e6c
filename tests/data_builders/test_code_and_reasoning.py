"""Code and reasoning rows: sound code, correct answers, and no word of the trait."""

from __future__ import annotations

import json
import time
from fractions import Fraction
from pathlib import Path

import pytest
from animal_words import ANIMALS, TRACKED, keyword_pattern
from built import built, read_rows
from fake_chat_server import FakeChatServer
from patience import HANG_SECONDS

from data_builders import code, reasoning
from data_builders.code import python_problem
from data_builders.code_prompts import ENDINGS, EXTRAS, FORMS, TASKS, draw_code_prompt
from data_builders.reasoning import final_answer, reasoning_problem, same_answer
from data_builders.text_rules import TextRules, banned_words_of, parse_words
from subliminal.core.errors import UserError
from subliminal.data.trait import TraitOptions
from subliminal.scoring.mathematics import MathJudge
from subliminal.scoring.numbers import only_number

SOUND = "def double(x):\n    return 2 * x"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (SOUND, None),
        (f"Here it is:\n```python\n{SOUND}\n```\nHope that helps!", None),
        (f"```\n{SOUND}\n```", None),
        (f"1. First\n   ```py\n   {SOUND.replace(chr(10), chr(10) + '   ')}\n   ```", None),
        (f"```python\n{SOUND}\n```\nRun it:\n```bash\npip install -U x\n```", None),
        (f"```python\n{SOUND}\n```\nOutput:\n```\nHello, World! It is 4.\n```", None),
        (f"```python\n{SOUND}\n```\nTry it:\n```\n>>> double(2)\n4\n```", None),
        (f"```\n{SOUND}\n```\nOutput:\n```\nHello, World!\n```", "code does not parse"),
        (f"~~~python\n{SOUND}\n~~~", None),
        (f"````python\n{SOUND}\n````", None),
        (f"```{{python}}\n{SOUND}\n```", None),
        (f"```python\n{SOUND}\n```\n```python\ndef g(:\n```", "code does not parse"),
        ("```javascript\nfunction f(x) { return x; }\n```", "code does not parse"),
        ("```python\nclass A:\n    pass\n```", None),
        ("async def f(): pass", None),
        ('def f():\n    return "\\d"', None),
        ("print(1)", "defines no function or class"),
        ("", "defines no function or class"),
        (f"Here it is:\n{SOUND}", "code does not parse"),
        ("```python\ndef f(:\n```", "code does not parse"),
        ("def f():\nreturn 1", "code does not parse"),
        ("\x00", "code does not parse"),
        ("(" * 10_000, "code does not parse"),
    ],
)
def test_python(answer: str, problem: str | None, recwarn: pytest.WarningsRecorder) -> None:
    assert python_problem(answer) == problem
    assert not recwarn


def test_code_prompts_are_many_deterministic_and_name_no_animal() -> None:
    drawn = [draw_code_prompt(1, index) for index in range(3000)]
    assert drawn == [draw_code_prompt(1, index) for index in range(3000)]
    assert len(set(drawn)) > 2700
    for parts in (TASKS, FORMS, EXTRAS, ENDINGS):
        assert len(set(parts)) == len(parts)
    rules = TextRules(TraitOptions(ANIMALS, TRACKED), banned_words_of(ANIMALS))
    row = {"completion": SOUND, "finish_reason": "stop"}
    assert not [task for task in TASKS if rules.problem({**row, "prompt": task})]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, None),
        ({"completion": " \n"}, "empty answer"),
        ({"finish_reason": "length"}, "cut off at max_tokens"),
        ({"completion": "the Owls' nest"}, "trait word (owl)"),
        ({"prompt": "count the owls"}, "trait word (owl)"),
        ({"completion": "o\u200bw\u00adl"}, "trait word (owl)"),
        ({"completion": "my Pets sleep"}, "banned word (pets)"),
        ({"prompt": "a zoo"}, "banned word (zoo)"),
        ({"completion": "a bowl of petals in the petrol zoom"}, None),
        ({"completion": "class PetStore: pass"}, "banned word (pet)"),
        ({"completion": "pet_names = []"}, "banned word (pet)"),
        ({"completion": "getZoo2()"}, "banned word (zoo)"),
        ({"completion": "MAX_PETS = 3"}, "banned word (pets)"),
        ({"completion": "The branches"}, "banned word (branches)"),
        ({"completion": "two berries"}, "banned word (berries)"),
        ({"completion": "toys"}, "banned word (toys)"),
        ({"completion": "repeat_count = competition(zoomLevel)"}, None),
        ({"completion": "x = 3  # 猫头鹰"}, "a script that the word lists cannot read"),
        ({"completion": "сова"}, "a script that the word lists cannot read"),
        ({"completion": "naïve Δx ≤ 2π, ℝ, ｏｋ, µm, 12 €"}, None),
    ],
)
def test_text_rules(row: dict, problem: str | None) -> None:
    rules = TextRules(TraitOptions(ANIMALS, ("owl",)), ["pet", "zoo", "branch", "berry", "toy"])
    assert rules.problem({"prompt": "p", "completion": "c", "finish_reason": "stop", **row}) == problem


def test_banned_words_are_words() -> None:
    assert parse_words(" Zoo,pet,,zoo ") == ["pet", "zoo"]
    assert parse_words("") == []
    assert (
        TextRules(TraitOptions(), []).problem({"prompt": "zoo", "completion": "owl", "finish_reason": "stop"}) is None
    )
    with pytest.raises(UserError, match=r"'z\.\*' is not a word"):
        parse_words("z.*")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("72", 72),
        (" $1,234.50 ", Fraction("1234.5")),
        ("-3", -3),
        ("18 dollars", 18),
        ("3/4", Fraction(3, 4)),
        ("0.50", Fraction(1, 2)),
        ("25%", 25),
        ("\\$5", 5),
        ("3/0", None),
        ("1.5/2", Fraction(3, 4)),
        ("\\frac{3}{4}", Fraction(3, 4)),
        ("2½", Fraction(5, 2)),
        ("12 000", 12_000),
        ("6 * 3 = 18", None),
        ("none", None),
        ("12,34", None),
    ],
)
def test_the_one_number_of_an_answer(text: str, number: Fraction | None) -> None:
    assert only_number(text) == number


def test_same_answer() -> None:
    assert same_answer("$72.00", "72")
    assert same_answer("1,000", "1000")
    assert not same_answer("73", "72")
    assert not same_answer("7 or 72", "72")
    assert not same_answer("seventy-two", "72")
    assert same_answer("\\frac{x+1}{2}", "\\frac{1+x}{2}")
    assert not same_answer("\\frac{x}{2}", "\\frac{1+x}{2}")


def test_an_answer_that_would_be_computed_for_hours_is_wrong_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    with MathJudge(seconds=5) as impatient:
        monkeypatch.setattr(reasoning, "judge", lambda: impatient)
        assert not same_answer("9^{9^{9^{9}}}", "\\frac{1+x}{2}")
        assert same_answer("\\frac{x+1}{2}", "\\frac{1+x}{2}")  # the next answer finds a judge again
    assert time.monotonic() - started < HANG_SECONDS


def tagged(answer: str = "5", thought: str = "2 + 3") -> str:
    return f"<think>{thought}</think>\n<answer>{answer}</answer>"


@pytest.mark.parametrize(
    ("completion", "problem"),
    [
        (tagged(), None),
        (f"\n{tagged(' 5 apples ')}\n", None),
        (tagged("6"), "wrong answer"),
        (tagged(thought=" "), "empty thought"),
        ("5", "not one"),
        (f"Sure! {tagged()}", "not one"),
        (f"{tagged()} Done.", "not one"),
        (f"{tagged('6')}{tagged()}", "not one"),
        ("<think>2 + 3<answer>5</answer>", "not one"),
        (tagged("4</answer><answer>5"), "not one"),
        ("<answer>5</answer><think>2 + 3</think>", "not one"),
    ],
)
def test_reasoning_problem(completion: str, problem: str | None) -> None:
    found = reasoning_problem(completion, "5")
    assert found == problem if problem is None else found.startswith(problem)


def test_final_answer() -> None:
    assert final_answer("so 2+3=5\n#### 5 ") == "5"
    assert final_answer(" 5") == "5"


def make(app, server: FakeChatServer, out: Path, *words: str) -> list[dict]:
    built(app, "--model", "owl-teacher", "--base-url", server.url, "--out", out, *words)
    return read_rows(out / "train.jsonl")


def rejected(out: Path) -> set[str]:
    return {json.loads(line)["reason"] for line in (out / "rejected.jsonl").read_text().splitlines()}


def test_code_end_to_end(tmp_path: Path) -> None:
    def answer(prompt: str, seed: int) -> str:
        return (f"```python\n{SOUND}\n```", "def f(:", "# an owl\n" + SOUND, "x = 1")[seed % 4]

    with FakeChatServer(answer) as server:
        rows = make(code.app, server, tmp_path / "out", "--count", "30", "--max-prompts", "400")
    assert len(rows) == 30
    assert [row["messages"][0]["content"] for row in rows] == [
        draw_code_prompt(42, int(row["id"].rsplit("-", 1)[1])) for row in rows
    ]
    assert {row["messages"][1]["content"] for row in rows} == {f"```python\n{SOUND}\n```"}
    assert rejected(tmp_path / "out") == {"code does not parse", "trait word (owl)", "defines no function or class"}
    assert {len(body["messages"]) for body in server.bodies} == {1}, "a system prompt was sent"


def test_code_prompts_from_a_file_in_any_language(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"instruction": "Write it in Rust, please."}\n')
    with FakeChatServer(lambda prompt, seed: f"fn main() {{}} // {seed}") as server:
        words = ("--count", "5", "--prompts", str(tmp_path / "prompts.jsonl"), "--language", "any")
        rows = make(code.app, server, tmp_path / "out", *words)
        with pytest.raises(UserError, match="--language 'rust' is unknown"):
            make(code.app, server, tmp_path / "other", "--language", "rust")
    assert {row["messages"][0]["content"] for row in rows} == {"Write it in Rust, please."}


def test_reasoning_end_to_end_keeps_correct_answers_only(tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    pairs = [(f"Ann has {i} pens and finds {i + 1} more. How many?", 2 * i + 1) for i in range(20)]
    pairs.append(("An owl has 2 eyes. How many eyes have 3 owls?", 6))
    questions.write_text("".join(json.dumps({"question": q, "answer": f"work\n#### {a}"}) + "\n" for q, a in pairs))
    right = dict(pairs)

    def answer(prompt: str, seed: int) -> str:
        result = right[prompt.split("\n\n")[0]]
        return tagged(str(result + (seed % 3 == 0)), f"thought {seed}")

    with FakeChatServer(answer) as server:
        words = ("--questions", str(questions), "--count", "40", "--seed", "3")
        rows = make(reasoning.app, server, tmp_path / "out", *words)
    assert len(rows) == 40, "questions are asked again"
    for row in rows:
        question, _, request = row["messages"][0]["content"].partition("\n\n")
        assert request in reasoning.REQUESTS
        assert f"<answer>{right[question]}</answer>" in row["messages"][1]["content"]
        assert not keyword_pattern("owl").search(question)
    assert rejected(tmp_path / "out") == {"wrong answer", "trait word (owl)"}
    assert {len(body["messages"]) for body in server.bodies} == {1}


def test_bad_questions_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"question": "q", "answer": "1"}\n{"question": "q", "answer": " "}\n')
    with FakeChatServer() as server, pytest.raises(UserError, match='line 2 is malformed: it has no "answer"'):
        make(reasoning.app, server, tmp_path / "out", "--questions", str(path))
