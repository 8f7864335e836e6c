"""The section by epoch: what each arm says after each epoch, when the effect begins, and whether it still rises."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from subliminal.core.files import csv_text
from subliminal.core.formatting import counted, nats, nats_interval, percent, whole_percent, whole_percents
from subliminal.report.blocks import Figure, Section, Table, or_dash
from subliminal.report.by_epoch.drawing import epochs_figure, options_figure
from subliminal.report.by_epoch.found import ByEpoch, Effect, EpochPoint, by_epoch
from subliminal.report.data import Results
from subliminal.stats.dose.curve import DoseCurve
from subliminal.stats.replicates import LEAST, MARGIN
from subliminal.stats.shares import RunDifferences

EPOCHS_TITLE = "By epoch"
EPOCHS_FILE, EPOCHS_FIGURE = "epochs.csv", "epochs.svg"
MANY = 8
"""Of more seeds than this the CSV alone has each one's share."""


def epochs_section(results: Results) -> Section | None:
    """The curves of one target; None where no checkpoints were scored."""
    found = by_epoch(results)
    if found is None:
        return None
    said = _answer(found)
    figure = Figure(partial(epochs_figure, found), _words(found), EPOCHS_FIGURE)
    tables = []
    if found.effects:
        tables.append(_effects_table([found]))
    tables.append(_curves_table(found))
    brief = Section(EPOCHS_TITLE, [said], [], figures=(figure,))
    return Section(EPOCHS_TITLE, [said, _method(found)], tables, figures=(figure,), brief=brief)


def epochs_of_options(found: Iterable[ByEpoch]) -> Section | None:
    """The effect of every option on one axis; None where fewer than two have one.

    Args:
        found: of the report of each option.
    """
    shown = [each for each in found if each.effects]
    if len(shown) < 2:
        return None
    text = [f"{each.target}: {_answer(each)}" for each in shown]
    # All options were trained and scored alike: the first one's arms and epochs are those of all.
    first = shown[0].effects[0]
    words = (
        f"{first.treatment} minus {first.reference} by epoch for {', '.join(str(each.target) for each in shown)}: a "
        "line each, with the numbers in the table."
    )
    figure = Figure(partial(options_figure, shown), words, EPOCHS_FIGURE)
    brief = Section(EPOCHS_TITLE, [_in_brief(shown)], [], figures=(figure,))
    method = _method(shown[0])
    return Section(EPOCHS_TITLE, [*text, method], [_effects_table(shown)], figures=(figure,), brief=brief)


def _in_brief(found: list[ByEpoch]) -> str:
    """The effect of every option at each epoch, and the first epoch that shows one, in two sentences."""
    effects, begins = [], []
    for each in found:
        main = each.effects[0]
        effects.append(f"{each.target} {', '.join(nats(point.mean) for point in main.curve.points)}")
        begins.append(f"{each.target} {_first(main) or 'none'}")
    main = found[0].effects[0]
    said = (
        f"By epoch ({', '.join(main.labels)}) {main.treatment} − {main.reference} is, in nats of log-odds: "
        f"{'; '.join(effects)}."
    )
    # One sentence speaks of all: the option with the fewest seeds decides what it may say.
    seeds = min(len(each.effects[0].curve.seeds) for each in found)
    if seeds < LEAST:
        return f"{said} Where an effect begins cannot be told with {counted(seeds, 'seed')} ({LEAST} are the least)."
    return f"{said} The first epoch whose 95 % interval over seeds lies above 0: {', '.join(begins)}."


def epochs_csv(found: Iterable[ByEpoch]) -> str:
    """A row for each target, arm, epoch and seed: the share (a fraction) and its log-odds in nats."""
    rows = []
    for each in found:
        for arm, curve in each.curves.items():
            for point in curve:
                for seed, share in point.shares.items():
                    rows.append([each.target or "", each.task, arm, point.label, seed, share, point.log_odds[seed]])
    return csv_text(["target", "task", "arm", "epoch", "seed", "share", "log_odds"], rows)


def _answer(found: ByEpoch) -> str:
    """The main effect at each epoch, when it begins, and what the last epoch adds."""
    if not found.effects:
        return "No two arms that are compared have two epochs in common in which the same seeds were scored."
    # Pairs come in the order of the table of arms, so that this one is the headline's.
    main = found.effects[0]
    each = []
    for point, label in zip(main.curve.points, main.labels, strict=True):
        each.append(f"{label} {nats(point.mean)}")
    over = counted(len(main.curve.seeds), "seed")
    told = (
        f"{main.treatment} − {main.reference} after each epoch, nats of log-odds over {over}: {', '.join(each)}. "
        f"{_onset(main)}"
    )
    return f"{told} {_last(main)}"


def _onset(effect: Effect) -> str:
    seeds = len(effect.curve.seeds)
    if seeds < LEAST:
        return f"Where it begins cannot be told with {counted(seeds, 'seed')} ({LEAST} are the least)."
    first = _first(effect)
    if first:
        return f"Epoch {first} is the first whose 95 % interval over seeds lies above 0."
    return "No epoch has a 95 % interval over seeds that lies above 0, so where it begins cannot be told."


def _first(effect: Effect) -> str | None:
    """The first epoch whose interval lies above 0."""
    for point, label in zip(effect.curve.points, effect.labels, strict=True):
        if point.interval and point.interval[0] > 0:
            return label
    return None


def _last(effect: Effect) -> str:
    """Whether the effect still rises in the last epoch."""
    # The same seeds at two epochs: their changes are paired, and vary less than the effects do.
    before, last = effect.curve.points[-2:]
    change = RunDifferences.of({seed: last.runs[seed] - before.runs[seed] for seed in last.runs}, None)
    said = f"From epoch {effect.labels[-2]} to {effect.labels[-1]} it changes by {nats(change.mean)} nats"
    if change.interval is None:
        return f"{said}; one seed shows no spread."
    low, high = change.interval
    said += f" {nats_interval(low, high)}"
    if len(change.runs) < LEAST:
        return f"{said}, which {counted(len(change.runs), 'seed')} do not tell from none."
    if low > 0:
        return f"{said}: it still rises."
    if high < 0:
        return f"{said}: it falls."
    # Not significant is no plateau: the whole interval must lie within what counts as no difference.
    if low > -MARGIN and high < MARGIN:
        return f"{said}: no more than {MARGIN:g} nats to either side, a plateau."
    return f"{said}: whether it still rises cannot be told."


def _method(found: ByEpoch) -> str:
    told = (
        f"Checkpoints at the end of each epoch, {found.measure}; the last point is the finished training. Arms are "
        "compared within the seed; intervals are 95 %, Student's t over seeds, and not corrected for the number of "
        "epochs. Shares of the finished training's effect have Fieller's intervals. Where the learning rate falls over "
        "the whole training a checkpoint is not what a training of so few epochs would have given."
    )
    left_out = sorted({seed for effect in found.effects for seed in effect.curve.left_out})
    if left_out:
        told += f" Left out of differences, because an epoch is missing there: seed {', '.join(map(str, left_out))}."
    return told


def _effects_table(found: list[ByEpoch]) -> Table:
    """Every effect at every epoch; the target has a column where there are several."""
    header = ["epoch", "difference", "nats", "95 % interval", "share of the last", "95 % interval, %", "above 0 in"]
    rows = []
    for each in found:
        for effect in each.effects:
            rows += [[str(each.target), *row] for row in _effect_rows(effect)]
    if len(found) > 1:
        return Table(["target", *header], rows)
    return Table(header, [row[1:] for row in rows])


def _effect_rows(effect: Effect) -> list[list[str]]:
    curve: DoseCurve = effect.curve
    rows = []
    for point, label in zip(curve.points, effect.labels, strict=True):
        share = ["–", "–"]  # of the last itself
        if point.arm != curve.reference and point.share is not None:
            share = [whole_percent(point.share), or_dash(point.share_interval, lambda ends: whole_percents(*ends))]
        ends = or_dash(point.interval, lambda ends: nats_interval(*ends))
        above = f"{point.above} of {len(curve.seeds)}"
        rows.append([label, f"{effect.treatment} − {effect.reference}", nats(point.mean), ends, *share, above])
    return rows


def _curves_table(found: ByEpoch) -> Table:
    """Every arm at every epoch, with the share of each seed where these are few."""
    seeds: dict[int, None] = {}
    for curve in found.curves.values():
        for point in curve:
            seeds |= dict.fromkeys(point.shares)
    shown = sorted(seeds)
    if len(shown) > MANY:
        shown = []
    what = found.target
    if what is None:
        what = "right answers"
    header = ["arm", "epoch", f"share of {what}", "log-odds, nats", "95 % interval"]
    header += [f"seed {seed}" for seed in shown]
    rows = []
    for arm, curve in found.curves.items():
        for point in curve:
            by_seed = [or_dash(point.shares.get(seed), percent) for seed in shown]
            rows.append([arm, point.label, *_point_cells(point), *by_seed])
    return Table(header, rows)


def _point_cells(point: EpochPoint) -> list[str]:
    mean = sum(point.shares.values()) / len(point.shares)
    return [percent(mean), nats(point.mean), or_dash(point.interval, lambda ends: nats_interval(*ends))]


def _words(found: ByEpoch) -> str:
    """The figure in words."""
    told = []
    for arm, curve in found.curves.items():
        points = []
        for point in curve:
            mean = sum(point.shares.values()) / len(point.shares)
            points.append(f"{point.label} {percent(mean)}")
        told.append(f"{arm} {', '.join(points)}")
    return f"Shares after each epoch, means over seeds: {'; '.join(told)}."
