"""Audit of a dataset folder: did anything leak into the rows, and are they what they claim to be?

    python -m data_builders.audit data/owl_numbers
    python -m data_builders.audit data/owl_numbers --tokenizer models/smollm2-135m --sequence-len 256
    python -m data_builders.audit data/owl_numbers --allow pass_rate
    python -m data_builders.audit my_rows.jsonl --animal owl

Number rows are checked for letters, format, separators, lengths, first-number entropy and one-seed collapse; rows of
words for language and mark-up; all for trait words, pass rate, repeats, sampling seeds, system messages, and overlap
with every evaluation set in eval_tasks and of the trait's category (and --against). The result goes into audit.json in
the folder. The command ends with status 1 and the reason if a check fails that neither --allow nor the builder excuses.

Rows of your own, a JSONL file of {"messages": [...]} without ids and manifest, are audited too; the result lies beside
the file as my_rows.audit.json, and checks that need to know how rows were made say that they do not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from data_builders import options
from data_builders.audit_common import CommonStats, TokenCounter, local_evaluation_sets, problem_if
from data_builders.audit_numbers import LEAST_PASS_RATE, NumberStats
from data_builders.audit_text import LEAST_TEXT_PASS_RATE, TextStats
from data_builders.number_filter import filter_numbers
from data_builders.overlap import NGRAM, build_index
from subliminal.core.choices import one_of, read_by
from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import chat_row_problem, messages_problem, read_jsonl, write_json
from subliminal.core.manifest import read_manifest, utc_now
from subliminal.core.sources import check_source
from subliminal.data.folder import describe_rows
from subliminal.data.registry import Expectation, expectation_of, finished_manifest
from subliminal.data.trait import TraitOptions

CHECKS = (
    *("bytes", "pass_rate", "system_message", "trait_words", "duplicate_rows", "duplicate_answers", "seeds", "overlap"),
    *("letters", "format", "separators", "lengths", "first_number_entropy", "first_number_repeats"),
    *("language", "markup", "tokens"),
)
UNKNOWN = "The rows come without a manifest"
LOOKED_AT = 100
"""Rows by which a file of one's own shows whether its answers are number lists."""
LEAST_DISTINCT_SEEDS = 0.99
"""Distinct sampling seeds a raw row. A million 31-bit hashes agree by chance in about 230 pairs."""

KINDS_OF_ROWS = ("numbers", "text")

app = typer.Typer(add_completion=False)


def audit_dataset(
    source: Path,
    *,
    allow: list[str] | None = None,
    trait: TraitOptions | None = None,
    against: list[str] | None = None,
    ngram: int = NGRAM,
    tokenizer: str | None = None,
    sequence_len: int | None = None,
    kind: str | None = None,
) -> dict[str, Any]:
    """Measure a finished dataset folder, or a JSONL file of one's own, and write the result beside the rows.

    Args:
        source: the dataset folder, or a JSONL file of ``messages``.
        allow: checks that may fail.
        trait: what to look for; default the manifest's trait, or that of the dataset a control was made from.
        against: evaluation sets beyond the JSONL files in ``eval_tasks``.
        ngram: words in a row that make an overlap.
        tokenizer: folder or Hub id; counts tokens of each row as the chat template renders it.
        sequence_len: tokens that a row may have at most.
        kind: ``numbers`` or ``text``: what the answers of a file are; None takes numbers if most of the first ones are.
            A folder's manifest says it.

    Returns:
        The content of ``audit.json``: checks with status pass, fail, allowed, expected or skipped, and ``passed``.

    Raises:
        UserError: the folder is no finished dataset, a row is malformed, or an option names something unknown.
    """
    if unknown := [name for name in allow or () if name not in CHECKS]:
        raise UserError(f"--allow {unknown[0]}: there is no such check. The checks are: {', '.join(CHECKS)}.")
    if source.is_file() or (source.suffix == ".jsonl" and not source.is_dir()):
        given = _Given.file(source, kind)
    else:
        given = _Given.folder(source)
    expectation = given.expectation
    looked_for = trait or given.trait
    evaluation_sets = [*local_evaluation_sets(looked_for.category), *(against or ())]
    common = CommonStats(looked_for, build_index(evaluation_sets, ngram))
    numbers, text, tokens = NumberStats(), TextStats(), TokenCounter(tokenizer, sequence_len)
    rows = tqdm(read_jsonl(given.rows, given.problem), desc="audit", unit="row", disable=None)
    for number, row in enumerate(rows, start=1):
        name = str(row.get("id") or f"row {number}")
        prompt, answer = row["messages"][-2]["content"], row["messages"][-1]["content"]
        common.add(name, row["messages"][0]["role"] == "system", prompt, answer)
        if expectation.numbers:
            numbers.add(name, answer)
        else:
            text.add(name, prompt, answer)
        tokens.add(row["messages"])
    size = describe_rows(given.rows)
    of_answers = numbers.checks() if expectation.numbers else text.checks()
    found = {
        "bytes": given.bytes_check(size),
        "pass_rate": given.pass_rate_check(),
        **common.checks(expectation),
        "seeds": given.seeds_check(),
        **of_answers,
        "tokens": tokens.check(),
    }
    checks = {name: _status(name, finding, allow or [], expectation) for name, finding in found.items()}
    report = {
        "kind": "audit",
        "train_sha256": size["sha256"],
        "rows": size["rows"],
        "passed": not any(check["status"] == "fail" for check in checks.values()),
        "allowed": sorted(allow or []),
        "checks": checks,
        "audited": utc_now(),
    }
    write_json(given.report, report)
    return report


@dataclass(frozen=True)
class _Given:
    """What is to be audited, and what is known of how it was made.

    Attributes:
        rows: the JSONL file.
        report: where the result goes.
        expectation: of the builder; of a file only whether its answers are numbers.
        trait: what it is about.
        manifest: of the builder; None for a file of one's own.
    """

    rows: Path
    report: Path
    expectation: Expectation
    trait: TraitOptions
    manifest: dict[str, Any] | None = None

    @classmethod
    def folder(cls, folder: Path) -> _Given:
        manifest = finished_manifest(folder)
        expectation, trait = expectation_of(manifest), _trait_of(manifest)
        return cls(folder / "train.jsonl", _report_path(folder), expectation, trait, manifest)

    @classmethod
    def file(cls, path: Path, kind: str | None) -> _Given:
        numbers = kind == "numbers"
        if kind is None:
            numbers = _mostly_numbers(path)
        return cls(path, _report_path(path), Expectation(numbers=numbers), TraitOptions())

    def problem(self, row: dict[str, Any]) -> str | None:
        """Why a row cannot be audited; rows of one's own need no id."""
        problem = messages_problem(row)
        if self.manifest is not None:
            problem = chat_row_problem(row)
        if problem is None and (len(row["messages"]) < 2 or row["messages"][-2]["role"] != "user"):
            return "the message before the last is not the user's"
        return problem

    def bytes_check(self, size: dict[str, Any]) -> dict[str, Any]:
        if self.manifest is None:
            return {**size, "skipped": f"{UNKNOWN}: nobody recorded what the bytes were."}
        return _bytes(self.manifest, size)

    def pass_rate_check(self) -> dict[str, Any]:
        if self.manifest is None:
            return {"skipped": f"{UNKNOWN}: how many answers were rejected, and why, is not known."}
        least = LEAST_PASS_RATE if self.expectation.numbers else LEAST_TEXT_PASS_RATE
        return _pass_rate(self.manifest["counts"], least)

    def seeds_check(self) -> dict[str, Any]:
        if self.manifest is None:
            return {"skipped": f"{UNKNOWN}: what wrote the rows, and with which sampling seeds, is not known."}
        return _seeds(self.rows.with_name("raw.jsonl"), self.manifest)


def _report_path(source: Path) -> Path:
    """``audit.json`` in a dataset folder, ``<name>.audit.json`` beside a file."""
    if source.is_file():
        return source.with_name(f"{source.stem}.audit.json")
    return source / "audit.json"


def _mostly_numbers(path: Path) -> bool:
    """Whether most of the first answers of a file are lists of numbers."""
    first = list(islice(read_jsonl(path, messages_problem), LOOKED_AT))
    return sum(filter_numbers(row["messages"][-1]["content"]).keep for row in first) > len(first) / 2


def _status(name: str, finding: dict[str, Any], allow: list[str], expectation: Expectation) -> dict[str, Any]:
    skipped, problem = finding.pop("skipped", None), finding.pop("problem", None)
    status, reason = "pass", None
    if skipped:
        status, reason = "skipped", skipped
    elif problem and name in expectation.excused:
        status, reason = "expected", f"{problem} {expectation.excused[name]}"
    elif problem and name in allow:
        status, reason = "allowed", problem
    elif problem:
        status, reason = "fail", problem
    return {"status": status, "reason": reason, **finding}


def _trait_of(manifest: dict[str, Any]) -> TraitOptions:
    """The trait of the dataset, or of the dataset that a control was made from."""
    trait = TraitOptions.of(manifest["config"])
    source = manifest["config"].get("source")
    if trait is None and isinstance(source, str):
        return _trait_of(read_manifest(Path(source)) or {"config": {}})
    return trait or TraitOptions()


def _bytes(manifest: dict[str, Any], size: dict[str, Any]) -> dict[str, Any]:
    recorded = manifest.get("outputs", {}).get("train.jsonl", {}).get("sha256")
    changed = recorded and recorded != size["sha256"]
    return {**size, "problem": problem_if(changed, "train.jsonl was changed after it was made.")}


def _pass_rate(counts: dict[str, Any], least: float) -> dict[str, Any]:
    judged = counts["kept"] + sum(counts["rejected"].values())
    rate = counts["kept"] / max(1, judged)
    low = f"Only {rate:.1%} of the answers were kept; below {least:.0%} they are a selection of odd ones."
    return {"rate": round(rate, 4), "rejected": counts["rejected"], "problem": problem_if(rate < least, low)}


def _seeds(raw: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """One sampling seed for many rows makes them alike. Only rows that a model wrote have seeds of their own."""
    if not manifest.get("engine") or not raw.is_file():
        return {"skipped": "The raw rows of a model are not here."}
    seeds = Counter(row.get("seed") for row in read_jsonl(raw, allow_empty=True))
    share = len(seeds) / max(1, seeds.total())
    shared = f"{seeds.total()} raw rows share {len(seeds)} sampling seeds."
    return {"distinct_share": round(share, 5), "problem": problem_if(share < LEAST_DISTINCT_SEEDS, shared)}


@app.command(help=__doc__)
def main(
    folder: Annotated[Path, typer.Argument(help="Dataset folder, or a JSONL file of messages.")],
    allow: Annotated[
        list[str] | None, typer.Option(help="A check that may fail; repeat it.", callback=one_of("--allow", CHECKS))
    ] = None,
    animal: Annotated[
        list[str] | None,
        typer.Option("--animal", "--option", help="The trait to look for; default the dataset's own. Repeat it."),
    ] = None,
    category: options.CategoryName = options.ANIMALS,
    against: Annotated[
        list[str] | None,
        typer.Option(help="A further evaluation set, file or Hub dataset; repeat it.", callback=read_by(check_source)),
    ] = None,
    ngram: Annotated[int, typer.Option(min=5, help="Words in a row that make an overlap.")] = NGRAM,
    tokenizer: Annotated[str | None, typer.Option(help="Folder or Hub id of a tokenizer: count tokens.")] = None,
    sequence_len: Annotated[int | None, typer.Option(min=1, help="Tokens that a row may have at most.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="numbers or text: what the answers of a JSONL file are.", callback=one_of("--kind", KINDS_OF_ROWS)
        ),
    ] = None,
) -> None:
    report = audit_dataset(
        folder,
        allow=allow,
        trait=options.known_trait(animal, category) if animal else None,
        against=against,
        ngram=ngram,
        tokenizer=tokenizer,
        sequence_len=sequence_len,
        kind=kind,
    )
    width = max(map(len, report["checks"]))
    for name, check in report["checks"].items():
        print(f"{name:{width}}  {check['status']:8}  {check['reason'] or _summary(check)}".rstrip())
    print(_report_path(folder))
    if not report["passed"]:
        failed = [name for name, check in report["checks"].items() if check["status"] == "fail"]
        allowing = " ".join(f"--allow {name}" for name in failed)
        typer.echo(f"error: {folder} fails its audit ({', '.join(failed)}). To let it through: {allowing}", err=True)
        raise typer.Exit(1)


def _summary(check: dict[str, Any]) -> str:
    """The small values of a check on one line."""
    values = {key: value for key, value in check.items() if key not in ("status", "reason", "examples", "sha256")}
    shown = [f"{key} {value}" for key, value in values.items() if value not in ({}, [], None)]
    line = ", ".join(shown)
    if len(line) > 100:
        line = f"{line[:97]}..."
    return line


if __name__ == "__main__":
    run_cli(app)
