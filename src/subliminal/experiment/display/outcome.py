"""What came of a stage, in a few words, and what came of an experiment, read from the files that they left.

The words stand beside the stage's name while an experiment runs. A file that is not there or says something else gives
no words: the display of a run must not stop it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from subliminal.core.formatting import percent
from subliminal.experiment.display.lines import wrapped
from subliminal.experiment.plan import Plan
from subliminal.experiment.stage import Stage, is_whole

HEADLINE = "headline.json"
"""What a report writes beside itself: its answer and the share of each arm (see :mod:`subliminal.report.write`)."""
REPORTS_TOLD = 10
"""Reports whose answers are told one by one."""


def figure(stage: Stage) -> str:
    """The one figure of a stage that has ended, as "loss 0.61"; empty where it has none or cannot be read."""
    read = _FIGURES.get(stage.kind)
    # Kinds without a figure of their own: servers, merges, links.
    if read is None:
        return ""
    try:
        return read(stage)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return ""


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _rows(stage: Stage) -> str:
    counts = _read(Path(stage.folder) / "manifest.json")["counts"]
    # Surplus rows were drawn in vain and are no part of the rate.
    judged = counts["kept"] + sum(counts["rejected"].values())
    return f"{counts['kept']:,} kept of {judged:,}"


def _checks(stage: Stage) -> str:
    checks = _read(Path(stage.makes[0]))["checks"]
    statuses = Counter(check["status"] for check in checks.values())
    told = []
    for status, said in (("pass", "passed"), ("allowed", "not passed but allowed"), ("fail", "FAILED")):
        if statuses[status]:
            told.append(f"{statuses[status]} {said}")
    return ", ".join(told)


def _loss(stage: Stage) -> str:
    return f"loss {_read(Path(stage.folder) / 'manifest.json')['training']['final_loss_mean_of_last_10']:.2f}"


def _distance(stage: Stage) -> str:
    return f"relative distance {_read(Path(stage.folder) / 'manifest.json')['distance']['relative']:.3g}"


def _gate(stage: Stage) -> str:
    reached = _read(Path(stage.folder) / "gate.json")
    return f"shows the trait in {percent(reached['tried'][-1]['share'])}, gate {percent(reached['at_least'])}"


def _shares(stage: Stage) -> str:
    """The share of each arm that this stage scored, mean over seeds, in its category's main task or else the first."""
    rates: dict[str, list[float]] = {}
    verb = ""
    # A stage makes several files in the folder of one model: each folder is read once, in order.
    for folder in dict.fromkeys(Path(path).parent for path in stage.makes if "/seed-" in path):
        for path in sorted(folder.glob("*_summary.json")):
            summary = _read(path)
            main = [task for task in summary["tasks"] if task.endswith("_preference")]
            task = next(iter([*main, *summary["tasks"]]))
            values = summary["tasks"][task]
            # The scores of a share or of problems: whichever the task has.
            if "target_rate" in values:
                verb, of_question = f"says {summary['target']}", values["target_rate"]
            else:
                verb, of_question = "solves", values.get("correct") or values["probability"]
            rates.setdefault(summary["arm"], []).append(fmean(of_question))
    told = [f"{arm} {percent(fmean(shares))}" for arm, shares in rates.items()]
    if not told:
        return ""
    return f"{verb}: {', '.join(told)}"


def _difference(stage: Stage) -> str:
    answer = _read(Path(stage.folder) / HEADLINE)
    return answer["number"] or ""


_FIGURES: dict[str, Callable[[Stage], str]] = {
    "build": _rows,
    "audit": _checks,
    "train": _loss,
    "perturb": _distance,
    "gate": _gate,
    "score": _shares,
    "evaluate": _shares,
    "report": _difference,
}


def closing(plan: Plan, width: int) -> list[str]:
    """The lines at the end of a run: the answer, a chart of the arms, and what to run next.

    Args:
        plan: all stages; reports that are not written yet are left out.
        width: columns of the terminal.
    """
    answers = []
    for stage in plan.stages.values():
        if stage.kind == "report" and is_whole(stage):
            # One headline that cannot be read must not cost the answers of the others.
            try:
                answers.append(_read(Path(stage.folder) / HEADLINE))
            except (OSError, ValueError):
                continue
    if len(answers) == 1:
        return [*answer_lines(answers[0], width), *_next(plan, width)]
    lines = []
    for answer in answers[:REPORTS_TOLD]:
        lines += ["", *wrapped(f"{answer['target']}: {answer['sentence']}", width)]
    if len(answers) > REPORTS_TOLD:
        lines += ["", f"... and {len(answers) - REPORTS_TOLD} more, each in its report."]
    if not lines:
        return []
    return [*lines, *_next(plan, width)]


def answer_lines(answer: dict[str, Any], width: int) -> list[str]:
    """One experiment's answer and the chart of its arms.

    Args:
        answer: what the report wrote to ``headline.json``.
        width: columns of the terminal.
    """
    lines = [""]
    if answer["number"]:
        lines += wrapped(f"{answer['label']}: {answer['number']}", width)
    lines += wrapped(answer["sentence"], width)
    if answer["bars"]:
        shares = {bar["arm"]: bar["share"] for bar in answer["bars"]}
        lines += ["", *chart(answer["measure"], shares, width)]
    return lines


def chart(title: str, shares: dict[str, float], width: int) -> list[str]:
    """A bar for each share, the longest as wide as the terminal allows.

    Args:
        title: what the shares are of.
        shares: name -> a fraction.
        width: columns of the terminal.
    """
    names = max(map(len, shares))
    figures = {name: percent(share) for name, share in shares.items()}
    beside = names + max(map(len, figures.values())) + 4  # name, figure, and the blanks between
    # Bars shorter than 10 columns could not be told apart.
    room = max(10, min(60, width - beside))
    # Where all are 0 nothing is divided by it.
    most = max(shares.values()) or 1.0
    lines = [f"{title[:1].upper()}{title[1:]}:"]
    for name, share in shares.items():
        length = round(room * share / most)
        # What is above zero shows: a bar of no length says that nothing was there.
        if share:
            length = max(length, 1)
        bar = "█" * length
        if bar:
            bar += " "
        lines.append(f"  {name:<{names}} {bar}{figures[name]}")
    return lines


def _next(plan: Plan, width: int) -> list[str]:
    """What a newcomer can do with a finished experiment."""
    if Path(plan.results) != Path("results") / plan.name:  # make knows results/ alone
        return []
    rows = [
        (f"make verify NAME={plan.name}", "score its raw answers again"),
        ("make plan EXP=experiments/owl_pocket.yml", "what a larger one takes"),
        ("experiments/README.md", "write your own: one short file"),
    ]
    lines = ["", "What next:"]
    for command, words in rows:
        line = f"  {command:<42}{words}"
        if len(line) <= width:
            lines.append(line)
        else:
            lines += [f"  {command}", f"      {words}"]
    return lines
