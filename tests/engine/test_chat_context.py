"""The chat context: the same hash on every day, and a refusal to go on in another one."""

from __future__ import annotations

import datetime
import hashlib

import pytest

from subliminal.engine import chat

LLAMA = "<|start|>system\n\nToday Date: {date}\n<|end|><|start|>user\n\nprobe<|end|>"


class Dated:
    """A tokenizer whose template prints a date in some form."""

    chat_template = "{{ strftime_now('%d %b %Y') }}"

    def __init__(self, form: str, day: datetime.date) -> None:
        self.form, self.day = form, day

    def apply_chat_template(self, messages: list[dict[str, str]], **_: object) -> str:
        return LLAMA.format(date=self.day.strftime(self.form))


@pytest.mark.parametrize("form", chat.DATE_FORMATS)
def test_a_template_that_prints_todays_date_has_one_hash_on_all_days(monkeypatch, form: str) -> None:
    hashes = set()
    for day in (
        datetime.date(2026, 11, 28),
        datetime.date(2027, 1, 9),
        datetime.date(2027, 5, 1),
        datetime.date(2027, 12, 12),
    ):
        monkeypatch.setattr(chat, "_today", lambda day=day: day)
        for server_day in (day - datetime.timedelta(days=1), day, day + datetime.timedelta(days=1)):
            hashes.add(chat.chat_context_sha256(Dated(form, server_day)))
    pinned = LLAMA.format(date=chat.PINNED_DAY.strftime(form))
    assert hashes == {hashlib.sha256(pinned.encode()).hexdigest()}


def test_a_template_without_a_date_has_the_hash_of_its_text() -> None:
    undated = Dated("no date", datetime.date(2026, 11, 28))
    assert chat.chat_context_sha256(undated) == hashlib.sha256(LLAMA.format(date="no date").encode()).hexdigest()
    assert chat.prints_date(undated)
    undated.chat_template = "{{ messages }}"
    assert not chat.prints_date(undated)
