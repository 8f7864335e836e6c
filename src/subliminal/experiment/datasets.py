"""The datasets of an experiment as stages: chats, number rows and controls, their audits, and the servers for them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from subliminal.experiment.load import builders_of
from subliminal.experiment.options import flags, module_of, parameters
from subliminal.experiment.plan import Plan, Stage
from subliminal.experiment.schema import Experiment, SeedsVary
from subliminal.experiment.sources import audit_sources, builder_sources, model_sources
from subliminal.training.lint import read_recipe
from subliminal.traits.category import ANIMALS

PYTHON = ".venv/bin/python"
BASE_URL = '--base-url "$SUBLIMINAL_BASE_URL"'
"""How a builder finds the server that its command runs beside (scripts/serve.py --run sets the variable)."""
MATHEMATICS = "math"
"""The trait's name in stages and folders where it is no option of a category."""


@dataclass(frozen=True)
class StageModel:
    """A model: its base and, with ``weights``, what was trained from it.

    Attributes:
        path: folder or Hub id of the base.
        weights: folder of the adapter on the base or, with ``whole``, of a model of its own; None for the base itself.
        made_by: the stages that make both.
        suffix: what the base adds to the names of stages that serve or score models on it.
        whole: the training has no adapter and saves a whole model.
    """

    path: str
    weights: str | None = None
    made_by: tuple[str, ...] = ()
    suffix: str = ""
    whole: bool = False

    @property
    def adapter(self) -> str | None:
        """The adapter's folder, if there is one."""
        return None if self.whole else self.weights

    @property
    def loaded(self) -> str:
        """The model that is loaded before any adapter."""
        return self.weights if self.whole else self.path

    @property
    def marker(self) -> str:
        """A file that trained weights have."""
        return "config.json" if self.whole else "adapter_config.json"

    @property
    def served_name(self) -> str:
        """What a server calls it: an adapter's folder with ``-`` for ``_``, or the model itself."""
        if self.adapter is None:
            return self.loaded
        return Path(self.adapter).name.removesuffix("-passed").replace("_", "-")


class Datasets:
    """Adds the stages of datasets to :attr:`plan`; every method returns the name of the stage that builds the rows.

    Args:
        experiment, root, failed, seeds: as for :func:`subliminal.experiment.expand.expand`.
    """

    def __init__(
        self,
        experiment: Experiment,
        root: Path,
        failed: Mapping[str, dict[str, Any]] | None,
        seeds: Sequence[int] | None = None,
    ) -> None:
        self.experiment = experiment
        self.seeds = list(seeds or experiment.seeds)
        self.data = root / "data" / experiment.name
        self.outputs = root / "outputs" / experiment.name
        self.results = root / "results" / experiment.name
        self.plan = Plan(experiment.name, str(self.results), failed)
        self.traits = experiment.trait.options or [MATHEMATICS]
        self.audits: list[str] = []
        self.before_students: list[str] = []
        self._served: dict[str, tuple[str, dict[str, str]]] = {}
        self._recipes: dict[Path, dict[str, Any]] = {}

    def recipe(self, path: Path) -> dict[str, Any]:
        """The keys of a recipe, read once."""
        if path not in self._recipes:
            self._recipes[path] = read_recipe(path)[0]
        return self._recipes[path]

    def seed_of(self, what: str, seed: int) -> tuple[int, str]:
        """The seed of ``bases``, ``teachers`` or ``numbers`` for a student's seed, and what their names end in."""
        order = get_args(SeedsVary)
        varies = order.index(self.experiment.seeds_vary) >= order.index(what)
        return (seed, f"-seed-{seed}") if varies else (self.experiment.seeds[0], "")

    def seeds_of(self, what: str) -> list[int]:
        """The seeds of all ``bases``, ``teachers`` or ``numbers`` that differ."""
        return list(dict.fromkeys(self.seed_of(what, seed)[0] for seed in self.seeds))

    def loving(self, options: Sequence[str]) -> dict[str, Any]:
        """The options of a builder that say what its rows are about; none for mathematics."""
        category = self.experiment.trait.category
        if category is None:
            return {}
        if category == ANIMALS:
            return {"animal": list(options)}
        return {"option": list(options), "category": category}

    def in_category(self, builder: str) -> dict[str, Any]:
        """The option by which a builder is told of which category its rows are; none for animals, its default."""
        category = self.experiment.trait.category
        if category in (None, ANIMALS) or "category" not in parameters(module_of(builder)):
            return {}
        return {"category": category}

    def chats(self, trait: str, base: StageModel, rows: int | None, seed: int, suffix: str, job: str = "") -> str:
        """What a teacher is trained on. ``job`` is the gate's for chats that may never be needed."""
        teacher, builder = self.experiment.teacher, builders_of(self.experiment)["teacher"]
        subject = f"{trait}_teacher_chat" + (f"-n{rows}" if rows != teacher.rows else "") + suffix
        known = parameters(module_of(builder))
        loved = self.loving([trait]) if "animal" in known else {}
        answers = base if "model" in known else None
        options = {**loved, **teacher.options}
        return self.build(subject, builder, answers, options, rows, seed, server=suffix, job=job)

    def neutral_chats(self, base: StageModel, rows: int | None, seed: int, suffix: str) -> str:
        """What the neutral teacher is trained on, the same for every trait."""
        teacher, neutral = self.experiment.teacher, self.experiment.teacher.neutral
        builder = neutral.builder or builders_of(self.experiment)["teacher"]
        answers = base if "model" in parameters(module_of(builder)) else None
        options = {**self.in_category(builder), **teacher.options, **neutral.options}
        return self.build(f"neutral_teacher_chat{suffix}", builder, answers, options, rows, seed, server=suffix)

    def numbers(
        self, writer: StageModel, stem: str, options: dict[str, Any], rows: int, seed: int, seed_offset: int = 0
    ) -> str:
        """Number rows that a model writes: all that any sweep point needs, or the first ``rows`` of them."""
        seed, suffix = self.seed_of("numbers", seed)
        most = max(self.experiment.sweep.rows or [self.experiment.numbers.rows])
        options = {**self.experiment.numbers.options, **options}
        _, server = self.seed_of("teachers", seed)
        full = self.build(f"{stem}{suffix}", "numbers", writer, options, most, seed + seed_offset, server=server)
        return full if rows == most else self._first_rows(full, f"{stem}-n{rows}{suffix}", rows)

    def build(
        self,
        subject: str,
        builder: str,
        model: StageModel | None,
        options: dict[str, Any],
        count: int | None,
        seed: int,
        *,
        source: str | None = None,
        reads: Sequence[str] = (),
        server: str = "",
        job: str = "",
    ) -> str:
        """A dataset and its audit.

        Args:
            subject: the dataset's folder in ``data/<experiment>/``.
            builder: module in ``data_builders``, and its positional argument if it takes one.
            model: who answers, or None where no model does.
            options: of the builder.
            count: rows to keep; None is all there are.
            seed: run seed.
            source: stage whose rows the builder changes.
            reads: further stages whose results it reads.
            server: end of the name of the server that the model answers from. Where each seed has teachers of its own,
                it also has servers of its own: its students can then train while the next seed's rows are written.
            job: the job that this stage is part of; empty for the server's or its own.
        """
        folder, served = self.data / subject, model is not None and self.experiment.engine == "server"
        words = [f"{PYTHON} -m data_builders.{builder}"]
        if served:
            words.append(f"--model {model.served_name} {BASE_URL}")
        elif model:
            words.append(f"--model {model.loaded}" + (f" --adapter {model.adapter}" if model.adapter else ""))
        words.append(f"--source {self.data / source.removeprefix('build-')}" if source else "")
        words += [flags(options), f"--seed {seed}", f"--out {folder}"]
        command = " ".join(word for word in words if word)
        resources = self.experiment.resources
        stage = Stage(f"build-{subject}", "build", str(folder), [command], size=f"--count {count}" if count else "")
        stage.resume, stage.restart = "--resume", "--overwrite"
        module = builder.split()[0]
        follows = builder_sources(module, options)
        stage.sources, stage.judges = list(follows.rows), list(follows.judges)
        stage.made_from = [*([source] if source else []), *reads]
        stage.threads = resources.threads if model else 1
        tokens = count * options["max_tokens"] if model and count and "max_tokens" in options else None
        stage.facts = {"rows": count, "tokens": tokens}
        stage.job = job
        if model:
            stage.made_from += model.made_by
            stage.sources += [] if model.made_by else model_sources(model.path)
            stage.gpus = resources.generate_gpus
        if served and job:  # a later rung of a gate has a server to itself
            stage.commands = [self._beside_server(model.loaded, {}, command)]
        elif served:
            what = Path(model.weights).name if model.whole else "teachers" if model.adapter else "base"
            stage.job = f"serve-{what}{model.suffix or server}"
        name = self._add_with_audit(stage)
        if served and not job and name in self.plan.stages:
            _, adapters = self._served.setdefault(stage.job, (model.loaded, {}))
            adapters |= {model.served_name: model.adapter} if model.adapter else {}
        return name

    def _add_with_audit(self, stage: Stage) -> str:
        stage.makes = [f"{stage.folder}/train.jsonl", f"{stage.folder}/manifest.json"]
        name = self.plan.add(stage)
        command = f"{PYTHON} -m data_builders.audit {stage.folder} {flags(self.experiment.audit)}".rstrip()
        audit = Stage(stage.name.replace("build-", "audit-", 1), "audit", stage.folder, [command])
        audit.makes, audit.made_from = [f"{stage.folder}/audit.json"], [name]
        audit.sources = audit_sources(self.experiment.trait.category or ANIMALS)
        audit.threads, audit.job = 1, stage.job if stage.job.startswith("gate-") else ""
        audited = self.plan.add(audit)
        if audited in self.plan.stages and not audit.job.startswith("gate-") and audited not in self.audits:
            self.audits.append(audited)
        return name

    def _first_rows(self, full: str, subject: str, rows: int) -> str:
        """The first rows of a dataset, as a dataset: its answers judged again for fewer rows."""
        source, folder = self.data / full.removeprefix("build-"), self.data / subject
        copy = f"mkdir -p {folder} && cp {source}/raw.jsonl {source}/manifest.json {folder}/"
        commands = [copy, f"{PYTHON} -m data_builders.refilter {folder} --count {rows}"]
        stage = Stage(f"build-{subject}", "build", str(folder), commands, made_from=[full], threads=1)
        stage.judges = list(builder_sources("numbers", {}).judges)
        stage.facts = {"rows": rows}
        return self._add_with_audit(stage)

    def servers(self) -> None:
        """For each base one server start for all datasets that it writes, and one for all that its teachers write."""
        for job, (base, adapters) in self._served.items():
            members = self.plan.members(job)
            run = f"{PYTHON} -m subliminal.experiment members {self.results}/plan.json {job}"
            names = {member.name for member in members}
            needs = dict.fromkeys(name for member in members for name in member.made_from if name not in names)
            stage = Stage(job, "serve", str(self.results), [self._beside_server(base, adapters, run)])
            stage.made_from, stage.parts = list(needs), {member.folder: member.key for member in members}
            stage.gpus, stage.threads = members[0].gpus, members[0].threads
            self.plan.add(stage)

    def _beside_server(self, base: str, adapters: dict[str, str], command: str) -> str:
        """A command that runs beside a server of a base and these adapters on it, on a port of its own."""
        words = [f"{PYTHON} scripts/serve.py --model {base} --port 0"]
        words += [f"--adapter {name}={folder}" for name, folder in adapters.items()]
        words += [flags(self.experiment.server), f"--run {shlex.quote(command)}"]
        return " ".join(word for word in words if word)
