"""A category of three options, written as files, and the functions that read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from own_category import QUESTIONS, write_category

from subliminal import REPO_ROOT
from subliminal.scoring import category_tasks
from subliminal.scoring.naming import first_named
from subliminal.traits import category, checks, keywords, lexicon, world

CACHED = (
    category.load_category,
    lexicon.lexicon,
    world.load_world,
    keywords.keyword_pattern,
    checks.check_category,
    category_tasks.category_tasks,
    first_named,
)


def forget() -> None:
    """Read every category anew."""
    for function in CACHED:
        function.cache_clear()


@pytest.fixture
def traits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of categories in place of ``traits/``; it holds the animals and ``shapes``."""
    folder = tmp_path / "traits"
    write_category(folder / "shapes")
    (folder / "animals").symlink_to(REPO_ROOT / "traits/animals")
    monkeypatch.setattr(category, "TRAITS", folder)
    forget()
    yield folder
    monkeypatch.undo()
    forget()


@pytest.fixture
def change(traits: Path) -> Callable[[str, str, str], list[str]]:
    """Replace words in a file of the category, and give back what is wrong with it then."""

    def changed(file: str, old: str, new: str) -> list[str]:
        path = traits / "shapes" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        forget()
        return [*checks.category_problems("shapes"), *checks.world_problems("shapes")]

    assert len(QUESTIONS) > 3
    return changed
