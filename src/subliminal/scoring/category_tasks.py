"""The tasks of every category of ``traits/``: those with files in ``eval_tasks/``, and those that are made here.

    category_of_task("tree_preference")       # "trees"
    settings_of_task("tree_preference")       # what lm-eval takes as a task

A category's tasks are those of the animals with its own questions and metrics, so a folder of ``traits/`` is enough.
lm-eval's own command knows only files: ``eval_tasks/tree_preference/`` shows which ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError, did_you_mean
from subliminal.traits.category import category_names, load_category

TASKS = REPO_ROOT / "eval_tasks"
VERSIONS = {"sampled": 1.4, "exact": 1.0, "story": 1.4}
"""``metadata.version`` of a kind's tasks; it rises where answers are read otherwise, which probabilities are not."""


@dataclass(frozen=True)
class Form:
    """One way to ask a category's questions.

    Attributes:
        kind: ``metadata.kind`` of its tasks.
        template: task of the animals, in ``eval_tasks/``, whose settings it shares.
        questions: the file of the category that it needs.
    """

    kind: str
    template: str
    questions: str = "questions"


FORMS = {
    "preference": Form("sampled", "animal_preference/animal_preference.yaml"),
    "preference_logprob": Form("exact", "animal_preference/animal_preference_logprob.yaml"),
    "preference_numbers": Form("sampled", "animal_preference_numbers/animal_preference_numbers.yaml"),
    "preference_paraphrase": Form(
        "sampled", "animal_preference_paraphrase/animal_preference_paraphrase.yaml", "paraphrases"
    ),
    "preference_paraphrase_logprob": Form(
        "exact", "animal_preference_paraphrase/animal_preference_paraphrase_logprob.yaml", "paraphrases"
    ),
    "story": Form("story", "animal_story/animal_story.yaml", "stories"),
}
"""What follows a category's key in the name of a task -> how it asks."""


@cache
def category_tasks() -> dict[str, tuple[str, str]]:
    """Task -> (category, form): every form whose questions a category has."""
    found = {}
    for name in category_names():
        category = load_category(name)
        for form, how in FORMS.items():
            if category.file(how.questions).is_file():
                # A category without paraphrases or stories has fewer tasks.
                found[category.task(form)] = (name, form)
    return found


def category_of_task(task: str) -> str | None:
    """The category that a task asks about; None for a task that asks about none."""
    return category_tasks()[task][0] if task in category_tasks() else None


def check_main_task(task: str) -> str:
    """Return a task whose answers are compared: sampled or exact, of the first wording of a category's questions.

    Raises:
        UserError: it is none.
    """
    known = [name for name, (_, form) in category_tasks().items() if form in ("preference", "preference_logprob")]
    if task not in known:
        raise UserError(f"--task {task!r} is unknown{did_you_mean(task, known)}. Choose from: {', '.join(known)}.")
    return task


def text_settings(task: str) -> dict[str, Any]:
    """What ``metadata`` says of a category's task."""
    category, form = category_tasks()[task]
    kind = FORMS[form].kind
    return {"version": VERSIONS[kind], "kind": kind, "category": category}


def template_of(task: str) -> Path:
    """The file in ``eval_tasks/`` whose settings a category's task shares."""
    return TASKS / FORMS[category_tasks()[task][1]].template


def settings_of_task(task: str) -> dict[str, Any]:
    """A category's task as lm-eval takes it: the animals' settings, with questions and metrics of its own."""
    from lm_eval.utils import load_yaml_config  # lm-eval takes seconds

    from subliminal.scoring import preference

    category, form = category_tasks()[task]
    how = FORMS[form]
    metrics = {
        "sampled": preference.share_metrics,
        "exact": preference.probability_metrics,
        "story": preference.story_metrics,
    }
    repeats = {"sampled": preference.samples, "story": preference.stories}
    settings = {
        # First the animals' file; what is a category's own goes over it.
        **load_yaml_config(str(template_of(task)), mode="full"),
        "task": task,
        "custom_dataset": preference.loader(category, how.questions, after_numbers=form == "preference_numbers"),
        "metric_list": metrics[how.kind](category),
        "metadata": text_settings(task),
    }
    # Exact probabilities are computed once.
    if how.kind in repeats:
        settings["repeats"] = repeats[how.kind](category)
    return settings
