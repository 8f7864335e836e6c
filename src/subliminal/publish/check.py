"""Is ``RESULTS.md`` what the raw answers in the repository say? It needs no GPU, and neither models nor data.

    python scripts/results.py verify

Of each published experiment the raw answers are scored again and held against every number that was written about them
(:func:`subliminal.publish.verify.verify`), the sha256 of all manifests against each other and against the files that
are there; then the page is made anew, and each of its lines must be the one in ``RESULTS.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.manifest import read_manifest, sha256_of
from subliminal.publish.chain import check_chain
from subliminal.publish.criterion import check_criterion
from subliminal.publish.entries import EXPERIMENT_FILE, Entry, entries, figure_name, unpacked
from subliminal.publish.page import make_pages, provenance_of
from subliminal.publish.verify import verify

_NUMBER = re.compile(r"(?<![#\w])-?\d+\.?\d*")


def verify_published(published: Path, page: Path) -> Iterator[str]:
    """Check everything, one experiment after another, then the page.

    Args:
        published: ``results/published``.
        page: ``RESULTS.md``.

    Yields:
        A sentence on each part that is as it should be.

    Raises:
        UserError: the first difference, or what is missing or damaged.
    """
    published = published.absolute()
    for entry in entries(published):
        try:
            yield f"{entry.name}: {_verify_experiment(published, entry)}"
        except UserError as error:
            raise UserError(f"{entry.name}: {error}") from None
    made = make_pages(published, page)
    for path, text in made.pages.items():
        _compare(path, text)
    for path, drawing in made.drawings.items():
        if not path.is_file() or not _same_drawing(path.read_text(encoding="utf-8"), drawing):
            raise UserError(f"{path} is missing or not what the raw answers give. {_mend(page)}")
    yield f"{page} and the pages that it links to: every line is what the raw answers give"


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
    numbers = [[float(each) for each in _NUMBER.findall(text)] for text in (one, other)]
    same_words = _NUMBER.sub("", one) == _NUMBER.sub("", other)
    return same_words and all(abs(a - b) < 0.1 for a, b in zip(*numbers, strict=True))


def _verify_experiment(published: Path, entry: Entry) -> str:
    """Check one published experiment; returns what was done."""
    folder, done = published / entry.name, []
    with unpacked(published, entry) as reports:
        results = Path("results") / entry.experiment
        if (folder / EXPERIMENT_FILE).read_bytes() != Path(f"experiments/{entry.experiment}.yml").read_bytes():
            raise UserError(f"{EXPERIMENT_FILE} is not the file that was run. {_restore(folder / EXPERIMENT_FILE)}")
        check_criterion(results, folder / EXPERIMENT_FILE)
        for report in reports:
            verdict = verify(report)
            lost = [name for name in verdict.absent if str(report) in name and "cannot be recomputed" in name]
            if verdict.problems or lost:
                raise UserError(f"{[*verdict.problems, *lost][0]} {_restore(folder)}")
            _check_figure(report, folder / figure_name(report, results))
            done.append(verdict.checked[0])
        problems = check_chain(provenance_of(results).manifests, results).problems
        if problems:
            raise UserError(f"{problems[0]} {_restore(folder)}")
    return "; ".join(done)


def _check_figure(report: Path, figure: Path) -> None:
    """The figure must be the one that the report's manifest records."""
    if not figure.is_file():
        raise UserError(f"{figure.name} is missing. {_restore(figure)}")
    if sha256_of(figure) != read_manifest(report)["files"]["figure.png"]:
        raise UserError(f"{figure.name} is not the figure of the report. {_restore(figure)}")


def _apart(line: str, expected: str) -> str:
    """Where two lines part, with some words before it."""
    same = next((n for n, (one, other) in enumerate(zip(line, expected, strict=False)) if one != other), None)
    start = max(0, (min(len(line), len(expected)) if same is None else same) - 60)
    return f"It says “{line[start : start + 160]}”, but the raw answers give “{expected[start : start + 160]}”."


def _restore(path: Path) -> str:
    return f"Restore it with `git checkout {path}`, or publish the experiment again."


def _mend(page: Path) -> str:
    return f"`python scripts/results.py write` makes {page.name} anew."
