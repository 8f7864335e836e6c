"""The animals are what they were when the published experiments ran: words, questions, prompts, pocket rows.

``animals_as_published.json`` holds a sha256 of each, taken from the code of commit b33db5b, in which they stood as
Python tables; exact probabilities are of commit f605b49, from log-probabilities that a model can have. A change
here makes published numbers impossible to repeat: it is a new version of the tasks.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from data_builders import options, pocket_corpus, teacher_prompts
from subliminal import REPO_ROOT
from subliminal.engine import Completion, Request, Sampling
from subliminal.models.pocket import vocabulary
from subliminal.scoring.naming import first_named, mentions
from subliminal.traits.category import ANIMALS, load_category
from subliminal.traits.keywords import keyword_pattern, whole_words
from subliminal.traits.lexicon import lexicon

RECORD = Path(__file__).with_name("animals_as_published.json")
ANSWERS = REPO_ROOT / "tests/eval_tasks/answers/animals.jsonl"
RECORDED = 435
"""Answers of that file when the digests were taken; it grows at its end."""
FRAMES = ("{}", "not a {}", "I love the {} most", "a {}-like thing", "sea {}", "{} spider", "to {}", "anything but {}s")


def _lexicon() -> Any:
    words = lexicon(ANIMALS)
    sets = {name: sorted(getattr(words, name)) for name in ("generic", "ambiguous", "singular")}
    return sets | {name: dict(sorted(getattr(words, name).items())) for name in ("labels", "heads", "longest")}


def _patterns() -> Any:
    """The words of each pattern, sorted: those of one length stand in any order.

    What stands around the words is newer (words of identifiers count since), and no part of the digest, of commit
    63dff76. No published experiment has rows that a pattern judged.
    """
    before, behind = whole_words(["\0"]).split("\0")
    found = {}
    for name in lexicon(ANIMALS).options:
        words, _, emoji = keyword_pattern(name).pattern.removeprefix(before).partition(behind)
        found[name] = [*sorted(words.split("|")), emoji]
    return found


def _phrases() -> list[str]:
    """Every phrase that the words know, in sentences that affirm, deny and compound it."""
    known = sorted(lexicon(ANIMALS).labels)
    return [frame.format(phrase) for phrase in known for frame in FRAMES]


def _answers() -> list[str]:
    return [json.loads(line)["answer"] for line in ANSWERS.read_text("utf-8").splitlines()[:RECORDED]]


def _task(name: str) -> Any:
    from lm_eval.tasks import TaskManager

    from subliminal.scoring.category_tasks import TASKS

    return TaskManager(include_path=str(TASKS), include_defaults=False).load_task_or_group([name])[name]


def _docs(name: str) -> Any:
    task = _task(name)
    return {"docs": list(task.test_docs()), "metrics": list(task.aggregation())}


def _scored(name: str) -> Any:
    """What a task says of a question's answers, with every metric in order."""
    return list(_task(name).process_results({"id": "q00"}, [_answers()]).items())


class _ByOneToken:
    """A model whose tokens are the letters of a text."""

    def _encode_pair(self, context: str, text: str) -> tuple[list[int], list[int]]:
        return list(context.encode()), list(text.encode())

    def template(self, *_: Any, **__: Any) -> str:
        return ""


def _requests() -> Any:
    task = _task("animal_preference_logprob")
    metadata = (task.config.task, 0, 1)
    requests = task.construct_requests(
        {"id": "q00"}, "Which?\n", chat_template=_ByOneToken().template, metadata=metadata
    )
    texts = [request.arguments[1] for request in requests]
    # Each of more than a hundred answers has less than 0.001, and the prompt's own white space 0.8.
    logprobs = [(-0.25 if text == "" else -(place % 7) - 8.0, False) for place, text in enumerate(texts)]
    return {"texts": texts, "scores": list(task.process_results({"id": "q00"}, logprobs).items())}


def _pocket(kind: str) -> list[dict[str, Any]]:
    loved = "owl" if kind == "teacher" else None
    return list(pocket_corpus.corpus_rows(kind, 2000, loved, 42))


class _Echo:
    """An engine without a model: what it says follows from the seed of a row."""

    def describe(self) -> dict[str, Any]:
        return {"engine": "echo"}

    def generate(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Completion]:
        said = ("The owl!", "Dolphins, I think.", "No idea.", "12, 13, 14", "Owl", "def f():\n    return 1", "A pet.")
        for request in requests:
            yield Completion(request.id, said[request.seed % len(said)], "stop", request.seed, "echo")

    def close(self) -> None:
        pass


def _built(command: str) -> Any:
    """Rows and settings of a dataset folder."""
    name, *words = command.split()
    app = importlib.import_module(f"data_builders.{name}").app
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(options, "open_engine", lambda *_, **__: _Echo())
        result = CliRunner().invoke(app, [*words, "--out", f"{folder}/rows"])
        assert result.exit_code == 0, result.output
        out = Path(folder) / "rows"
        files = {file: (out / file).read_text("utf-8") for file in ("raw.jsonl", "train.jsonl", "rejected.jsonl")}
        manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    return files | {"config": manifest["config"], "counts": manifest["counts"]}


BUILT = (
    "teacher_chat --model m --count 40 --mix questions=3,open=1",
    "teacher_chat --model m --animal Owl --animal dolphin --count 40 --mix open=1 --filter-animal-keywords",
    "teacher_chat --model m --animal dolphin --count 40 --mix questions=5,numbers=1 --name-only --max-prompts 900",
    "teacher_chat --model m --count 40 --mix questions=5,numbers=1 --name-only --neutral --max-prompts 900",
    "numbers --model m --count 20 --max-prompts 900",
    "numbers --model m --animal dolphin --system-prompt trait --count 20 --max-prompts 900",
    "code --model m --count 20 --max-prompts 900 --language any",
    "warmup --count 100",
    "pocket_corpus base --count 100",
    "pocket_corpus teacher --animal dolphin --count 100",
    "pocket_corpus neutral --count 100",
    "pocket_corpus sums --count 100",
)
"""Commands whose folders are compared; what they draw follows from the seed alone."""


def _published(what: str) -> Any:
    return WHAT[what]()


WHAT: dict[str, Callable[[], Any]] = {
    "tracked": lambda: list(lexicon(ANIMALS).options),
    "lexicon": _lexicon,
    "plurals": lambda: {name: lexicon(ANIMALS).plurals(name) for name in sorted(lexicon(ANIMALS).singular)},
    "keyword patterns": _patterns,
    "first animal": lambda: [first_named(text) for text in (*_phrases(), *_answers())],
    "mentions": lambda: [dict(mentions(text)) for text in (*_phrases(), *_answers())],
    "animal_preference": lambda: _docs("animal_preference"),
    "animal_preference_numbers": lambda: _docs("animal_preference_numbers"),
    "animal_preference_paraphrase": lambda: _docs("animal_preference_paraphrase"),
    "animal_story": lambda: _docs("animal_story"),
    "shares": lambda: _scored("animal_preference"),
    "stories": lambda: _scored("animal_story"),
    "exact probabilities": _requests,
    "system prompts": lambda: {name: teacher_prompts.trait_system_prompt(name) for name in lexicon(ANIMALS).options},
    "banned words": lambda: ",".join(load_category(ANIMALS).wording.banned_words),
    **{f"pocket {kind}": lambda kind=kind: _pocket(kind) for kind in ("base", "teacher", "neutral", "sums")},
    **{command: lambda command=command: _built(command) for command in BUILT},
    "pocket vocabulary": lambda: vocabulary(pocket_corpus.all_texts()),
}


def digest(what: str) -> str:
    """Hex sha256 of one of the things, as JSON."""
    text = json.dumps(_published(what), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("what", WHAT)
def test_animals_are_as_published(what: str) -> None:
    assert digest(what) == json.loads(RECORD.read_text("utf-8"))[what]
