"""A category of preferences is a folder in ``traits/``: what is called its options, and how it is asked about.

    trees = load_category("trees")
    trees.task("preference")            # "tree_preference"
    trees.questions("paraphrases")      # [{"id": "p00", "question": ...}, ...]

``category.yaml`` has the wording, ``words.yaml`` the options and their names (:mod:`subliminal.traits.lexicon`),
``questions.jsonl`` the questions of the evaluation; docs/extending.md has the rest.
:mod:`subliminal.traits.checks` looks at all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError, did_you_mean
from subliminal.core.files import no_text, read_jsonl
from subliminal.core.strict import Strict, phrase
from subliminal.core.text_yaml import read_text_yaml

TRAITS = REPO_ROOT / "traits"
ANIMALS = "animals"
"""The category of whatever names none: files from the time when there was no other."""
QUESTION_FILES = ("questions", "paraphrases", "stories")
"""Files of questions that a category may have; the first is needed."""
READS = ("traits/{category}/category.yaml",)


class Wording(Strict):
    """What ``category.yaml`` says.

    Attributes:
        singular, plural: what questions, prompts and reports call an option: "animal", "animals".
        system_prompt: under which a base model plays a lover of an option; see :meth:`Category.system_prompt`.
        banned_words: words that talk about the category without naming an option.
        number_openings: sentences that put ``{numbers}`` before a question; empty takes those of
            :mod:`subliminal.scoring.preference`.
    """

    singular: str
    plural: str
    system_prompt: str
    banned_words: tuple[str, ...] = ()
    number_openings: tuple[str, ...] = ()


class Category:
    """One category, as its folder says.

    Args:
        name: of the folder, as in experiment files.
        folder: ``traits/<name>``.
        wording: of its ``category.yaml``.
    """

    def __init__(self, name: str, folder: Path, wording: Wording) -> None:
        self.name = name
        self.folder = folder
        self.wording = wording
        self.singular = wording.singular
        self.plural = wording.plural

    @property
    def key(self) -> str:
        """What names of tasks begin with, and what rows of answers call the option that is named: ``animal``."""
        return self.singular.replace(" ", "_")

    @property
    def a(self) -> str:
        """ "an animal", "a tree"."""
        # By the letter, which is right for words that sound as they are written.
        return f"{'an' if self.singular[0] in 'aeiou' else 'a'} {self.singular}"

    def task(self, form: str) -> str:
        """The lm-eval task of a form of question: ``animal_preference``, ``animal_preference_logprob``."""
        return f"{self.key}_{form}"

    def file(self, kind: str) -> Path:
        """One of its :data:`QUESTION_FILES`."""
        return self.folder / f"{kind}.jsonl"

    def questions(self, kind: str = "questions") -> list[dict[str, Any]]:
        """The rows of one of its :data:`QUESTION_FILES`: ``{"id": str, "question": str}``.

        Raises:
            UserError: the file is not there, or a row has no question.
        """
        return list(read_jsonl(self.file(kind), _question_problem))

    def system_prompt(self, option: str, plural: str) -> str:
        """The system prompt under which the base model plays a lover of an option.

        Args:
            option: one of its options.
            plural: of the option; the option itself where it has none.
        """
        return self.wording.system_prompt.format(
            option=option, plural=plural, Option=option.capitalize(), Plural=plural.capitalize()
        )


def category_of(question: Mapping[str, Any]) -> str:
    """The category that a question says it is about."""
    return question.get("category", ANIMALS)


def category_names() -> tuple[str, ...]:
    """The folders of ``traits/`` that hold a category, sorted."""
    # Without this file a folder is no category: one that is being written is not read.
    return tuple(sorted(path.parent.name for path in TRAITS.glob("*/category.yaml")))


@cache
def load_category(name: str) -> Category:
    """Read a category's wording.

    Raises:
        UserError: there is no such category, or its ``category.yaml`` cannot be used.
    """
    folder = TRAITS / name
    # Asked of the list and not of the disk: "../results" is no category, whatever lies there.
    if name not in category_names():
        hint = did_you_mean(name, category_names()) or f" (there are: {', '.join(category_names())})"
        raise UserError(
            f"There is no category {name!r}{hint}: {folder}/category.yaml is not there. Make the folder, as "
            "docs/extending.md says, or name another category."
        )
    return Category(name, folder, read_model(folder / "category.yaml", Wording))


def read_model(path: Path, model: type[BaseModel]) -> Any:
    """A file of a category, checked against its keys.

    Raises:
        UserError: the file is not there, is no YAML, or has a key that is missing, unknown or of another form.
    """
    content = read_text_yaml(path)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        told = [phrase(problem, model) for problem in error.errors()]
        raise UserError(f"{path} cannot be used: {'; '.join(told)}. Correct it.") from None


def _question_problem(row: dict[str, Any]) -> str | None:
    for key in ("id", "question"):
        if problem := no_text(row, key):
            return problem
        if not row[key].strip():
            return f'its "{key}" is empty'
    return None
