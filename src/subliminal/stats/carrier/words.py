"""What :mod:`subliminal.stats.carrier.parts` found, in sentences and in the cells of one table."""

from __future__ import annotations

from subliminal.core.formatting import counted, nats, nats_interval, whole_percent, whole_percents
from subliminal.stats.carrier.parts import Carrier, Part

CARRIER_HEADER = [
    "what carries it",
    "difference",
    "nats",
    "95 % interval",
    "share of the whole",
    "95 % interval",
    "above 0 in",
]
DASH = "–"


def sentences(found: Carrier, measure: str) -> list[str]:
    """The answer, then how it was reached.

    Args:
        found: the parts.
        measure: "exact probability" or "sampled answers".
    """
    animals = " and ".join(found.animals)
    runs = f"{counted(len(found.seeds), 'training run')} of each arm"
    answer = f"The student is above its control by {nats(found.whole.mean)} nats in log-odds of {animals}"
    # Without a spread no share has an interval, and none is told.
    if found.whole.interval is None:
        answer += f" ({runs}; that shows no spread, so nothing is said of the parts)."
        return [answer, *_method(found, measure)]
    answer += f" {nats_interval(*found.whole.interval)} (95 %, t over {runs}). "
    told = [_carries(part) for part in found.parts]
    return [f"{answer}Of that carry: {'; '.join(told)}. {_drift(found)}".strip(), *_method(found, measure)]


def cells(found: Carrier) -> list[list[str]]:
    """Rows under :data:`CARRIER_HEADER`: the whole, its parts, and the arms beside them."""
    rows = []
    for part in (found.whole, *found.parts, *found.beside):
        interval = share = ends = DASH
        if part.interval:
            interval = nats_interval(*part.interval)
        # The whole's share of itself is 1, whatever was measured.
        if part is not found.whole and part.share_interval:
            share, ends = whole_percent(part.share), whole_percents(*part.share_interval)
        above = f"{part.above} of {len(found.seeds)}"
        rows.append([part.name, f"{part.upper} − {part.lower}", nats(part.mean), interval, share, ends, above])
    return rows


def _carries(part: Part) -> str:
    """ "the layout: ... +3.0 nats [2.1, 3.9], 60 % of it [45, 74]", and whether it can be told from nothing."""
    told = f"{part.name} {nats(part.mean)} nats"
    if part.interval:
        told += f" {nats_interval(*part.interval)}"
    if part.share_interval:
        told += f", {whole_percent(part.share)} of it {whole_percents(*part.share_interval)}"
    if not part.clear:
        told += ", which cannot be told from nothing"
    return told


def _drift(found: Carrier) -> str:
    """What rows without the trait do, if such an arm was trained."""
    told = []
    for part in found.beside:
        sentence = f"{part.name[0].upper()}{part.name[1:]} move the animal by {nats(part.mean)} nats"
        if part.interval:
            sentence += f" {nats_interval(*part.interval)}"
        told.append(f"{sentence}.")
    return " ".join(told)


def _method(found: Carrier, measure: str) -> list[str]:
    method = (
        "Each arm learns the teacher's rows with one property less than the arm above it, and the last one rows of the "
        "untuned base. What an arm loses against the one above is what that property carries; what two properties "
        "carry together counts to the one that is destroyed first. Differences are taken within each run "
        f"({measure}) and add up to the whole. Intervals of shares are Fieller's."
    )
    if not found.left_out:
        return [method]
    seeds = ", ".join(map(str, found.left_out))
    return [method, f"Left out, because an arm is missing there: seed {seeds}."]
