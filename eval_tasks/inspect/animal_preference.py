"""The favourite-animal questions as an Inspect AI task: the questions, sampling and scoring of ``animal_preference``.

    python scripts/serve.py --model outputs/pocket/base --adapter owl-student=outputs/pocket/owl_student
    export LOCAL_API_KEY=none LOCAL_BASE_URL=http://127.0.0.1:8000/v1
    .venv-inspect/bin/inspect eval eval_tasks/inspect/animal_preference.py --model openai-api/local/owl-student
    .venv-inspect/bin/inspect eval eval_tasks/inspect/animal_preference.py -T category=trees --model ...
    .venv-inspect/bin/inspect view

Every answer has a seed of its own: a server that gets one seed for all gives each question one answer many times.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from inspect_ai import Epochs, Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

TASKS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TASKS.parent / "src"))  # .venv-inspect holds nothing of this package

from subliminal.engine import row_seed  # noqa: E402
from subliminal.scoring.tasks import share_of_samples  # noqa: E402
from subliminal.traits.category import ANIMALS, load_category  # noqa: E402

LM_EVAL_TASK = TASKS / "animal_preference" / "animal_preference.yaml"


@task
def animal_preference(samples: int = 100, seed: int = 0, category: str = ANIMALS) -> Task:
    """50 one-word questions.

    Args:
        samples: answers a question.
        seed: of the sampling.
        category: a folder of ``traits/`` in place of the animals.
    """
    questions = load_category(category).questions()
    dataset = [
        Sample(id=row["id"], input=row["question"], metadata={"number": number}) for number, row in enumerate(questions)
    ]
    return Task(
        dataset=dataset,
        solver=answer_with_own_seed(seed),
        scorer=option_named(category),
        epochs=Epochs(samples, "mean"),  # a question's share; the standard error is then over questions
        config=sampling(),
    )


def sampling() -> GenerateConfig:
    """What the lm-eval task says, every value written out; what OpenAI's protocol lacks goes to vLLM beside it."""
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!function", lambda loader, node: None)
    values = yaml.load(LM_EVAL_TASK.read_text(encoding="utf-8"), loader)["generation_kwargs"]
    return GenerateConfig(
        temperature=values["temperature"],
        top_p=values["top_p"],
        max_tokens=values["max_gen_toks"],
        extra_body={"top_k": values["top_k"], "repetition_penalty": values["repetition_penalty"]},
    )


@solver
def answer_with_own_seed(seed: int) -> Solver:
    """One answer; answer ``i`` to question ``q`` has the seed that it has in lm-eval."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        first = row_seed(seed, state.metadata["number"])
        return await generate(state, seed=first + state.epoch - 1)

    return solve


@scorer(metrics={"*": [mean(), stderr()]})
def option_named(category: str) -> Scorer:
    """1 for the option that the answer names first, for ``other`` or for ``none``; and what is counted beside them."""

    async def score(state: TaskState, target: Target) -> Score:
        answer = state.output.completion
        shares: dict[str, Any] = share_of_samples({"category": category}, [[answer]])
        return Score(value=shares, answer=answer)

    return score
