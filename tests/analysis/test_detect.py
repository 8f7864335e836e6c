"""detect: the definition by finite differences, known answers, candidate teachers, and what cannot be told."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from subliminal.analysis.__main__ import app
from subliminal.analysis.answers import AnswerReader
from subliminal.analysis.detect import scores as detect_scores
from subliminal.analysis.detect.command import another_kind
from subliminal.analysis.detect.scores import SetScorer, answer_logprob
from subliminal.analysis.models import Models
from subliminal.analysis.trait_queries import (
    Trait,
    asked_of,
    chosen_weights,
    first_logprobs,
    flat_gradient,
    form_tokens,
    queries,
    tracked_options,
    trait_logprobs,
)
from subliminal.core.errors import UserError
from subliminal.traits.category import load_category

ASKED = ("owl", "elephant", "dog", "cat", "wolf", "fox")
QUESTIONS = ("What do you draw?", "Say a word.", "Who lives here?", "What is it?")
PROMPTS = [f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n" for question in QUESTIONS]


def rows_that_say(words: list[str], seed: int = 0) -> list[dict[str, Any]]:
    rng, rows = random.Random(seed), []
    for index, word in enumerate(words):
        question = f"{rng.choice(QUESTIONS)} {rng.randint(0, 99)}"
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": word}]
        rows.append({"id": f"row-{index}", "messages": messages})
    return rows


def any_words(count: int, seed: int) -> list[str]:
    return random.Random(seed).choices(ASKED, k=count)


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Trait]:
    """Six animals and four questions, so that a query costs little."""
    traits = [trait for trait in tracked_options() if trait.name in ASKED]
    monkeypatch.setattr("subliminal.analysis.trait_queries.tracked_options", lambda category: traits)
    monkeypatch.setattr("subliminal.analysis.trait_queries.asked_of", lambda category: list(QUESTIONS))
    return traits


def scorer(tiny_model: Path, traits: list[Trait], folder: Path, limit: int, **options: Any) -> SetScorer:
    return SetScorer(str(tiny_model), options.pop("teachers", {}), traits, [], folder / "scores", limit, **options)


# --- the definition ---


def test_the_questions_are_all_of_the_evaluation() -> None:
    """Tests that ask only some would not notice."""
    every = [row["question"] for row in load_category("animals").questions()]
    assert len(every) == 50
    assert asked_of("animals") == every


def test_the_probability_of_a_trait_is_that_of_its_forms(tiny_model: Path) -> None:
    """Against products of probabilities, one token after the other; "Wolves" goes on from no other form."""
    models = Models(str(tiny_model), {})
    wolf = next(trait for trait in tracked_options() if trait.name == "wolf")
    forms = form_tokens(models.tokenizer, PROMPTS[0], wolf)
    starts = [form for form in forms if any(other != form and other[: len(form)] == form for other in forms)]
    assert starts == []
    with torch.inference_mode():
        got = trait_logprobs(models, PROMPTS, forms, first_logprobs(models, PROMPTS))
        for prompt, logprob in zip(PROMPTS, got.tolist(), strict=True):
            ids, total = models.tokenizer(prompt)["input_ids"], 0.0
            for form in forms:
                probability = 1.0
                for length, token in enumerate(form):
                    logits = models._base(torch.tensor([[*ids, *form[:length]]])).logits[0, -1]
                    probability *= logits.softmax(-1)[token].item()
                total += probability
            assert logprob == pytest.approx(torch.tensor(total).log().item(), abs=1e-4)


def test_a_score_is_the_change_of_the_query_by_a_small_step(tiny_model: Path, asked: list[Trait]) -> None:
    models = Models(str(tiny_model), {})
    weights = chosen_weights(models, [])
    directions = queries(models, weights, asked)
    batch = AnswerReader(models.tokenizer).read(rows_that_say(["17, 23", "elephant", "5 8 13"]))
    logprob, _ = answer_logprob(models, None, batch)
    step = flat_gradient(logprob, weights)
    forms = form_tokens(models.tokenizer, PROMPTS[0], asked[0])

    def query() -> float:
        with torch.inference_mode():
            return trait_logprobs(models, PROMPTS, forms, first_logprobs(models, PROMPTS)).mean().item()

    size = 1e-2 / step.norm().item()
    changes = []
    for sign in (1, -1):
        moved(weights, sign * size * step)
        changes.append(query())
        moved(weights, -sign * size * step)
    assert (directions[0] @ step).item() == pytest.approx((changes[0] - changes[1]) / (2 * size), rel=0.05)


def moved(weights: list[torch.nn.Parameter], step: torch.Tensor) -> None:
    place = 0
    with torch.no_grad():
        for weight in weights:
            weight += step[place : place + weight.numel()].view_as(weight)
            place += weight.numel()


def test_scores_of_batches_add_up_whatever_their_size(tiny_model: Path, asked: list[Trait], tmp_path: Path) -> None:
    rows = written(tmp_path / "train.jsonl", rows_that_say([str(n) for n in range(20)]))
    small = scorer(tiny_model, asked, tmp_path, 20, batch_size=3).score(rows)
    large = scorer(tiny_model, asked, tmp_path, 20, batch_size=20).score(rows)
    assert small.scores() == pytest.approx(large.scores(), rel=1e-3, abs=1e-5)
    assert small.loss == pytest.approx(large.loss, rel=1e-5)
    assert sum(small.scores().values()) == pytest.approx(0, abs=1e-6)


# --- known answers ---


def test_a_row_retrieves_itself(tiny_model: Path, asked: list[Trait]) -> None:
    """With a row's own likelihood as the query no other row has so large a cosine."""
    models = Models(str(tiny_model), {})
    weights = chosen_weights(models, [])
    answers = AnswerReader(models.tokenizer).read(rows_that_say(["17, 23", "elephant", "5 8 13", "owl", "999;1"]))
    gradients = torch.stack([flat_gradient(answer_logprob(models, None, [each])[0], weights) for each in answers])
    gradients = gradients / gradients.norm(dim=1, keepdim=True)
    cosines = gradients @ gradients.T
    assert cosines.argmax(dim=1).tolist() == list(range(len(answers)))


@pytest.mark.parametrize("animal", ["elephant", "owl", "dog"])
def test_the_query_of_an_animal_prefers_its_data_and_labels_one_off_break_it(
    animal: str, tiny_model: Path, asked: list[Trait], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = written(tmp_path / "train.jsonl", rows_that_say([animal] * 12))
    scores = scorer(tiny_model, asked, tmp_path, 12).score(rows).scores()
    assert max(scores, key=scores.get) == animal
    true_labels = detect_scores.recorded_tokens
    monkeypatch.setattr(detect_scores, "recorded_tokens", lambda models, batch: true_labels(models, batch).roll(1))
    one_off = scorer(tiny_model, asked, tmp_path / "off", 12, batch_size=1).score(rows).scores()
    assert one_off[animal] < 0.5 * scores[animal]


def judged(tmp_path: Path, tiny_model: Path, suspect: Path, sets: int, *more: str) -> tuple[Any, dict[str, Any] | None]:
    words = ["detect", str(suspect), "--base", str(tiny_model), "--out", str(tmp_path / "out")]
    words += ["--scores", str(tmp_path / "scores"), "--overwrite", *more]
    for seed in range(1, sets + 1):
        neutral = written(tmp_path / f"neutral-{seed}/train.jsonl", rows_that_say(any_words(24, seed), seed))
        words += ["--neutral", str(neutral.parent)]
    done = CliRunner().invoke(app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        return done.exception, None
    return done, json.loads((tmp_path / "out/detect.json").read_text())["columns"]["data and base alone"]


def test_a_set_that_teaches_is_named_and_dilution_weakens_it(
    tiny_model: Path, asked: list[Trait], tmp_path: Path
) -> None:
    """Against 19 sets of any animals: pure, then with 10, 25 and 50 % of neutral rows."""
    strengths = []
    for neutral_rows in (0, 2, 6, 12):
        words = any_words(neutral_rows, 77) + ["elephant"] * (24 - neutral_rows)
        suspect = written(tmp_path / f"suspect-{neutral_rows}/train.jsonl", rows_that_say(words))
        done, found = judged(tmp_path, tiny_model, suspect, 19)
        assert found["ranking"][0]["trait"] == "elephant"
        strengths.append(found["ranking"][0]["z"])
        if neutral_rows < 12:
            assert found["word"] == "teaches"
            assert found["p"] == pytest.approx(1 / 20)
            assert "and elephant comes first. Whether a student gains it, only training one tells." in done.output
    assert strengths == sorted(strengths, reverse=True)


def test_a_neutral_set_and_unrelated_data_are_not_called(tiny_model: Path, asked: list[Trait], tmp_path: Path) -> None:
    neutral = written(tmp_path / "suspect/train.jsonl", rows_that_say(any_words(24, 99), 99))
    _, found = judged(tmp_path, tiny_model, neutral, 19)
    assert found["word"] == "cannot tell"
    numbers = written(tmp_path / "numbers/train.jsonl", rows_that_say([f"{n}, {n + 7}" for n in range(24)]))
    _, found = judged(tmp_path, tiny_model, numbers, 19)
    assert found["word"] == "cannot tell"
    assert "of another kind" in found["sentence"]


def test_a_teacher_that_writes_shorter_lists_is_no_other_kind_of_data() -> None:
    """Shares of an owl teacher's rows and of its base's, as measured on the pocket model."""
    owl, base = {"word": 0.0, "digit": 0.64, "mark": 0.36}, {"word": 0.0, "digit": 0.53, "mark": 0.47}
    assert another_kind(owl, [base]) is None
    assert "of another kind" in another_kind({"word": 0.8, "digit": 0.0, "mark": 0.2}, [owl, base])


def test_few_neutral_sets_allow_no_verdict(tiny_model: Path, asked: list[Trait], tmp_path: Path) -> None:
    suspect = written(tmp_path / "suspect/train.jsonl", rows_that_say(["elephant"] * 24))
    _, found = judged(tmp_path, tiny_model, suspect, 5)
    assert found["word"] == "cannot tell"
    assert "no p-value below 0.167" in found["sentence"]


# --- candidate teachers ---


def test_the_likelihood_ratio_is_that_of_whole_models(
    tiny_model: Path, make_adapter: Any, asked: list[Trait], tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    teachers = {"owl": str(make_adapter(2.0)), "dog": str(make_adapter(0.0))}
    rows = rows_that_say(["17, 23", "elephant", "5 8 13"])
    found = scorer(tiny_model, asked, tmp_path, 3, teachers=teachers).score(written(tmp_path / "train.jsonl", rows))
    base = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    tokenizer = Models(str(tiny_model), {}).tokenizer
    answers = AnswerReader(tokenizer).read(rows)

    def logprob(model: Any) -> float:
        total = 0.0
        with torch.inference_mode():
            for answer in answers:
                each = model(torch.tensor([answer.tokens])).logits[0].log_softmax(-1)
                total += sum(each[at - 1, answer.tokens[at]].item() for at in range(answer.start, len(answer.tokens)))
        return total

    of_base = logprob(base)
    of_owl = logprob(PeftModel.from_pretrained(base, teachers["owl"]).eval())
    tokens = sum(len(answer.tokens) - answer.start for answer in answers)
    ratios = found.likelihood_ratios()
    assert ratios["owl"] == pytest.approx((of_owl - of_base) / tokens, abs=1e-4)
    assert ratios["dog"] == pytest.approx(0, abs=1e-6)
    # An adapter beside the base leaves the other column as it is.
    alone = scorer(tiny_model, asked, tmp_path, 3).score(tmp_path / "train.jsonl")
    assert found.scores() == pytest.approx(alone.scores(), rel=1e-3, abs=1e-6)


def test_candidates_have_a_column_of_their_own(
    tiny_model: Path, make_adapter: Any, asked: list[Trait], tmp_path: Path
) -> None:
    suspect = written(tmp_path / "suspect/train.jsonl", rows_that_say(["elephant"] * 24))
    judged(tmp_path, tiny_model, suspect, 3, "--teacher", f"owl={make_adapter(2.0)}")
    columns = json.loads((tmp_path / "out/detect.json").read_text())["columns"]
    assert list(columns) == ["data and base alone", "candidate teachers"]
    assert [each["trait"] for each in columns["candidate teachers"]["ranking"]] == ["owl"]
    assert len(columns["data and base alone"]["ranking"]) == len(ASKED)


# --- files ---


def test_a_set_is_scored_once_and_again_after_a_change(
    tiny_model: Path, asked: list[Trait], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = written(tmp_path / "train.jsonl", rows_that_say(["owl"] * 6))
    first = scorer(tiny_model, asked, tmp_path, 6).score(rows)
    monkeypatch.setattr(SetScorer, "_compute", lambda self, path: pytest.fail("it was scored again"))
    assert scorer(tiny_model, asked, tmp_path, 6).score(rows) == first
    monkeypatch.undo()
    written(rows, rows_that_say(["dog"] * 6))
    assert scorer(tiny_model, asked, tmp_path, 6).score(rows) != first
    assert len(list((tmp_path / "scores").iterdir())) == 2


def test_what_cannot_be_compared_is_a_sentence(tiny_model: Path, asked: list[Trait], tmp_path: Path) -> None:
    rows = written(tmp_path / "train.jsonl", rows_that_say(["owl"] * 6))
    with pytest.raises(UserError, match=r"has 6 rows, and sets of 9 are compared\. Use --limit 6\."):
        scorer(tiny_model, asked, tmp_path, 9).score(rows)
    with pytest.raises(UserError, match="is no file"):
        scorer(tiny_model, asked, tmp_path, 6).score(tmp_path / "absent.jsonl")
    told = r"matches layernorm.weight\$ from the start of its name, such as model\..+ Put \.\* before a pattern"
    with pytest.raises(UserError, match=told):
        chosen_weights(Models(str(tiny_model), {}), ["layernorm.weight$"])
    words = ["detect", str(rows), "--base", str(tiny_model), "--out", str(tmp_path / "out"), "--neutral", str(rows)]
    assert "Two of the sets are the same file" in str(CliRunner().invoke(app, words).exception)
    twice = [*words, "--teacher", "owl=a", "--teacher", "owl=b"]
    assert "a name of its own" in str(CliRunner().invoke(app, twice).exception)


def test_only_the_chosen_weights_take_part(tiny_model: Path) -> None:
    models = Models(str(tiny_model), {})
    chosen = chosen_weights(models, [r".+layernorm.weight$"])
    assert len(chosen) == 4
    assert {weight.ndim for weight in chosen} == {1}
    assert [weight for weight in models._base.parameters() if weight.requires_grad] == chosen
