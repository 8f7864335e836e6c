"""How often detection is right, over sets whose answer is known: right traits first, false positives, both columns.

Where a base has neutral sets enough, a set is held against those of its own base. Where it has few, every set is taken
relative to the other neutral sets of its base (their mean subtracted, divided by their spread over all traits) and held
against the relative neutral sets of all bases: the draw is then a base with a set on it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from subliminal.analysis.detect.cases import NEUTRAL, Case, cases_of, read_cases, write_cases
from subliminal.analysis.detect.command import ALONE, CANDIDATES
from subliminal.analysis.detect.summary import CheckedCase, gap_lines, gaps_of, summarise, summary_lines
from subliminal.core.errors import UserError
from subliminal.core.files import write_csv, write_json
from subliminal.stats.detect import LEAST_NEUTRAL, Calibrated, calibrate, score_table
from subliminal.stats.result import ALPHA

TraitScores = dict[str, float]
SetOnBase = tuple[str, Path]
"""Base and rows: the same rows may be asked about on several bases."""


def cases_command(
    results: Annotated[list[Path], typer.Argument(help="results/<experiment>, run here; several may be named.")],
    out: Annotated[Path, typer.Option(help="The CSV to write.")],
) -> None:
    """List the sets that experiments trained students on, and what the students did: the cases of detect-check.

    Rows and bases must still be there. A later call replaces the file.
    """
    cases = cases_of(results)
    write_cases(out, cases)
    counts = Counter(case.kind for case in cases)
    print(", ".join(f"{number} {kind}" for kind, number in counts.items()))
    print(out)


def check_command(
    cases: Annotated[Path, typer.Argument(help="CSV of detect-cases.")],
    out: Annotated[Path, typer.Option(help="Folder for scores, check.json and check.csv.")],
    rows: Annotated[int, typer.Option(min=1, help="Rows of each set, from the first on.")] = 3000,
    candidate_rows: Annotated[
        int | None, typer.Option(min=1, help="Rows of each set for the candidates' column; default as many.")
    ] = None,
    weights: Annotated[list[str] | None, typer.Option(help="As detect has it.")] = None,
    shard: Annotated[
        str | None, typer.Option(help="K/N: score only every N-th case from the K-th on, K from 1, and stop there.")
    ] = None,
) -> None:
    """How often detect is right: the right trait first, false positives on neutral sets, both columns.

    Scores are kept in OUT, so that a run that was stopped goes on and several shards share the work. Without --shard
    it scores what is left and writes the summary, over an older one.
    """
    known = read_cases(cases)
    mine = known[_shard(shard)] if shard else known
    teachers, folder, patterns = teachers_of(known), out / "scores", weights or []
    # With as many rows one pass gives both columns.
    if candidate_rows in (None, rows):
        alone = with_candidates = score_cases(mine, teachers, folder, rows, patterns)
    else:
        # Candidates cost a pass each, and need fewer rows: each column is scored by itself.
        alone = score_cases(mine, {base: {} for base in teachers}, folder, rows, patterns)
        with_candidates = score_cases(mine, teachers, folder, candidate_rows, patterns)
    if shard:
        print(f"{len(mine)} of {len(known)} cases are scored.")
        print(out)
        return
    judged = [*judge_cases(known, alone, ALONE), *judge_cases(known, with_candidates, CANDIDATES)]
    summary = summarise(judged)
    gaps = gaps_of(judged)
    told = {"rows": rows, "candidate_rows": candidate_rows or rows, "cases": len(known), "summary": summary}
    write_json(out / "check.json", {**told, "gaps": gaps})
    write_csv(out / "check.csv", list(CheckedCase.__dataclass_fields__), map(asdict, judged))
    for line in (*summary_lines(summary), *gap_lines(gaps)):
        print(line)
    print(out)


def _shard(text: str) -> slice:
    first, _, count = text.partition("/")
    if not (first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count)):
        raise UserError(f"--shard {text}: give K/N with K from 1 to N, such as 1/8.")
    return slice(int(first) - 1, None, int(count))


def teachers_of(cases: list[Case]) -> dict[str, dict[str, str]]:
    """Base -> trait -> teacher: every set on a base meets the same candidates, whichever experiment it comes from."""
    found: dict[str, dict[str, str]] = {}
    for case in cases:
        found.setdefault(case.base, {}).update(case.teachers)
    return found


def score_cases(
    cases: list[Case], teachers: dict[str, dict[str, str]], folder: Path, rows: int, weights: list[str]
) -> dict[SetOnBase, Any]:
    """Set -> its scores; each base is loaded once, and only if one of its sets is not scored yet."""
    from tqdm import tqdm

    from subliminal.analysis.detect.scores import SetScorer
    from subliminal.analysis.trait_queries import tracked_options

    found = {}
    with tqdm(desc="sets", unit="set", total=len(cases), disable=None) as progress:
        # Base by base, for each is loaded once.
        by_base: dict[str, list[Case]] = defaultdict(list)
        for case in cases:
            by_base[case.base].append(case)
        for base, on_base in by_base.items():
            scorer = SetScorer(base, teachers[base], tracked_options(), weights, folder, rows)
            for case in on_base:
                found[case.base, case.rows] = scorer.score(case.rows)
                progress.update()
    return found


def judge_cases(cases: list[Case], scored: dict[SetOnBase, Any], column: str) -> Iterator[CheckedCase]:
    """Every case of a column, neutral sets against the other neutral sets.

    Args:
        cases: all of them, the neutral ones among them.
        scored: set -> :class:`subliminal.analysis.detect.scores.SetScores`.
        column: :data:`ALONE` or :data:`CANDIDATES`; the second skips bases without teachers.
    """
    raw: dict[SetOnBase, TraitScores] = {}
    neutral_of: dict[str, dict[SetOnBase, TraitScores]] = defaultdict(dict)  # base -> set -> scores
    usable = []
    for case in cases:
        scores = _scores(scored[case.base, case.rows], column)
        if not scores:
            continue
        usable.append(case)
        raw[case.base, case.rows] = scores
        if case.kind == NEUTRAL:
            neutral_of[case.base][case.base, case.rows] = scores
    relative: dict[SetOnBase, TraitScores] = {}
    neutral_everywhere: dict[SetOnBase, TraitScores] = {}
    for case in usable:
        others = _without(neutral_of[case.base], case)
        # A spread needs two.
        if len(others) < 2:
            continue
        relative[case.base, case.rows] = _relative(raw[case.base, case.rows], others)
        if case.kind == NEUTRAL:
            neutral_everywhere[case.base, case.rows] = relative[case.base, case.rows]
    for case in usable:
        others = _without(neutral_of[case.base], case)
        if len(others) >= LEAST_NEUTRAL:
            yield _judged(case, calibrate(raw[case.base, case.rows], others), column, "on its base")
            continue
        if (case.base, case.rows) not in relative:
            continue
        own = relative[case.base, case.rows]
        everywhere = _without(neutral_everywhere, case)
        # Bases have teachers of other traits, and scores of other traits cannot be compared.
        same_traits = [scores for scores in everywhere if scores.keys() == own.keys()]
        if len(same_traits) >= 2:
            yield _judged(case, calibrate(own, same_traits), column, "over bases")


def _scores(found: Any, column: str) -> TraitScores:
    if column == ALONE:
        return found.scores()
    return found.likelihood_ratios()


def _without(sets: dict[SetOnBase, TraitScores], case: Case) -> list[TraitScores]:
    """The scores of all sets but one, which is not held against itself."""
    return [scores for each, scores in sets.items() if each != (case.base, case.rows)]


def _relative(own: TraitScores, neutral: list[TraitScores]) -> TraitScores:
    """Scores of a set against the other neutral sets of its base, in their spread over all traits."""
    traits = list(own)
    values = score_table(neutral, traits)
    centre = values.mean(axis=0)
    # Pooled over traits: a few neutral sets give no spread of a single one.
    spread = np.sqrt(np.square(values - centre).sum() / ((len(neutral) - 1) * len(traits)))
    moved = (np.array([own[trait] for trait in traits]) - centre) / spread
    return dict(zip(traits, moved.tolist(), strict=True))


def _judged(case: Case, found: Calibrated, column: str, calibrated: str) -> CheckedCase:
    first = found.ranking[0]
    place = None
    for number, each in enumerate(found.ranking, start=1):
        # None for neutral rows, which have no right trait.
        if each.trait == case.trait:
            place = number
    return CheckedCase(
        column=column,
        base=case.base,
        rows=str(case.rows),
        kind=case.kind,
        arm=case.arm,
        trait=case.trait,
        ratio=case.ratio,
        first=first.trait,
        z=first.z,
        p=first.p,
        place=place,
        called=first.p <= ALPHA,
        calibrated=calibrated,
    )
