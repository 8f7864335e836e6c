"""File locks: one holder at a time, a sentence for the second, and a lock that ends with its block."""

from __future__ import annotations

import os
from pathlib import Path
from socket import gethostname
from threading import Thread

import pytest
from patience import HANG_SECONDS

from subliminal.core.errors import UserError
from subliminal.core.locks import holding, take_lock, waiting_for


def test_the_second_is_refused_with_the_given_sentence(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ".lock"
    said = "is here. Wait for it."
    whole = rf"^Another process \(id {os.getpid()}\) is here\. Wait for it\.$"
    with holding(path, "unused"):
        with pytest.raises(UserError, match=whole), holding(path, said):
            pass
        # The one that was refused has not touched what the holder wrote.
        with pytest.raises(UserError, match=whole), holding(path, said):
            pass
    assert path.read_text() == "", "nothing of this machine stays there"
    with holding(path, "it was given back"):
        pass


@pytest.mark.parametrize(
    ("written", "who"),
    [("", ""), ("4711 another-machine\n", " (id 4711 on another-machine)"), (f"999999999 {gethostname()}\n", "")],
)
def test_the_holder_is_named_where_it_can_be_known(written: str, who: str, tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with take_lock(path) as lock:
        lock.write(written)
        lock.flush()
        with pytest.raises(UserError) as caught, holding(path, "is here."):
            pass
    assert str(caught.value) == f"Another process{who} is here."


def test_a_shared_lock_excludes_only_one_that_is_held_alone(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    first, second = take_lock(path, shared=True), take_lock(path, shared=True)
    assert first is not None
    assert second is not None
    assert take_lock(path) is None
    first.close()
    assert take_lock(path) is None
    second.close()
    alone = take_lock(path)
    assert alone is not None
    assert take_lock(path, shared=True) is None
    alone.close()


def test_one_that_waits_gets_the_lock_when_it_is_given_back(tmp_path: Path) -> None:
    path, said = tmp_path / ".lock", []

    def wait() -> None:
        with waiting_for(path):
            said.append("second")

    with waiting_for(path):
        waiting = Thread(target=wait)
        waiting.start()
        waiting.join(timeout=0.2)
        said.append("first")
    waiting.join(timeout=HANG_SECONDS)
    assert said == ["first", "second"]
