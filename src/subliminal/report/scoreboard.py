"""Which ranking finds the tokens that carry the effect, as a section: what each keeps alone, and removes masked."""

from __future__ import annotations

from subliminal.core.errors import UserError
from subliminal.experiment.arms import BY_NAME
from subliminal.report.data import Results
from subliminal.report.format import Section, Table
from subliminal.stats.board import KEPT, ONLY, REMOVED, WITHOUT, BoardRow, board, is_ranked
from subliminal.stats.carrier.parts import target_log_odds
from subliminal.stats.log_odds import read_table

BOARD_TITLE = "Scoreboard"
DASH = "–"


def scoreboard_section(results: Results) -> Section | None:
    """A row a ranking: shares of the effect with their intervals, beside those of as many random tokens.

    None without arms with loss on some of the tokens.

    Raises:
        UserError: a summary is damaged.
    """
    # exact probabilities where they were computed, else sampled answers
    tasks = [results.about.task(form) for form in ("preference_logprob", "preference")]
    task = next((task for task in tasks if task in results.preference_tasks), None)
    if task is None:
        return None
    runs = target_log_odds(read_table(results.folder, task))
    if not is_ranked(set(runs)):
        return None
    try:
        places = board({arm: runs[arm] for arm in results.arms if arm in runs})  # rankings in the order of reports
    except UserError as reason:
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
    over = f"{min(place.runs for place in places)} runs"
    said = (
        "Kept: what a student with loss on these tokens alone is above its control. Removed: what a student with loss "
        f"on all other tokens lacks. Both are shares of the full effect over {over}, with Fieller's 95 % intervals, "
        "and beside each stands the same minus that of as many random tokens."
    )
    header = ["ranking", "loss on, or on all but", KEPT, "above random", REMOVED, "above random"]
    method = f"Differences are of log-odds within each run ({results.measure_name(task)})."
    table = Table(header, rows)
    return Section(BOARD_TITLE, [said, method], [table], brief=Section(BOARD_TITLE, [said], [table]))


def _cells(place: BoardRow | None) -> list[str]:
    if place is None:
        return [DASH, DASH]
    above = DASH
    if place.above_random is not None:
        above = _share(place.above_random, place.above_interval, "+")
    return [_share(place.share, place.interval), above]


def _share(share: float, interval: tuple[float, float] | None, sign: str = "") -> str:
    """ "39 % [1, 83]"; without an interval any share is possible."""
    said = f"{100 * share:{sign}.0f} %"
    if interval:
        said += f" [{100 * interval[0]:.0f}, {100 * interval[1]:.0f}]"
    return said.replace("-", "−")


def _tokens(ranking: str) -> str:
    """Which tokens come first in a ranking, in the words of its arms."""
    for start in (ONLY, WITHOUT):
        kind = BY_NAME.get(f"{start}{ranking}")
        if kind is not None:
            return kind.what.partition(" loss on ")[2].removesuffix(" alone")
    return DASH
