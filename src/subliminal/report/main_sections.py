"""The sections that most reports have: arms, questions, differences, problems solved; with a page's title and warnings.

Their words state what was measured and how far it reaches, and claim nothing beyond.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import numpy as np

from subliminal.core.formatting import interval, nats, odds, p_value, percent, points
from subliminal.experiment.arms import arm_kind
from subliminal.report.arms_figure import shown_differences
from subliminal.report.blocks import Figure, Section, Table, or_dash
from subliminal.report.data import PROBABILITY, Results
from subliminal.report.findings import Findings
from subliminal.report.plots import extreme_questions, questions_figure
from subliminal.report.provenance.sections import rows_note
from subliminal.report.provenance.trace import Provenance
from subliminal.report.specificity import question_texts
from subliminal.report.tables.comparisons import Comparison, Difference
from subliminal.report.tables.estimates import Estimate
from subliminal.stats import RUNS, mean_ci, wilson
from subliminal.stats.wording import difference_text, interval_text

MANY = 8
"""Seeds beyond this are rows of a table, not columns."""


def arms_section(found: Findings) -> Section | None:
    """Arm x measure with intervals and the figure; every seed where there are several; what each arm is."""
    results = found.results
    arms = found.arms
    main = found.main
    if not arms:
        return None
    rows = []
    for e in arms:
        asked = str(len(results.questions(e.task)))
        if e.samples:
            asked += f" × {e.samples}"
        shown = [percent(e.mean), interval(*e.interval), asked, _listed(list(e.by_seed))]
        rows.append([e.arm, results.measure_name(e.task), *shown])
    header = ["arm", "measure", f"share of {results.target}", "95 % interval, %", "questions × samples", "seeds"]
    tables = [Table(header, rows)]
    text = [
        f"Share of “{results.target}” per arm. An interval says how far a number would move with other questions of "
        "this kind and other samples. Samples are counted over all seeds of an arm. The interval of sampled answers is "
        "never narrower than that of all answers pooled (Clopper-Pearson)."
    ]
    note = rows_note(found.provenance)
    if note:
        # Before all else, since every arm below is named after number lists.
        text.insert(0, note)
    if any(len(e.by_seed) > 1 for e in arms):
        dots = (
            "Small dots in the figure are single training seeds. The intervals of arms are over questions only; over "
            "what those of differences are stands above them."
        )
        if main and main.replicates:
            dots = (
                f"Small dots in the figure are single replicates. Lines join {main.treatment} and {main.reference} of "
                f"one replicate, {results.measure_name(main.task)}. The intervals drawn, of differences of "
                "log-odds, are 95 % t intervals over replicates."
            )
        text.append(dots)
        tables.append(_by_seed(results, arms))
    tables.append(Table(["arm", "what it is"], [[arm, _role(arm)] for arm in results.arms]))
    noted = [note] if note else []
    brief = Section("Arms", noted, [_arms_in_brief(results, arms, found.differences)], figures=(found.figure,))
    return Section("Arms", text, tables, figures=(found.figure,), brief=brief)


def _arms_in_brief(results: Results, arms: list[Estimate], compared: Sequence[Difference]) -> Table:
    """A row an arm: what it is, its runs, its share in each measure, and how far the student is above it.

    The distance is that of the last measure, exact probabilities where they were computed, over runs or replicates.
    """
    measures, shares, runs = {}, {}, {}
    for e in arms:
        measures[e.task] = results.measure_name(e.task)
        if e.task in results.preference_tasks:
            measures[e.task] = f"“{results.target}”, {measures[e.task]}"
        shares[e.arm, e.task] = f"{percent(e.mean)} {interval(*e.interval)}"
        # Of one measure each: an arm has as many runs in every one of them.
        runs[e.arm] = str(len(e.by_seed))
    # Exact probabilities come last where they were computed: they have no sampling noise.
    last = list(measures)[-1]
    above = {}
    for c in compared:
        if c.over and c.over.interval and c.task == last and c.treatment == "student":
            above[c.reference] = f"{nats(c.over.estimate)} {interval_text(c.over)}"
    rows = []
    for arm in runs:
        cells = [shares.get((arm, task), "–") for task in measures]
        rows.append([arm, _role(arm), runs[arm], *cells, above.get(arm, "–")])
    return Table(["arm", "what it is", "runs", *measures.values(), "student − it, nats"], rows)


def _by_seed(results: Results, arms: list[Estimate]) -> Table:
    """Every arm's share in every seed: a column a seed, or a row a seed where there are many."""
    # Arms may have other seeds: whatever any of them has gets a place.
    seeds = sorted(set().union(*(e.by_seed for e in arms)))
    columns = {}
    for e in arms:
        columns[e.arm, results.measure_name(e.task)] = [or_dash(e.by_seed.get(seed), percent) for seed in seeds]
    # A page is as wide as a screen; what is longer than that has to go down.
    if len(seeds) <= MANY:
        rows = [[*names, *shares] for names, shares in columns.items()]
        return Table(["arm", "measure", *(f"seed {seed}" for seed in seeds)], rows)
    rows = []
    for place, seed in enumerate(seeds):
        rows.append([str(seed), *(shares[place] for shares in columns.values())])
    return Table(["seed", *map(", ".join, columns)], rows)


def _listed(seeds: list[int]) -> str:
    """Seeds in ascending order; many that follow each other by their ends."""
    if len(seeds) > MANY and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _role(arm: str) -> str:
    kind = arm_kind(arm)
    if kind is None:
        return "an arm of this experiment's own"
    return kind.what


def figure_words(arms: list[Estimate], differences: list[Comparison]) -> str:
    """The figure of the arms in words, for those who do not see it."""
    shares = "; ".join(f"{e.arm} {percent(e.mean)} ({e.task})" for e in arms)
    changes = []
    for c in shown_differences(differences):
        above = ""
        if c.replicates:
            above = f", above 0 in {c.replicates['above']} of {c.replicates['replicates']} replicates"
        change = f"{points(c.test['difference'])} points"
        if c.over:
            change = f"{nats(c.over.estimate)} nats"
        changes.append(f"{c.contrast} {change} ({c.task}{above})")
    words = f"Shares per arm: {shares}."
    if changes:
        words += f" Differences: {'; '.join(changes)}."
    return words


def questions_section(found: Findings) -> Section | None:
    """Both arms question by question, and the questions that moved most."""
    results, main = found.results, found.main
    if main is None:
        return None
    texts = question_texts(results, main.task)
    rows = []
    for question, ours, theirs in extreme_questions(results, main):
        rows.append([question, texts.get(question, "–"), percent(ours), percent(theirs), points(ours - theirs)])
    tables = []
    text = "A rise that comes from a few questions is another finding than one that is spread over all of them."
    if rows:
        text += f" The table has the questions with the largest rises and falls, {results.measure_name(main.task)}."
        tables = [Table(["question", "text", main.treatment, main.reference, "points"], rows)]
    words = f"Rates of {main.treatment} and {main.reference} for every question, sorted by the difference."
    same_arms = [c for c in found.differences if c.contrast == main.contrast and c is not main]
    # The other measures of the same two arms: a panel each.
    figure = Figure(partial(questions_figure, results, [main, *same_arms]), words, "questions.svg")
    return Section("Question by question", [text], tables, figures=(figure,))


def graded_section(found: Findings) -> Section | None:
    """Right and wrong answers: share solved per arm and seed, and the tests of student against reference."""
    results = found.results
    if not results.graded_tasks:
        return None
    tables = [_solved_by_run(results)]
    compared = []
    for g in found.graded:
        ends = interval_text(g.result) if g.result.interval else "–"
        test = [or_dash(g.result.p, p_value), g.result.unit, g.result.method]
        compared.append([g.task, g.contrast, difference_text(g.result), ends, *test, _claim(g)])
    if compared:
        header = ["task", "difference", "size", "95 % interval", "p", "unit", "test", "of the training data"]
        tables.append(Table(header, compared))
    text = [
        "Problems solved, one greedy answer each; intervals are Wilson's. McNemar's test compares two models, the "
        "first run of each arm, and says nothing of what another training run would do."
    ]
    exact = sorted(task for task, kind in results.kinds.items() if kind == PROBABILITY)
    if exact:
        text.append(
            f"Of {', '.join(exact)} the share is the mean probability of the right answer, without sampling, and its "
            "interval says how far it would move with other problems of this kind."
        )
    figures = ()
    if not found.arms:  # else it stands with the arms
        figures = (found.figure,)
    short = [_arms_in_brief(results, found.graded_arms, found.graded)]
    brief = Section("Problems solved", [], short, figures=figures)
    return Section("Problems solved", text, tables, figures=figures, brief=brief)


def _solved_by_run(results: Results) -> Table:
    """A row for each task, arm and seed."""
    rows = []
    for task, arm in itertools.product(results.graded_tasks, results.arms):
        exact = results.kinds[task] == PROBABILITY
        for seed, right in results.rates(arm, task).iterrows():
            rows.append([task, arm, str(seed), *_solved(right.to_numpy(), exact=exact)])
    return Table(["task", "arm", "seed", "solved", "share", "95 % interval, %"], rows)


def _solved(right: np.ndarray, *, exact: bool) -> list[str]:
    """The cells solved, share and interval of one run; ``right`` has 0 or 1 a problem, or a probability."""
    share = float(right.mean())
    if exact:
        return ["–", percent(share), interval(*mean_ci(list(right)))]
    solved = int(right.sum())
    return [f"{solved} of {right.size}", percent(share), interval(*wilson(solved, right.size))]


def differences_section(found: Findings) -> Section | None:
    """Paired differences with three p-values over questions, and what the training runs allow to say."""
    differences = found.differences
    if not found.arms:
        return None
    if not differences:
        return Section("Differences", ["No student among the arms has a control or base to be compared with."], [])
    unit = " or ".join(dict.fromkeys(c.over.unit for c in differences if c.over)) or RUNS
    header = ["difference", "measure", "points", "95 % interval over questions", f"log-odds over {unit}, nats"]
    header += ["odds ratio", "of the training data", "p permutation", "p t", "p Wilcoxon"]
    rows = []
    for c in differences:
        over_questions = [points(c.test["difference"]), interval(*c.test["ci95"])]
        over_runs = [_over_runs(c), or_dash(c.over, lambda over: odds(over.estimate))]
        p_values = [p_value(c.test[key]) for key in ("p_permutation", "p_t", "p_wilcoxon")]
        rows.append([c.contrast, found.results.measure_name(c.task), *over_questions, *over_runs, _claim(c), *p_values])
    text = [
        "Percentage points, paired question by question, then the difference of log-odds with its 95 % interval over "
        f"{unit} and the odds ratio that it stands for. The first interval and the three p-values are over questions: "
        "they say whether these models differ. They are two-sided and not corrected for the number of rows. The "
        "interval allows for skewed rates and the tests do not, so near 0.05 they can disagree. What may be said of "
        f"the training data rests on the test over {unit} alone.",
    ]
    return Section("Differences", text, [Table(header, rows)])


def _claim(difference: Difference) -> str:
    return or_dash(difference.verdict, lambda verdict: verdict.claim)


def _over_runs(comparison: Comparison) -> str:
    """Interval and p over training runs or replicates, or why there is none."""
    over = comparison.over
    if over and over.interval is None:
        return "all equal"
    if over:
        return f"{nats(over.estimate)} {interval_text(over)}, p {p_value(over.p)}"
    # A base and a student do not differ in data alone, so that nothing can be said of these.
    if comparison.verdict is None:
        return "–"
    if comparison.verdict.unit == RUNS:
        return "one run"
    return "too few"


def warnings(results: Results, provenance: Provenance) -> list[str]:
    """What a reader must know first: differing chat contexts, then what is missing."""
    told = []
    if len(provenance.chat_contexts()) > 1:
        told.append(
            "Warning: not all results and training runs used the same chat context (see Provenance). An adapter scored "
            "under another context than it was trained under loses most of its trait: these arms may not be comparable."
        )
    return [*told, *results.missing, *provenance.notes]


def title(results: Results) -> str:
    """The experiment and its question."""
    if not results.preference_tasks:
        return f"{results.name}: does the student solve more problems?"
    return f"{results.name}: does the student name “{results.target}” more often?"
