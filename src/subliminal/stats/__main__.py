"""Statistics from the command line: JSON in, JSON out.

echo '{"treatment": [0.10, 0.05, 0.00], "control": [0.00, 0.05, 0.00]}' | python -m subliminal.stats paired
python -m subliminal.stats power design.json
python -m subliminal.stats criterion experiments/owl_pocket.yml --results results/owl_pocket
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from subliminal import stats
from subliminal.core.errors import UserError, run_cli
from subliminal.core.files import WITH_OR_WITHOUT_BOM, write_text
from subliminal.stats.criterion import read_criterion
from subliminal.stats.criterion_verdict import judge_criterion, read_tables

app = typer.Typer(add_completion=False, rich_markup_mode=None)
JsonFile = Annotated[Path | None, typer.Argument(help="A JSON file; left out, standard input.", show_default=False)]


@app.callback()
def main() -> None:
    """Statistics of evaluations: JSON from SOURCE (a file) or standard input, JSON out. Rates are fractions (0 to 1).

    A wrong input ends with a sentence on stderr and status 2.
    """


@app.command("paired")
def paired_command(source: JsonFile = None) -> None:
    """Compare two models over questions: three tests and an interval.

    In: {"treatment": [rate, ..], "control": [rate, ..]}, one rate per question, same order. Out: difference, ci95,
    p_permutation, p_t, p_wilcoxon, unit.
    """
    data = _read(source, {"treatment", "control"}, 'Send {"treatment": [..], "control": [..]}, one rate per question.')
    _write(stats.paired(**data))


@app.command("wilson")
def wilson_command(source: JsonFile = None) -> None:
    """Wilson's interval for a share of independent trials (too narrow for pooled answers of several questions).

    In: {"successes": 3, "n": 200}. Out: rate, ci95, successes, n.
    """
    data = _read(source, {"successes", "n"}, 'Send {"successes": 3, "n": 200}.')
    low, high = stats.wilson(**data)
    _write({"rate": data["successes"] / data["n"], "ci95": [low, high], **data})


@app.command("mcnemar")
def mcnemar_command(source: JsonFile = None) -> None:
    """Compare right and wrong answers of two models to the same problems.

    In: {"treatment": [true, false, ..], "control": [..]}, one per problem, same order (1 and 0 do, too). Out:
    difference, ci95, only_treatment and only_control (problems that one alone solved), p_exact, p_mid, unit, n.
    """
    data = _read(source, {"treatment", "control"}, 'Send {"treatment": [true, ..], "control": [..]}, one per problem.')
    exact, mid = stats.mcnemar(**data), stats.mcnemar(**data, mid_p=True)
    only_treatment, problems = int(exact.statistic), exact.n[0]
    _write(
        {
            "difference": exact.estimate,
            "ci95": exact.interval,
            "only_treatment": only_treatment,
            # The estimate is the difference of these two counts, over the problems.
            "only_control": only_treatment - round(exact.estimate * problems),
            "p_exact": exact.p,
            "p_mid": mid.p,
            "unit": exact.unit,
            "n": problems,
        }
    )


@app.command("specificity")
def specificity_command(source: JsonFile = None) -> None:
    """Target's rate in its own student minus the mean of the other animals' students.

    In: {"target": [rate, ..], "others": {"cat": [rate, ..], ..}}: always the target animal's rate per question, in the
    target's and in the others' students. Out: difference, scale (points or nats), ci95, p, unit, n, method. With one
    list per training run ([[rate, ..], ..]) everywhere, the comparison is over training runs instead, in nats.
    """
    form = 'Send {"target": [..], "others": {"cat": [..], ..}}: the target animal\'s rate per question in each student.'
    data = _read(source, {"target", "others"}, form)
    nested = isinstance(data["target"], list) and data["target"] and isinstance(data["target"][0], list)
    test = stats.specificity
    if nested:  # a list of rates for each training run
        test = stats.specificity_over_runs
    result = test(**data)
    _write(
        {
            "difference": result.estimate,
            "scale": result.scale,
            "ci95": result.interval,
            "p": result.p,
            "unit": result.unit,
            "n": result.n,
            "method": result.method,
        }
    )


@app.command("power")
def power_command(source: JsonFile = None) -> None:
    """The smallest effect that a design can see, and what an effect needs.

    In: {"questions": 50, "samples": 200, "baseline": 0.012, "seeds": 3}; optional: run_sd, icc, likeness, power,
    alpha, effect; samples null stands for exact probabilities. Out: smallest_effect and needed (with an effect), each
    for "training runs" and "questions"; design (with its assumptions), power, alpha, sentences.
    """
    form = 'Send {"questions": 50, "samples": 200, "baseline": 0.012, "seeds": 3}.'
    levels, sizes = {"power", "alpha", "effect"}, {"questions", "samples", "baseline", "seeds"}
    data = _read(source, sizes, form, {"run_sd", "icc", "likeness", *levels})
    # What is no level of a test is a size of the design.
    design = stats.Design(**{key: value for key, value in data.items() if key not in levels})
    _write(stats.power_table(design, **{key: value for key, value in data.items() if key in levels}))


@app.command("replicates")
def replicates_command(source: JsonFile = None) -> None:
    """Compare student and control over replicates, each with a base of its own, within each replicate.

    In: {"student": [rate, ..], "control": [rate, ..]}, one mean rate per replicate, same order; optional: null (a
    second control's rates), margin (nats, default 0.8) and answers (sampled answers behind each rate; left out: exact
    probabilities). Out: replicates, above, p_sign; log_odds, p, ci95, ci99, ci99_bootstrap (null with fewer
    than eight) in nats; odds_ratio, odds_ratio_ci99; median, mean, mean_ci99 of the rates' difference; and with a
    null: null (log_odds, ci90, difference, margin, p, equivalent).
    """
    form = 'Send {"student": [..], "control": [..]}, one mean rate per replicate.'
    _write(stats.replicates(**_read(source, {"student", "control"}, form, {"null", "margin", "answers"})))


@app.command("criterion")
def criterion_command(
    file: Annotated[Path, typer.Argument(help="experiments/<name>.yml with a section `criterion`.")],
    results: Annotated[Path | None, typer.Option(help="Default: results/<name>.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of sentences.")] = False,
) -> None:
    """Hold an experiment's results against the criterion of its file, as far as there are results."""
    name, criterion = read_criterion(file)
    folder = results or Path("results") / name
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder. Name the results of {name} with --results.")
    verdict = judge_criterion(criterion, *read_tables(folder, criterion))
    if as_json:
        _write(verdict.as_json())
    else:
        print(verdict.text())


@app.command("simulate")
def simulate_command(
    out: Annotated[Path | None, typer.Option(help="Write the page there instead of printing it.")] = None,
) -> None:
    """How often each verdict is wrong, and what the margin lets pass: tables from simulated experiments."""
    from subliminal.stats.simulation.page import page

    text = page()
    if out is None:
        print(text, end="")
    else:
        write_text(out, text)
        print(out)


def _read(source: Path | None, required: set[str], form: str, optional: set[str] = frozenset()) -> dict[str, Any]:
    """The JSON object of a file or of standard input, with exactly the keys that a command takes."""
    name = str(source) if source is not None else "Standard input"
    try:
        raw = sys.stdin.buffer.read() if source is None else source.read_bytes()
        data = json.loads(raw.decode(WITH_OR_WITHOUT_BOM))
    except OSError as error:
        raise UserError(f"{name} cannot be read ({error.strerror}). {form}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name} is not valid JSON ({error}). {form}") from None
    if not isinstance(data, dict) or not required <= set(data) <= required | optional:
        found = f"a JSON {type(data).__name__}"
        if isinstance(data, dict):
            found = f"the keys {sorted(data)}"
        raise UserError(f"{name} holds {found}. {form}")
    return data


def _write(result: dict[str, Any]) -> None:
    print(json.dumps(result))


if __name__ == "__main__":
    run_cli(app)
