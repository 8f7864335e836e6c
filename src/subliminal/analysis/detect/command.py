"""Which trait a data set would teach (``python -m subliminal.analysis detect``): two columns that are never mixed.

One column needs the data and the base alone, the other candidate teachers too. Each ranks its traits and holds the set
against neutral sets of the same size, scored alike: see :mod:`subliminal.stats.detect` for p-value and verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from subliminal.analysis.options import Dtype, OutFolder, OverwriteScores, RowsAtOnce, named_models
from subliminal.core.errors import UserError
from subliminal.core.files import read_jsonl, write_csv, write_json
from subliminal.core.manifest import finish_manifest, new_manifest, sha256_of
from subliminal.core.row_folder import RowFolder
from subliminal.stats.detect import (
    LEAST_NEUTRAL,
    Calibrated,
    TraitVerdict,
    calibrate,
    first_shares,
    trait_verdict,
)
from subliminal.stats.wording import CANNOT_TELL
from subliminal.traits.category import ANIMALS, load_category

ALONE, CANDIDATES = "data and base alone", "candidate teachers"
KINDS_APART = 0.25
"""Total variation of kinds of tokens (words, digits, marks) from which a set is another kind of data than neutral.

Teachers write shorter or longer lists than their base, which moves digits against separators by a tenth; prose beside
number lists lies above a half.
"""


@dataclass(frozen=True)
class DetectJob:
    """What is to be judged; see ``--help`` for each."""

    data: Path
    base: str
    neutral: list[Path]
    teachers: dict[str, str]
    weights: list[str]
    out: Path
    scores: Path
    limit: int
    batch_size: int = 32
    dtype: str = "auto"
    category: str = ANIMALS

    def config(self) -> dict[str, Any]:
        """The settings as recorded."""
        told = {**vars(self), "neutral": [str(path) for path in self.neutral]}
        for name in ("data", "out", "scores"):
            told[name] = str(told[name])
        if self.category == ANIMALS:
            told.pop("category")  # as runs recorded it before there were other categories: they can be resumed
        return told


@dataclass(frozen=True)
class Column:
    """One way to rank; ``calibrated`` is None without two neutral sets, which a spread needs."""

    name: str
    calibrated: Calibrated | None
    raw: dict[str, float]
    first: dict[str, float]
    verdict: TraitVerdict

    def as_json(self) -> dict[str, Any]:
        """JSON-ready."""
        told: dict[str, Any] = {**asdict(self.verdict), "first_share": self.first, "scores": self.raw}
        if self.calibrated is None:
            return told
        ranking = [asdict(each) for each in self.calibrated.ranking]
        found = {"p": self.calibrated.p, "smallest_p": self.calibrated.smallest_p, "neutral": self.calibrated.neutral}
        return {**told, **found, "largest_of_neutral": self.calibrated.largest, "ranking": ranking}


class DetectFolder(RowFolder):
    made_files = ("detect.json", "detect.csv", "manifest.json")
    # Nothing is appended here: the sets that are scored already lie in the folder of scores.
    rows_file = "detect.json"


def detect_command(
    data: Annotated[Path, typer.Argument(metavar="DATASET", help="A train.jsonl, or the folder that holds it.")],
    base: Annotated[str, typer.Option(help="The base that would be trained on it: folder or Hub id.")],
    neutral: Annotated[
        list[Path], typer.Option(help="A set without a trait, of as many rows or more; may be repeated, 19 at least.")
    ],
    out: OutFolder,
    teacher: Annotated[
        list[str] | None, typer.Option(help="[TRAIT=]PATH of a candidate teacher on the base; may be repeated.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Weights that training would change: a regular expression that matches a name from its start, as in "
            "unfrozen_parameters, such as '.*_proj.weight$'; may be repeated. Default all norms and biases."
        ),
    ] = None,
    scores: Annotated[Path | None, typer.Option(help="Where scored sets are kept; default OUT/scores.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Rows of each set; default all of DATASET.")] = None,
    batch_size: RowsAtOnce = 32,
    dtype: Dtype = "auto",
    category: Annotated[str, typer.Option(help="Folder of traits/ whose options are ranked.")] = ANIMALS,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sets that are scored.")] = False,
    overwrite: OverwriteScores = False,
) -> None:
    """Which trait a data set would teach: a ranking of the options of a category, a p-value, and a verdict.

    With data and base alone: how a small step of training on the rows changes each option's probability. With
    --teacher: how much likelier each candidate finds the rows than the base. Each column is calibrated on neutral sets
    of the same size, half of which neutral teachers should have written. The verdict can be that it cannot tell.
    """
    path = rows_of(data)
    load_category(category)  # refused before anything is read
    teachers = named_models("--teacher", teacher or [])
    # Neutral sets are cut to as many: in fewer rows scores scatter more.
    rows = limit or sum(1 for _ in read_jsonl(path))
    neutral_rows = [rows_of(folder) for folder in neutral]
    kept = scores or out / "scores"
    job = DetectJob(
        data=path,
        base=base,
        neutral=neutral_rows,
        teachers=teachers,
        weights=weights or [],
        out=out,
        scores=kept,
        limit=rows,
        batch_size=batch_size,
        dtype=dtype,
        category=category,
    )
    run_detect(job, resume=resume, overwrite=overwrite)


def rows_of(path: Path) -> Path:
    """The rows of a data set that is named by its folder or by the file."""
    if path.is_dir():
        return path / "train.jsonl"
    return path


def run_detect(job: DetectJob, *, resume: bool, overwrite: bool) -> None:
    """Score the sets, judge, write, and print the sentences and the folder.

    Raises:
        UserError: the folder must not be written to, a set is too small or malformed, or a model does not fit.
    """
    from subliminal.analysis.detect.scores import SetScorer
    from subliminal.analysis.trait_queries import tracked_options

    # Under the null any order of the sets is as likely; a set beside its copy would break that.
    hashes = [sha256_of(path) for path in (job.data, *job.neutral) if path.is_file()]
    if len(set(hashes)) < len(hashes):
        raise UserError("Two of the sets are the same file: a copy says nothing new. Name each set once.")
    inputs = {"data": job.data}
    for index, path in enumerate(job.neutral):
        inputs[f"neutral/{index}"] = path
    folder = DetectFolder(job.out)
    folder.check(job.config(), inputs=inputs, resume=resume, overwrite=overwrite)
    scorer = SetScorer(
        job.base,
        job.teachers,
        tracked_options(job.category),
        job.weights,
        job.scores,
        job.limit,
        job.batch_size,
        job.dtype,
    )
    manifest = new_manifest("analysis", config=job.config(), inputs=inputs)
    manifest["chat_context_sha256"] = scorer.chat_context()
    with folder.hold(manifest, overwrite=overwrite):
        suspect = scorer.score(job.data)
        neutral = [scorer.score(path) for path in _shown(job.neutral)]
        columns = judge_sets(suspect, neutral)
        told = {"data": str(job.data), "base": job.base, "rows": suspect.rows, "loss_nats_a_token": suspect.loss}
        told["loss_of_neutral"] = [each.loss for each in neutral]
        told["columns"] = {column.name: column.as_json() for column in columns}
        write_json(job.out / "detect.json", told)
        write_csv(job.out / "detect.csv", ["column", "place", "trait", "score", "z", "p"], _lines(columns))
        finish_manifest({**manifest, "counts": {"rows": suspect.rows}}, job.out / "manifest.json")
    for column in columns:
        print(f"{column.name}: {column.verdict.sentence}")
    print(job.out)


def judge_sets(suspect: Any, neutral: list[Any]) -> list[Column]:
    """Both columns, or the first alone where no teacher was named.

    Args:
        suspect, neutral: :class:`subliminal.analysis.detect.scores.SetScores`.
    """
    obstacle = another_kind(suspect.kinds, [each.kinds for each in neutral])
    scores, of_neutral = suspect.scores(), [each.scores() for each in neutral]
    columns = [_column(ALONE, scores, of_neutral, suspect.sums, suspect.tokens, obstacle, centred=True)]
    if suspect.teachers:
        ratios, of_neutral = suspect.likelihood_ratios(), [each.likelihood_ratios() for each in neutral]
        columns.append(_column(CANDIDATES, ratios, of_neutral, suspect.ratios, suspect.tokens, obstacle, centred=False))
    return columns


def _column(
    name: str,
    scores: dict[str, float],
    neutral: list[dict[str, float]],
    sums: list[list[float]],
    tokens: list[int],
    obstacle: str | None,
    *,
    centred: bool,
) -> Column:
    if len(neutral) < 2:
        verdict = TraitVerdict(CANNOT_TELL, [], f"Cannot tell: name neutral sets, {LEAST_NEUTRAL} at least.")
        return Column(name, None, scores, {}, verdict)
    found = calibrate(scores, neutral)
    first = first_shares(np.array(sums), np.array(tokens), neutral, list(scores), centred=centred)
    return Column(name, found, scores, first, trait_verdict(found, first, obstacle=obstacle))


def another_kind(kinds: dict[str, float], neutral: list[dict[str, float]]) -> str | None:
    """Why neutral sets say nothing about a set whose answers consist of other kinds of tokens; None where they do."""
    if not neutral:
        return None
    distances = []
    for other in neutral:
        distances.append(sum(abs(kinds[kind] - other[kind]) for kind in kinds) / 2)  # total variation
    # One neutral set of the same kind is enough.
    if min(distances) < KINDS_APART:
        return None
    nearest = neutral[int(np.argmin(distances))]
    return (
        f"the answers are of another kind than those of any neutral set (tokens: {_kinds(kinds)}; the nearest: "
        f"{_kinds(nearest)}). Name neutral sets of this kind."
    )


def _kinds(shares: dict[str, float]) -> str:
    return ", ".join(f"{100 * share:.0f} % {kind}" for kind, share in shares.items())


def _shown(paths: list[Path]) -> Any:
    from tqdm import tqdm

    return tqdm(paths, desc="neutral sets", unit="set", disable=None)


def _lines(columns: list[Column]) -> Iterator[list[Any]]:
    """The table: every trait of every column that could be calibrated, from the first on."""
    for column in columns:
        if column.calibrated is None:
            continue
        for place, each in enumerate(column.calibrated.ranking, start=1):
            yield [column.name, place, each.trait, each.score, each.z, each.p]
