"""Is ``RESULTS.md`` what the raw answers in the repository say? It needs no GPU, and neither models nor data.

    python scripts/results.py verify

Of each published experiment the raw answers are scored again. With their metrics they must give lm-eval's samples, to
the byte, as the manifests record them by sha256, and the rates that the report's manifest has; the sha256 of all
manifests must agree. Then the page is made anew, and each of its lines must be the one in ``RESULTS.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.files import read_object
from subliminal.core.manifest import read_manifest, sha256_of
from subliminal.core.repeated_runs import repeated_runs, repeats_sentence
from subliminal.evaluation.our_tasks import task_kind
from subliminal.publish.archive import ANSWERS
from subliminal.publish.chain import check_chain
from subliminal.publish.criterion import check_criterion
from subliminal.publish.entries import EXPERIMENT_FILE, Entry, LaidOut, figure_name
from subliminal.publish.experiment_manifest import manifest_differences
from subliminal.publish.page import make_pages
from subliminal.publish.rescore import SAMPLES_FILE, SUMMARY
from subliminal.publish.run_facts import provenance_of

_NUMBER = re.compile(r"(?<![#\w])-?\d+\.?\d*")


def verify_published(published: Path, page: Path, say: Callable[[str], object]) -> None:
    """Check everything, one experiment after another, then the page.

    Args:
        published: ``results/published``.
        page: ``RESULTS.md``.
        say: gets a sentence on each part that is as it should be.

    Raises:
        UserError: the first difference, or what is missing or damaged.
    """
    # Absolute, because the current folder is another one while an experiment is laid out.
    published = published.absolute()

    def inspect(entry: Entry, laid: LaidOut) -> None:
        try:
            say(f"{entry.name}: {_check_experiment(published, entry, laid)}")
        except UserError as error:
            raise UserError(f"{entry.name}: {error}") from None

    made = make_pages(published, page, inspect)
    for path, text in made.pages.items():
        _compare(path, text)
    for path, draw in made.drawings.items():
        if not path.is_file() or not _same_drawing(path.read_text(encoding="utf-8"), draw()):
            raise UserError(f"{path} is missing or not what the raw answers give. {_mend(page)}")
    say(f"{page} and the pages that it links to: every line is what the raw answers give")


def _compare(page: Path, expected: str) -> None:
    """Every line of a page must be the one that the raw answers give."""
    if not page.is_file():
        raise UserError(f"{page} is missing. {_mend(page)}")
    lines = zip_longest(page.read_text(encoding="utf-8").splitlines(), expected.splitlines(), fillvalue="(nothing)")
    for number, (line, again) in enumerate(lines, start=1):
        if line != again:
            raise UserError(f"{page}, line {number} differs. {_apart(line, again)} {_mend(page)}")


def _same_drawing(one: str, other: str) -> bool:
    """Whether two SVGs are the same but for rounding: places may differ by a tenth of a point between machines."""
    # Colours (#1f77b4) and names of elements hold digits that are no places.
    if _NUMBER.sub("", one) != _NUMBER.sub("", other):
        return False
    # With the same words around them there are as many numbers in both.
    for ours, theirs in zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True):
        if abs(float(ours) - float(theirs)) >= 0.1:
            return False
    return True


def _check_experiment(published: Path, entry: Entry, laid: LaidOut) -> str:
    """Check one published experiment, whose files are laid out in the current folder; returns what was done."""
    folder, results = published / entry.name, Path("results") / entry.experiment
    # Two copies: the one that people read, and the one that the records hold.
    if (folder / EXPERIMENT_FILE).read_bytes() != Path(f"experiments/{entry.experiment}.yml").read_bytes():
        raise UserError(f"{EXPERIMENT_FILE} is not the file that was run. {_restore(folder / EXPERIMENT_FILE)}")
    check_criterion(results, folder / EXPERIMENT_FILE)
    manifests = provenance_of(results).manifests
    rounded = _check_samples(folder, laid)
    # Answers that score right may still hang on another adapter or other rows than the page says.
    problems = check_chain(manifests, results).problems
    for report in laid.reports:
        problems += [repeats_sentence(repeat, first) for repeat, first in repeated_runs(report).items()]
        summaries = {path: read_object(path) for path in report.glob(f"*/seed-*/*{SUMMARY}")}
        problems += manifest_differences(report, summaries)[0]
        _check_figure(report, folder / figure_name(report, results))
    if problems:
        raise UserError(f"{problems[0]} {_restore(folder)}")
    files = f"{len(laid.samples)} files of samples, made again, have the sha256 of their evaluation"
    if rounded:
        files += f", but for the last digits of {rounded} that this machine rounds otherwise"
    return f"{laid.values:,} answers and exact probabilities scored again; {files}"


def _check_samples(folder: Path, laid: LaidOut) -> int:
    """Every samples file must be the one that its evaluation recorded.

    Returns:
        How many differ and hold exact probabilities: another C library rounds their last digit otherwise. What they say
        is compared nevertheless, by the rates in the report's manifest.
    """
    rounded = 0
    for report in laid.reports:
        for path in sorted(report.glob("*/seed-*/manifest.json")):
            for name, sha256 in read_manifest(path.parent)["outputs"].items():
                match = SAMPLES_FILE.fullmatch(Path(name).name)
                if not match:
                    continue
                again = laid.samples.get(f"{path.parent}/{name}")
                if again is None:
                    raise UserError(f"{ANSWERS} lacks {path.parent}/{name}. {_restore(folder / ANSWERS)}")
                if again == sha256:
                    continue
                if task_kind(match["task"]) not in ("exact", "probability"):
                    # Texts are compared to the byte: only numbers are rounded otherwise on another machine.
                    raise UserError(
                        f"{path.parent}/{name}, made again, is not the file that the evaluation recorded: an answer "
                        f"was changed, or the task scores otherwise now. {_restore(folder / ANSWERS)}"
                    )
                rounded += 1
    return rounded


def _check_figure(report: Path, figure: Path) -> None:
    """The figure must be the one that the report's manifest records."""
    if not figure.is_file():
        raise UserError(f"{figure.name} is missing. {_restore(figure)}")
    # By sha256 and not drawn anew: another version of matplotlib gives other bytes of a PNG.
    if sha256_of(figure) != read_manifest(report)["files"]["figure.png"]:
        raise UserError(f"{figure.name} is not the figure of the report. {_restore(figure)}")


def _apart(line: str, expected: str) -> str:
    """Where two lines part, with some words before it."""
    alike = 0
    for one, other in zip(line, expected, strict=False):
        if one != other:
            break
        alike += 1
    # Some words before the difference, so that the line can be found.
    start = max(0, alike - 60)
    return f"It says “{line[start : start + 160]}”, but the raw answers give “{expected[start : start + 160]}”."


def _restore(path: Path) -> str:
    return f"Restore it with `git checkout {path}`, or publish the experiment again."


def _mend(page: Path) -> str:
    return f"`python scripts/results.py write` makes {page.name} anew."
