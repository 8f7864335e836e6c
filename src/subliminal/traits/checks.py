"""Is a category whole and free of contradictions? Sentences about what its files must not say.

``python -m subliminal.experiment plan`` asks for the category of an experiment, ``scripts/doctor.py`` for all of them.
The world of the pocket model is asked about apart: an option is one line of ``words.yaml`` where none is made.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterator
from functools import cache

from subliminal.core.errors import UserError
from subliminal.traits.category import QUESTION_FILES, Category, category_names, load_category
from subliminal.traits.keywords import keyword_pattern
from subliminal.traits.lexicon import OTHER, Lexicon, lexicon
from subliminal.traits.world import load_world, world_file

LEAST_OPTIONS = LEAST_QUESTIONS = 2
"""A share says something beside another option's, and an interval over questions needs two."""
RESERVED = frozenset(
    [
        # Metrics beside the options.
        "other",
        "none",
        "rest",
        "own_name",
        "no_latin",
        # Arms, and whose rows they learn.
        "base",
        "neutral",
        "math",
        "teacher",
        "student",
        "control",
        # Folders of results.
        "gates",
        "leak",
        "all",
    ]
)
"""Names of metrics, arms and folders."""
_NAME = re.compile(r"[^\W\d_]+(?:[ '][^\W\d_]+)*")
_PLACES = frozenset({"option", "plural", "Option", "Plural"})


def category_problems(name: str) -> list[str]:
    """What is wrong with a category; empty if nothing is.

    Args:
        name: a folder of ``traits/``.
    """
    try:
        category = load_category(name)
        words = lexicon(name)
        problems = [*_wording_problems(category), *_word_problems(words), *_shared_names(category)]
        return [*problems, *_question_problems(category, words)]
    except UserError as error:
        return [str(error)]


def world_problems(name: str) -> list[str]:
    """What is wrong with the pocket model's world of a category; empty if nothing is, or if it has none.

    Args:
        name: a folder of ``traits/``.
    """
    try:
        return list(_world_problems(load_category(name), lexicon(name)))
    except UserError as error:
        return [str(error)]


@cache
def check_category(name: str) -> None:
    """Refuse a category that is not whole.

    Raises:
        UserError: all that is wrong with it.
    """
    problems = category_problems(name)
    if problems:
        raise UserError(" ".join(problems))


def _wording_problems(category: Category) -> Iterator[str]:
    file = category.folder / "category.yaml"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", category.name):
        yield (
            f"The folder {category.folder} must be named in ASCII letters a to z, digits and underscores, a letter "
            "first: rename it."
        )
    for key in ("singular", "plural"):
        text = getattr(category, key)
        if not re.fullmatch(r"[a-z]+(?: [a-z]+)*", text):
            yield f"{file}: `{key}` is {text!r}; write words of ASCII letters a to z: tasks are named after it."
    yield from _place_problems(f"{file}: `system_prompt`", category.wording.system_prompt, _PLACES)
    for sentence in category.wording.number_openings:
        yield from _place_problems(f"{file}: `number_openings`", sentence, frozenset({"numbers"}))


def _place_problems(where: str, text: str, places: frozenset[str]) -> Iterator[str]:
    """A sentence where a text has other places in braces than it may, or none of them."""
    shown = ", ".join(f"{{{place}}}" for place in sorted(places))
    try:
        # Formatter reads braces as str.format does, which will fill them in.
        found = {place for _, place, _, _ in string.Formatter().parse(text) if place is not None}
    except ValueError:
        yield f"{where} has a brace that is not closed: write {shown}."
        return
    if not found or not found <= places:
        yield f"{where} must have one or more of {shown}, and nothing else in braces."


def _word_problems(words: Lexicon) -> Iterator[str]:
    file = words.category.folder / "words.yaml"
    if len(words.options) < LEAST_OPTIONS:
        yield f"{file}: `options` has {len(words.options)}; name {LEAST_OPTIONS} or more."
    for option in words.options:
        if not re.fullmatch(r"[a-z]+", option):
            yield (
                f"{file}: the option {option!r} must be one word of ASCII letters a to z; other names go into its "
                "`also`."
            )
        if option in RESERVED:
            yield f"{file}: no option can be called {option!r}, which names something else in results."
        for other in words.options:
            if option != other and option in other:
                yield (
                    f"{file}: the option {option!r} is part of {other!r}. The exact probability of the first would "
                    "count the second in: leave one of them out."
                )
    yield from _table_problems(words, str(file))
    yield from _spelling_problems(words, str(file))


def _table_problems(words: Lexicon, file: str) -> Iterator[str]:
    tables = words.tables
    for label in tables.groups:
        if label != OTHER and label not in words.options:
            yield f"{file}: `groups` has {label!r}, which is no option and not {OTHER!r}."
    for name in tables.verbs:
        if name not in words.labels:
            yield f"{file}: `verbs` has {name!r}, which is no name in this file."
    for name in _all_names(words):
        if not _NAME.fullmatch(name) or name != name.casefold():
            yield f"{file}: {name!r} must be words of small letters with one space between them."


def _spelling_problems(words: Lexicon, file: str) -> Iterator[str]:
    """A spelling that stands for two things: the later one would win without a word."""
    # Most often an animal becomes an option that stood in `other` until then: one sentence says what to do.
    moved = [option for option in words.options if option in words.tables.other]
    for name in moved:
        yield f"{file}: {name!r} is an option and stands in `other` too; take it out of `other`."
    for name, count in Counter(_all_names(words)).items():
        if count > 1 and name not in moved:
            yield f"{file}: {name!r} is there {count} times; keep one."
    # Forms and not names: "wolves" of one name may be the singular of another.
    meanings: dict[str, str] = {}
    for label, name in _labelled(words):
        for form in words.forms(name):
            known = meanings.setdefault(form, label)
            if known != label and name not in moved:
                yield f"{file}: {form!r} ({name!r}) counts as {label}, and as {known} too; leave one of them out."


def _labelled(words: Lexicon) -> Iterator[tuple[str, str]]:
    """(what it counts as, name) of every name in the file."""
    tables = words.tables
    for option, known in tables.options.items():
        yield from ((option, name) for name in (option, *known.also))
    yield from ((OTHER, name) for name in (*tables.other, *tables.ambiguous))
    for label, names in tables.groups.items():
        yield from ((label, name) for name in names)
    yield from (("nothing", name) for name in tables.unrelated)


def _all_names(words: Lexicon) -> list[str]:
    return [name for _, name in _labelled(words)]


def _shared_names(category: Category) -> Iterator[str]:
    """Another category whose tasks would have the same names."""
    for name in category_names():
        if name != category.name and load_category(name).key == category.key:
            yield (
                f"traits/{category.name} and traits/{name} have the same `singular`, {category.singular!r}, after "
                "which tasks are named: change one of them."
            )


def _world_problems(category: Category, words: Lexicon) -> Iterator[str]:
    """What the pocket model's world lacks, where the category has one."""
    file = world_file(category.name)
    if not file.is_file():
        return
    world = load_world(category.name)
    for key, names in (("facts", list(world.facts)), ("liked", list(world.liked))):
        if sorted(names) != sorted(words.options):
            odd = sorted(set(names) ^ set(words.options))
            # None is missing or foreign, so one of them is there more than once.
            if not odd:
                odd = sorted(name for name in names if names.count(name) > 1)
            yield f"{file}: `{key}` must name every option once; look at {', '.join(odd)}."
    if not world.about:
        yield f"{file}: `about` has no question."
    for option, facts in world.facts.items():
        for question in world.about:
            yield from _place_problems(f"{file}: `about`, for {option}", question, frozenset(facts))
    # fromkeys and not a set: sentences come in the order of the file.
    for name in dict.fromkeys(name for facts in world.facts.values() for name in facts):
        values = Counter(facts.get(name) for facts in world.facts.values())
        for value, count in values.items():
            if value is not None and count > 1:
                yield f"{file}: the {name} {value!r} is that of {count} options; give each one of its own."


def _question_problems(category: Category, words: Lexicon) -> Iterator[str]:
    for kind in QUESTION_FILES:
        file = category.file(kind)
        if not file.is_file():
            if kind == QUESTION_FILES[0]:
                yield f'{file} is not there: write the questions, one {{"id": "q00", "question": "..."}} a line.'
            continue
        rows = category.questions(kind)
        if len(rows) < LEAST_QUESTIONS:
            yield f"{file} has {len(rows)} questions; write {LEAST_QUESTIONS} or more (the shipped ones have 50)."
        for key in ("id", "question"):
            repeated = [text for text, count in Counter(row[key] for row in rows).items() if count > 1]
            if repeated:
                yield f"{file} has the {key} {repeated[0]!r} more than once: change one of them."
        for row in rows:
            question = row["question"]
            for option in words.options:
                if keyword_pattern(option, category.name, of_ascii=question.isascii()).search(question):
                    yield f"{file}: the question {row['id']!r} names an option, {option}: the answer is given away."
