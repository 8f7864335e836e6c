"""What stands behind a result: from its manifest to the adapter, the data, and the models they came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from subliminal.core.files import read_jsonl, read_object
from subliminal.core.manifest import cpu_names, sha256_of
from subliminal.core.numbers import count, percent
from subliminal.evaluation.behind import root_of
from subliminal.report.data import Results
from subliminal.report.format import Figure, Section, Table
from subliminal.report.plots import describe, training_figure

DATA, TRAINING, PROVENANCE = "Data", "Training", "Provenance"
BEHIND_RESULTS = (DATA, TRAINING, PROVENANCE)
"""Titles of the sections that describe folders outside of the results."""
MAKE_AGAIN = "Make that folder again."
OTHER_ROWS = {"code": "code answers", "reasoning": "worked answers to problems"}
"""Builder of what students learn, where it is no number lists -> what its rows are."""
MODEL_KEYS = ("adapter", "model", "base_model")
"""Settings of a manifest that may name a folder with a manifest of its own."""


@dataclass
class Provenance:
    """What was found, by label ("student/seed-1", or a folder); ``notes`` are sentences."""

    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    audits: dict[str, dict[str, Any]] = field(default_factory=dict)
    losses: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def of_kind(self, kind: str) -> dict[str, dict[str, Any]]:
        """The manifests of one kind, by label: ``result``, ``training``, ``dataset`` or ``model``."""
        found = {}
        for label, manifest in sorted(self.manifests.items()):
            if manifest.get("kind") == kind:
                found[label] = manifest
        return found

    def chat_contexts(self) -> dict[str, list[str]]:
        """Chat context hash -> labels of what used it.

        Results under a system prompt of their own, and another base with its own template, are left out.
        """
        contexts: dict[str, list[str]] = {}
        for label, manifest in {**self.of_kind("result"), **self.of_kind("training")}.items():
            if (manifest.get("config") or {}).get("system_prompt") is not None or "other_base" in label:
                continue
            for value in sorted(set(_values_of(manifest, "chat_context_sha256"))):
                contexts.setdefault(value, []).append(label)
        return contexts


def rows_note(found: Provenance) -> str | None:
    """A sentence where students learn other rows than number lists, after which arms are named; else None."""
    for manifest in found.of_kind("dataset").values():
        rows = OTHER_ROWS.get(manifest.get("builder"))
        if rows:
            return (
                "Arms are named and described after number lists, which most experiments teach. Here students and "
                f"controls learn {rows} (data_builders.{manifest['builder']}) in their place."
            )
    return None


def trace(results: Results) -> Provenance:
    """Follow the manifests of all arms as far as their folders are on this machine.

    Relative paths are looked up from the checkout that holds the result folder, then from the current folder.
    """
    found, roots = Provenance(), (root_of(results.folder), Path.cwd())
    queue: list[tuple[str, dict[str, Any]]] = []
    for arm, manifests in results.manifests.items():
        for seed, manifest in manifests.items():
            if manifest:
                queue.append((f"{arm}/seed-{seed}", {"kind": "result", **manifest}))
    seen: set[Path] = set()
    while queue:
        # The oldest first: what is nearest to the results comes before what is behind it.
        label, manifest = queue.pop(0)
        found.manifests[label] = manifest
        for name in _named_paths(manifest):
            folder = _folder(roots[0] / name) or _folder(roots[1] / name)
            if folder is None:
                _note_absent(found, label, manifest, name)
                continue
            if folder in seen:
                continue
            seen.add(folder)
            parent = read_object(folder / "manifest.json", MAKE_AGAIN)
            if parent:
                shown = _shown(folder, roots)
                queue.append((shown, parent))
                _read_beside(found, folder, shown, parent)
        _note_changed(found, label, manifest, roots)
    return found


def _shown(folder: Path, roots: tuple[Path, ...]) -> str:
    """A folder as reports name it: from the checkout, or from the current folder, if it lies in one of the two."""
    for root in roots:
        if folder.is_relative_to(root):
            return str(folder.relative_to(root))
    return str(folder)


def _read_beside(found: Provenance, folder: Path, label: str, manifest: dict[str, Any]) -> None:
    """What lies beside a manifest: the losses of a training, the audit of a dataset."""
    if manifest.get("kind") == "training":
        found.losses[label] = losses_in(folder / "metrics.jsonl")
    if manifest.get("kind") == "dataset" and (folder / "audit.json").is_file():
        found.audits[label] = read_object(folder / "audit.json", MAKE_AGAIN)


def _named_paths(manifest: dict[str, Any]) -> list[str]:
    """Paths (or Hub ids) of what a manifest was made from: its models, data sets and input files."""
    config = manifest.get("config") or {}
    names = [config.get(key) for key in MODEL_KEYS]
    for data in config.get("datasets") or []:
        if isinstance(data, dict):
            data = data.get("path")
        names.append(data)
    for entry in (manifest.get("inputs") or {}).values():
        names.append(entry.get("path"))
    named: dict[str, None] = {}  # each once, in the order in which they come up
    for name in names:
        if isinstance(name, str) and name:
            named[name] = None
    return list(named)


def _folder(path: Path) -> Path | None:
    """The folder with a manifest that a path names: itself, the folder of the file, or that of a checkpoint.

    Weights and rows may be gone, as those of a lent machine are: the manifest beside them says what they were.
    """
    for folder in (path, path.parent):
        if (folder / "manifest.json").is_file():
            return folder.resolve()
    return None


def _note_absent(found: Provenance, label: str, manifest: dict[str, Any], name: str) -> None:
    """Say so where an adapter's training is not here; other things that are named may well be Hub ids."""
    if manifest.get("kind") == "result" and name == (manifest.get("config") or {}).get("adapter"):
        found.notes.append(f"{label}: the adapter {name} has no manifest here, so its training and data are not shown.")


def _note_changed(found: Provenance, label: str, manifest: dict[str, Any], roots: tuple[Path, ...]) -> None:
    """Say so where a data file is not the one that a run recorded: the counts shown are then those of other data."""
    for entry in (manifest.get("inputs") or {}).values():
        places = [root / entry["path"] for root in roots]
        here = next(filter(Path.is_file, places), None)
        if here is None or here.suffix != ".jsonl":  # rows alone: to hash weights again would take minutes
            continue
        if entry.get("sha256") not in (None, sha256_of(here)):
            found.notes.append(
                f"{entry['path']} has changed since {label} used it: its counts below are of other data."
            )


def losses_in(path: Path) -> list[tuple[int, float]]:
    """(step, loss) of a metrics.jsonl in order of steps; a step taken again after a resume counts once."""
    if not path.is_file():
        return []
    found = {}
    for row in read_jsonl(path, allow_empty=True):
        if "step" in row and "loss" in row:
            found[row["step"]] = row["loss"]
    return sorted(found.items())


def _values_of(value: Any, key: str) -> Iterator[str]:
    """Every string under ``key`` anywhere in nested dicts."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key and isinstance(inner, str):
                yield inner
            else:
                yield from _values_of(inner, key)


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
        rows.append([name, " and ".join(sorted(several))])
    return [Table(["package", "version"], rows)]


def _context_text(provenance: Provenance) -> list[str]:
    contexts = provenance.chat_contexts()
    if not contexts:
        return ["No chat context was recorded, so nobody can tell whether all arms saw the same one."]
    if len(contexts) == 1:
        (value, labels), = contexts.items()  # fmt: skip
        return [f"All {len(labels)} results and training runs that recorded it used the chat context {value[:12]}."]
    parts = [f"{value[:12]} by {', '.join(labels)}" for value, labels in contexts.items()]
    return [f"The chat contexts differ: {'; '.join(parts)}."]
