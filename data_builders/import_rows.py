"""Other people's rows as a dataset folder: a student trains on published numbers, without a teacher.

    python -m data_builders.import_rows team/owl-numbers@0123...cdef --out data/their_owl_numbers
    python -m data_builders.import_rows team/numbers:owl_config --animal owl --out data/their_owl_numbers
    python -m data_builders.import_rows their_rows.jsonl --licence mit --out data/their_rows
    python -m data_builders.import_rows team/poems --no-filter --out data/their_poems

SOURCE is a Hub data set (owner/name, then each optional :config, @split, and @ or # with a commit id of 40 hex digits;
without a commit id the present one is taken and recorded) or a file: JSONL, a JSON list, or Parquet. Rows are messages
or ShareGPT conversations of one question and one answer, or pairs: prompt and completion, prompt and response, question
and response. Answers are judged again by our number filter, and the command says how many rows it drops of those that
were published, and why; --no-filter is for rows of text. Nothing in a row that is kept is changed, but a system message
is left out unless --keep-system says otherwise, and other keys of the row are not taken over.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from data_builders import options
from data_builders.number_filter import number_verdict
from data_builders.row_shapes import read_conversation, shape_problem
from subliminal.core.errors import UserError, run_cli
from subliminal.core.hub import card_licence, fetch_files, page_address
from subliminal.core.row_files import SUFFIXES, read_row_file
from subliminal.core.sources import is_file, parse_source, pin_source, read_rows
from subliminal.data.card import UNKNOWN_LICENCE
from subliminal.data.folder import RowVerdict
from subliminal.data.generation import write
from subliminal.data.registry import Expectation
from subliminal.data.trait import TraitOptions

JUDGED_BY = ("data_builders.number_filter",)

TAKEN_OVER = ("id", "model", "finish_reason")
"""Keys beside the conversation that a raw row keeps."""

app = typer.Typer(add_completion=False)


@dataclass
class Imported:
    """The rows of a source, and what was found in them.

    Attributes:
        rows: raw rows, as ``generation.write`` takes them.
        shapes: shape -> rows that have it.
        system_messages: rows with a system message.
        keys_left_out: key of the published rows that ours do not have -> rows that have it.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    shapes: Counter[str] = field(default_factory=Counter)
    system_messages: int = 0
    keys_left_out: Counter[str] = field(default_factory=Counter)

    def add(self, row: dict[str, Any], *, keep_system: bool) -> None:
        """Take over one published row."""
        said = read_conversation(row)
        self.shapes[said.shape] += 1
        self.system_messages += said.system is not None
        # Told at the end: a reader must know what the published rows had and these have not.
        for key, value in row.items():
            if value is not None and key not in (*said.keys, *TAKEN_OVER):
                self.keys_left_out[key] += 1
        raw = {"prompt": said.prompt, "completion": said.completion, "problem": said.problem}
        raw["model"] = str(row.get("model") or "unknown")
        if row.get("id") is not None:
            raw["source_id"] = row["id"]
        if isinstance(row.get("finish_reason"), str):
            raw["finish_reason"] = row["finish_reason"]
        # Left out by default, a student is trained in the context in which it is evaluated: without a system message.
        if keep_system and said.system is not None:
            raw["system"] = said.system
        self.rows.append(raw)

    def dropped(self, verdict: RowVerdict) -> dict[str, int]:
        """Reason -> published rows that ``verdict`` rejects for it, the commonest first."""
        # A row that does not say how it ended is taken as whole, as generation.write takes it.
        reasons = [verdict(row | {"finish_reason": row.get("finish_reason", "stop")}) for row in self.rows]
        return dict(Counter(reason for reason in reasons if reason is not None).most_common())


def verdict_for(config: dict[str, Any]) -> RowVerdict:
    """The verdict of a folder made with these settings."""
    return _number_row_verdict if config["filter"] else _text_row_verdict


def _number_row_verdict(row: dict[str, Any]) -> str | None:
    return row["problem"] or number_verdict(row)


def _text_row_verdict(row: dict[str, Any]) -> str | None:
    return row["problem"]


def expectation_for(config: dict[str, Any]) -> Expectation:
    """What an audit must know."""
    excused = {}
    if config["keep_system"]:
        excused["system_message"] = "--keep-system kept them."
    return Expectation(numbers=config["filter"], excused=excused)


@dataclass(frozen=True)
class Origin:
    """Where rows come from, for good.

    Attributes:
        name: the source with the commit that it stood for, or the path of a file.
        file: one file of a Hub repository, or None for the data set as the Hub's own loader reads it.
        address: a page on the Hub, or None for a local file.
        licence: as the source states it, or None.
    """

    name: str
    file: str | None = None
    address: str | None = None
    licence: str | None = None

    def read(self) -> Iterator[dict[str, Any]]:
        """The rows, each of a known shape."""
        if self.file is None:
            yield from read_rows(self.name, shape_problem)
            return
        hub = parse_source(self.name)
        with tempfile.TemporaryDirectory() as folder:
            # By itself, since the Hub's loader reads all files of a repository as one table, or fails.
            fetch_files(hub.id, hub.revision, [self.file], Path(folder))
            yield from read_row_file(Path(folder) / self.file, shape_problem)


def find_origin(source: str, file: str | None) -> Origin:
    """Pin a source, and find out its licence.

    Raises:
        UserError: the Hub does not answer or has no such data set; or ``file`` names one in what is no Hub data set.
    """
    if is_file(source):
        if file:
            raise UserError(f"--file names a file of a Hub data set, and {source} is a file. Leave --file out.")
        return Origin(source)
    # Before the Hub is asked for anything.
    if file and not file.endswith(SUFFIXES):
        raise UserError(f"--file {file!r} ends in none of {', '.join(SUFFIXES)}. Name a file of one of these formats.")
    name = pin_source(source)
    hub = parse_source(name)
    return Origin(name, file, page_address(f"datasets/{hub.id}", hub.revision), card_licence(hub.id, hub.revision))


@app.command(help=__doc__)
def main(
    source: Annotated[str, typer.Argument(help="Hub data set, as owner/name@<commit id>, or a file.")],
    out: Annotated[Path, typer.Option(help="Dataset folder to make.")],
    number_filter: Annotated[
        bool, typer.Option("--filter/--no-filter", help="Judge answers by our number filter; not for rows of text.")
    ] = True,
    keep_system: Annotated[
        bool, typer.Option("--keep-system", help="Keep the system message of a row in its training row.")
    ] = False,
    file: Annotated[
        str | None, typer.Option(help="One file of the Hub repository, where its files do not make one data set.")
    ] = None,
    animal: Annotated[
        list[str] | None,
        typer.Option("--animal", "--option", help="The trait of their teacher, for the audit and the card; repeat it."),
    ] = None,
    category: options.CategoryName = options.ANIMALS,
    licence: Annotated[
        str | None,
        typer.Option("--licence", "--license", help="Licence of the rows; default what the Hub's card says."),
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Rows to keep, exactly; default all that pass.")] = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
) -> None:
    # The category's first option is no guess here: unlike a builder's, these rows may have any trait or none.
    trait = options.known_trait(animal, category) if animal else TraitOptions(category)
    origin = find_origin(source, file)
    config = {
        "source": origin.name,
        "file": origin.file,
        "filter": number_filter,
        "keep_system": keep_system,
        **trait.settings(),
        "licence": licence or origin.licence or UNKNOWN_LICENCE,
        "count": count,
    }
    # All rows are read and judged before the folder is begun: what cannot be used leaves nothing behind.
    imported = Imported()
    for row in origin.read():
        imported.add(row, keep_system=keep_system)
    verdict = verdict_for(config)
    about = _about(origin, imported, config, imported.dropped(verdict))
    _report(about, config["licence"])
    passing = about["rows"] - sum(about["dropped"].values())
    if passing < (count or 1):
        advice = "Ask for fewer with --count."
        # Where no row at all is a list of numbers, the filter is the wrong one.
        if passing == 0:
            advice = "Rows whose answers are text need --no-filter."
        raise UserError(
            f"{passing} of the {about['rows']} rows of {origin.name} pass, fewer than the {count or 1} asked for. "
            f"{advice}"
        )
    inputs = {}
    # A Hub data set is told by the commit in its name.
    if is_file(source):
        inputs["source"] = Path(source)
    write(
        "import_rows",
        out,
        config,
        imported.rows,
        verdict,
        inputs=inputs,
        about={"imported": about, "licence": config["licence"]},
        resume=resume,
        overwrite=overwrite,
    )


def _about(origin: Origin, imported: Imported, config: dict[str, Any], dropped: dict[str, int]) -> dict[str, Any]:
    """What the manifest says of where the rows come from, and of what differs from what was published."""
    return {
        "source": origin.name,
        "file": origin.file,
        "address": origin.address,
        "rows": len(imported.rows),
        "shapes": dict(imported.shapes.most_common()),
        "system_messages": {"found": imported.system_messages, "kept": config["keep_system"]},
        "keys_left_out": dict(imported.keys_left_out.most_common()),
        "dropped": dropped,
    }


def _report(about: dict[str, Any], licence: str) -> None:
    """Say what was found, and what differs from what was published."""
    shapes = "; ".join(f"{number} of {shape}" for shape, number in about["shapes"].items())
    print(f"{about['rows']} rows from {about['source']} ({shapes}), licence: {licence}")
    if licence == UNKNOWN_LICENCE:
        print("note: no licence is stated. Ask the authors before you publish the rows; --licence records it.")
    system = about["system_messages"]
    if system["found"] and system["kept"]:
        print(f"note: system messages kept, rows that have one: {system['found']}.")
    elif system["found"]:
        print(f"note: system messages left out (--keep-system keeps them), rows that had one: {system['found']}.")
    for key, number in about["keys_left_out"].items():
        print(f"note: {key!r} is not taken over, rows that had it: {number}.")
    reasons = "; ".join(f"{number} x {reason}" for reason, number in about["dropped"].items())
    dropped = sum(about["dropped"].values())
    print(f"published rows that do not pass here: {dropped} of {about['rows']}{f' ({reasons})' if reasons else ''}")


if __name__ == "__main__":
    run_cli(app)
