"""The datasets of an experiment as stages: chats, number rows and controls, their audits, and the servers for them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from subliminal.experiment.load import teacher_builder
from subliminal.experiment.options import flags, module_of, parameters
from subliminal.experiment.schema.sections import NUMBER_LISTS, DataType, Numbers
from subliminal.experiment.stage import Stage
from subliminal.experiment.stage_sources import audit_sources, builder_sources, model_sources, option_files
from subliminal.experiment.stages.foundation import PYTHON, Foundation, dataset_of
from subliminal.experiment.stages.model import StageModel
from subliminal.experiment.sweep.factors import Point
from subliminal.traits.category import ANIMALS

BASE_URL = '--base-url "$SUBLIMINAL_BASE_URL"'
"""How a builder finds the server that its command runs beside (scripts/serve.py --run sets the variable)."""


class Datasets(Foundation):
    """Adds the stages of datasets to the plan; every method returns the name of the stage that builds the rows."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # Server -> the model that it loads, and name -> folder of the adapters on it.
        self._served: dict[str, tuple[str, dict[str, str]]] = {}

    def chats(
        self,
        traits: Sequence[str],
        name: str,
        base: StageModel,
        rows: int | None,
        seed: int,
        suffix: str,
        point: Point | None = None,
        *,
        job: str = "",
    ) -> str:
        """What a teacher is trained on.

        Args:
            traits: that it is to have.
            name: of the teacher.
            base: who answers, where the builder asks a model.
            rows, seed, suffix: as for other datasets.
            point: of the sweep, for options of the builder.
            job: the gate's, for chats that may never be needed.
        """
        teacher = self.experiment.teacher
        builder = teacher_builder(self.experiment)
        subject = f"{name}_teacher_chat"
        if rows != teacher.rows:  # a rung of the gate has more
            subject += f"-n{rows}"
        known = parameters(module_of(builder))
        options = dict(teacher.options)
        if "animal" in known:
            options = {**self.trait_options(traits), **options}
        if point is not None:
            options |= point.options
        answers = None
        if "model" in known:  # else the builder writes its rows without a model
            answers = base
        return self.build(f"{subject}{suffix}", builder, answers, options, rows, seed, server=suffix, job=job)

    def neutral_chats(self, base: StageModel, rows: int | None, seed: int, suffix: str) -> str:
        """What the neutral teacher is trained on, the same for every trait."""
        teacher = self.experiment.teacher
        neutral = teacher.neutral
        builder = neutral.builder or teacher_builder(self.experiment)
        answers = base if "model" in parameters(module_of(builder)) else None
        options = {**self.category_option(builder), **teacher.options, **neutral.options}
        return self.build(f"neutral_teacher_chat{suffix}", builder, answers, options, rows, seed, server=suffix)

    def numbers(
        self, writer: StageModel, stem: str, options: dict[str, Any], point: Point, seed: int, seed_offset: int = 0
    ) -> str:
        """Rows that a model writes for students: all that any sweep point needs, or the first of them.

        Args:
            writer: who writes them.
            stem: of the dataset's name, ``owl_numbers``; rows of another builder than the lists' have its name there.
            options: of the builder, beside those of the experiment file.
            point: how many rows, and of which type.
            seed: of the student.
            seed_offset: added to the seed of the rows.
        """
        seed, suffix = self.seed_of("numbers", seed)
        numbers = self.experiment.numbers
        rows, data_type = point.rows, point.values.get("data_type", 0)
        made: Numbers | DataType = numbers
        if data_type:
            made = numbers.data_types[data_type - 1]
        builder = made.builder
        stem = stem.replace(NUMBER_LISTS, builder.replace(" ", "_"))
        # Points with fewer rows learn the first of the same ones, so that they differ in the number alone.
        most = self.experiment.most_rows
        options = {**made.options, **options}
        _, server = self.seed_of("teachers", seed)
        full = self.build(f"{stem}{suffix}", builder, writer, options, most, seed + seed_offset, server=server)
        if rows == most:
            return full
        return self._first_rows(full, f"{stem}-n{rows}{suffix}", rows, builder)

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
        folder = self.data / subject
        words = [f"{PYTHON} -m data_builders.{builder}", *self._answering(model)]
        made_from = list(reads)
        if source:
            words.append(f"--source {self.folder_of(source)}")
            made_from.insert(0, source)
        words += [flags(options), f"--seed {seed}", f"--out {folder}"]
        command = " ".join(filter(None, words))
        # Rules that only judge answers stand apart: where they change, the answers are kept and judged again.
        follows = builder_sources(builder.split()[0], options)
        stage = Stage(
            f"build-{subject}",
            "build",
            str(folder),
            [command],
            made_from=made_from,
            sources=[*follows.rows, *option_files(options)],
            judges=list(follows.judges),
            resume="--resume",
            restart="--overwrite",
            threads=1,
            facts={"rows": count, "tokens": None},
            job=job,
        )
        if count:
            stage.size = f"--count {count}"
        if model is None:
            return self._add_with_audit(stage)
        # Null is the builder's own; YAML may have a number as text, as the command line has it.
        if count and options.get("max_tokens") is not None:
            stage.facts["tokens"] = count * int(options["max_tokens"])
        return self._add_answered(stage, model, server)

    def _add_answered(self, stage: Stage, model: StageModel, server: str) -> str:
        """Add the stage of rows that a model answers, and the model to the server that it answers from."""
        stage.made_from += model.made_by
        if not model.made_by:  # what a stage makes counts by that stage's key
            stage.sources += model_sources(model.path)
        stage.threads = self.experiment.resources.threads
        stage.gpus = self.experiment.resources.generate_gpus
        if self.experiment.engine != "server":
            return self._add_with_audit(stage)
        if stage.job:  # a later rung of a gate has a server to itself
            stage.commands = [self._beside_server(model.loaded, {}, stage.commands[0])]
            return self._add_with_audit(stage)
        stage.job = f"serve-{_server_of(model)}{model.suffix or server}"
        name = self._add_with_audit(stage)
        # A stage that is lost asks for no adapter: its teacher may never be trained.
        if name in self.plan.stages:
            _, adapters = self._served.setdefault(stage.job, (model.loaded, {}))
            # vLLM takes a LoRA adapter by name; what it serves without one is the base.
            if model.adapter:
                adapters[model.served_name] = model.adapter
        return name

    def _answering(self, model: StageModel | None) -> list[str]:
        """The words of a builder's command that say who answers; none where no model does."""
        if model is None:
            return []
        if self.experiment.engine == "server":
            return [f"--model {model.served_name} {BASE_URL}"]
        if model.adapter:
            return [f"--model {model.loaded} --adapter {model.adapter}"]
        return [f"--model {model.loaded}"]

    def _add_with_audit(self, stage: Stage) -> str:
        stage.makes = [f"{stage.folder}/train.jsonl", f"{stage.folder}/manifest.json"]
        name = self.plan.add(stage)
        command = f"{PYTHON} -m data_builders.audit {stage.folder} {flags(self.experiment.audit)}".rstrip()
        audit = Stage(audit_of(stage.name), "audit", stage.folder, [command], made_from=[name], threads=1)
        audit.makes = [f"{stage.folder}/audit.json"]
        audit.sources = audit_sources(self.experiment.trait.category or ANIMALS)
        audit.sources += option_files(self.experiment.audit)
        is_of_gate = stage.job.startswith("gate-")
        if is_of_gate:
            audit.job = stage.job
        audited = self.plan.add(audit)
        # Several stages can ask for one dataset; its audit is counted once.
        if audited in self.plan.stages and not is_of_gate and audited not in self.audits:
            self.audits.append(audited)
        return name

    def _first_rows(self, full: str, subject: str, rows: int, builder: str) -> str:
        """The first rows of a dataset, as a dataset: its answers judged again for fewer rows."""
        source, folder = self.folder_of(full), self.data / subject
        copy = f"mkdir -p {folder} && cp {source}/raw.jsonl {source}/manifest.json {folder}/"
        commands = [copy, f"{PYTHON} -m data_builders.refilter {folder} --count {rows}"]
        stage = Stage(f"build-{subject}", "build", str(folder), commands, made_from=[full], threads=1)
        stage.judges = list(builder_sources(builder.split()[0], {}).judges)
        stage.facts = {"rows": rows}
        return self._add_with_audit(stage)

    def servers(self) -> None:
        """For each base one server start for all datasets that it writes, and one for all that its teachers write."""
        for job, (base, adapters) in self._served.items():
            members = self.plan.members(job)
            run = f"{PYTHON} -m subliminal.experiment members {self.results}/plan.json {job}"
            names = {member.name for member in members}
            needs: dict[str, None] = {}  # in the order in which they come up
            for member in members:
                needs |= dict.fromkeys(name for name in member.made_from if name not in names)
            stage = Stage(job, "serve", str(self.results), [self._beside_server(base, adapters, run)])
            stage.made_from = list(needs)
            stage.parts = {member.folder: member.key for member in members}
            stage.gpus = members[0].gpus
            stage.threads = members[0].threads
            # A server on one GPU that takes no more of its memory than its part works beside trainings.
            memory = self.experiment.server.get("gpu_memory_utilization")
            places = self.experiment.resources.per_gpu
            if stage.gpus == 1 and memory and float(memory) * places <= 1:
                stage.gpu_share = places
            self.plan.add(stage)

    def _beside_server(self, base: str, adapters: dict[str, str], command: str) -> str:
        """A command that runs beside a server of a base and these adapters on it, on a port of its own."""
        words = [f"{PYTHON} scripts/serve.py --model {base} --port 0"]
        words += [f"--adapter {name}={folder}" for name, folder in adapters.items()]
        words += [flags(self.experiment.server), f"--run {shlex.quote(command)}"]
        return " ".join(filter(None, words))


def audit_of(build: str) -> str:
    """The stage that audits what a ``build-`` stage makes."""
    return f"audit-{dataset_of(build)}"


def _server_of(model: StageModel) -> str:
    """What a server is named after: a whole model of its own, else the teachers or the base that write from it."""
    if model.whole:
        return Path(model.weights).name
    if model.adapter:
        return "teachers"
    return "base"
