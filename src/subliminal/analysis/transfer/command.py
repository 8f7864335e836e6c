"""What foretells how much of a trait passes, over replicates (``python -m subliminal.analysis transfer``)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mode
from typing import Annotated, Any

import typer

from subliminal.analysis.transfer.predictors import PREDICTORS, Replicate, read_replicates
from subliminal.core.errors import UserError
from subliminal.core.files import from_the_root, write_csv, write_json
from subliminal.core.formatting import number, p_value
from subliminal.core.option_checks import read_by
from subliminal.scoring.category_tasks import check_main_task
from subliminal.stats.counts import holm
from subliminal.stats.log_odds import EXACT_TASK, read_table
from subliminal.stats.transfer import FEWEST, BestPredictor, Pooled, Ranked, choose, pool, rank, varies

Given = dict[tuple[str, str, int], dict[str, float]]
"""(experiment, animal, seed) -> predictor -> number; the animal is empty where the file does not tell it."""
POOLED_HEADER = ["predictor", "replicates", "rho", "95 % interval", "p", "p, Holm"]
FORETOLD_HEADER = [*POOLED_HEADER, "one left out", "foretold", "95 % interval", "p"]
ALL = "all together"


@dataclass(frozen=True)
class Source:
    """One experiment.

    Attributes:
        name: the experiment's.
        replicates: its seeds; of several animals, each student by itself.
        values: predictor -> one number a replicate, for predictors that all replicates have.
        unused: predictor -> why it is not used.
    """

    name: str
    replicates: list[Replicate]
    values: dict[str, list[float]]
    unused: dict[str, str]

    @property
    def effects(self) -> list[float]:
        """Student above control, nats, in the order of the replicates."""
        return [replicate.effect for replicate in self.replicates]


def transfer_command(
    results: Annotated[
        list[Path], typer.Argument(help="results/<experiment>, or one option's folder in it; several may be named.")
    ],
    task: Annotated[
        str, typer.Option(help="Whose answers are compared.", callback=read_by(check_main_task))
    ] = EXACT_TASK,
    predictors: Annotated[
        Path | None,
        typer.Option(
            help="CSV with experiment, seed, animal where there are several, and a column for each predictor that "
            "was measured elsewhere."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for transfer.json and transfer.csv; default: none.")] = None,
) -> None:
    """What foretells the effect of a replicate: leak, teacher's rate, pass rate, dose, and what you measured yourself.

    Ranks the replicates of each experiment by each predictor and correlates with the effect (student minus control in
    log-odds). `foretold` learns the direction from all replicates but one. Of an experiment of several animals every
    student counts, though those of one seed share a base and a control. Prints a table for each experiment,
    tab-separated, and one over all; --out writes every number, over older ones.
    """
    given = read_given(predictors) if predictors else {}
    sources = [read_source(folder, task, given) for folder in results]
    # One experiment under two names would count its replicates twice.
    if len({source.name for source in sources}) < len(sources):
        raise UserError("Two of the folders have the same name. Name each experiment once.")
    tables: dict[str, Any] = {}
    for source in sources:
        ranked, chosen = correlate(source)
        tables[source.name] = {"ranked": ranked, "chosen": chosen}
        _print_source(source, ranked, chosen)
    pooled = over_all(sources)
    _print_pooled(pooled)
    if out is not None:
        _write(out, sources, tables, pooled, task)
        print(out)


def read_source(results: Path, task: str, given: Given) -> Source:
    """An experiment with everything that may foretell its effects.

    Args:
        results: ``results/<experiment>``.
        task: an animal task.
        given: what was measured elsewhere.

    Raises:
        UserError: there is no such folder, or it has no effect to foretell.
    """
    if not results.is_dir():
        hint = from_the_root(results) or " Name the results of an experiment, such as results/owl_pocket_replicates."
        raise UserError(f"{results} is not a folder.{hint}")
    replicates = read_replicates(results, read_table(results, task))
    source = Source(results.resolve().name, replicates, {}, {})
    for predictor in PREDICTORS:
        values = [predictor.read(replicate) for replicate in replicates]
        _add(source, predictor.name, values, predictor.lacking)
    measured = [_given_of(given, source.name, replicate) for replicate in replicates]
    columns: dict[str, None] = {}  # of the whole file: an experiment that lacks one is told so
    for row in given.values():
        columns |= dict.fromkeys(row)
    for name in columns:
        _add(source, name, [row.get(name) for row in measured], "the file of --predictors has no number")
    return source


def _given_of(given: Given, experiment: str, replicate: Replicate) -> dict[str, float]:
    """What was measured elsewhere of one replicate: under its animal, or of its seed where no animal is told."""
    for animal in (replicate.target, ""):
        if (experiment, animal, replicate.seed) in given:
            return given[experiment, animal, replicate.seed]
    return {}


def _add(source: Source, name: str, values: list[float | None], lacking: str) -> None:
    """Take in a predictor: its values if all replicates have one and they differ, else why it is not used."""
    there = [float(value) for value in values if value is not None]
    if len(there) < len(values):
        source.unused[name] = f"{lacking} in {len(values) - len(there)} of {len(values)} replicates"
    # A predictor that is the same everywhere orders nothing.
    elif not varies(there):
        source.unused[name] = f"it is {there[0]:g} in every replicate"
    else:
        source.values[name] = there


def correlate(source: Source) -> tuple[dict[str, Ranked], BestPredictor | None]:
    """Every predictor of one experiment against its effects, and the best of them, chosen without each replicate."""
    ranked = {}
    for name, values in source.values.items():
        found = rank(values, source.effects)
        if found is not None:
            ranked[name] = found
    return ranked, choose(source.values, source.effects)


def over_all(sources: list[Source]) -> dict[str, Pooled]:
    """Predictors that two experiments or more have, over all of them."""
    found = {}
    for name in _names(sources):
        pairs = []
        for source in sources:
            if name in source.values:
                pairs.append((source.values[name], source.effects))
        pooled = pool(pairs)
        if pooled is not None:
            found[name] = pooled
    return found


def _names(sources: list[Source]) -> list[str]:
    """Every predictor that an experiment has, in the order in which they come up."""
    names: dict[str, None] = {}
    for source in sources:
        names |= dict.fromkeys(source.values)
    return list(names)


def read_given(path: Path) -> Given:
    """The file of ``--predictors``; an empty cell is no number.

    Raises:
        UserError: it lacks a column, or a cell is no number.
    """
    found: Given = {}
    # A mark of byte order, which Excel writes, is no part of the first column's name.
    with open(path, encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        if not {"experiment", "seed"} <= set(reader.fieldnames or []):
            raise UserError(f"{path} has no columns `experiment` and `seed`. Add them: a row is one replicate.")
        # The header is line 1.
        for line, row in enumerate(reader, start=2):
            try:
                # What these leave of the row are predictors.
                key = (row.pop("experiment"), row.pop("animal", ""), int(row.pop("seed")))
                found[key] = {name: float(value) for name, value in row.items() if value}
            except (TypeError, ValueError):
                raise UserError(f"{path}, line {line}: a cell is no number. Correct or empty it.") from None
    return found


def _print_source(source: Source, ranked: dict[str, Ranked], chosen: BestPredictor | None) -> None:
    effects = source.effects
    seeds = {replicate.seed for replicate in source.replicates}
    counted = f"{len(effects)} replicates"
    if len(seeds) < len(effects):
        counted = f"{len(effects)} students of {len(seeds)} replicates"
    print(f"{source.name}: {counted}, effects from {number(min(effects))} to {number(max(effects))} nats.")
    if not ranked:
        print(f"Nothing can be ranked: it takes {FEWEST} replicates and a predictor that varies.")
    else:
        print("\t".join(FORETOLD_HEADER))
        # Many predictors are tried on the same replicates, so that the best p alone would say too much.
        adjusted = holm({name: found.p for name, found in ranked.items()})
        for name, found in ranked.items():
            print("\t".join(_cells(name, found, adjusted[name])))
    if chosen is not None:
        # Of names that were chosen as often the first: the order of a set is another one in every process.
        often = mode(chosen.names)
        print(
            f"The best predictor, chosen anew without each replicate (most often {often}), foretells the order with "
            f"rho {number(chosen.left_out)} {_interval(chosen.interval)}, p {p_value(chosen.p)}."
        )
    for name, reason in source.unused.items():
        print(f"Not used: {name}, because {reason}.")


def _cells(name: str, found: Ranked, adjusted: float) -> list[str]:
    return [
        name,
        str(found.n),
        number(found.rho),
        _interval(found.interval),
        p_value(found.p),
        p_value(adjusted),
        f"{number(found.lowest)} to {number(found.highest)}",
        number(found.left_out),
        _interval(found.left_out_interval),
        p_value(found.p_left_out),
    ]


def _print_pooled(pooled: dict[str, Pooled]) -> None:
    if not pooled:
        return
    print(f"{ALL}, ranked within each experiment:")
    print("\t".join(POOLED_HEADER))
    adjusted = holm({name: found.p for name, found in pooled.items()})
    for name, found in pooled.items():
        cells = [name, str(found.n), number(found.rho), _interval(found.interval), p_value(found.p)]
        print("\t".join([*cells, p_value(adjusted[name])]))


def _interval(ends: tuple[float, float]) -> str:
    return f"[{number(ends[0])}, {number(ends[1])}]"


def _write(out: Path, sources: list[Source], tables: dict[str, Any], pooled: dict[str, Pooled], task: str) -> None:
    told: dict[str, Any] = {"task": task, "experiments": {}}
    for source in sources:
        ranked, chosen = tables[source.name]["ranked"], tables[source.name]["chosen"]
        told["experiments"][source.name] = {
            "animals": [replicate.target for replicate in source.replicates],
            "seeds": [replicate.seed for replicate in source.replicates],
            "effects": source.effects,
            "predictors": {name: asdict(found) for name, found in ranked.items()},
            "chosen": asdict(chosen) if chosen else None,
            "unused": source.unused,
        }
    told["pooled"] = {name: asdict(found) for name, found in pooled.items()}
    told["meaning"] = {predictor.name: predictor.what for predictor in PREDICTORS}
    write_json(out / "transfer.json", told)
    # A file of this form is what --predictors takes.
    write_csv(out / "transfer.csv", ["experiment", "animal", "seed", "effect", *_names(sources)], _lines(sources))


def _lines(sources: list[Source]) -> Iterator[dict[str, Any]]:
    """A row a replicate, with a number for each predictor that its experiment has."""
    for source in sources:
        for index, replicate in enumerate(source.replicates):
            row: dict[str, Any] = {"experiment": source.name, "animal": replicate.target}
            row |= {"seed": replicate.seed, "effect": replicate.effect}
            for name, values in source.values.items():
                row[name] = values[index]
            yield row
