"""The lines that a terminal shows of an experiment that runs, and how they reach it."""

from __future__ import annotations

import math
import os
import re
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

LOG_LINES = 12
"""Lines of a failed stage's log that are shown."""
NAME_COLUMNS = 36
"""Columns for a stage's name; a longer one takes what it needs."""
WITHOUT_TERMINAL = 80
"""Columns of the chart and the answer where there is no terminal."""

# Colours and cursor moves, which tools write into logs that are shown here without them.
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_OF_LAUNCHER = re.compile(
    r"^Traceback \(most recent call last\):\n(?:[ \t].*\n)*subprocess\.CalledProcessError.*\n?", re.MULTILINE
)


class WorkLeft(NamedTuple):
    """Work that is left: expected seconds (None: nothing is known of it), and seconds that it has run."""

    expected: float | None
    elapsed: float = 0.0


def duration(seconds: float) -> str:
    """41 -> "41 s", 185 -> "3 min 05 s", 4320 -> "1 h 12 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Text in lines of at most ``width`` columns; names such as ``student-seed-51`` stay whole."""
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def stage_lines(k: int, n: int, name: str, seconds: float | None, told: str, width: int | None) -> list[str]:
    """What is shown of a stage that has ended.

    Args:
        k, n: it is the k-th of n to be done.
        name: the stage's.
        seconds: that it took; None where that is not known.
        told: its figure.
        width: columns of the terminal, where the figure goes on in lines of its own; None is no limit.
    """
    took = duration(seconds) if seconds is not None else ""
    # Eleven columns hold `23 h 59 min`.
    head = f"{k:>{len(str(n))}} of {n}  {name:<{NAME_COLUMNS}} {took:>11}  "
    line = f"{head}{told}".rstrip()
    if width is None or len(line) <= width:
        return [line]
    room = width - len(head)
    # In a narrower column the words would stand one to a line.
    if room >= 24:
        first, *rest = wrapped(told, room)
        return [f"{head}{first}", *(" " * len(head) + more for more in rest)]
    return [head.rstrip(), *wrapped(told, width, " " * 8)]


def time_left(work: Sequence[WorkLeft], at_once: float) -> str:
    """How long the rest takes, as words.

    Args:
        work: what is left.
        at_once: how many stages have run at the same time so far, on average.
    """
    if not work:
        return "nothing left"
    known = [left for left in work if left.expected is not None]
    if not known:
        return "time left not known yet"
    seconds = 0.0
    for left in known:  # a stage that takes longer than expected is about to end
        seconds += max(0.0, (left.expected or 0.0) - left.elapsed)
    minutes = math.ceil(seconds / max(1.0, at_once) / 60)
    amount = "a minute"
    if minutes > 1:
        amount = duration(60 * minutes).replace(" 00 s", "")
    # Of the stages that are left, those of unknown length can only add to it.
    if len(known) < len(work):
        return f"more than {amount} left"
    return f"about {amount} left"


def status_line(k: int, n: int, left: str, running: Iterable[tuple[str, float]], width: int | None) -> str:
    """The line with the time left, cut at the terminal's width.

    Args:
        k, n: done, and all.
        left: from :func:`time_left`.
        running: names of stages and the seconds that they have run.
        width: columns of the terminal; None is no limit.
    """
    stages = ", ".join(f"{name} ({duration(seconds)})" for name, seconds in running)
    line = f"{k} of {n} done, {left}; running: {stages or 'none yet'}"
    if width is not None and len(line) >= width:  # a full line would begin another one
        line = line[: width - 2] + "…"
    return line


def failure_lines(name: str, reason: str, log: Path, seconds: float | None, log_from: int = 0) -> list[str]:
    """What is shown of a stage that failed: why, the end of its log, and where that is.

    Args:
        name: the stage's.
        reason: why it failed.
        log: what it wrote, behind what earlier attempts wrote.
        seconds: that it took; None where that is not known.
        log_from: bytes of the log that earlier attempts wrote.
    """
    after = f" after {duration(seconds)}" if seconds is not None else ""
    lines = [f"FAILED  {name}{after}: {reason}"]
    if not log.is_file():
        return lines
    # What the launcher says of its child is no reason, and as long as what the child said.
    text = _OF_LAUNCHER.sub("", log.read_bytes()[log_from:].decode(errors="replace"))
    said = []
    for line in text.splitlines():
        plain = _COLOUR.sub("", line).rstrip()
        if plain:
            said.append(f"  | {plain}")
    return [*lines, *said[-LOG_LINES:], f"  The whole log: {log}"]


def send(text: str, stream: IO[str]) -> None:
    """Write to a terminal: one that knows no such letter shows another, and one that is gone does not stop the run."""
    encoding = stream.encoding or "utf-8"
    with suppress(OSError):
        stream.write(text.encode(encoding, errors="replace").decode(encoding))
        stream.flush()


def columns(stream: IO[str]) -> int:
    """The width of a terminal; :data:`WITHOUT_TERMINAL` where there is none."""
    # Terminals of build servers may say that they are 0 columns wide.
    try:
        return os.get_terminal_size(stream.fileno()).columns or WITHOUT_TERMINAL
    except (OSError, ValueError):
        return WITHOUT_TERMINAL
