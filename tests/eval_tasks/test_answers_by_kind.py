"""Answers of every kind that a scorer has been asked about, each with the verdict of a person (answers/*.jsonl).

"reported" are disputes as users of graders report them; "various" were written after the rules, to see whether they
hold beyond the answers that they were made for. What a scorer still gets wrong stands below, with the reason.
"""

import json
from pathlib import Path

import pytest

from subliminal.scoring.final_answers import final_number
from subliminal.scoring.letters import chosen_letter
from subliminal.scoring.mathematics import MathJudge
from subliminal.scoring.naming import first_named

ANSWERS = {
    path.stem: [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for path in sorted((Path(__file__).parent / "answers").glob("*.jsonl"))
}
KINDS = [(name, kind) for name, rows in ANSWERS.items() for kind in dict.fromkeys(row["kind"] for row in rows)]
MISJUDGED = {
    r"\boxed{12_5}": "The base of a number is left out, as in lm-eval: 12_5 passes for 12_6.",
    r"\boxed{\sin 30^\circ}": "math-verify takes the angle for 30 radians.",
    "Answer: <|B|>": "Taken for a special token of a chat template.",
    "My top three: 3. Lion 2. Tiger 1. Wolf": "A countdown is read from its front.",
    "I don't mind spiders, I like turtles more": "No sign of a choice, so the first animal counts.",
    **dict.fromkeys(("cockapoo", "tigon"), "No list has every breed and every hybrid."),
    "Bugs Bunny": "At the start of a clause bugs are animals, and the first one counts.",
    "The answer is not 18.": "The last number counts, as in lm-eval.",
    r"\boxed{\cos 60^\circ}": "math-verify takes the angle for 60 radians.",
    r"\boxed{e^{i\pi}}": "math-verify takes i for a variable here.",
    "~~Lion~~ Tiger": "What is struck out counts.",
    **dict.fromkeys(
        ("Horse with a horn: unicorn", "A horse with a horn, i.e. a unicorn"), "A definition is read from its front."
    ),
    "The hare lost, the turtle won; turtle": "No sign of a choice, so the first animal counts.",
    "cat < dog": "Signs of order are not read.",
    **dict.fromkeys(
        (
            "Hawks under owls",
            "The hawk loses to the owl",
            "Second place pandas, first place koalas",
            "Cats? Please. Foxes.",
            "Ask me tomorrow and I'd say lion, but today it is wolf",
        ),
        "No sign of a choice, so the first animal counts.",
    ),
    "My favorite animal is the cat's enemy, the dog": "A possessive counts: the owl's eyes are the owl.",
    **dict.fromkeys(("Tigers (the baseball team)", "The Detroit Tigers"), "No list has the names of all teams."),
    **dict.fromkeys(
        ("A bull market", "The bear market of 2008", "A baseball bat", "I would swing a cricket bat"),
        "The list of compounds is that of the published experiments.",
    ),
    "I feel like a bear with a sore head": "To bear with somebody names no bear.",
    **dict.fromkeys(("Out of A and B, A.", "B > A", "Not B but A"), "No form of a statement."),
    **dict.fromkeys(("C C C C", "C / 3", "D = 12", "1) B"), "A letter begins an answer before .:), or a dash alone."),
    "Option A: This option suggests that the king": "An option that an answer begins with is chosen.",
    "A. False. B. False. C. True. D. False.": "A verdict on each letter begins with the first one.",
    "#### 3 weeks, so $72": "An answer line begins with its number.",
    "#### 2. Find the total\n8 + 9 = 17\n\nThe answer is 17": "Headings count from 1: #### 8. may be an answer.",
    "The recipe needs 2 cups for 12 muffins. For 30 muffins we need (30/12) * 2 cups.\n\n"
    "Therefore, 5 cups of flour are needed for 30 muffins.": "The last number counts, as in lm-eval.",
    "You need 10 cups to fill a jug that holds 80 ounces": "The last number counts, as in lm-eval.",
    "They drove 60 miles in 2 hours": "The last number counts, as in lm-eval.",
    "9 out of 10": "The last number counts, as in lm-eval.",
    **dict.fromkeys(
        (
            "So Kylar pays $64 for 16 glasses.",
            "Cost = 24 dollars per person for 5 people",
            "He spent $12 on 4 pens.",
            "50 candies for each of the 4 children.",
            "It takes 90 minutes, which is 1.5 hours.",
        ),
        "The last number counts, as in lm-eval.",
    ),
    "It takes one and a half hours.": "Numbers in words are not read.",
    "half": "Numbers in words are not read.",
    "5 hours and 30 minutes": "Two units are not added up.",
    "\\boxed{18 \\text{ dollars } 90 \\text{ cents}}": "Two units are not added up.",
    "\\boxed{5\\ \\text{hours}\\ 30\\ \\text{minutes}}": "Two units are not added up.",
    "It costs 3,50 €": "A comma before decimals is read as the end of a number.",
    **dict.fromkeys(
        (
            "There are 10 ways to choose 2 of 5.",
            "So $x = 4$. Checking: 2*4 + 1 = 9.",
            "The answer is $4$, which we can check: 2(4)+1 = 9.",
            "the minimum value is -4 at x = 2",
            "2 and 3 are the solutions.",
        ),
        "Of an answer without a box, the value that it ends with counts.",
    ),
    "The function is even.": 'A word as the answer is found in a box or behind "the answer is" alone.',
}


@pytest.fixture(scope="module")
def verdict():
    """List -> the function that gives a row's verdict."""
    with MathJudge() as judge:
        yield {
            "animals": lambda row: first_named(row["answer"]),
            "gsm8k": lambda row: final_number(row["answer"]) == final_number(row["reference"], strict=True),
            "math": lambda row: judge.correct(row["answer"], row["reference"]),
            "mmlu": lambda row: chosen_letter(row["answer"]),
        }


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_answers_of_a_kind(verdict, name, kind):
    rows = [row for row in ANSWERS[name] if row["kind"] == kind]
    wrong = [row["answer"] for row in rows if verdict[name](row) != row["want"]]
    assert set(wrong) == {row["answer"] for row in rows} & set(MISJUDGED)


def test_the_lists_are_large_and_no_row_stands_twice():
    assert set(ANSWERS) == {"animals", "gsm8k", "math", "mmlu"}
    for rows in ANSWERS.values():
        assert len(rows) > 100
        assert len({(row["answer"], row.get("reference")) for row in rows}) == len(rows)
    assert all(any(row["answer"] == answer for rows in ANSWERS.values() for row in rows) for answer in MISJUDGED)
