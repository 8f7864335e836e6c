"""``results/published/``: finished experiments, packed so small that the repository holds their raw answers.

    python scripts/results.py publish results/owl_pocket

makes ``results/published/<date>-<experiment>/`` (date of the last evaluation, UTC) with ``raw.tar.xz`` (every result
folder, untouched; the manifests, audits and losses behind them; see :mod:`subliminal.publish.archive`),
``experiment.yml`` as it was run, and each report's first figure. ``experiments.txt`` beside it names the published
experiments in the order of ``RESULTS.md``, a folder a line; a second word on the line is the folder whose ``tried.csv``
has the configurations that were tried before this one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from subliminal.core.errors import UserError
from subliminal.core.files import read_jsonl, read_text, write_text
from subliminal.core.manifest import read_manifest
from subliminal.evaluation.results import result_problem
from subliminal.experiment.criterion import CRITERION
from subliminal.experiment.plan import Plan, has_ended
from subliminal.publish.archive import pack, unpack
from subliminal.publish.criterion import check_criterion
from subliminal.publish.verify import verify
from subliminal.report.data import load_results
from subliminal.report.provenance import trace

ORDER, RAW, EXPERIMENT_FILE = "experiments.txt", "raw.tar.xz", "experiment.yml"
LIMIT = 20_000_000
"""Bytes that all published experiments may take together."""


@dataclass(frozen=True)
class Entry:
    """A line of ``experiments.txt``: the name of a published folder, and that of the search before it, if any."""

    name: str
    search: str | None = None

    @property
    def experiment(self) -> str:
        return self.name[len("2026-01-01-") :]


def entries(published: Path) -> list[Entry]:
    """The published experiments in the order of ``RESULTS.md``.

    Raises:
        UserError: a line has more than two words, or a folder is not there, not whole, or not named.
    """
    path = published / ORDER
    if not published.is_dir():
        raise UserError(f"{published} is not a folder. Name the one that holds the published experiments.")
    lines = read_text(path).splitlines() if path.is_file() else []
    words = [line.split() for line in lines if line.strip()]
    wrong = next((line for line in words if len(line) > 2), None)
    if wrong:
        raise UserError(
            f"{path} has the line “{' '.join(wrong)}”. Give a folder, and at most the folder of its search."
        )
    found = [Entry(*line) for line in words]
    needed = [published / entry.name / name for entry in found for name in (RAW, EXPERIMENT_FILE)]
    needed += [published / entry.search / "tried.csv" for entry in found if entry.search]
    absent = next((file for file in needed if not file.is_file()), None)
    if absent:
        raise UserError(f"{absent} is missing, and {path} names its folder. Restore it with `git checkout {absent}`.")
    for folder in sorted(raw.parent.name for raw in published.glob(f"[!.]*/{RAW}")):
        if folder not in [entry.name for entry in found]:
            raise UserError(
                f"{published / folder} is not named in {path}. Add a line with its name, or delete the folder."
            )
    return found


@contextmanager
def unpacked(published: Path, entry: Entry) -> Iterator[list[Path]]:
    """The files of a published experiment in a temporary folder, which is the current folder meanwhile.

    So nothing that lies in the checkout can stand in for a file that the archive lacks.

    Yields:
        The folders of its reports, ``results/<experiment>`` or ``results/<experiment>/<animal>``, in their order.

    Raises:
        UserError: the archive is damaged, or holds no results of this experiment.
    """
    with tempfile.TemporaryDirectory(prefix="published-") as scratch:
        lay_out(published / entry.name, Path(scratch))
        with chdir(scratch):
            yield _reports(entry)


def lay_out(folder: Path, out: Path) -> None:
    """Write the files of a published experiment as they were, below ``out``.

    Args:
        folder: ``results/published/<date>-<experiment>``.
        out: gets ``results/``, ``data/``, ``outputs/`` and ``experiments/``.

    Raises:
        UserError: there is no such archive, or it is damaged.
    """
    raw = folder / RAW
    if not raw.is_file():
        raise UserError(f"{raw} is missing. Name a folder of results/published that has it.")
    for name, content in unpack(raw.read_bytes(), str(raw)).items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _reports(entry: Entry) -> list[Path]:
    """The folders of an unpacked experiment that have a report, in the order of the experiment file's animals.

    Raises:
        UserError: there are none.
    """
    results, file = Path("results") / entry.experiment, Path("experiments") / f"{entry.experiment}.yml"
    found = sorted({path.parents[2] for path in results.rglob("seed-*/*_summary.json")})
    if not found or not file.is_file():
        raise UserError(f"{entry.name}/{RAW} holds no results of {entry.experiment}. Publish that experiment again.")
    trait = yaml.safe_load(file.read_text(encoding="utf-8"))["trait"]
    options = trait.get("animals", trait.get("options", []))
    return sorted(found, key=lambda report: options.index(report.name) if report.name in options else len(options))


def publish_experiment(
    folder: Path, *, published: Path, file: Path | None = None, search: str | None = None, overwrite: bool
) -> Path:
    """Pack a finished experiment. Run it from the checkout in which the experiment ran.

    Args:
        folder: ``results/<experiment>``.
        published: where the packed experiments lie.
        file: the experiment file; by default ``experiments/<experiment>.yml``.
        search: folder in ``published`` with the ``tried.csv`` of what was tried before; by default as it was.
        overwrite: replace what is published of this experiment.

    Returns:
        The folder that was made.

    Raises:
        UserError: the experiment is not finished, lacks an arm, is not what its raw answers or the experiment file say,
            has a criterion of another day or file (:func:`subliminal.publish.criterion.check_criterion`), is published
            already, or takes more room than there is.
    """
    plan = Plan.load(folder / "plan.json")
    if folder.resolve() != Path(plan.results).resolve():
        raise UserError(f"{folder} was run as {plan.results}. Publish it from the checkout in which it was run.")
    folder = Path(plan.results)
    file = file or Path("experiments") / f"{plan.name}.yml"
    before = [entry for entry in entries(published) if entry.experiment == plan.name]
    if before and not overwrite:
        raise UserError(f"{published / before[0].name} has {plan.name} already. Use --overwrite to replace it.")
    if search and not (published / search / "tried.csv").is_file():
        raise UserError(f"{published / search}/tried.csv is not there. Name the folder that has it.")
    reports = _finished_reports(folder, plan)
    _check_file(file, plan, folder)
    check_criterion(folder, file)
    files = {f"experiments/{plan.name}.yml": file.read_bytes()}
    if (folder / CRITERION).is_file():
        files[_shown(folder / CRITERION, folder)] = (folder / CRITERION).read_bytes()
    for path in sorted(folder.glob("leak*/*.json")):
        files[_shown(path, folder)] = path.read_bytes()
    for report in reports:
        files |= _results(report, folder) | _behind(report, folder)
    results = [name for name in files if name.startswith("results/") and name.endswith("/manifest.json")]
    ended = max(json.loads(files[name])["ended"] for name in results if "/seed-" in name)
    entry = Entry(f"{ended[:10]}-{plan.name}", search or (before[0].search if before else None))
    figures = {figure_name(report, folder): (report / "figure.png").read_bytes() for report in reports}
    _put(published, entry, before, {RAW: pack(files), EXPERIMENT_FILE: file.read_bytes(), **figures})
    return published / entry.name


def figure_name(report: Path, folder: Path, file: str = "figure.png") -> str:
    """What a figure of a report is called where it is published: ``figure.png``, or ``figure-owl.png``."""
    stem, _, ending = file.rpartition(".")
    return file if report == folder else f"{stem}-{report.name}.{ending}"


def _finished_reports(folder: Path, plan: Plan) -> list[Path]:
    """The folders of the reports of a finished experiment."""
    left = sorted(name for name, stage in plan.jobs().items() if not has_ended(stage))
    if left:
        raise UserError(
            f"{folder} is not finished: {left[0]} is not done ({len(left)} of {len(plan.jobs())} stages are left). "
            f"`make experiment EXP=experiments/{plan.name}.yml` goes on."
        )
    reports = [Path(stage.folder) for stage in plan.stages.values() if stage.kind == "report"]
    for report in reports:
        if (report / "missing.json").is_file():
            raise UserError(
                f"{report} lacks an arm that failed: {report}/missing.json says which and why. "
                f"`make experiment EXP=experiments/{plan.name}.yml` tries it again."
            )
    return reports


def _check_file(file: Path, plan: Plan, folder: Path) -> None:
    """The experiment file must be the one that was run: that of the run's commit, or one that gives its commands."""
    from subliminal.experiment.expand import expand
    from subliminal.experiment.load import load_experiment as read_file

    if not file.is_file():
        raise UserError(f"{file} does not exist. Restore the file that {folder} was run from.")
    if _is_committed(file, folder):
        return
    plans = (expand(read_file(file), root=folder.parent.parent), plan)
    now, then = ({stage.name: (stage.commands, stage.size) for stage in each.stages.values()} for each in plans)
    changed = next((name for name in sorted(now.keys() | then.keys()) if now.get(name) != then.get(name)), None)
    if changed:
        raise UserError(
            f"{file} is not the file that {folder} was run from: the stage {changed} has other commands. "
            "Restore the file, or run the experiment again."
        )


def _is_committed(file: Path, folder: Path) -> bool:
    """Whether the file has the bytes that it has in the commit of every evaluation."""
    manifests = [read_manifest(path.parent) for path in folder.rglob("seed-*/manifest.json")]
    commits = {(manifest.get("git") or {}).get("sha") for manifest in manifests}
    git = ["git", "-C", str(file.parent), "show"]
    shown = [subprocess.run([*git, f"{commit}:./{file.name}"], capture_output=True, check=False) for commit in commits]
    return all(each.returncode == 0 and each.stdout == file.read_bytes() for each in shown)


def _results(report: Path, folder: Path) -> dict[str, bytes]:
    """Every file of the evaluations of one report, and the report's manifest, once they are known to be right."""
    for seed in sorted(path.parent for path in report.glob("*/seed-*/manifest.json")):
        if problem := result_problem(seed):
            raise UserError(f"{problem} Evaluate that arm again.")
    problems = verify(report).problems
    if problems:
        raise UserError(
            f"{problems[0]} If the report is older than the code that writes it: `python scripts/report.py {report}`, "
            f"then `python scripts/verify_results.py {report} --write`."
        )
    paths = [path for path in report.glob("*/seed-*/**/*") if path.is_file()]
    return {_shown(path, folder): path.read_bytes() for path in [*paths, report / "manifest.json"]}


def _behind(report: Path, folder: Path) -> dict[str, bytes]:
    """Manifest, audit and losses of all that a report rests on."""
    files = {}
    for label, manifest in trace(load_results(report)).manifests.items():
        made = folder.parent.parent / label
        if manifest.get("kind") == "result":
            continue
        if Path(label).is_absolute():
            raise UserError(
                f"{label} lies outside of the checkout of {folder}, and its results rest on it. Move it there."
            )
        for path in (made / "manifest.json", made / "audit.json"):
            if path.is_file():
                files[_shown(path, folder)] = path.read_bytes()
        if (made / "metrics.jsonl").is_file():
            files[_shown(made / "metrics.jsonl", folder)] = _losses(made / "metrics.jsonl")
    return files


def _losses(path: Path) -> bytes:
    """What a report reads of a ``metrics.jsonl``: step and loss."""
    rows = [{key: row[key] for key in ("step", "loss")} for row in read_jsonl(path, allow_empty=True) if "loss" in row]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _shown(path: Path, folder: Path) -> str:
    """A path from the checkout that holds the results."""
    return path.relative_to(folder.parent.parent).as_posix()


def _put(published: Path, entry: Entry, before: list[Entry], files: dict[str, bytes]) -> None:
    """Write the folder whole, drop what it replaces, and name it in the list."""
    listed = entries(published)
    others = [path for other in listed if other not in before for path in (published / other.name).iterdir()]
    size = sum(path.stat().st_size for path in others) + sum(map(len, files.values()))
    if size > LIMIT:
        raise UserError(
            f"With {entry.name} the published experiments would take {size / 1e6:.1f} MB, more than {LIMIT / 1e6:.0f}. "
            f"Nothing was written. Take another one out of {published} first."
        )
    partial = published / f".{entry.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, content in files.items():
        (partial / name).write_bytes(content)
    for old in before:
        shutil.rmtree(published / old.name)
    partial.rename(published / entry.name)
    now = [entry if other in before else other for other in listed] + ([] if before else [entry])
    write_text(published / ORDER, "".join(" ".join(filter(None, (e.name, e.search))) + "\n" for e in now))
