"""Which files decide what a stage makes: prompts, questions, filter rules, tasks, a local model's weights.

A change in one of them makes the stages that list it run again, with all that depends on them. Code that only moves
data around is not listed: its changes are in the manifests' git commit.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from subliminal import REPO_ROOT
from subliminal.core.manifest import read_manifest, sha256_of

FILTER = "data_builders/number_filter.py"
"""The rules by which number answers are kept. When they change, answers are judged again and not asked for again."""

SYSTEM_PROMPTS = "data_builders/teacher_prompts.py"
_PROMPTS = "data_builders/number_prompts.py"
_QUESTIONS = "eval_tasks/animal_preference/questions.jsonl"

_MORE_SOURCES = {
    "warmup": [_PROMPTS],
    "teacher_chat": [SYSTEM_PROMPTS, "data_builders/instructions.py", _QUESTIONS, _PROMPTS],
    "math_chat": ["data_builders/overlap.py"],
    "numbers": [_PROMPTS],
    "pocket_corpus": ["data_builders/warmup.py", _PROMPTS, _QUESTIONS],
}
"""Builder -> the modules and files that its rows follow from, beside its own module and the filter."""

AUDIT_SOURCES = [
    *(f"data_builders/audit{part}.py" for part in ("", "_common", "_numbers", "_text")),
    "data_builders/overlap.py",
    *sorted(str(path.relative_to(REPO_ROOT)) for path in (REPO_ROOT / "eval_tasks").rglob("*.jsonl")),
]
"""The checks, and the evaluation sets that no training row may overlap with."""

SCORING = sorted(str(path.relative_to(REPO_ROOT)) for path in (REPO_ROOT / "src/subliminal/scoring").glob("*.py"))
"""What the scores of our own tasks follow from, beside the tasks' files."""
MODEL_FILES = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"),
    *("model.safetensors", "model.safetensors.index.json"),
)


def builder_sources(builder: str) -> list[str]:
    """The files that the rows of a builder follow from, the filter apart."""
    return [f"data_builders/{builder}.py", *_MORE_SOURCES.get(builder, [])]


def task_sources(tasks: list[str]) -> list[str]:
    """The files of our tasks among ``tasks`` and of their scoring; lm-eval's own tasks come with its version."""
    found: list[str] = []
    for task in tasks:
        for config in (REPO_ROOT / "eval_tasks").rglob(f"{task}.yaml"):
            files = [path for path in config.parent.iterdir() if path.suffix in (".yaml", ".py", ".jsonl")]
            found += sorted(str(path.relative_to(REPO_ROOT)) for path in files)
    return list(dict.fromkeys([*found, *(SCORING if found else [])]))


@cache
def _files_in(folder: str) -> tuple[str, ...]:
    return tuple(str(Path(folder) / name) for name in MODEL_FILES if (Path(folder) / name).is_file())


def weights_problem(folder: str, expected: str | None) -> str | None:
    """What is wrong with the weights of a model folder whose sha256 an experiment names.

    Args:
        folder: the model.
        expected: hex sha256 of its ``model.safetensors``; None where the experiment names none.

    Returns:
        The end of a sentence, or None if nothing is wrong. A folder that is not there is not looked at.
    """
    if expected is None or not Path(folder).is_dir():
        return None
    weights = Path(folder) / "model.safetensors"
    if not weights.is_file():
        return f"{weights} is not there, and the experiment names its sha256 (`model_sha256`)"
    found = sha256_of(weights)
    if found == expected:
        return None
    source = read_manifest(Path(folder)).get("config", {}).get("source")
    fetched = f", fetched from {source}" if source else ""
    return (
        f"{weights} has sha256 {found}{fetched}, and the experiment is for {expected} (`model_sha256`); fetch the "
        "model from the source that the experiment names, or name these weights in a copy of the experiment"
    )


def model_sources(model: str) -> list[str]:
    """The files of a model folder that is there; nothing for a Hub id."""
    return list(_files_in(model))
