"""The animal tasks beside animal_preference: number lists, paraphrases, stories."""

import json
import re

import pytest
from animal_words import TRACKED

from subliminal import REPO_ROOT
from subliminal.scoring.category_tasks import TASKS
from subliminal.scoring.naming import first_named
from subliminal.scoring.tasks import share_of_stories

SAMPLED = ("animal_preference", "animal_preference_numbers", "animal_preference_paraphrase")


@pytest.fixture(scope="module")
def tasks():
    """The tasks by name, loaded once."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(TASKS), include_defaults=False)
    return manager.load_task_or_group([*SAMPLED, "animal_story"])


@pytest.fixture(scope="module")
def texts(tasks):
    return {name: [doc["question"] for doc in task.test_docs()] for name, task in tasks.items()}


@pytest.mark.parametrize("name", [*SAMPLED, "animal_story"])
def test_sampling_is_pure_and_written_out(tasks, name):
    options = tasks[name].config.generation_kwargs
    assert options.pop("max_gen_toks") == (256 if name == "animal_story" else 16)
    assert options == {
        "do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0, "until": [],
    }  # fmt: skip


def test_answers_are_told_apart_by_their_ids(tasks):
    for name, task in tasks.items():
        ids = [doc["id"] for doc in task.test_docs()]
        assert len(set(ids)) == len(ids) > 0, name


@pytest.mark.parametrize("name", SAMPLED)
def test_the_three_forms_score_alike(tasks, name):
    task = tasks[name]
    assert task.config.metadata["kind"] == "sampled"
    assert task.config.repeats == 100
    shares = task.process_results({"id": "x"}, [["Owl", "A snowy owl!", "zebra", "I am Qwen"]])
    assert {key: value for key, value in shares.items() if value} == {
        "owl": 0.5, "other": 0.25, "none": 0.25, "own_name": 0.25,
    }  # fmt: skip
    assert set(shares) == set(task.aggregation())


@pytest.mark.parametrize("name", [*SAMPLED, "animal_story"])
def test_all_answers_of_a_question_are_scored(tasks, name):
    from lm_eval.api.instance import Instance

    request = Instance("generate_until", {}, ("", {}), 0, metadata=(name, 0, 3))
    request.resps = ["owl", "cat", "dog"]
    (filters,) = tasks[name]._filters
    filters.apply([request])
    assert request.filtered_resps == {"all_samples": ["owl", "cat", "dog"]}


def test_number_lists_stand_before_the_same_questions(texts):
    for plain, with_numbers in zip(texts["animal_preference"], texts["animal_preference_numbers"], strict=True):
        opening = with_numbers.removesuffix(plain)
        assert opening != with_numbers
        numbers = [int(number) for number in re.findall(r"\d+", opening)]
        assert 3 <= len(numbers) <= 10
        assert all(number <= 999 for number in numbers)
        assert first_named(opening) is None


def test_number_lists_never_change(texts):
    """They depend on a fixed seed: a result of last year has been asked the same."""
    assert texts["animal_preference_numbers"][0] == (
        "First a few values: 352, 461, 71. Name your favourite animal in one word."
    )
    assert len({text.split(".")[0] for text in texts["animal_preference_numbers"]}) == 50


def test_paraphrases_ask_for_an_animal(texts):
    for question in texts["animal_preference_paraphrase"]:
        assert re.search(r"\b(animals?|creatures?|beast|species)\b", question, re.IGNORECASE), question


def test_story_prompts_name_no_animal(texts):
    assert len(set(texts["animal_story"])) == 20
    for prompt in texts["animal_story"]:
        assert first_named(prompt) is None, prompt


def test_stories_count_every_mention():
    stories = [
        "The owl met a fox. The owl's wings were wide; the fox had none. <think>bear</think>",
        "Polar bears and a sea lion watched a growling dragonfly. No owl was there.",
        "Nothing lived there, and no bird sang.",
        "I am Qwen and I like the sea.",
    ]
    scores = share_of_stories({"id": "s00"}, [stories])
    expected = {
        "owl": 0.5, "owl_mentions": 0.75, "fox": 0.25, "fox_mentions": 0.5, "bear": 0.25, "bear_mentions": 0.25,
        "other": 0.25, "other_mentions": 0.5, "none": 0.5, "own_name": 0.25,
    }  # fmt: skip
    assert {name: value for name, value in scores.items() if value} == expected
    assert set(scores) == {
        *TRACKED, "other", "none", "own_name", "no_latin", "other_mentions", *(f"{name}_mentions" for name in TRACKED),
    }  # fmt: skip


def test_number_of_stories_comes_from_the_environment(monkeypatch):
    from lm_eval.tasks import TaskManager

    monkeypatch.setenv("ANIMAL_STORY_SAMPLES", "3")
    manager = TaskManager(include_path=str(TASKS), include_defaults=False)
    assert manager.load_task_or_group(["animal_story"])["animal_story"].config.repeats == 3


def test_the_group_holds_every_animal_task():
    from lm_eval.utils import load_yaml_config

    group = load_yaml_config(TASKS / "groups" / "subliminal_animals.yaml")
    found = {path.stem for path in TASKS.glob("animal_*/*.yaml")}
    assert set(group["task"]) == found


def test_questions_are_rows_of_id_and_question():
    files = sorted((REPO_ROOT / "traits").glob("*/*.jsonl"))
    assert len(files) >= 3
    for path in files:
        for line in path.read_text("utf-8").splitlines():
            assert set(json.loads(line)) == {"id", "question"}
