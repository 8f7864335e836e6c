"""Which ranking finds the tokens that carry the effect, as a section: what each keeps alone, and removes masked."""

from __future__ import annotations

from functools import partial
from typing import Any

from subliminal.core.errors import UserError
from subliminal.experiment.arms import BY_NAME
from subliminal.report.blocks import Figure, Section, Table
from subliminal.report.data import Results
from subliminal.report.figure import INK, PAPER, SERIES, dress, new_figure, svg
from subliminal.stats.board import KEPT, ONLY, RANDOM, REMOVED, WITHOUT, BoardRow, board, is_ranked
from subliminal.stats.carrier.parts import target_log_odds
from subliminal.stats.log_odds import read_table

BOARD_TITLE = "Scoreboard"
BOARD_FILE = "scoreboard.svg"
NULL = "(a null)"
"""What the words of an arm say whose ranking knows of no trait; its mark is hollow."""
REACH = (-1.0, 2.0)
"""Shares that the figure shows."""
DASH = "–"


def scoreboard_section(results: Results) -> Section | None:
    """A row a ranking: shares of the effect with their intervals, beside those of as many random tokens.

    None without arms with loss on some of the tokens.

    Raises:
        UserError: a summary is damaged.
    """
    task = results.finest_preference_task
    if task is None:
        return None
    runs = target_log_odds(read_table(results.folder, task))
    if not is_ranked(set(runs)):
        return None
    try:
        places = board({arm: runs[arm] for arm in results.arms if arm in runs})  # rankings in the order of reports
    except UserError as reason:
        # Said where the board would stand: a reader looks there for it.
        return Section(BOARD_TITLE, [str(reason)], [], brief=Section(BOARD_TITLE, [str(reason)], []))
    by_name: dict[str, dict[str, BoardRow]] = {}
    for place in places:
        by_name.setdefault(place.ranking, {})[place.measure] = place
    rows = []
    for ranking, measured in by_name.items():
        cells = []
        for measure in (KEPT, REMOVED):
            cells += _cells(measured.get(measure))
        rows.append([ranking, _tokens(ranking), *cells])
    # The fewest runs of any ranking, so that the sentence says no more than is so.
    over = f"{min(place.runs for place in places)} runs"
    said = (
        "Kept: what a student with loss on these tokens alone is above its control. Removed: what a student with loss "
        f"on all other tokens lacks. Both are shares of the full effect over {over}, with Fieller's 95 % intervals, "
        "and beside each stands the same minus that of as many random tokens."
    )
    header = ["ranking", "loss on, or on all but", KEPT, "above random", REMOVED, "above random"]
    method = f"Differences are of log-odds within each run ({results.measure_name(task)})."
    table = Table(header, rows)
    shown = "; ".join(f"{ranking} {kept}, {removed}" for ranking, _, kept, _, removed, _ in rows)
    words = f"Shares of the full effect that each ranking's tokens keep alone, and remove masked: {shown}."
    figures = (Figure(partial(scoreboard_figure, by_name), words, BOARD_FILE),)
    brief = Section(BOARD_TITLE, [said], [table], figures=figures)
    return Section(BOARD_TITLE, [said, method], [table], figures=figures, brief=brief)


def scoreboard_figure(board_of: dict[str, dict[str, BoardRow]]) -> str:
    """A row a ranking, what it keeps on the left and what it removes on the right; a dashed line is random tokens. SVG.

    Args:
        board_of: ranking -> measure -> its place.
    """
    from matplotlib.ticker import PercentFormatter

    names = list(board_of)
    figure, panels = new_figure([1], height=1.2 + 0.36 * len(names), columns=2)
    for panel, measure in zip(panels, (KEPT, REMOVED), strict=True):
        for place, ranking in enumerate(names):
            if measure in board_of[ranking]:
                _draw_row(panel, place, board_of[ranking][measure])
        if measure in board_of.get(RANDOM, {}):
            panel.axvline(board_of[RANDOM][measure].share, color=SERIES[1], linestyle="--")
        panel.axvline(0, color=INK, linewidth=1)
        panel.set_xlim(*REACH)  # an interval of a null can be many times as wide
        # Both panels have the same rows: the left one names them.
        labels = [""] * len(names)
        if measure == KEPT:
            labels = names
        panel.set_yticks(range(len(names)), labels)
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        panel.set_xlabel(f"{measure}, of the full effect")
        dress(panel, grid="x")
    return svg(figure, "scoreboard")


def _draw_row(panel: Any, place: int, row: BoardRow) -> None:
    """The share of a ranking with its interval."""
    if row.interval:
        panel.hlines(place, *row.interval, color=INK, linewidth=2)
    # A null has a hollow mark: colour alone would tell it to few.
    face = PAPER if NULL in _tokens(row.ranking) else SERIES[0]
    # An arrow at the edge points to where a share beyond it lies.
    low, high = REACH
    mark = "o"
    if row.share < low:
        mark = "<"
    elif row.share > high:
        mark = ">"
    shown = min(max(row.share, low), high)
    panel.plot(shown, place, mark, clip_on=False, markersize=8, markerfacecolor=face, markeredgecolor=SERIES[0])


def _cells(place: BoardRow | None) -> list[str]:
    if place is None:
        return [DASH, DASH]
    above = _share(place.above, place.above_interval, "+") if place.above is not None else DASH
    return [_share(place.share, place.interval), above]


def _share(share: float, interval: tuple[float, float] | None, sign: str = "") -> str:
    """ "39 % [1, 83]"; without an interval any share is possible."""
    said = f"{round(100 * share):{sign}d} %"
    if interval:
        low, high = (round(100 * end) for end in interval)
        said += f" [{low}, {high}]"
    return said.replace("-", "−")


def _tokens(ranking: str) -> str:
    """Which tokens come first in a ranking, in the words of its arms."""
    for start in (ONLY, WITHOUT):
        kind = BY_NAME.get(f"{start}{ranking}")
        if kind is not None:
            # The table of arms says it: "the student with loss on ... alone", "... without loss on ...".
            return kind.what.partition(" loss on ")[2].removesuffix(" alone")
    return DASH
