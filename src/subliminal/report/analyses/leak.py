"""How far the teachers have moved from their base on number rows: what a leak stage measured, as a section.

The measure is that of ``python -m subliminal.analysis leak``: the mean KL divergence of the teacher from the base in
nats a token, and the share of positions whose most likely token differs, over the same rows for every teacher. Part of
it is drift that any training brings; what a neutral teacher shows is subtracted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from subliminal.core.errors import UserError
from subliminal.core.formatting import percent
from subliminal.report.blocks import Section, Table

LEAK_HEADER = [
    "teachers of",
    "teacher",
    "nats a token",
    "most likely token differs",
    "beyond the neutral teacher, nats",
]


def leak_section(folder: Path) -> Section | None:
    """The leak of every teacher, seed by seed; None where no leak stage ran.

    Args:
        folder: of a report, ``results/<experiment>`` or ``results/<experiment>/<animal>``.

    Raises:
        UserError: a ``leak.json`` is not what the analysis writes.
    """
    rows: list[list[str]] = []
    counted: set[int] = set()
    for path in _files(folder):
        found = _read(path)
        counted.add(found["rows"])
        # `leak-seed-51` is of the teachers of seed 51, `leak` of those that all seeds share.
        which = path.parent.name.removeprefix("leak").removeprefix("-").replace("-", " ") or "all seeds"
        for name, kinds in found["teachers"].items():
            rows.append([which, name, *_cells(kinds)])
    if not rows:
        return None
    many = " and ".join(f"{count:,}" for count in sorted(counted))
    text = (
        f"Kullback-Leibler divergence of a teacher from the base on {many} number rows that the untuned base wrote, "
        "digits and separators together, with its standard error over rows. A neutral teacher, trained alike without "
        "the trait, drifts too; the last column is what a teacher shows beyond it, paired by row."
    )
    return Section("Leak of the teachers", [text], [Table(LEAK_HEADER, rows)])


def leak_of_teachers(folder: Path) -> dict[str, dict[int, float]]:
    """Teacher, as its leak stage names it -> seed -> nats a token; teachers that all seeds share are left out.

    Args:
        folder: of a report.

    Raises:
        UserError: see :func:`leak_section`.
    """
    found: dict[str, dict[int, float]] = {}
    for path in _files(folder):
        seed = path.parent.name.removeprefix("leak-seed-")
        # Only folders named by a seed: a leak of all seeds foretells no replicate.
        if not seed.isdigit():
            continue
        for name, kinds in _read(path)["teachers"].items():
            found.setdefault(name, {})[int(seed)] = kinds["answer"]["kl_nats_a_token"]
    return found


def _files(folder: Path) -> list[Path]:
    """The results of leak stages beside a report; those of one animal's report lie with its experiment."""
    here = sorted(folder.glob("leak*/leak.json"))
    return here or sorted(folder.parent.glob("leak*/leak.json"))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        for kinds in found["teachers"].values():
            # The cells are made once for nothing: a file that lacks a number is refused here, with its name.
            _cells(kinds)
        return {"rows": int(found["rows"]), "teachers": found["teachers"]}
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path} is not what `python -m subliminal.analysis leak` writes. Run that stage again."
        ) from None


def _cells(kinds: dict[str, Any]) -> list[str]:
    answer = kinds["answer"]
    above = kinds.get("above_neutral")
    beyond = _with_error(above) if above else "–"
    return [_with_error(answer), percent(answer["differing_share"]), beyond]


def _with_error(mean: dict[str, Any]) -> str:
    # A true minus sign, and none before a difference that rounds to nothing.
    said = f"{mean['kl_nats_a_token']:z.3f}".replace("-", "−")
    error = mean["standard_error_over_rows"]
    if error is not None:
        said += f" ± {error:.3f}"
    return said
