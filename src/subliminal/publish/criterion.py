"""Is an experiment's criterion the one of its file, and older than its first student's training?"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import yaml

from subliminal.core.errors import UserError
from subliminal.core.manifest import recorded_time
from subliminal.evaluation.lineage import training_behind
from subliminal.experiment.criterion import CRITERION, learns_numbers
from subliminal.report.criterion import read_record
from subliminal.stats.criterion import read_criterion


def check_criterion(results: Path, file: Path) -> None:
    """Hold the record of an experiment against its file and against the trainings.

    Args:
        results: ``results/<experiment>``; the folder that holds ``results`` is the root of all paths in manifests.
        file: the experiment file.

    Raises:
        UserError: one of file and record has no criterion or another one, the record is damaged, a student was
            trained before it was made, or one of the two times is missing.
    """
    recorded = read_record(results)
    # Read as it is: a file of an older form must still be compared.
    asked = yaml.safe_load(file.read_text(encoding="utf-8")).get("criterion")
    if not recorded and not asked:
        return
    if not recorded or not asked:
        having, lacking = results / CRITERION, file
        if asked:
            having, lacking = file, results / CRITERION
        raise UserError(
            f"{having} has a criterion and {lacking} has none. A criterion counts if the run recorded it before any "
            "student was trained: restore the file that was run."
        )
    criterion, record = recorded
    _, wanted = read_criterion(file)
    if wanted.sha256() != criterion.sha256():
        raise UserError(
            f"The criterion of {file} (sha256 {wanted.sha256()[:12]}) is not the one that was recorded before the run "
            f"({criterion.sha256()[:12]}, {results / CRITERION}). Restore the file that was run."
        )
    made = recorded_time(record, "made", results / CRITERION)
    for folder, started in student_trainings(results):
        if started < made:
            raise UserError(
                f"{results / CRITERION} was made at {made.isoformat()}, and {folder} was trained at "
                f"{started.isoformat()}, before it. A criterion that is made after a student was trained proves "
                "nothing."
            )


def student_trainings(results: Path) -> list[tuple[Path, datetime]]:
    """Every training on number rows behind the results, with its start, the first first.

    Raises:
        UserError: a training's manifest has no time of its start.
    """
    found = {}
    # Also results that were set aside, as the run's own check has it: `stale-seed-1`.
    for pattern in ("*/*seed-*/manifest.json", "*/*/*seed-*/manifest.json"):
        for path in results.glob(pattern):
            if not learns_numbers(path.parts[-3]):
                continue
            behind = training_behind(results.parent.parent, path.parent)
            if behind is not None:
                folder, training = behind
                found[folder] = recorded_time(training, "started", folder / "manifest.json")
    return sorted(found.items(), key=lambda item: item[1])
