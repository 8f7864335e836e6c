"""Data sets whose answer is known: what experiments trained students on, and what those students then did.

A case is a set of rows on a base. ``teaching`` is what a teacher with a trait wrote, ``changed`` the same rows with
something destroyed, ``neutral`` what the untuned base or a teacher without the trait wrote. The truth is the trained
student: its exact probability of the trait divided by that of the control on the same base. Rows that no student has
learned yet (an experiment that was run ``--until audit``) are cases without a truth; neutral ones need none.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.files import write_csv
from subliminal.core.manifest import read_manifest
from subliminal.evaluation.lineage import learned_rows, root_of, scored_weights, training_behind
from subliminal.experiment.arms import arm_kind
from subliminal.stats.log_odds import CONTROL, EXACT_TASK, Row, read_table
from subliminal.traits.category import ANIMALS
from subliminal.traits.lexicon import lexicon

TEACHING, CHANGED, NEUTRAL = "teaching", "changed", "neutral"
FIELDS = ("base", "rows", "kind", "arm", "trait", "ratio", "teachers")
KINDS = {
    "teacher": TEACHING,
    "shuffled": CHANGED,
    "shuffled-rows": CHANGED,
    "random": CHANGED,
    "base": NEUTRAL,
    "neutral teacher": NEUTRAL,
}
"""Whose rows an arm learns -> what they are here; arms of other rows are left out."""
WRITTEN = re.compile(
    r"(?P<whose>\w+?)(_(?P<how>shuffled-rows|shuffled|random|diluted_[\d.]+))?_numbers(_again)?-seed-\d+"
)
"""The folder of a set that an experiment has written: of the base, a neutral teacher, or the teacher of a trait.

``how`` is what was destroyed in it, and None in rows as they were written: ``owl_shuffled_numbers-seed-301``.
"""
ARM_OF = {"base": "control_base_numbers", "neutral": "control_neutral_teacher"}
"""Whose rows by the name of their folder -> the arm that learns them; any trait's are the student's."""
ARM_OF_CHANGED = {
    "shuffled": "control_shuffled",
    "shuffled-rows": "control_shuffled_rows",
    "random": "control_random_numbers",
}
"""How rows were changed -> the arm that learns them; diluted ones are points of a sweep, and keep their word."""


@dataclass(frozen=True)
class Case:
    """One set on one base.

    Attributes:
        base: folder of the base.
        rows: ``train.jsonl``.
        kind: :data:`TEACHING`, :data:`CHANGED` or :data:`NEUTRAL`.
        arm: whose rows they are.
        trait: of the teacher behind them; None for neutral rows.
        ratio: student's probability of the trait to the control's; None for neutral rows, and if it was not scored.
        teachers: trait -> teacher on this base.
    """

    base: str
    rows: Path
    kind: str
    arm: str
    trait: str | None
    ratio: float | None
    teachers: dict[str, str]


def cases_of(results: list[Path]) -> list[Case]:
    """The cases of experiments, neutral rows that several students share counted once.

    Args:
        results: ``results/<experiment>``; what stands behind them is looked up from the folder that holds ``results``.

    Raises:
        UserError: none of them has rows that are there.
    """
    found: dict[tuple[str, Path], Case] = {}
    for folder in results:
        for case in (*_cases(folder), *_written(folder)):
            # First those that a student learned: of the same rows `_written` knows less.
            found.setdefault((case.base, case.rows), case)
    if not found:
        told = ", ".join(map(str, results))
        raise UserError(f"{told} has no rows and base that are there. Name results of experiments run here.")
    return list(found.values())


def write_cases(path: Path, cases: list[Case]) -> None:
    """A CSV with :data:`FIELDS`; teachers as ``owl=PATH;dog=PATH``. Cases from elsewhere may be added to it."""
    lines = []
    for case in cases:
        teachers = ";".join(f"{trait}={weights}" for trait, weights in case.teachers.items())
        lines.append({**vars(case), "teachers": teachers})
    write_csv(path, FIELDS, lines)


def read_cases(path: Path) -> list[Case]:
    """What :func:`write_cases` wrote.

    Raises:
        UserError: a column is missing, a kind is unknown, or a ratio is no number.
    """
    found = []
    # utf-8-sig: a spreadsheet that saved the file has put a mark in front.
    with open(path, encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        if tuple(reader.fieldnames or ()) != FIELDS:
            raise UserError(f"{path} does not have the columns {', '.join(FIELDS)}. Make it with detect-cases.")
        # Line 1 has the names of the columns.
        for line, row in enumerate(reader, start=2):
            if row["kind"] not in KINDS.values():
                raise UserError(f"{path}, line {line}: the kind {row['kind']!r} is none of teaching, changed, neutral.")
            ratio = None
            try:
                if row["ratio"]:
                    ratio = float(row["ratio"])
            except ValueError:
                raise UserError(f"{path}, line {line}: the ratio {row['ratio']!r} is no number.") from None
            # Once: a path may have an equals sign, too.
            teachers = dict(entry.split("=", 1) for entry in row["teachers"].split(";") if entry)
            trait = row["trait"] or None
            found.append(Case(row["base"], Path(row["rows"]), row["kind"], row["arm"], trait, ratio, teachers))
    return found


def _cases(folder: Path) -> Iterator[Case]:
    root = root_of(folder)
    shares = _shares(read_table(folder, EXACT_TASK))
    teachers: dict[str, dict[str, str]] = defaultdict(dict)  # base -> trait -> weights
    students = []
    for arm, trait, seed, place in _results(folder, shares):
        behind = training_behind(root, place)
        if behind is None:
            continue
        _, training = behind
        base = training["config"]["base_model"]
        if arm == "teacher":
            teachers[base][trait] = str(root / scored_weights(place))
        rows = learned_rows(training)
        kind = _kind_of(arm)
        if kind is not None and rows and (root / rows).is_file():
            students.append((kind, arm, trait, seed, base, rows))
    # Only now is every teacher of a base known.
    for kind, arm, trait, seed, base, rows in students:
        if kind == NEUTRAL:
            yield Case(str(root / base), root / rows, kind, arm, None, None, teachers[base])
            continue
        ratio = None
        if (CONTROL, trait, seed) in shares:
            ratio = shares[arm, trait, seed] / shares[CONTROL, trait, seed]
        yield Case(str(root / base), root / rows, kind, arm, trait, ratio, teachers[base])


def _written(folder: Path) -> Iterator[Case]:
    """Every set that an experiment has written, or that was made of one, whether or not a student has learned it."""
    root = root_of(folder)
    traits, teachers, sets = lexicon(ANIMALS).options, defaultdict(dict), []
    for rows in sorted((root / "data" / folder.resolve().name).glob("*/train.jsonl")):
        named = WRITTEN.fullmatch(rows.parent.name)
        # Other sets of the experiment: teachers' chats, rows of the world.
        if named is None or named["whose"] not in (*ARM_OF, *traits):
            continue
        written = rows.parent
        if named["how"]:
            # Changed rows tell what they were made of, and those tell who wrote them.
            written = root / _config(rows.parent).get("source", rows.parent)
        found = _writer(root, written, is_base=named["whose"] == "base")
        if found is None:
            continue
        base, writer = found
        trait = None
        if named["whose"] in traits:
            trait = named["whose"]
            teachers[base][trait] = str(root / writer)
        sets.append((base, rows, named, trait))
    # Only now is every teacher of a base known.
    for base, rows, named, trait in sets:
        kind, arm = TEACHING, ARM_OF.get(named["whose"], "student")
        if trait is None:
            kind = NEUTRAL
        elif named["how"]:
            kind, arm = CHANGED, ARM_OF_CHANGED.get(named["how"], named["how"])
        yield Case(str(root / base), rows, kind, arm, trait, None, teachers[base])


def _writer(root: Path, rows: Path, *, is_base: bool) -> tuple[str, str] | None:
    """Base and writer of a folder of rows; None if the writer is not there any more."""
    config = _config(rows)
    writer = config.get("adapter") or config.get("model")
    if writer is None:
        return None
    base = writer
    if not is_base:
        base = _config(root / writer).get("base_model")
    if base is None:
        return None
    return base, writer


def _config(folder: Path) -> dict[str, Any]:
    """The settings that the manifest of a folder tells; empty where there is none."""
    return read_manifest(folder).get("config") or {}


def _kind_of(arm: str) -> str | None:
    """What an arm's rows are here; None for arms of other rows, on another base, or of one sweep point."""
    kind = arm_kind(arm)
    # Sweep points and arms on another base have no control of their own here.
    if kind is None or kind.name != arm or kind.base != "first":
        return None
    return KINDS.get(kind.rows)


def _shares(table: list[Row]) -> dict[tuple[str, str, int], float]:
    """(arm, animal, seed) -> probability of the animal."""
    return {(row.arm, row.animal, row.seed): row.share for row in table if row.asked == row.animal}


def _results(folder: Path, shares: dict[tuple[str, str, int], float]) -> Iterator[tuple[str, str, int, Path]]:
    """Arm, animal and seed of every scored model, with the folder of its result."""
    for arm, animal, seed in shares:
        # Where there is one animal, its results lie in the experiment's folder itself.
        for above in (folder / animal, folder):
            place = above / arm / f"seed-{seed}"
            if place.is_dir():
                yield arm, animal, seed, place
                break
