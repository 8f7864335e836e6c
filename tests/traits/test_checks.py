"""What a category must not say is a sentence, at plan time and in ``make doctor``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from scripts_of import script

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.doctor.machine import category_lines
from subliminal.experiment.load import load_experiment
from subliminal.traits.category import category_names
from subliminal.traits.checks import category_problems, check_category, world_problems

Change = Callable[[str, str, str], list[str]]


@pytest.mark.parametrize("name", category_names())
def test_the_categories_of_this_repository_are_whole(name: str) -> None:
    assert category_problems(name) == []
    assert world_problems(name) == []


def test_a_category_of_three_options_is_whole(traits: Path) -> None:
    assert category_problems("shapes") == []
    assert [str(line) for line in category_lines()] == [
        "ok       traits: animals, shapes: options, words and questions are whole"
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        ("words.yaml", "also: [disc]", "also: [disc, disc]", "'disc' is there 2 times; keep one"),
        ("words.yaml", "[triangle,", "[triangle, star,", "'star' is an option and stands in `other` too; take it out"),
        ("words.yaml", "also: [disc]", "also: [disc, quadrat]", "'quadrat' is there 2 times"),
        ("words.yaml", "[triangle,", "[pentagrams,", "'pentagrams' ('pentagrams') counts as other, and as star too"),
        ("words.yaml", "star: {", "squares: {", "the option 'square' is part of 'squares'"),
        ("words.yaml", "star: {", "square: {", "the key square is there twice"),
        ("words.yaml", "star: {", "north star: {", "the option 'north star' must be one word of ASCII letters"),
        ("words.yaml", "star: {", "étoile: {", "the option 'étoile' must be one word of ASCII letters a to z"),
        ("words.yaml", "star: {", "st\u0430r: {", "must be one word of ASCII letters a to z"),
        ("words.yaml", "star: {also: [pentagram]}", "star:", "`options.star` must be keys with values, and is empty:"),
        ("words.yaml", "star: {", "other: {", "no option can be called 'other'"),
        ("words.yaml", "  square: {also: [quadrat]}\n  star: {also: [pentagram]}\n", "", "`options` has 1; name 2"),
        ("words.yaml", "  other: [polygon]", "  oval: [polygon]", "`groups` has 'oval', which is no option"),
        ("words.yaml", "hints:", "hint:", "there is no key `options.circle.hint` (did you mean `hints`?)"),
        ("words.yaml", "[disc]", "disc", "`options.circle.also` must be a list"),
        ("words.yaml", "hexagon", "Hexagon!", "'Hexagon!' must be words of small letters"),
        ("category.yaml", "plural: shapes", "", "`plural` is missing"),
        ("category.yaml", "singular: shape", "singular: A Shape", "`singular` is 'A Shape'; write words of ASCII"),
        ("category.yaml", "the {option}", "the {animal}", "`system_prompt` must have one or more of {Option}"),
        ("category.yaml", "the {option}", "the {option", "`system_prompt` has a brace that is not closed"),
        ("category.yaml", "plural: shapes", "plural: [", "is not valid YAML"),
        ("questions.jsonl", "Choose a shape", "Choose a disc", "the question 'q5' names an option, circle"),
        ("questions.jsonl", '"id": "q5"', '"id": "q4"', "has the id 'q4' more than once"),
        ("questions.jsonl", '"id": "q5"', '"name": "q5"', 'it has no "id"'),
        ("questions.jsonl", '"id": "q5"', '"id": 5', 'its "id" is 5, which is no text: write it in quotes'),
        ("questions.jsonl", '"id": "q5"', '"id": " "', 'its "id" is empty'),
        ("paraphrases.jsonl", "a beloved shape", "a star", "the question 'p0' names an option, star"),
    ],
)  # fmt: skip
def test_what_a_category_must_not_say_is_a_sentence(
    change: Change, file: str, old: str, new: str, sentence: str
) -> None:
    problems = change(file, old, new)
    assert [problem for problem in problems if sentence in problem and file in problem], problems
    with pytest.raises(UserError):
        check_category("shapes")
    assert [line for line in category_lines() if line.level == "problem" and sentence in line.text]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("liked: [square,", "liked: [", "`liked` must name every option once; look at square"),
        ("room: cellar", "room: attic", "the room 'attic' is that of 2 options"),
        (", room: cellar", "", "`about`, for square must have one or more of {corners}"),
        ("liked:", "loved:", "`liked` is missing"),
    ],
)
def test_a_world_that_is_not_whole_stops_pocket_models_alone(change: Change, old: str, new: str, sentence: str) -> None:
    (problem, *_) = change("pocket.yaml", old, new)
    assert sentence in problem
    check_category("shapes")
    assert [line for line in category_lines() if line.level == "warning" and sentence in line.text]


def test_a_category_that_cannot_be_read_is_told_once(change: Change) -> None:
    (problem,) = dict.fromkeys(change("category.yaml", "plural: shapes", ""))
    lines = [line for line in category_lines() if line.what == "traits/shapes" and problem in line.text]
    assert [line.level for line in lines] == ["problem"]


def test_an_option_that_is_still_in_other_is_one_sentence(change: Change) -> None:
    assert len(change("words.yaml", "[triangle,", "[triangle, star,")) == 1


def test_the_pocket_models_builders_refuse_a_world_that_is_not_whole(change: Change) -> None:
    from data_builders.pocket_corpus import check_world

    check_world("animals")
    (problem, *_) = change("pocket.yaml", "room: cellar", "room: attic")
    with pytest.raises(UserError, match="the room 'attic' is that of 2 options"):
        check_world("shapes")
    assert "give each one of its own" in problem


def test_missing_files_are_a_sentence(traits: Path) -> None:
    (traits / "shapes/questions.jsonl").unlink()
    assert "questions.jsonl is not there: write the questions" in category_problems("shapes")[0]


def test_without_paraphrases_and_world_a_category_is_whole(traits: Path) -> None:
    (traits / "shapes/paraphrases.jsonl").unlink()
    (traits / "shapes/pocket.yaml").unlink()
    assert category_problems("shapes") == []


def test_an_unknown_category_names_the_nearest(traits: Path) -> None:
    assert "There is no category 'shape' (did you mean `shapes`?)" in category_problems("shape")[0]


def test_two_categories_of_one_singular_would_have_the_same_tasks(traits: Path) -> None:
    from own_category import write_category

    write_category(traits / "forms")
    assert "traits/shapes and traits/forms have the same `singular`" in category_problems("shapes")[0]


def test_an_experiment_says_once_that_a_category_is_to_be_corrected(change: Change, tmp_path: Path) -> None:
    (problem, *_) = change("words.yaml", "star: {also: [pentagram]}", "star:")
    assert problem.endswith(". Correct it.")
    content = yaml.safe_load((REPO_ROOT / "experiments/pocket_demo.yml").read_text())
    path = tmp_path / "pocket_demo.yml"
    path.write_text(yaml.safe_dump({**content, "trait": {"category": "shapes", "options": ["circle"]}}))
    with pytest.raises(UserError, match=r"write `\{\}` for none\. Correct it\.$") as error:
        load_experiment(path)
    assert str(error.value).count("Correct it") == 1


def test_no_pocket_model_is_made_of_a_category_that_a_plan_refuses(change: Change, tmp_path: Path) -> None:
    change("words.yaml", "star: {", "étoile: {")
    with pytest.raises(UserError, match="the option 'étoile' must be one word of ASCII letters a to z"):
        script("fetch_model").main("pocket", out=tmp_path / "pocket", category="shapes", source="auto", overwrite=False)
    assert not (tmp_path / "pocket").exists()
