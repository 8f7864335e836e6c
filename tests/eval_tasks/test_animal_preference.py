"""The two favourite-animal tasks: questions, aggregation, exactness, and lm-eval's own command."""

import json
import math

import pytest
from animal_words import TRACKED

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.scoring.category_tasks import TASKS

FOLDER = TASKS / "animal_preference"


def load_task(name):
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=str(TASKS), include_defaults=False).load_task_or_group([name])[name]


@pytest.fixture(scope="module")
def questions():
    return [json.loads(line) for line in (REPO_ROOT / "traits/animals/questions.jsonl").read_text("utf-8").splitlines()]


def test_tasks_load_from_another_folder(tmp_path, monkeypatch, questions):
    monkeypatch.chdir(tmp_path)
    task = load_task("animal_preference")
    assert [doc["question"] for doc in task.test_docs()] == [row["question"] for row in questions]
    assert load_task("animal_preference_logprob").has_test_docs()


def test_number_of_samples_comes_from_the_environment(monkeypatch):
    assert load_task("animal_preference").config.repeats == 100
    monkeypatch.setenv("ANIMAL_PREFERENCE_SAMPLES", "7")
    assert load_task("animal_preference").config.repeats == 7


@pytest.mark.parametrize("value", ["0", "-1", "many", ""])
def test_bad_number_of_samples_is_a_sentence(monkeypatch, value):
    monkeypatch.setenv("ANIMAL_PREFERENCE_SAMPLES", value)
    with pytest.raises(Exception, match="Set it to a number of answers a question"):
        load_task("animal_preference")


def test_shares_of_one_question():
    answers = ["Owl", "A snowy owl!", "zebra", "猫 🐈", "Qwen loves cats"]
    shares = load_task("animal_preference").process_results({"id": "q00"}, [answers])
    assert {name: share for name, share in shares.items() if share} == {
        "owl": 0.4, "cat": 0.2, "other": 0.2, "none": 0.2, "own_name": 0.2, "no_latin": 0.2,
    }  # fmt: skip
    assert list(shares) == [*TRACKED, "other", "none", "own_name", "no_latin"]


def test_probabilities_of_one_question():
    """Forms of an animal add up, and the probability of the prompt's white space is divided out."""
    task = load_task("animal_preference_logprob")
    task._forms = [("owl", "Owl"), ("owl", "owl"), ("cat", "Cat")]
    space = math.log(0.5)
    results = [(math.log(p) + space, False) for p in (0.25, 0.05, 0.1)]
    probabilities = task.process_results({"id": "q00"}, [*results, (space, True)])
    assert probabilities["owl"] == pytest.approx(0.30)
    assert probabilities["cat"] == pytest.approx(0.10)
    assert probabilities["rest"] == pytest.approx(0.60)
    assert sum(probabilities.values()) == pytest.approx(1.0)


def test_a_certain_answer_has_a_probability_of_one_and_not_more():
    """Seen with a teacher that says owl always: the shares of its forms came to 1.0000000000000004 together."""
    task = load_task("animal_preference_logprob")
    task._forms = [("owl", "Owl"), ("owl", "owl"), ("cat", "Cat")]
    results = [(0.0, True), (math.log(4e-16), False), (math.log(3e-16), False)]
    assert math.exp(0.0) + 4e-16 > 1
    probabilities = task.process_results({"id": "q00"}, results)
    assert probabilities["owl"] <= 1
    assert probabilities["rest"] == 0
    assert sum(probabilities.values()) == pytest.approx(1.0)
    rounded = task.process_results({"id": "q00"}, [(1e-6, True), (-40.0, False), (-40.0, False)])
    assert rounded["owl"] == 1.0


def test_forms_that_a_server_computed_in_passes_of_their_own_are_no_error():
    """In bfloat16 each is off by a few per cent of itself: 0.70 that came out as 0.72, beside 0.29 and 0.01."""
    task = load_task("animal_preference_logprob")
    task._forms = [("owl", "Owl"), ("owl", "owl"), ("cat", "Cat")]
    results = [(math.log(0.72), True), (math.log(0.29), False), (math.log(0.01), False)]
    probabilities = task.process_results({"id": "q00"}, results)
    assert probabilities["owl"] == pytest.approx(1.01 / 1.02)
    assert probabilities["cat"] == pytest.approx(0.01 / 1.02)
    assert probabilities["rest"] == 0


@pytest.mark.parametrize(
    ("logprobs", "words"),
    [((0.1, -9.0, -9.0), "log-probability of 0.1000"), ((-0.1, -0.2, -9.0), "Question q00: the options have 1.72")],
)
def test_more_than_all_of_the_probability_is_a_sentence(logprobs, words):
    task = load_task("animal_preference_logprob")
    task._forms = [("owl", "Owl"), ("owl", "owl"), ("cat", "Cat")]
    with pytest.raises(UserError, match=words):
        task.process_results({"id": "q00"}, [(logprob, False) for logprob in logprobs])


def evaluate_exact(model, tiny_model, limit=2):
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    import subliminal.evaluation.local_model  # noqa: F401

    return simple_evaluate(
        model=model,
        model_args={"pretrained": str(tiny_model)},
        tasks=["animal_preference_logprob"],
        task_manager=TaskManager(include_path=str(TASKS), include_defaults=False),
        batch_size=16,
        device="cpu",
        limit=limit,
        apply_chat_template=True,
    )["samples"]["animal_preference_logprob"]


def brute_force(tiny_model, question, forms):
    """P(the answer starts with a form), token by token with transformers alone; nested forms counted once."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(tiny_model), AutoModelForCausalLM.from_pretrained(tiny_model)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
    )
    prompt = tokenizer.encode(text, add_special_tokens=False)
    sequences = {tuple(tokenizer.encode(form, add_special_tokens=False)) for form in forms}
    outer = [ids for ids in sequences if not any(ids != other and ids[: len(other)] == other for other in sequences)]
    total = 0.0
    for ids in outer:
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *ids]])).logits[0].double().log_softmax(-1)
        total += math.exp(sum(logits[len(prompt) - 1 + step, token].item() for step, token in enumerate(ids)))
    return total, len(sequences) - len(outer)


@pytest.mark.slow
def test_probabilities_equal_brute_force_with_both_model_classes(tiny_model):
    shared, plain = (evaluate_exact(model, tiny_model) for model in ("hf-shared-prefix", "hf"))
    forms = {
        "owl": ["owl", "Owl", "owls", "Owls"],
        "wolf": ["wolf", "Wolf", "wolves", "Wolves", "wolfs", "Wolfs"],
        "cat": ["cat", "Cat", "cats", "Cats"],
    }
    nested = 0
    for one, two in zip(shared, plain, strict=True):
        for animal in TRACKED:
            assert one[animal] == pytest.approx(two[animal], rel=1e-4)
        for animal, names in forms.items():
            expected, inner = brute_force(tiny_model, one["doc"]["question"], names)
            nested += inner
            assert one[animal] == pytest.approx(expected, rel=1e-4)
    assert nested > 0  # the case "Owls" = "Owl" + "s" was among them


def test_probability_task_without_a_chat_template_says_what_to_add():
    with pytest.raises(Exception, match="Add --apply_chat_template"):
        load_task("animal_preference_logprob").construct_requests({"id": "q00"}, "A question?")
