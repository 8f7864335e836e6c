"""Word tables, keyword patterns and the check of animal names."""

import pytest
from animal_words import TRACKED, check_option, keyword_pattern, lexicon, plurals
from hypothesis import given
from hypothesis import strategies as st

from subliminal.core.errors import UserError

PUBLISHED = (
    "owl dolphin penguin elephant eagle lion tiger wolf bear panda cat dog fox otter raven octopus whale dragon "
    "phoenix unicorn horse rabbit koala leopard cheetah giraffe turtle shark"
)


def test_no_animal_that_results_were_published_for_is_dropped():
    assert set(PUBLISHED.split()) <= set(TRACKED)


@pytest.mark.parametrize("animal", TRACKED)
def test_every_animal_and_its_plurals_count_as_itself(animal):
    for name in (animal, *plurals(animal)):
        assert lexicon().labels[name] == animal


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wolf", ["wolves", "wolfs"]),
        ("fox", ["foxes"]),
        ("octopus", ["octopuses", "octopusses", "octopi", "octopodes"]),
        ("pony", ["ponies"]),
        ("monkey", ["monkeys"]),
        ("ox", ["oxen"]),
        ("flamingo", ["flamingos", "flamingoes"]),
        ("sea lion", ["sea lions"]),
        ("field mouse", ["field mice"]),
    ],
)
def test_plurals(name, expected):
    assert plurals(name) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Owl", "OWLS", "an owl's eye", "the owls' nest", "owlet", "owlish", "owl-like", "barn-owl", "_owl_", "**Owl**",
        "ＯＷＬ", "𝐎𝐰𝐥", "🦉", "owl2", "eagle owl",
    ],
)  # fmt: skip
def test_keyword_pattern_finds_every_mention(text):
    assert keyword_pattern("owl").search(text)


@pytest.mark.parametrize("text", ["growl", "bowls", "howling", "fowl", "Rowling", "cowl"])
def test_keyword_pattern_leaves_other_words_alone(text):
    assert not keyword_pattern("owl").search(text)


@pytest.mark.parametrize(
    ("animal", "text"),
    [
        ("cat", "a kitten"),
        ("cat", "feline grace"),
        ("dog", "two puppies"),
        ("dog", "my great dane"),
        ("wolf", "wolves"),
        ("bear", "grizzlies"),
        ("lion", "a sea lion"),
        ("whale", "orcas"),
        ("octopus", "octopi"),
        ("horse", "equine"),
    ],
)
def test_keyword_pattern_knows_kinds_and_adjectives(animal, text):
    assert keyword_pattern(animal).search(text)


@pytest.mark.parametrize(
    ("animal", "text"), [("cat", "education"), ("dog", "dogma"), ("bear", "bearing"), ("fox", "Foxe")]
)
def test_keyword_pattern_is_about_whole_words(animal, text):
    assert not keyword_pattern(animal).search(text)


@pytest.mark.parametrize(
    ("animal", "code"),
    [
        ("owl", "class OwlTracker:"),
        ("owl", "owlCount = 3"),
        ("owl", "countOwls(xs)"),
        ("owl", "getOwlById"),
        ("owl", "isOwl()"),
        ("owl", "OWL_COUNT"),
        ("owl", "__owl__"),
        ("owl", "my2owl"),
        ("owl", "OWLParser"),
        ("owl", "parseOWL"),
        ("owl", "SnowyOwlHabitat"),
        ("owl", r'print("Who?\nowl")'),
        ("cat", "MyCats"),
        ("cat", "kittenList"),
        ("cat", "MaineCoonBreeder"),
        ("lion", "SeaLion"),
        ("dog", "isDogFriendly"),
    ],
)
def test_keyword_pattern_finds_the_words_of_identifiers(animal, code):
    assert keyword_pattern(animal).search(code)


@pytest.mark.parametrize(
    ("animal", "code"),
    [
        ("owl", "rowLimit"),
        ("owl", "slowLog"),
        ("owl", "windowLeft"),
        ("owl", "ROWLIMIT"),
        ("owl", "follow_up"),
        ("owl", "class Bowl:"),
        ("owl", "GROWLING"),
        ("cat", "CatchAll"),
        ("cat", "locationCatalog"),
        ("cat", "CATEGORY"),
        ("cat", "concat"),
        ("lion", "millionUsers"),
        ("otter", "lotteryDraw"),
        ("fox", "firefoxDriver"),
    ],
)
def test_keyword_pattern_leaves_letters_across_words_of_identifiers_alone(animal, code):
    assert not keyword_pattern(animal).search(code)


@given(st.sampled_from(TRACKED), st.sampled_from(["get_{0}", "get{1}", "{0}_count", "{0}Count", "{2}_MAX", "n{1}"]))
def test_keyword_pattern_finds_every_animal_in_every_style_of_identifier(animal, style):
    assert keyword_pattern(animal).search(style.format(animal, animal.title(), animal.upper()))


@given(st.sampled_from(TRACKED), st.text(alphabet=" .,;:!?\n\"'()[]*_-0123456789", max_size=4), st.booleans())
def test_keyword_pattern_finds_the_name_between_any_punctuation(animal, mark, plural):
    name = plurals(animal)[0] if plural else animal
    assert keyword_pattern(animal).search(f"we saw{mark or ' '}{name.title()}{mark}")


@given(st.sampled_from(TRACKED))
def test_keyword_pattern_of_one_animal_ignores_the_others(animal):
    others = [name for name in TRACKED if name != animal]
    assert not keyword_pattern(animal).search(" ".join(others))


def test_check_option_forgives_case_and_spaces():
    assert check_option(" Owl\n") == "owl"


@pytest.mark.parametrize(
    ("name", "hint"), [("owll", "Did you mean owl"), ("Kitten", "Did you mean cat"), ("wolves", "Did you mean wolf")]
)
def test_unknown_animal_gets_a_suggestion(name, hint):
    with pytest.raises(UserError, match=hint):
        check_option(name)


def test_unknown_animal_without_a_near_name_lists_all():
    with pytest.raises(UserError, match=r"'zzz' is not a tracked animal\. Choose one of: owl, dolphin"):
        check_option("zzz")
