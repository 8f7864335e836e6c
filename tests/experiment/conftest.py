"""Every test here runs in the checkout: experiment files name recipes, tasks and models from its root."""

import pytest

from subliminal import REPO_ROOT


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO_ROOT)
