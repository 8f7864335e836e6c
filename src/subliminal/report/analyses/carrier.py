"""What in the rows carries the trait, as a section: the arms that destroy one property of the rows after the other."""

from __future__ import annotations

from subliminal.report.blocks import Section, Table
from subliminal.report.damage import health
from subliminal.report.data import Results
from subliminal.stats.carrier.parts import Carrier, carrier
from subliminal.stats.carrier.words import CARRIER_HEADER, cells, sentences
from subliminal.stats.damage import BROKEN_WORD
from subliminal.stats.log_odds import read_table


def carrier_section(results: Results) -> Section | None:
    """The effect, split into what order, company, frequencies and layout carry; None without arms that destroy one.

    Raises:
        UserError: a summary is damaged.
    """
    task = results.finest_preference_task
    if task is None:
        return None
    found = carrier(read_table(results.folder, task))
    if found is None:
        return None
    said, broken = sentences(found, results.measure_name(task)), _broken(results, found)
    brief = Section("What carries the trait", [" ".join([said[0], *broken])], [])
    return Section("What carries the trait", [*said, *broken], [Table(CARRIER_HEADER, cells(found))], brief=brief)


def _broken(results: Results, found: Carrier) -> list[str]:
    """A step to or from a wreck is no measure of what its property carries: say which arms are wrecks, and where."""
    arms = set()
    for part in found.parts:
        # A broken model between two whole ones spoils the step to it and the step from it.
        arms |= {part.upper, part.lower}
    told = []
    for arm in health(results):
        seeds = [str(seed) for seed in arm.seeds(BROKEN_WORD) if seed in found.seeds]
        if arm.arm in arms and seeds:
            told.append(f"{arm.arm} (seed {', '.join(seeds)})")
    if not told:
        return []
    return [
        f"Broken, see Damage: {'; '.join(told)}. There a difference shows what breaks a model rather than what carries "
        "the trait."
    ]
