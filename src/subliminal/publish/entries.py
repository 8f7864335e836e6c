"""``results/published/``: finished experiments, so small that the repository holds their raw answers.

``results/published/<date>-<experiment>/`` (date of the last evaluation, UTC) has ``answers.parquet`` and
``records.parquet`` (:mod:`subliminal.publish.archive`), ``experiment.yml`` as it was run, and the first figure of each
report. ``experiments.txt`` beside it names the published experiments in the order of ``RESULTS.md``, a folder a line; a
second word on the line is the folder whose ``tried.csv`` has the configurations that were tried before this one.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from subliminal.core.errors import UserError
from subliminal.core.files import RECORDS, read_text
from subliminal.core.text_yaml import read_text_yaml
from subliminal.publish.archive import ANSWERS, read_answers, read_records
from subliminal.publish.rescore import Sample, aggregated_by_lm_eval, tables_of, values_in
from subliminal.traits.category import load_category

ORDER, EXPERIMENT_FILE = "experiments.txt", "experiment.yml"


@dataclass(frozen=True)
class Entry:
    """A line of ``experiments.txt``: the name of a published folder, and that of the search before it, if any."""

    name: str
    search: str | None = None

    @property
    def experiment(self) -> str:
        return self.name[len("2026-01-01-") :]  # a date is always as long


@dataclass
class LaidOut:
    """What :func:`lay_out` found.

    Attributes:
        samples: path of each samples file -> sha256 of the file as its answers give it.
        values: answers and exact probabilities in them.
        reports: the folders of the experiment's reports, ``results/<experiment>`` or ``results/<experiment>/<animal>``,
            in the order of its options.
    """

    samples: dict[str, str] = field(default_factory=dict)
    values: int = 0
    reports: list[Path] = field(default_factory=list)


def entries(published: Path) -> list[Entry]:
    """The published experiments in the order of ``RESULTS.md``.

    Raises:
        UserError: a line has more than two words, or a folder is not there, not whole, or not named.
    """
    path = published / ORDER
    if not published.is_dir():
        raise UserError(f"{published} is not a folder. Name the one that holds the published experiments.")
    found = _listed(path)
    for entry in found:
        needed = [published / entry.name / name for name in (ANSWERS, RECORDS, EXPERIMENT_FILE)]
        if entry.search:
            needed.append(published / entry.search / "tried.csv")
        for file in needed:
            if not file.is_file():
                raise UserError(
                    f"{file} is missing, and {path} names its folder. Restore it with `git checkout {file}`."
                )
    listed = {entry.name for entry in found}
    # A folder of answers without records is no experiment: what came home of a run whose host was lost. One whose name
    # begins with a dot is half written.
    for records in sorted(published.glob(f"[!.]*/{RECORDS}")):
        folder = records.parent.name
        if folder not in listed:
            raise UserError(
                f"{published / folder} is not named in {path}. Add a line with its name, or delete the folder."
            )
    return found


def _listed(path: Path) -> list[Entry]:
    """The lines of ``experiments.txt``; none without the file."""
    if not path.is_file():
        return []
    found = []
    for line in read_text(path).splitlines():
        words = line.split()
        if len(words) > 2:
            raise UserError(
                f"{path} has the line “{' '.join(words)}”. Give a folder, and at most the folder of its search."
            )
        if words:
            found.append(Entry(*words))
    return found


@contextmanager
def unpacked(published: Path, entry: Entry) -> Iterator[LaidOut]:
    """The files of a published experiment in a temporary folder, which is the current folder meanwhile.

    So nothing that lies in the checkout can stand in for a file that is not published. Samples are scored, and not
    written: the reports read what follows from them.

    Raises:
        UserError: a file is damaged, or holds no results of this experiment.
    """
    with tempfile.TemporaryDirectory(prefix="published-") as scratch:
        laid = lay_out(published / entry.name, Path(scratch), samples=False)
        # Paths in manifests are relative to the checkout.
        with chdir(scratch):
            laid.reports = _reports(entry)
            yield laid


def lay_out(folder: Path, out: Path, *, samples: bool = True) -> LaidOut:
    """Write the files of a published experiment below ``out``: records as they were, all else made of the raw answers.

    Args:
        folder: ``results/published/<date>-<experiment>``.
        out: gets ``results/``, ``data/``, ``outputs/`` and ``experiments/``.
        samples: write lm-eval's samples too, and the tables indented as an evaluation writes them, which takes longer.

    Raises:
        UserError: there is no such experiment, a file is damaged, or this checkout lacks the category that was asked
            about.
    """
    laid = LaidOut()
    records = read_records(folder / RECORDS)
    file = folder / EXPERIMENT_FILE
    category = category_of_file(file) if file.is_file() else None
    if category is not None:
        load_category(category)  # which says what is missing; without it no answer could be scored
    for name, content in records.items():
        _write(out / name, content)
    for evaluation, files in groupby(read_answers(folder / ANSWERS), key=_evaluation):
        tasks: dict[str, list[Sample]] = {}
        for name, task, lines in files:
            # As the file would be: its sha256 is compared whether it is written or not.
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            laid.samples[name] = hashlib.sha256(text.encode()).hexdigest()
            if samples:
                _write(out / name, text)
            tasks[task] = lines
        laid.values += values_in(tasks)
        model, results, summary = tables_of(*_recorded(records, evaluation, folder), tasks)
        # Indented only for a reader: the reports that are made of them read either.
        indent = 2 if samples else None
        for kind, table in (("results", results), ("summary", summary)):
            text = json.dumps(table, indent=indent, ensure_ascii=False)
            _write(out / evaluation / f"{model}_{kind}.json", text + "\n")
    return laid


def category_of_file(file: Path) -> str | None:
    """The category of ``traits/`` that an experiment file names itself; None for animals, and for mathematics."""
    trait = read_text_yaml(file).get("trait")
    if not isinstance(trait, dict):
        return None
    return trait.get("category")


def _evaluation(file: tuple[str, str, list[Sample]]) -> str:
    """The folder of the evaluation that a samples file belongs to."""
    return str(PurePosixPath(file[0]).parent.parent)


def _recorded(records: dict[str, str], evaluation: str, folder: Path) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """The manifest of an evaluation, where it stands, and what lm-eval itself made of each task."""
    manifest = records.get(f"{evaluation}/manifest.json")
    if manifest is None:
        raise UserError(f"{folder / RECORDS} has no manifest of {evaluation}. Publish that experiment again.")
    aggregated: dict[str, Any] = {}
    for name, content in records.items():
        if name.startswith(f"{evaluation}/lm_eval/results_"):
            aggregated |= aggregated_by_lm_eval(content, name)
    try:
        return json.loads(manifest), f"{folder / RECORDS}: {evaluation}/manifest.json", aggregated
    except ValueError as error:
        raise UserError(f"{folder / RECORDS}: the manifest of {evaluation} is no JSON ({error}). Restore it.") from None


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # The same line ends on every system: a sha256 is of bytes.
    path.write_text(content, encoding="utf-8", newline="\n")


def _reports(entry: Entry) -> list[Path]:
    """The folders of an unpacked experiment that have a report, in the order of the experiment file's options.

    Raises:
        UserError: there are none.
    """
    results, file = Path("results") / entry.experiment, Path("experiments") / f"{entry.experiment}.yml"
    # results/<experiment>[/<option>]/<arm>/seed-<n>/<model>_summary.json
    found = sorted({path.parents[2] for path in results.rglob("seed-*/*_summary.json")})
    if not found or not file.is_file():
        raise UserError(f"{entry.name} holds no results of {entry.experiment}. Publish that experiment again.")
    trait = yaml.safe_load(file.read_text(encoding="utf-8"))["trait"]
    options = trait.get("animals", trait.get("options", []))
    place = {option: index for index, option in enumerate(options)}
    # An option that the file no longer names comes last.
    return sorted(found, key=lambda report: place.get(report.name, len(place)))


def figure_name(report: Path, folder: Path, file: str = "figure.png") -> str:
    """What a figure of a report is called where it is published: ``figure.png``, or ``figure-owl.png``."""
    if report == folder:
        return file
    stem, _, ending = file.rpartition(".")
    return f"{stem}-{report.name}.{ending}"
