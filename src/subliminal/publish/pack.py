"""Publishing an experiment: its raw answers and records go into the repository, once they are known to be right.

    python scripts/results.py publish results/owl_pocket

What weights and rows a run made is not published, and need not be there any more: of the stages that made them the
marks, manifests, audits and losses are enough.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from subliminal.core.errors import UserError
from subliminal.core.files import RECORDS, read_jsonl, write_text
from subliminal.core.manifest import read_manifest
from subliminal.evaluation.results import result_problem
from subliminal.experiment.criterion import CRITERION
from subliminal.experiment.expand import expand
from subliminal.experiment.load import load_experiment
from subliminal.experiment.plan import Plan
from subliminal.experiment.stage import for_key, has_ended
from subliminal.publish.archive import ANSWERS, write_answers, write_records
from subliminal.publish.criterion import check_criterion
from subliminal.publish.entries import EXPERIMENT_FILE, ORDER, Entry, category_of_file, entries, figure_name
from subliminal.publish.rescore import DERIVED, SAMPLES_FILE, read_samples
from subliminal.publish.shards import Shard
from subliminal.publish.verify_report import verify
from subliminal.report.load import load_results
from subliminal.report.provenance.trace import trace
from subliminal.traits.category import TRAITS

MOST_BYTES = 45_000_000
"""Bytes that all published experiments may take together: 36 seconds of a clone at 10 Mbit/s."""


def publish_experiment(
    folder: Path,
    *,
    published: Path,
    file: Path | None = None,
    search: str | None = None,
    lost: Sequence[str] = (),
    overwrite: bool,
) -> Path:
    """Pack a finished experiment. Run it from the checkout in which the experiment ran.

    Args:
        folder: ``results/<experiment>``.
        published: where the packed experiments lie.
        file: the experiment file; by default ``experiments/<experiment>.yml``.
        search: folder in ``published`` with the ``tried.csv`` of what was tried before; by default as it was.
        lost: trainings that ran and were evaluated, and whose own records are gone; the page names them.
        overwrite: replace what is published of this experiment.

    Returns:
        The folder that was made.

    Raises:
        UserError: the experiment is not finished, lacks an arm, is not what its raw answers or the experiment file say,
            has a criterion of another day or file (:func:`subliminal.publish.criterion.check_criterion`), asks about a
            category that is not in git, is published already, or takes more room than there is.
    """
    plan = Plan.load(folder / "plan.json")
    if folder.resolve() != Path(plan.results).resolve():
        raise UserError(f"{folder} was run as {plan.results}. Publish it from the checkout in which it was run.")
    folder = Path(plan.results)
    file = file or Path("experiments") / f"{plan.name}.yml"
    # Under another date, if it was published before: an experiment is published once.
    before = [entry for entry in entries(published) if entry.experiment == plan.name]
    if before and not overwrite:
        raise UserError(f"{published / before[0].name} has {plan.name} already. Use --overwrite to replace it.")
    if search and not (published / search / "tried.csv").is_file():
        raise UserError(f"{published / search}/tried.csv is not there. Name the folder that has it.")
    reports = _finished_reports(folder, plan, lost)
    _check_file(file, plan, folder)
    _check_category(file)
    check_criterion(folder, file)
    samples, records = _collect(folder, reports)
    records[f"experiments/{plan.name}.yml"] = _text(file)
    if not search and before:
        search = before[0].search
    # The day on which its last answers were given, whenever it is published.
    ended = max(read_manifest(path.parent)["ended"] for path in folder.rglob("seed-*/manifest.json"))  # ISO 8601, UTC
    entry = Entry(f"{ended[:10]}-{plan.name}", search)
    partial = published / f".{entry.name}.partial"  # hidden until it is whole
    # What a publishing that was stopped has left.
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_answers(partial / ANSWERS, {name: read_samples(path) for name, path in samples.items()})
    write_records(partial / RECORDS, records)
    shutil.copyfile(file, partial / EXPERIMENT_FILE)
    for report in reports:
        shutil.copyfile(report / "figure.png", partial / figure_name(report, folder))
    _put(published, entry, before, partial)
    return published / entry.name


def _collect(folder: Path, reports: list[Path]) -> tuple[dict[str, Path], dict[str, str]]:
    """Path below the checkout -> samples file, and -> text of a record, of everything that is published."""
    samples: dict[str, Path] = {}
    records: dict[str, str] = {}
    # Both lie beside the reports of several options, and in none of them.
    for path in [folder / CRITERION, *folder.glob("leak*/*.json")]:
        if path.is_file():
            records[_shown(path, folder)] = _text(path)
    for report in reports:
        _check_results(report)
        for path in [*report.glob("*/seed-*/**/*"), report / "manifest.json"]:
            if SAMPLES_FILE.fullmatch(path.name):
                samples[_shown(path, folder)] = path
            elif path.is_file() and not path.name.endswith(DERIVED):
                records[_shown(path, folder)] = _text(path)
        records |= _behind(report, folder)
    return samples, records


def _finished_reports(folder: Path, plan: Plan, lost: Sequence[str]) -> list[Path]:
    """The folders of the reports of a finished experiment; of the trainings in ``lost`` no record is asked for."""
    for name in lost:
        if name not in plan.stages or plan.stages[name].kind != "train":
            raise UserError(
                f"--lost has {name}, which is no training of {folder}. Name a stage like train-<arm>-seed-1."
            )
        if has_ended(plan.stages[name]):
            raise UserError(f"--lost has {name}, whose record is there. Leave it out.")
    left = sorted(name for name, stage in plan.jobs().items() if not has_ended(stage) and name not in lost)
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
    if not file.is_file():
        raise UserError(f"{file} does not exist. Restore the file that {folder} was run from.")
    # Code that came later may write other commands for the same file.
    if _is_committed(file, folder):
        return
    experiment = load_experiment(file)
    # Of the seeds that ran: the others may be published later.
    seeds = Shard(folder, plan, experiment).seeds
    now = _commands(expand(experiment, root=folder.parent.parent, seeds=seeds))
    then = _commands(plan)
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) != then.get(name):
            raise UserError(
                f"{file} is not the file that {folder} was run from: the stage {name} has other commands. "
                "Restore the file, or run the experiment again."
            )


def _check_category(file: Path) -> None:
    """The category that an experiment asks about must be in git: without it nobody else can score its answers."""
    category = category_of_file(file)
    if category is None:
        return
    command = ["git", "-C", str(TRAITS), "ls-files", "--error-unmatch", f"{category}/category.yaml"]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        raise UserError(
            f"traits/{category} is not in git, and without it nobody else can score these answers. Commit the folder, "
            "then publish."
        )


def _commands(plan: Plan) -> dict[str, tuple[list[str], str]]:
    """Stage -> what it runs."""
    return {stage.name: (for_key(stage.commands), stage.size) for stage in plan.stages.values()}


def _is_committed(file: Path, folder: Path) -> bool:
    """Whether the file has the bytes that it has in the commit of every evaluation."""
    commits = set()
    for path in folder.rglob("seed-*/manifest.json"):
        git = read_manifest(path.parent).get("git") or {}
        commits.add(git.get("sha"))
    for commit in commits:
        command = ["git", "-C", str(file.parent), "show", f"{commit}:./{file.name}"]
        shown = subprocess.run(command, capture_output=True, check=False)
        if shown.returncode != 0 or shown.stdout != file.read_bytes():
            return False
    return True


def _check_results(report: Path) -> None:
    """Every evaluation must be as it was written, and all that is said of it must follow from its answers."""
    for seed in sorted(path.parent for path in report.glob("*/seed-*/manifest.json")):
        # The tables are held against the raw answers below: those of seeds published before were made anew of them.
        if problem := result_problem(seed, made_anew=DERIVED):
            raise UserError(f"{problem} Evaluate that arm again.")
    problems = verify(report).problems
    if problems:
        raise UserError(
            f"{problems[0]} If the report is older than the code that writes it: `python scripts/report.py {report}`, "
            f"then `python scripts/verify_results.py {report} --write`."
        )


def _behind(report: Path, folder: Path) -> dict[str, str]:
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
                files[_shown(path, folder)] = _text(path)
        if (made / "metrics.jsonl").is_file():
            files[_shown(made / "metrics.jsonl", folder)] = _losses(made / "metrics.jsonl")
    return files


def _losses(path: Path) -> str:
    """What a report reads of a ``metrics.jsonl``: step and loss."""
    lines = []
    for row in read_jsonl(path, allow_empty=True):
        if "loss" in row:
            lines.append(json.dumps({"step": row["step"], "loss": row["loss"]}) + "\n")
    return "".join(lines)


def _text(path: Path) -> str:
    """A record, line ends and all.

    Raises:
        UserError: it is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text (byte {error.start}), and only text is published. Move it."
        ) from None


def _shown(path: Path, folder: Path) -> str:
    """A path from the checkout that holds the results."""
    return path.relative_to(folder.parent.parent).as_posix()


def _put(published: Path, entry: Entry, before: list[Entry], partial: Path) -> None:
    """Let a finished folder appear, drop what it replaces, and name it in the list."""
    listed = entries(published)
    # What is about to be replaced does not count.
    kept = [partial, *(published / other.name for other in listed if other not in before)]
    size = 0
    for folder in kept:
        size += sum(path.stat().st_size for path in folder.iterdir())
    # Everybody who clones the repository downloads them.
    if size > MOST_BYTES:
        shutil.rmtree(partial)
        raise UserError(
            f"With {entry.name} the published experiments would take {size / 1e6:.1f} MB, more than "
            f"{MOST_BYTES / 1e6:.0f}. Nothing was published. Take another one out of {published} first."
        )
    for old in before:
        shutil.rmtree(published / old.name)
    partial.rename(published / entry.name)
    place = len(listed)
    if before:  # an experiment keeps its place
        place = listed.index(before[0])
    now = [other for other in listed if other not in before]
    now.insert(place, entry)
    lines = []
    for each in now:
        words = filter(None, (each.name, each.search))
        lines.append(" ".join(words) + "\n")
    write_text(published / ORDER, "".join(lines))
