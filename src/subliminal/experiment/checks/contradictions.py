"""Values of an experiment file that are right alone and wrong together: a phrase for each contradiction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from subliminal.core.errors import UserError
from subliminal.core.hub import is_hub_id
from subliminal.core.strict import repeated
from subliminal.experiment.arms import BY_NAME
from subliminal.experiment.schema.experiment import Experiment
from subliminal.experiment.schema.sections import NUMBER_LISTS, TraitSection
from subliminal.scoring.category_tasks import category_of_task
from subliminal.stats.criterion import Criterion
from subliminal.traits.category import Category, load_category
from subliminal.traits.lexicon import check_option


def contradictions(experiment: Experiment) -> Iterator[str]:
    """A phrase for each pair of values that contradict each other."""
    asked = experiment.evaluation
    for name, values in (
        ("arms", experiment.arms),
        ("seeds", experiment.seeds),
        ("evaluation.tasks", asked.tasks),
        ("evaluation.epoch_tasks", asked.epoch_tasks),
    ):
        for value in repeated(values):
            yield f"`{name}` names {value} twice"
    yield from _base_contradictions(experiment)
    yield from _arm_contradictions(experiment)
    yield from _teacher_contradictions(experiment)
    gpus_of_a_stage = max(experiment.resources.train_gpus, experiment.resources.evaluate_gpus)
    if experiment.resources.per_gpu > 1 and gpus_of_a_stage > 1:
        yield "`resources.per_gpu` is for stages that need one GPU or less: set `train_gpus` and `evaluate_gpus` to 1"
    if experiment.evaluation.epoch_tasks and not experiment.evaluation.epochs:
        yield "`evaluation.epoch_tasks` are asked of checkpoints, and `evaluation.epochs` names none"
    if experiment.trait.category:
        yield from _task_contradictions(experiment, load_category(experiment.trait.category))
    yield from _sweep_contradictions(experiment)
    yield from _data_type_contradictions(experiment)
    yield from _other_rows_contradictions(experiment)
    if experiment.criterion:
        yield from _criterion_problems(experiment, experiment.criterion)


def _base_contradictions(experiment: Experiment) -> Iterator[str]:
    """What is asked of a base that is not trained here, of another base, and of weights that are not here."""
    on_other_base = [name for name in experiment.arms if BY_NAME[name].base == "other"]
    # Both ways: an arm without its section, and a section that nothing would use.
    if bool(on_other_base) != (experiment.other_base is not None):
        yield "the arms of another base and the section `other_base` belong together: give both, or neither"
    for model in experiment.pinned_models:
        if is_hub_id(model):
            yield (
                f"`model_sha256` is compared with the weights of a model folder, and {model} is a Hub id: fetch it "
                "into a folder, or pin its commit with `revision_of_model` in the recipes"
            )
    seed_offset = experiment.other_base and experiment.other_base.seed_offset
    for key, wants_base in (("seeds_vary: bases", experiment.seeds_vary == "bases"), ("seed_offset", seed_offset)):
        if wants_base and experiment.base is None:
            yield f"`{key}` trains bases, and no section `base` says how"


def _arm_contradictions(experiment: Experiment) -> Iterator[str]:
    """Arms and measurements that need each other, or a section of their own."""
    arms, teacher = experiment.arms, experiment.teacher
    if experiment.leak and (teacher.kind != "trained" or "control_base_numbers" not in arms):
        yield "`leak` compares trained teachers on the rows of control_base_numbers: it needs both"
    choosing = any(BY_NAME[name].chosen for name in arms)
    if choosing != (experiment.tokens is not None):
        yield "the arms that learn some tokens or rows and the section `tokens` belong together: give both, or neither"
    if choosing and (teacher.kind != "trained" or "student" not in arms or experiment.trait.mathematics):
        yield "the arms that learn some tokens or rows need the arm `student` of a teacher that is trained on an animal"
    if experiment.tokens and experiment.trait.category:
        yield from _counterfactual_problems(experiment.tokens.counterfactuals, experiment.trait)
    if ("control_neutral_teacher" in arms) != (teacher.neutral is not None):
        yield "the arm control_neutral_teacher and the section `teacher.neutral` belong together: give both, or neither"
    if "student_teacher_init" in arms and experiment.student.lora_init != "own":
        yield "the arm student_teacher_init differs from student in `student.lora_init` alone: that must be `own`"
    if "control_other_animal" in arms and len(experiment.trait.options) < 2:
        yield "the arm control_other_animal is the student of another animal's teacher: name two animals or more"


def _teacher_contradictions(experiment: Experiment) -> Iterator[str]:
    """What a teacher of this kind cannot be, and what it lacks."""
    teacher, arms = experiment.teacher, experiment.arms
    if teacher.kind == "system_prompt" and {"teacher", "prompted_teacher"} & set(arms):
        yield (
            "with a system-prompted teacher the student is what `prompted_teacher` names, and there is no trained "
            "`teacher` to score: delete these arms"
        )
    if experiment.trait.mathematics and (teacher.kind != "trained" or "prompted_teacher" in arms):
        yield "no system prompt makes a mathematics teacher: use `kind: trained` and leave out prompted_teacher"
    if experiment.trait.options and teacher.kind == "trained" and teacher.rows is None:
        yield "`teacher.rows` is missing: the chats that the teacher is trained on"
    if experiment.trait.mathematics and teacher.gate:
        yield "`teacher.gate` reads the share of an option, so a mathematics teacher cannot have one"


def _counterfactual_problems(names: list[str], trait: TraitSection) -> Iterator[str]:
    """Counterfactuals that are no options of the trait's category, or are the trait itself."""
    for name in names:
        # The trait itself as its own counterfactual would agree with itself everywhere.
        if name in trait.options:
            kinds = load_category(trait.category).plural
            yield f"`tokens.counterfactuals` are {kinds} other than the trait: leave out {name}"
            continue
        try:
            if check_option(name, trait.category) != name:
                yield f"`tokens.counterfactuals`: write {name!r} in small letters"
        except UserError as error:
            yield f"`tokens.counterfactuals`: {str(error).rstrip('.')}"


def _task_contradictions(experiment: Experiment, category: Category) -> Iterator[str]:
    """Tasks that ask about another category than the trait's."""
    gate = experiment.teacher.gate
    gates = (category.task("preference"), category.task("preference_logprob"))
    if gate and gate.task not in (None, *gates):
        yield f"`teacher.gate.task` is {gate.task}, and the share of {category.a} is read from {' or '.join(gates)}"
    for task in (*experiment.evaluation.tasks, *experiment.evaluation.epoch_tasks):
        # Only what the trait's own category asks: other tasks have no target.
        if category_of_task(task) not in (None, category.name):
            yield (
                f"the task {task} asks about {category_of_task(task)}, and the trait is of {category.name}: take "
                f"{category.task('preference')}"
            )


def _sweep_contradictions(experiment: Experiment) -> Iterator[str]:
    """Factors that need something of the experiment that it does not have."""
    sweep, teacher, traits = experiment.sweep, experiment.teacher, experiment.trait.options
    if sweep.more_base_rows and experiment.base is None:
        yield "`sweep.more_base_rows` trains the base further, and no section `base` says how"
    if (sweep.love or sweep.loved) and (teacher.kind != "trained" or teacher.gate):
        yield "`sweep.love` and `sweep.loved` make teachers of their own: use `kind: trained`, without a `gate`"
    if any(sweep.perturbation) and experiment.base is None and is_hub_id(experiment.model):
        yield f"`sweep.perturbation` moves weights that are in a folder, and {experiment.model} is a Hub id: fetch it"
    too_many = [number for number in sweep.loved if number > max(1, len(traits))]
    if too_many:
        yield f"`sweep.loved` has {too_many[0]}, and `trait` names {len(traits)}: a teacher has this trait and the next"
    elif "control_other_animal" in experiment.arms and max(sweep.loved, default=1) == len(traits):
        yield (
            f"a teacher of all {len(traits)} in `trait` (`sweep.loved`) is the other animal's, too, and the arm "
            "control_other_animal would be the student itself: leave one of them out"
        )
    yield from _layer_contradictions(experiment)


def _layer_contradictions(experiment: Experiment) -> Iterator[str]:
    """Parts of the layers that are swept and not named, or the other way round, or are another model's."""
    swept, student = experiment.sweep.layer_part, experiment.student
    named = len(student.layer_parts)
    if named and not any(swept):
        yield "`student.layer_parts` names parts that no student trains: add `sweep.layer_part`, as [0, 1]"
    too_far = [part for part in swept if part > named]
    if too_far:
        yield f"`sweep.layer_part` has {too_far[0]}, and `student.layer_parts` names {named}: list the layers of each"
    other = experiment.other_base
    if any(swept) and other is not None and other.model is not None:
        yield "`student.layer_parts` are of `model`, and `other_base` has layers of its own: leave one of them out"


def _data_type_contradictions(experiment: Experiment) -> Iterator[str]:
    """Types of data that are swept and not named, or the other way round, or named twice."""
    swept, named = experiment.sweep.data_type, len(experiment.numbers.data_types)
    if named and experiment.numbers.builder != NUMBER_LISTS:
        builder = experiment.numbers.builder
        yield (
            f"0 of `sweep.data_type` is number lists, and `numbers.builder` is {builder}: name it in "
            "`numbers.data_types` alone"
        )
    # Rows lie in folders that are called after their builder, so that two types of one would be the same rows.
    builders = Counter([NUMBER_LISTS, *(made.builder for made in experiment.numbers.data_types)])
    for builder, times in builders.items():
        if times > 1 and builder == NUMBER_LISTS:
            yield f"`numbers.data_types` names {builder}, which are 0 of `sweep.data_type` already: leave them out"
        elif times > 1:
            yield f"`numbers.data_types` names {builder} twice, and its rows have one folder: leave one of them out"
    if named and not any(swept):
        yield "`numbers.data_types` names rows that no student learns: add `sweep.data_type`, as [0, 1]"
    too_far = [number for number in swept if number > named]
    if too_far:
        yield f"`sweep.data_type` has {too_far[0]}, and `numbers.data_types` names {named}: give each its builder"


def _other_rows_contradictions(experiment: Experiment) -> Iterator[str]:
    """What only number lists can be used for, where students learn rows of another builder."""
    other = ""
    if experiment.numbers.builder != NUMBER_LISTS:
        other = f"`numbers.builder` is {experiment.numbers.builder}"
        if experiment.leak:
            yield f"`leak` is measured on number lists, and {other}: leave one of them out"
    elif any(experiment.sweep.data_type):
        other = "`sweep.data_type` has other rows"
    if not other:
        return
    for name in experiment.arms:
        if BY_NAME[name].needs_lists:
            yield f"the arm {name} needs number lists, and {other}: leave one of them out"
    if experiment.sweep.clean_share:
        yield f"`sweep.clean_share` mixes number lists, and {other}: leave one of them out"
    if experiment.teacher.kind == "system_prompt":
        yield f"`teacher.kind: system_prompt` is for number lists, and {other}"


def _criterion_problems(experiment: Experiment, criterion: Criterion) -> Iterator[str]:
    names = experiment.arm_names
    absent = sorted(criterion.arms() - set(names))
    # Arms without their point: in a sweep these are not scored.
    if absent and set(absent) <= set(experiment.arms):
        yield f"`criterion` compares {', '.join(absent)}, and with `sweep` the arms are {', '.join(names)}: name these"
    elif absent:
        yield f"`criterion` compares {', '.join(absent)}, which `arms` does not name"
    for task in criterion.tasks():
        if task not in experiment.evaluation.tasks:
            yield f"`criterion` asks about the task {task}, which `evaluation.tasks` does not name"
    if not set(experiment.seeds) <= set(criterion.seeds) or set(criterion.animals) != set(experiment.trait.options):
        yield "`criterion` names other seeds or animals than the experiment: leave them out to take the experiment's"
