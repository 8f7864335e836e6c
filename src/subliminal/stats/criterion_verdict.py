"""Does an experiment meet its criterion? Tables of log-odds in, a verdict with a sentence for each clause out.

    verdict = judge_criterion(criterion, *read_tables(Path("results/owl_pocket"), criterion))
    print(verdict.text())

The unit is the replicate (a seed): within it the difference of two arms is taken and the animals' differences are
averaged; Student's t over the replicates gives interval and test. Only replicates that have every model of a clause
count; while one is missing the verdict is "not yet", whatever the others say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from subliminal.stats.criterion import OTHER_ANIMALS, Clause, Criterion
from subliminal.stats.criterion_words import (
    Finding,
    demand_in_words,
    finding_in_words,
    level_in_words,
    with_interval,
)
from subliminal.stats.log_odds import Row, read_table
from subliminal.stats.replicates import t_interval
from subliminal.stats.result import ALPHA

MET = "met"
NOT_MET = "not met"
NOT_YET = "not yet"
Cells = dict[tuple[int, str, str, str], Row]
"""(seed, animal, arm, asked) -> its row."""
Differences = dict[str, dict[int, float]]
"""Animal -> seed -> difference."""


@dataclass(frozen=True)
class ClauseVerdict:
    """``holds`` is None while a replicate is missing; ``replicates`` counts those that have every model it needs."""

    clause: Clause
    holds: bool | None
    findings: list[Finding]
    replicates: int
    asked: str
    found: str

    @property
    def difference(self) -> str:
        said = f"{self.clause.arm} − {self.clause.minus}"
        if self.clause.task:
            said += f" ({self.clause.task})"
        if self.clause.minus_task:
            said += f", less the same ({self.clause.minus_task})"
        return said

    @property
    def said(self) -> str:
        """ "holds", "fails" or "not yet"."""
        if self.holds is None:
            return NOT_YET
        if self.holds:
            return "holds"
        return "fails"

    @property
    def name(self) -> str:
        """The clause's, and whether it is no more than a goal."""
        if self.clause.goal:
            return f"{self.clause.name} (a goal)"
        return self.clause.name

    def sentence(self) -> str:
        return f"{self.name}: {self.said}. {self.difference}: {self.found}; asked: {self.asked}."

    def in_brief(self) -> str:
        """ "beyond drift (a goal) holds, +2.54 [1.62, 3.46] (95 %)": a mean over replicates, the clause's interval."""
        numbers = self.found
        if self.clause.pairs_above is None and self.clause.points_above is None and self.findings:
            numbers = f"{', '.join(map(with_interval, self.findings))} ({level_in_words(self.clause)})"
        return f"{self.name} {self.said}, {numbers}"


@dataclass(frozen=True)
class CriterionVerdict:
    """``verdict`` is one of :data:`MET`, :data:`NOT_MET` and :data:`NOT_YET`; goals have no part in it."""

    criterion: Criterion
    verdict: str
    clauses: list[ClauseVerdict]
    replicates: int
    notes: list[str]

    def headline(self) -> str:
        """The verdict as a sentence."""
        asked = len(self.criterion.seeds)
        if self.verdict == NOT_YET:
            return (
                f"The criterion is not judged yet: {self.replicates} of {asked} replicates have every model it needs."
            )
        failed = []
        for each in self.clauses:
            if each.holds is False and not each.clause.goal:
                failed.append(each.clause.name)
        if failed:
            return f"The criterion is not met, over {asked} replicates: {', '.join(failed)}."
        return f"The criterion is met, over {asked} replicates."

    def text(self) -> str:
        """The verdict, then a line for each clause."""
        clauses = [each.sentence() for each in self.clauses]
        return "\n".join([self.headline(), *clauses, *self.notes])

    def as_json(self) -> dict[str, Any]:
        """JSON-ready: verdict, sha256 of the criterion, replicates, and every clause with its numbers."""
        clauses = []
        for each in self.clauses:
            clauses.append(
                {
                    "name": each.clause.name,
                    "goal": each.clause.goal,
                    "difference": each.difference,
                    "holds": each.holds,
                    "replicates": each.replicates,
                    "findings": [vars(finding) for finding in each.findings],
                    "sentence": each.sentence(),
                }
            )
        return {
            "verdict": self.verdict,
            "sentence": self.headline(),
            "criterion_sha256": self.criterion.sha256(),
            "task": self.criterion.task,
            "replicates": self.replicates,
            "replicates_asked": len(self.criterion.seeds),
            "animals": self.criterion.animals,
            "notes": self.notes,
            "clauses": clauses,
        }


def read_tables(results: Path, criterion: Criterion) -> tuple[list[Row], dict[str, list[Row]]]:
    """The table of a criterion's task, and those of the tasks that clauses name beside it.

    Args:
        results: ``results/<experiment>``.
        criterion: of the experiment.

    Raises:
        UserError: see :func:`subliminal.stats.log_odds.read_table`.
    """
    first, *others = criterion.tasks()
    return read_table(results, first), {task: read_table(results, task) for task in others}


def judge_criterion(
    criterion: Criterion, table: Iterable[Row], others: Mapping[str, Iterable[Row]] | None = None
) -> CriterionVerdict:
    """Hold the results of an experiment against its criterion.

    Args:
        criterion: of the experiment.
        table: log-odds of every model, in any order; models that the criterion does not name are ignored.
        others: task -> the same of it, for clauses with a task of their own.
    """
    cells = _cells(table)
    by_task = {task: _cells(rows) for task, rows in (others or {}).items()} | {criterion.task: cells}
    clauses = [_judge_clause(criterion, clause, by_task) for clause in criterion.clauses]
    deciding = [each for each in clauses if not each.clause.goal]
    held = [each.holds for each in deciding]
    # One missing replicate is enough: later ones could turn the verdict.
    if None in held:
        verdict = NOT_YET
    elif all(held):
        verdict = MET
    else:
        verdict = NOT_MET
    # Goals decide nothing; a criterion of goals alone still tells how far it is.
    replicates = min(each.replicates for each in (deciding or clauses))
    return CriterionVerdict(criterion, verdict, clauses, replicates, _notes(criterion, cells))


def _cells(table: Iterable[Row]) -> Cells:
    return {(row.seed, row.animal, row.arm, row.asked): row for row in table}


def _notes(criterion: Criterion, cells: Cells) -> list[str]:
    """Which replicates are missing, and which are there and do not count."""
    wanted = criterion.arms()
    present = set()
    for seed, animal, arm, _ in cells:
        if arm in wanted and animal in criterion.subjects:
            present.add(seed)
    notes = []
    absent = [str(seed) for seed in criterion.seeds if seed not in present]
    if absent:
        notes.append(f"No results yet of the seeds {', '.join(absent)}.")
    # Seeds added after the criterion was fixed would let a run go on until it is met.
    extra = sorted(present - set(criterion.seeds))
    if extra:
        notes.append(f"The seeds {', '.join(map(str, extra))} have results and are not of the criterion: left out.")
    return notes


def _judge_clause(criterion: Criterion, clause: Clause, by_task: Mapping[str, Cells]) -> ClauseVerdict:
    by_animal: Differences = {animal: {} for animal in criterion.subjects}
    complete = []
    for seed in criterion.seeds:
        differences = {}
        for animal in criterion.subjects:
            differences[animal] = _difference_of_tasks(criterion, clause, by_task, seed, animal)
        if None in differences.values():
            continue  # a replicate without one of its models does not count, for any animal
        complete.append(seed)
        for animal, difference in differences.items():
            by_animal[animal][seed] = difference
    findings: list[Finding] = []
    found = "no replicate is whole"
    if complete:
        findings = _findings(clause, by_animal)
        found = finding_in_words(clause, findings, len(complete), len(by_animal))
    holds = None  # while a replicate is missing
    if len(complete) == len(criterion.seeds):
        held = sum(finding.holds for finding in findings)
        # A clause about several animals by name asks so many of them; any other asks all that it found.
        holds = held >= (clause.in_animals or len(findings))
    return ClauseVerdict(clause, holds, findings, len(complete), demand_in_words(criterion, clause), found)


def _difference_of_tasks(
    criterion: Criterion, clause: Clause, by_task: Mapping[str, Cells], seed: int, animal: str
) -> float | None:
    """The clause's difference, less the same in another task where it names one; None if a model is not there."""
    found = _difference(criterion, clause, by_task.get(clause.task or criterion.task, {}), seed, animal)
    if clause.minus_task is None or found is None:
        return found
    other = _difference(criterion, clause, by_task.get(clause.minus_task, {}), seed, animal)
    if other is None:
        return None
    return found - other


def _difference(criterion: Criterion, clause: Clause, cells: Cells, seed: int, animal: str) -> float | None:
    """Arm minus the other within one replicate, asked about one animal; None if a model is not there."""
    own = (seed, animal, clause.arm, animal)
    others = [(seed, animal, clause.minus, animal)]
    if clause.minus == OTHER_ANIMALS:
        others = [(seed, other, clause.arm, animal) for other in criterion.animals if other != animal]
    if not {own, *others} <= cells.keys():
        return None
    subtracted = [_value(clause, cells[place]) for place in others]
    return _value(clause, cells[own]) - sum(subtracted) / len(others)


def _value(clause: Clause, row: Row) -> float:
    """What is compared: percentage points where the clause asks for points, else log-odds."""
    if clause.points_above is not None:
        return 100 * row.share
    return row.log_odds


def _findings(clause: Clause, by_animal: Differences) -> list[Finding]:
    """The numbers of a clause over the replicates that are whole."""
    table = np.array([list(by_seed.values()) for by_seed in by_animal.values()])  # shape (animals, replicates)
    # A count over animals and replicates at once: each pair is one student and its control.
    if clause.pairs_above is not None:
        above = int(np.sum(table > 0))
        return [Finding(None, above, None, above >= clause.pairs_above)]
    if clause.points_above is not None:
        means = zip(by_animal, table.mean(axis=1).tolist(), strict=True)
        return [Finding(animal, mean, None, mean >= clause.points_above) for animal, mean in means]
    if clause.per_animal:
        return [_interval_finding(clause, row, animal) for animal, row in zip(by_animal, table, strict=True)]
    # Animals share a base within a replicate: their mean is one number, and replicates are the unit.
    return [_interval_finding(clause, table.mean(axis=0), None)]


def _interval_finding(clause: Clause, differences: np.ndarray, animal: str | None) -> Finding:
    """Mean and t interval over replicates. Differences that are all equal show no spread: nothing holds then."""
    estimate = float(differences.mean())
    # Equal but for rounding.
    if differences.size < 2 or np.ptp(differences) < 1e-12:
        return Finding(animal, estimate, None, False)
    if clause.within is not None:
        # Two one-sided tests at ALPHA reject where the 1 - 2 ALPHA interval lies inside the margin.
        low, high = t_interval(differences, 1 - 2 * ALPHA)
        return Finding(animal, estimate, (low, high), bool(-clause.within < low and high < clause.within))
    low, high = t_interval(differences, clause.confidence)
    return Finding(animal, estimate, (low, high), bool(low > clause.above))
