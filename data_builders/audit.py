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

from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from data_builders import options
from data_builders.audit_common import CommonStats, TokenCounter, local_evaluation_sets
from data_builders.audit_given import AuditSource, report_path
from data_builders.audit_numbers import NumberStats
from data_builders.audit_text import TextStats
from data_builders.overlap import NGRAM, build_index
from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import read_jsonl, write_json
from subliminal.core.manifest import utc_now
from subliminal.core.option_checks import one_of, read_by
from subliminal.core.sources import check_source
from subliminal.data.folder import describe_rows
from subliminal.data.registry import Expectation
from subliminal.data.trait import TraitOptions

CHECKS = (
    # Rows of any kind.
    *("bytes", "pass_rate", "system_message", "trait_words", "duplicate_rows", "duplicate_answers", "seeds", "overlap"),
    # Lists of numbers; rows of words have lengths, too.
    *("letters", "format", "separators", "lengths", "first_number_entropy", "first_number_repeats"),
    # Rows of words; tokens are counted in rows of any kind, with --tokenizer.
    *("language", "markup", "tokens"),
)
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
    given = AuditSource.of(source, kind)
    expectation = given.expectation
    looked_for = trait or given.trait
    evaluation_sets = [*local_evaluation_sets(looked_for.category), *(against or ())]
    common = CommonStats(looked_for, build_index(evaluation_sets, ngram))
    numbers, text, tokens = NumberStats(), TextStats(), TokenCounter(tokenizer, sequence_len)
    # disable=None: no bar where the output is no terminal.
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


def _status(name: str, finding: dict[str, Any], allow: list[str], expectation: Expectation) -> dict[str, Any]:
    # Taken out: what is left are the values that were measured.
    skipped, problem = finding.pop("skipped", None), finding.pop("problem", None)
    status, reason = "pass", None
    if skipped:
        status, reason = "skipped", skipped
    # The builder's excuse goes before --allow: it says why.
    elif problem and name in expectation.excused:
        status, reason = "expected", f"{problem} {expectation.excused[name]}"
    elif problem and name in allow:
        status, reason = "allowed", problem
    elif problem:
        status, reason = "fail", problem
    return {"status": status, "reason": reason, **finding}


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
    print(report_path(folder))
    if not report["passed"]:
        failed = [name for name, check in report["checks"].items() if check["status"] == "fail"]
        allowing = " ".join(f"--allow {name}" for name in failed)
        typer.echo(f"error: {folder} fails its audit ({', '.join(failed)}). To let it through: {allowing}", err=True)
        # Not 2, which says that no audit could be made.
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
