"""The tiny chat model, for every test here, and few questions for those that ask it often."""

from collections.abc import Iterator

import pytest
from tiny_chat import make_adapter, tiny_model  # noqa: F401

from subliminal.traits.category import Category


@pytest.fixture(scope="module")
def ten_questions() -> Iterator[None]:
    """The first ten questions of a category in place of fifty: what is computed of each is the same."""
    every = Category.questions
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Category, "questions", lambda self, kind="questions": every(self, kind)[:10])
        yield
