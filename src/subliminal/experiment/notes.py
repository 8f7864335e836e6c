"""What is worth knowing of an experiment before it runs, and refuses no plan: the notes below ``make plan``'s table."""

from __future__ import annotations

from collections.abc import Iterator

from subliminal.core.formatting import counted
from subliminal.core.gpus import visible_gpus
from subliminal.experiment.arms import BY_NAME
from subliminal.experiment.checks.model_folders import model_problems
from subliminal.experiment.plan import Plan
from subliminal.experiment.schema.experiment import Experiment


def plan_notes(experiment: Experiment, plan: Plan) -> Iterator[str]:
    """Sentences about what a run would refuse on this machine, and about a report without an answer."""
    yield from model_problems(experiment)
    # A plan that needs none does not wait for nvidia-smi.
    if most_gpus(plan):
        problem = gpu_problem(plan, len(visible_gpus()))
        if problem:
            yield problem
    if not has_controlled_student(experiment):
        yield (
            "No student among `arms` has a control, so the report will have the share of each arm and no answer. For "
            "one, name student and control_base_numbers."
        )


def has_controlled_student(experiment: Experiment) -> bool:
    """Whether a report's headline finds a student and a control that is subtracted from it."""
    for name in experiment.arms:
        if not name.startswith("control"):
            continue
        of_student = [treatment for treatment in BY_NAME[name].control_of if treatment.startswith("student")]
        of_student += [arm for arm in experiment.arms if name in BY_NAME[arm].minus]
        if set(of_student) & set(experiment.arms):
            return True
    return False


def most_gpus(plan: Plan) -> int:
    """The GPUs of the hungriest stage."""
    return max((stage.gpus for stage in plan.jobs().values()), default=0)


def gpu_problem(plan: Plan, there: int) -> str | None:
    """A sentence where a stage asks for more GPUs than there are; None where they suffice."""
    needed = most_gpus(plan)
    if needed <= there:
        return None
    return (
        f"The experiment {plan.name} asks for {counted(needed, 'GPU')} in one stage, and this machine has {there}. Run "
        "it where they are, or set `resources` in its file to what there is."
    )
