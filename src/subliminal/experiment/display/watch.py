"""What a terminal shows of an experiment that runs: a line for each stage that ended, and one with the time left.

    12 of 32  train-owl_student-seed-51              41 s  loss 0.61
    14 of 32 done, about 4 min left; running: train-owl_student-seed-52 (34 s), build-base_numbers-seed-51 (9 s)

The second is drawn over and over on a terminal; elsewhere it is written when nothing else was for a while. Everything
is read from what the stages leave (marks, ``.begun`` records, ``failures/``), so it is the same on a laptop and where a
cluster runs the jobs. What the stages write themselves is in ``results/<name>/logs/``.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import IO

from subliminal.experiment.costs import cost_of, deferred
from subliminal.experiment.display.lines import (
    WorkLeft,
    columns,
    failure_lines,
    send,
    stage_lines,
    status_line,
    time_left,
)
from subliminal.experiment.display.outcome import figure
from subliminal.experiment.plan import Plan
from subliminal.experiment.run import failure_path, log_path, record_path
from subliminal.experiment.stage import Stage

POLL = 0.5
"""Seconds between two looks at the marks; more where a plan has many stages."""
SILENCE = 60.0
"""Seconds without a line after which the time left is written where there is no terminal; later a tenth of the run."""


class Display:
    """Watches a plan's marks and writes what has changed.

    Args:
        stream: where to; standard error by default.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        # Two clocks: marks have the file system's time, and silence is measured by one that nobody sets.
        self.started = time.time()
        self.written = time.monotonic()
        self.drawn = ""
        self.failed: set[str] = set()
        self.took: dict[str, float] = {}
        self.run: set[str] = set()

    def begin(self, plan: Plan, until: Sequence[str] = ()) -> None:
        """Take the state of a plan that is about to run; only what changes from here on is news."""
        self.plan = plan
        jobs = plan.up_to(until)
        self.stages = {name: stage for name, stage in plan.stages.items() if stage.job in jobs}
        self.ended = plan.done() & self.stages.keys()
        self.before = {name: (_mtime(stage.mark), _mtime(record_path(stage))) for name, stage in self.stages.items()}
        # What an earlier run took foretells what its like will take in this one.
        for name in self.ended:
            self._measure(self.stages[name])
        self.costs = {name: _cost(stage) for name, stage in self.stages.items()}
        todo = len(self._counted()) - len(self.ended)
        self._write([f"{plan.name}: {todo} of {len(self._counted())} stages to run. Logs: {plan.results}/logs/"])

    @property
    def interval(self) -> float:
        """Seconds until the next look: a large plan is not looked at so often, for the file server's sake."""
        return max(POLL, len(self.stages) / 500)

    def update(self) -> None:
        """Write what has ended or failed since the last look, and how long the rest takes."""
        news = []
        for name, stage in self.stages.items():
            mark = _mtime(stage.mark)
            # A mark that was there before this run and has not changed since is no news.
            if name not in self.ended and mark is not None and mark != self.before[name][0]:
                news.append((mark, name))
        # In the order in which they ended, which that of the plan need not be.
        for _, name in sorted(news):
            self._end(self.stages[name])
        for name in self.stages:
            if name not in self.failed and failure_path(self.plan, name).is_file():
                self._fail(name)
        self._draw()

    def close(self) -> None:
        """Take the line with the time left off the terminal."""
        if self.live and self.drawn:
            # To the line's beginning, and clear what stands there.
            self._send("\r\x1b[K")
            self.drawn = ""

    def _end(self, stage: Stage) -> None:
        self.ended.add(stage.name)
        self.run.add(stage.name)
        for part in self.plan.members(stage.name):  # whole already when the job reached it
            if part.mark.is_file():
                self.ended.add(part.name)
        seconds = self._measure(stage)
        n = len(self._counted())
        self._write(stage_lines(len(self.ended), n, stage.name, seconds, figure(stage), self._width()))

    def _fail(self, name: str) -> None:
        self.failed.add(name)
        if any(part.name in self.failed for part in self.plan.members(name)):
            return  # the stage within this job has been shown
        try:
            record = json.loads(failure_path(self.plan, name).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # a second try has just removed it
            return
        begun, seconds = _mtime(record_path(self.stages[name])), None
        if begun is not None and begun != self.before[name][1]:
            seconds = time.time() - begun
        log = log_path(self.plan, name)
        self._write(failure_lines(name, record["reason"], log, seconds, record["log_from"]))

    def _draw(self) -> None:
        quiet = time.monotonic() - self.written
        running = self._running()
        if not self.live and (not running or quiet < max(SILENCE, (time.time() - self.started) / 10)):
            return
        k, n = len(self.ended), len(self._counted())
        line = status_line(k, n, time_left(self._left(dict(running)), self._at_once(running)), running, self._width())
        if not self.live:
            self._write([line])
        elif line != self.drawn:
            self._send(f"\r\x1b[K{line}")
            self.drawn = line

    def _running(self) -> list[tuple[str, float]]:
        """Stages that have begun and not ended, with the seconds since; not what an earlier stop left behind."""
        found = []
        for name, stage in self.stages.items():
            if name in self.ended or name in self.failed:
                continue
            begun = _mtime(record_path(stage))
            # A stage can have begun in an earlier run: only a record that is newer than this run counts.
            if begun is not None and begun != self.before[name][1]:
                found.append((name, max(0.0, time.time() - begun)))
        return found

    def _counted(self) -> set[str]:
        """The stages that there will be: rungs of a ladder count when they were needed."""
        counted = set(self.ended)
        for name, stage in self.stages.items():
            if not deferred(self.plan, stage):
                counted.add(name)
        return counted

    def _works(self, name: str) -> bool:
        """Whether the time of a stage is its own; a server's job or a gate takes that of the stages within it."""
        return not self.plan.members(name)

    def _left(self, running: dict[str, float]) -> list[WorkLeft]:
        left = []
        for name in self._counted() - self.ended - self.failed:
            if self._works(name):
                left.append(WorkLeft(self._expected(name), running.get(name, 0.0)))
        return left

    def _at_once(self, running: Sequence[tuple[str, float]]) -> float:
        """How many stages ran at the same time so far, on average: their seconds to those that have passed."""
        work = 0.0
        for name in self.run & self.took.keys():
            if self._works(name):
                work += self.took[name]
        for name, seconds in running:
            if self._works(name):
                work += seconds
        return work / max(1.0, time.time() - self.started)

    def _expected(self, name: str) -> float | None:
        """Seconds that a stage will take: as its like did, as its recipe says, or as others of its kind did."""
        kind = self.stages[name].kind
        like, of_kind = [], []
        for other, seconds in self.took.items():
            if _likeness(other) == _likeness(name):
                like.append(seconds)
            if other in self.stages and self.stages[other].kind == kind:
                of_kind.append(seconds)
        # The same stage at another seed is the best guess. A recipe's Cost line is of another machine, and other
        # stages of the kind may be of other sizes.
        if like:
            return fmean(like)
        if self.costs[name] is not None:
            return self.costs[name]
        if of_kind:
            return fmean(of_kind)
        return None

    def _measure(self, stage: Stage) -> float | None:
        """Seconds from a stage's beginning to its mark."""
        begun, mark = _mtime(record_path(stage)), _mtime(stage.mark)
        # A mark that is older than the beginning is of an earlier try.
        if begun is None or mark is None or mark < begun:
            return None
        self.took[stage.name] = mark - begun
        return mark - begun

    def _width(self) -> int | None:
        if not self.live:
            return None
        return columns(self.stream)

    def _write(self, lines: Iterable[str]) -> None:
        self.close()
        self._send("".join(f"{line}\n" for line in lines))
        self.written = time.monotonic()

    def _send(self, text: str) -> None:
        send(text, self.stream)


def _mtime(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _likeness(name: str) -> str:
    """What stages share that differ in numbers alone, such as seeds."""
    return re.sub(r"\d+", "#", name)


def _cost(stage: Stage) -> float | None:
    """Seconds by the recipe's ``Cost`` line, where the stage is a training of a recipe."""
    if "recipe" not in stage.facts:
        return None
    minutes = cost_of(stage).minutes
    if minutes is None:
        return None
    return 60 * minutes
