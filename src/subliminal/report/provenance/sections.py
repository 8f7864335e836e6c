"""What a report says of that which stands behind its results: rows, trainings, code and machines."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from subliminal.core.formatting import count, percent
from subliminal.core.manifest import cpu_names
from subliminal.evaluation.lineage import learned_rows
from subliminal.experiment.sweep.factors import point_label, point_of
from subliminal.report.blocks import Figure, Section, Table
from subliminal.report.plots import describe, training_figure
from subliminal.report.provenance.trace import Provenance

DATA, TRAINING, PROVENANCE = "Data", "Training", "Provenance"
BEHIND_RESULTS = (DATA, TRAINING, PROVENANCE)
"""Titles of the sections that describe folders outside of the results."""
OTHER_ROWS = {
    "code": "code answers",
    "reasoning": "worked answers to problems",
    "pocket_answers favourites": "favourites of other kinds than the trait's",
    "pocket_answers sums": "answers to sums",
}
"""Builder of what students learn, and its kind if it has several, where it is no number lists -> what its rows are."""
NAMED_AFTER_LISTS = "Arms are named and described after number lists, which most experiments teach."


def rows_note(found: Provenance) -> str | None:
    """A sentence where students learn other rows than number lists, after which arms are named; else None."""
    by_type = _rows_by_type(found)
    if by_type:
        each = [f"{label}, {rows}" for label, rows in by_type.items()]
        named = "Students and controls whose names have one of these learn other rows in their place"
        return f"{NAMED_AFTER_LISTS} {named}: {'; '.join(each)}."
    for manifest in found.of_kind("dataset").values():
        builder = _builder_of(manifest)
        if builder in OTHER_ROWS:
            return f"{NAMED_AFTER_LISTS} Here students and controls learn {_rows_said(builder)} in their place."
    return None


def _rows_by_type(found: Provenance) -> dict[str, str]:
    """What arms of each type of data learn, by what their names have, ``_d1``; empty without such arms."""
    builders = {Path(label).name: _builder_of(manifest) for label, manifest in found.of_kind("dataset").items()}
    by_type = {}
    for label, manifest in found.of_kind("training").items():
        # A training's folder is its arm's name and seed: `owl_student_d1-seed-294`.
        arm, _, _ = Path(label).name.partition("-seed-")
        _, values = point_of(arm)
        data_type = values.get("data_type", 0)
        rows = Path(learned_rows(manifest) or "").parent.name
        if data_type and rows in builders:
            by_type[data_type] = _rows_said(builders[rows])
    return {point_label({"data_type": data_type}): by_type[data_type] for data_type in sorted(by_type)}


def _builder_of(manifest: dict[str, Any]) -> str:
    """The builder of a dataset as an experiment file names it, with its kind if it has several."""
    kind = (manifest.get("config") or {}).get("kind")
    return " ".join(filter(None, (manifest.get("builder"), kind)))


def _rows_said(builder: str) -> str:
    """What a builder's rows are; of one that the table lacks, its name alone."""
    module = f"data_builders.{builder}"
    if builder not in OTHER_ROWS:
        return f"rows of {module}"
    return f"{OTHER_ROWS[builder]} ({module})"


def data_section(provenance: Provenance) -> Section:
    """Rows asked, kept and rejected by reason of every dataset in the chain, and its audit."""
    rows = []
    for label, manifest in provenance.of_kind("dataset").items():
        counts = manifest.get("counts") or {}
        asked, kept, surplus = counts.get("asked"), counts.get("kept"), counts.get("surplus")
        rejected = counts.get("rejected") or {}
        reasons = ", ".join(f"{reason} {number}" for reason, number in rejected.items())
        rows.append([label, count(asked), count(kept), reasons or "–", count(surplus), _pass_rate(counts)])
    if not rows:
        return Section(DATA, ["No dataset manifest was found behind these results."], [])
    text = ["Surplus rows were drawn beyond the last one needed. Pass rate: kept / (asked − surplus)."]
    header = ["dataset", "asked", "kept", "rejected, by reason", "surplus", "pass rate"]
    return Section(DATA, text, [Table(header, rows), *_audits(provenance)])


def _pass_rate(counts: dict[str, Any]) -> str:
    """Kept rows to those that were judged; a dash where a manifest does not say."""
    asked, kept = counts.get("asked"), counts.get("kept")
    if not isinstance(asked, int) or not isinstance(kept, int):
        return "–"
    # Surplus rows were drawn and never judged, so that they are no failures.
    judged = asked - (counts.get("surplus") or 0)
    if judged <= 0:
        return "–"
    return percent(kept / judged)


def _audits(provenance: Provenance) -> list[Table]:
    """A row a dataset: whether it passed, how many checks did, and what became of the others, with reasons."""
    rows = []
    for label, manifest in provenance.of_kind("dataset").items():
        audit = provenance.audits.get(label)
        if audit is None:
            rows.append([label, "not audited", "–", "–"])
            continue
        checks, rest = audit.get("checks") or {}, []
        for name, check in checks.items():
            if check.get("status") == "pass":
                continue
            said = f"{name} {check.get('status')}"
            if check.get("reason"):
                said += f": {check['reason']}"
            rest.append(said)
        verdict = "passed" if audit.get("passed") else "FAILED"
        # An audit is of the bytes that it read: rows made anew beneath it are not audited.
        kept = ((manifest.get("outputs") or {}).get("train.jsonl") or {}).get("sha256")
        if kept and audit.get("train_sha256") != kept:
            verdict += " (of other rows)"
        rows.append([label, verdict, f"{len(checks) - len(rest)} of {len(checks)}", "; ".join(rest) or "–"])
    return [Table(["dataset", "audit", "checks passed", "the others"], rows)]


def training_section(provenance: Provenance) -> Section:
    """Steps, first and last loss of every training run in the chain, and the curves."""
    rows = []
    for label, losses in provenance.losses.items():
        seed = count((provenance.manifests[label].get("config") or {}).get("seed"))
        if not losses:
            rows.append([label, seed, "no metrics.jsonl", "–", "–", "–"])
            continue
        (_, first), (steps, last) = losses[0], losses[-1]
        # One step's loss is noise.
        tail = [loss for _, loss in losses[-10:]]
        mean = sum(tail) / len(tail)
        rows.append([label, seed, str(steps), f"{first:.4f}", f"{last:.4f}", f"{mean:.4f}"])
    if not rows:
        return Section(TRAINING, ["No training manifest was found behind these results."], [])
    header = ["run", "seed", "steps", "first loss", "last loss", "mean of last 10"]
    figures = ()
    if any(provenance.losses.values()):
        figures = (Figure(partial(training_figure, provenance.losses), describe(provenance.losses), "training.svg"),)
    return Section(TRAINING, [], [Table(header, rows)], figures=figures)


def provenance_section(provenance: Provenance) -> Section:
    """Code, versions, devices, chat contexts and commands, in the order in which things were made."""
    # In the order in which things were made, so that the commands can be run from the top.
    ordered = sorted(provenance.manifests.items(), key=lambda item: str(item[1].get("started", "")))
    rows, commands, tables = [], [], []
    for label, manifest in ordered:
        kind, device = str(manifest.get("kind", "–")), str(manifest.get("device") or "–")
        times = [_time(manifest.get(key)) for key in ("started", "ended")]
        rows.append([label, kind, commit_of(manifest), device, *times])
        if manifest.get("command"):
            commands.append(manifest["command"])
    if rows:
        header = ["made", "kind", "git", "device", "started (UTC)", "ended (UTC)"]
        tables = [Table(header, rows), *_versions(provenance)]
    text = [*_context_text(provenance), *_cpu_text(provenance)]
    return Section(PROVENANCE, text, tables, tuple(dict.fromkeys(commands)))


def _time(value: Any) -> str:
    return str(value or "–").removesuffix("+00:00").replace("T", " ")


def commit_of(manifest: dict[str, Any]) -> str:
    """The commit that something was made at, ten digits, and whether there were changes beside it."""
    git = manifest.get("git") or {}
    commit = (git.get("sha") or "unknown")[:10]
    if git.get("dirty"):
        commit += " + changes"
    return commit


def _cpu_text(provenance: Provenance) -> list[str]:
    """The kinds of CPU, where manifests record them."""
    kinds = cpu_names(provenance.manifests.values())
    if not kinds:
        return []
    text = f"CPU: {'; '.join(kinds)}."
    if len(kinds) > 1:
        text += " Two kinds of CPU do not train the same weights to the last bit: repeat a run on one of them."
    return [text]


def _versions(provenance: Provenance) -> list[Table]:
    used: dict[str, set[str]] = {}
    for manifest in provenance.manifests.values():
        versions = {"python": manifest.get("python"), **(manifest.get("packages") or {})}
        for name, version in versions.items():
            if version:
                used.setdefault(name, set()).add(str(version))
    if not used:
        return []
    rows = []
    for name, several in sorted(used.items()):
        # A run that went on after an update has two.
        rows.append([name, " and ".join(sorted(several))])
    return [Table(["package", "version"], rows)]


def _context_text(provenance: Provenance) -> list[str]:
    contexts = provenance.chat_contexts()
    if not contexts:
        return ["No chat context was recorded, so nobody can tell whether all arms saw the same one."]
    if len(contexts) == 1:
        value, labels = next(iter(contexts.items()))
        return [f"All {len(labels)} results and training runs that recorded it used the chat context {value[:12]}."]
    parts = [f"{value[:12]} by {', '.join(labels)}" for value, labels in contexts.items()]
    return [f"The chat contexts differ: {'; '.join(parts)}."]
