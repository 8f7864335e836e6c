"""The words and tables of a report. They state what was measured and how far it reaches, and claim nothing beyond."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from subliminal.core.numbers import interval, nats, odds, p_value, percent, points
from subliminal.experiment.arms import arm_kind
from subliminal.report.data import Results
from subliminal.report.details import question_texts
from subliminal.report.format import Figure, Section, Table
from subliminal.report.plots import extreme_questions, questions_figure
from subliminal.report.provenance import Provenance
from subliminal.report.tables import Comparison, Estimate, Grade
from subliminal.stats import RUNS, Result, Verdict, mean_ci, wilson
from subliminal.stats.result import REPLICATES
from subliminal.stats.wording import difference_text, interval_text

MANY = 8
"""Seeds beyond this are rows of a table, not columns."""


def arms_section(
    experiment: Results,
    arms: list[Estimate],
    figure: Figure,
    main: Comparison | None,
    differences: list[Comparison],
) -> Section:
    """Arm x measure with intervals and the figure; every seed where there are several; what each arm is."""
    rows = [
        [
            e.arm,
            experiment.measure_name(e.task),
            percent(e.mean),
            interval(*e.interval),
            f"{len(experiment.questions[e.task])}" + (f" × {e.samples}" if e.samples else ""),
            _listed(list(e.by_seed)),
        ]
        for e in arms
    ]
    header = ["arm", "measure", f"share of {experiment.target}", "95 % interval, %", "questions × samples", "seeds"]
    tables = [Table(header, rows)]
    text = [
        f"Share of “{experiment.target}” per arm. An interval says how far a number would move with other questions of "
        "this kind and other samples. Samples are counted over all seeds of an arm. The interval of sampled answers is "
        "never narrower than that of all answers pooled (Clopper-Pearson)."
    ]
    if any(len(e.by_seed) > 1 for e in arms):
        text.append(
            "Small dots in the figure are single replicates. Lines join "
            f"{main.treatment} and {main.reference} of one replicate, {experiment.measure_name(main.task)}. The "
            "intervals drawn are 95 % t intervals over replicates."
            if main and main.replicates
            else "Small dots in the figure are single training seeds; the intervals drawn are over questions only."
        )
        tables.append(_by_seed(experiment, arms))
    tables.append(Table(["arm", "what it is"], [[arm, _role(arm)] for arm in experiment.arms]))
    brief = [_arms_in_brief(experiment, arms), *_differences_in_brief(experiment, differences)]
    said = f"Share of “{experiment.target}”, mean over the runs of an arm, with 95 % intervals over questions."
    return Section("Arms", text, tables, figures=(figure,), brief=Section("Arms", [said], brief, figures=(figure,)))


def _arms_in_brief(experiment: Results, arms: list[Estimate]) -> Table:
    """A row an arm: what it is, how many runs it has, and its share in each measure."""
    measures = {e.task: experiment.measure_name(e.task) for e in arms}
    shares = {(e.arm, e.task): f"{percent(e.mean)} {interval(*e.interval)}" for e in arms}
    runs = {e.arm: str(len(e.by_seed)) for e in arms}
    rows = []
    for arm in runs:
        cells = [shares.get((arm, task), "–") for task in measures]
        rows.append([arm, _role(arm), runs[arm], *cells])
    return Table(["arm", "what it is", "runs", *measures.values()], rows)


def _differences_in_brief(experiment: Results, compared: Sequence[Comparison | Grade]) -> list[Table]:
    """A row a difference that was tested over runs or replicates, a column a measure; no table without such tests."""
    tested, units = {}, set()
    for c in compared:
        result = c.over if isinstance(c, Comparison) else c.result
        if result and result.unit in (RUNS, REPLICATES):
            tested[c.contrast, c.task] = _tested(result, c.verdict)
            units.add(result.unit)
    measures = {task: experiment.measure_name(task) for _, task in tested}
    rows = []
    for label in dict.fromkeys(label for label, _ in tested):
        rows.append([label, *(tested.get((label, task), "–") for task in measures)])
    over = " or ".join(sorted(units))
    header = [f"difference in log-odds, nats, with 95 % interval over {over}", *measures.values()]
    return [Table(header, rows)] if rows else []


def _tested(result: Result, said: Verdict | None) -> str:
    """ "+4.66 [4.22, 5.09], p < 0.001: student above control" """
    text = "all equal"
    if result.interval is not None:
        text = f"{nats(result.estimate)} {interval_text(result)}, p {p_value(result.p)}"
    return f"{text}: {said.claim}" if said else text


def _by_seed(experiment: Results, arms: list[Estimate]) -> Table:
    """Every arm's share in every seed: a column a seed, or a row a seed where there are many."""
    seeds = sorted(set().union(*(e.by_seed for e in arms)))
    columns = {}
    for e in arms:
        shares = [percent(e.by_seed[seed]) if seed in e.by_seed else "–" for seed in seeds]
        columns[e.arm, experiment.measure_name(e.task)] = shares
    if len(seeds) <= MANY:
        rows = [[*names, *shares] for names, shares in columns.items()]
        return Table(["arm", "measure", *(f"seed {seed}" for seed in seeds)], rows)
    rows = list(map(list, zip(map(str, seeds), *columns.values(), strict=True)))
    return Table(["seed", *map(", ".join, columns)], rows)


def _listed(seeds: list[int]) -> str:
    """Seeds in ascending order; many that follow each other by their ends."""
    if len(seeds) > MANY and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _role(arm: str) -> str:
    kind = arm_kind(arm)
    return kind.what if kind else "an arm of this experiment's own"


def figure_words(arms: list[Estimate], differences: list[Comparison]) -> str:
    """The figure of the arms in words, for those who do not see it."""
    shares = "; ".join(f"{e.arm} {percent(e.mean)} ({e.task})" for e in arms)
    changes = "; ".join(
        f"{c.contrast} {points(c.test['difference'])} points ({c.task}"
        + (f", above 0 in {c.replicates['above']} of {c.replicates['replicates']} replicates)" if c.replicates else ")")
        for c in differences
    )
    return f"Shares per arm: {shares}." + (f" Differences: {changes}." if changes else "")


def questions_section(experiment: Results, main: Comparison, differences: list[Comparison]) -> Section:
    """Both arms question by question, and the questions that moved most."""
    texts = question_texts(experiment, main.task)
    rows = [
        [question, texts.get(question, "–"), percent(ours), percent(theirs), points(ours - theirs)]
        for question, ours, theirs in extreme_questions(experiment, main)
    ]
    header = ["question", "text", main.treatment, main.reference, "points"]
    text = "A rise that comes from a few questions is another finding than one that is spread over all of them."
    if rows:
        text += f" The table has the questions with the largest rises and falls, {experiment.measure_name(main.task)}."
    words = f"Rates of {main.treatment} and {main.reference} for every question, sorted by the difference."
    same_arms = [c for c in differences if c.contrast == main.contrast and c is not main]
    figure = Figure(partial(questions_figure, experiment, [main, *same_arms]), words)
    return Section("Question by question", [text], [Table(header, rows)] if rows else [], figures=(figure,))


def graded_section(
    experiment: Results, arms: list[Estimate], graded: list[Grade], figures: tuple[Figure, ...]
) -> Section:
    """Right and wrong answers: share solved per arm and seed, and the tests of student against reference."""
    rows = [
        [task, arm.name, str(seed), *_solved(right, exact=task in experiment.exact)]
        for task in experiment.problems
        for arm in experiment.arms.values()
        for seed, right in sorted(arm.graded.get(task, {}).items())
    ]
    compared = [
        [
            *(g.task, g.contrast, difference_text(g.result)),
            interval_text(g.result) if g.result.interval else "–",
            p_value(g.result.p) if g.result.p is not None else "–",
            *(g.result.unit, g.result.method, g.verdict.claim if g.verdict else "–"),
        ]
        for g in graded
    ]
    tables = [Table(["task", "arm", "seed", "solved", "share", "95 % interval, %"], rows)]
    if compared:
        header = ["task", "difference", "size", "95 % interval", "p", "unit", "test", "of the training data"]
        tables.append(Table(header, compared))
    text = [
        "Problems solved, one greedy answer each; intervals are Wilson's. McNemar's test compares two models, the "
        "first run of each arm, and says nothing of what another training run would do."
    ]
    if experiment.exact:
        text.append(
            f"Of {', '.join(sorted(experiment.exact))} the share is the mean probability of the right answer, without "
            "sampling, and its interval says how far it would move with other problems of this kind."
        )
    short = [_arms_in_brief(experiment, arms), *_differences_in_brief(experiment, graded)]
    said = (
        "Share of problems solved, one greedy answer each, mean over the runs of an arm; intervals are over problems."
    )
    brief = Section("Problems solved", [said], short, figures=figures)
    return Section("Problems solved", text, tables, figures=figures, brief=brief)


def _solved(right: np.ndarray, *, exact: bool) -> list[str]:
    """The cells solved, share and interval of one run; ``right`` has 0 or 1 a problem, or a probability."""
    share = float(right.mean())
    if exact:
        return ["–", percent(share), interval(*mean_ci(list(right)))]
    solved = int(right.sum())
    return [f"{solved} of {right.size}", percent(share), interval(*wilson(solved, right.size))]


def differences_section(experiment: Results, differences: list[Comparison]) -> Section:
    """Paired differences with three p-values over questions, and what the training runs allow to say."""
    if not differences:
        return Section("Differences", ["There is no student with a control or base to compare it with yet."], [])
    unit = " or ".join(dict.fromkeys(c.over.unit for c in differences if c.over)) or RUNS
    header = ["difference", "measure", "points", "95 % interval over questions", f"log-odds over {unit}, nats"]
    header += ["odds ratio", "of the training data", "p permutation", "p t", "p Wilcoxon"]
    rows = []
    for c in differences:
        over_questions = [points(c.test["difference"]), interval(*c.test["ci95"])]
        over_runs = [_over_training(c), odds(c.over.estimate) if c.over else "–"]
        claim = c.verdict.claim if c.verdict else "–"
        p_values = [p_value(c.test[key]) for key in ("p_permutation", "p_t", "p_wilcoxon")]
        rows.append([c.contrast, experiment.measure_name(c.task), *over_questions, *over_runs, claim, *p_values])
    text = [
        "Percentage points, paired question by question, then the difference of log-odds with its 95 % interval over "
        f"{unit} and the odds ratio that it stands for. The first interval and the three p-values are over questions: "
        "they say whether these models differ. They are two-sided and not corrected for the number of rows. The "
        "interval allows for skewed rates and the tests do not, so near 0.05 they can disagree. What may be said of "
        f"the training data rests on the test over {unit} alone.",
    ]
    return Section("Differences", text, [Table(header, rows)])


def _over_training(comparison: Comparison) -> str:
    """Interval and p over training runs or replicates, or why there is none."""
    result = comparison.over
    if result is None:
        said = comparison.verdict
        return "–" if said is None else "one run" if said.unit == RUNS else "too few"
    return _tested(result, None)


def adapters_section(experiment: Results) -> Section:
    """Evidence that each adapter was in use, and the chat context that it was scored in."""
    rows = []
    for arm in experiment.arms.values():
        for seed, manifest in sorted(arm.manifests.items()):
            config, inputs = (manifest.get(key) or {} for key in ("config", "inputs"))
            kind, file = ("adapter", "adapter_model") if config.get("adapter") else ("model", "model")
            effect = manifest.get("adapter_effect")
            context, trained = (manifest.get(key) for key in ("chat_context_sha256", "trained_chat_context_sha256"))
            weights = (inputs.get(f"{kind}/{file}.safetensors") or {}).get("sha256")
            rows.append(
                [
                    *(arm.name, str(seed), str(config.get(kind) or "–"), (weights or "–")[:12]),
                    f"{effect:.3g}" if isinstance(effect, int | float) else "–",
                    *((context or "–")[:12], (trained or "–")[:12]),
                ]
            )
    header = ["arm", "seed", "adapter or model", "sha256", "largest change", "context scored", "context trained"]
    text = [
        "An adapter that is not loaded scores as its base does. Before scoring, the output with the adapter is "
        "compared with the base's: the table has the largest change (of a logit in process, of a log-probability on a "
        "server), and a change of 0 is refused. A whole model has nothing to be left out: its sha256 tells it from its "
        "base. A context is the hash of the chat template around a fixed message; an adapter scored in another one "
        "than it was trained in can lose most of its trait."
    ]
    return Section("Adapters in use", text, [Table(header, rows)])


def warnings(experiment: Results, provenance: Provenance) -> list[str]:
    """What a reader must know first: differing chat contexts, then what is missing."""
    differ = [
        "Warning: not all results and training runs used the same chat context (see Provenance). An adapter scored "
        "under another context than it was trained under loses most of its trait: these arms may not be comparable."
    ] * (len(provenance.chat_contexts()) > 1)
    return [*differ, *experiment.missing, *provenance.notes]


def title(experiment: Results) -> str:
    """The experiment and its question."""
    if not experiment.questions:
        return f"{experiment.name}: does the student solve more problems?"
    return f"{experiment.name}: does the student name “{experiment.target}” more often?"
