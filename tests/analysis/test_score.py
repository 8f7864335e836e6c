"""Scores of tokens: the definitions on whole logits and single gradients, known answers, nulls, and whole runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from built import read_rows, write_rows
from number_rows import answer_logits, by_id, load, number_rows
from scipy.special import log_softmax
from typer.testing import CliRunner

from subliminal.analysis.__main__ import app
from subliminal.analysis.answers import AnswerReader
from subliminal.analysis.models import Models
from subliminal.analysis.score.columns import entanglement, frequency
from subliminal.analysis.score.directions import along, random_directions, trait_directions
from subliminal.analysis.score.run import ScoreJob, run_score
from subliminal.analysis.score.summary import agreement, auroc
from subliminal.analysis.scored_rows import RowSource
from subliminal.analysis.trait_queries import chosen_weights, tracked_options
from subliminal.core.errors import UserError

pytestmark = pytest.mark.usefixtures("ten_questions")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "train.jsonl", number_rows(9))


@pytest.fixture(scope="module")
def base(tiny_model) -> Models:
    return Models(str(tiny_model), {})


def single_gradients(models: Models, weights: list[Any], answer: Any) -> torch.Tensor:
    """The gradient of each token's log-probability, one after the other, from the model's own logits."""
    ids = torch.tensor([answer.tokens])
    logprob = models.head(None)(models.hidden(None, ids))[0].log_softmax(-1)
    found = []
    for place in range(answer.start, len(answer.tokens)):
        value = logprob[place - 1, answer.tokens[place]]
        parts = torch.autograd.grad(value, weights, retain_graph=True)
        found.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(found)


# --- gradients ---


def test_scores_along_directions_are_dot_products_of_single_gradients(base):
    weights = chosen_weights(base, [])
    batch = AnswerReader(base.tokenizer).read(number_rows(4))
    torch.manual_seed(1)
    directions = torch.randn(3, sum(weight.numel() for weight in weights))
    found = along(base, weights, batch, directions)
    want = torch.cat([single_gradients(base, weights, answer) for answer in batch]) @ directions.T
    np.testing.assert_allclose(found.T, want, rtol=1e-3, atol=1e-4)


def test_a_row_retrieves_itself(base):
    """Along directions of one length, a row's own gradient is the one that training on the row goes along most."""
    weights = chosen_weights(base, [])
    batch = AnswerReader(base.tokenizer).read(number_rows(6))
    sums = torch.stack([single_gradients(base, weights, answer).sum(0) for answer in batch])
    found = along(base, weights, batch, sums / sums.norm(dim=1, keepdim=True))
    lengths = [len(answer.kinds) for answer in batch]
    by_row = torch.stack([part.sum(1) for part in found.split(lengths, dim=1)])
    assert by_row.argmax(1).tolist() == list(range(6))


def test_labels_shifted_by_one_position_break_the_scores(base):
    weights = chosen_weights(base, [])
    batch = AnswerReader(base.tokenizer).read(number_rows(3, seed=2))
    shifted = [
        type(answer)(answer.id, [*answer.tokens[1:], answer.tokens[-1]], answer.start, answer.pieces, answer.kinds)
        for answer in batch
    ]
    direction = trait_directions(base, weights, tracked_options(), ["owl"])
    right, wrong = along(base, weights, batch, direction), along(base, weights, shifted, direction)
    assert not np.allclose(right, wrong, rtol=0.1)


def test_the_elephants_query_prefers_the_elephants_answers(base):
    weights = chosen_weights(base, [])
    named = {}
    for animal in ("elephant", "owl"):
        row = {"id": animal, "messages": [{"role": "user", "content": "Which animal is it?"}]}
        row["messages"].append({"role": "assistant", "content": animal})
        named[animal] = AnswerReader(base.tokenizer).read([row])
    directions = trait_directions(base, weights, tracked_options(), ["elephant", "owl"])
    scores = {animal: along(base, weights, batch, directions)[:, 0] for animal, batch in named.items()}
    assert scores["elephant"][0] > scores["owl"][0]
    assert scores["owl"][1] > scores["elephant"][1]


def test_random_directions_are_as_long_come_again_and_are_not_the_rows_own(base):
    weights = chosen_weights(base, [])
    batches = [AnswerReader(base.tokenizer).read(number_rows(6))]
    found = random_directions(base, weights, batches, 3, 2.5, seed=4)
    np.testing.assert_allclose(found.norm(dim=1), 2.5, rtol=1e-4)
    assert torch.equal(found, random_directions(base, weights, batches, 3, 2.5, seed=4))
    assert not torch.allclose(found, random_directions(base, weights, batches, 3, 2.5, seed=5))
    cosines = (found @ found.T) / 2.5**2
    assert (cosines - torch.eye(3)).abs().max() < 0.9


def test_random_directions_vary_as_gradients_of_tokens_do(base):
    """Where gradients vary much, so do they; white noise of the same length has no such preference."""
    weights = chosen_weights(base, [])
    batches = [AnswerReader(base.tokenizer).read(number_rows(6))]
    found = random_directions(base, weights, batches, 12, 1.0, seed=4)
    torch.manual_seed(0)
    noise = torch.randn(12, found.shape[1])
    noise /= noise.norm(dim=1, keepdim=True)
    gradients = torch.cat([single_gradients(base, weights, answer) for answer in batches[0]])
    total = (gradients**2).sum(1).mean() / found.shape[1]  # mean square along white noise, as it is expected
    squares = [(along(base, weights, batches[0], some) ** 2).mean().item() for some in (found, noise)]
    assert squares[1] == pytest.approx(total.item(), rel=0.5)
    assert squares[0] > 1.5 * total


# --- columns ---


def test_columns_are_those_of_whole_logits(tiny_model, make_adapter, rows, tmp_path):
    student = make_adapter(2.0)
    job = ScoreJob(
        base=str(tiny_model),
        rows=rows,
        out=tmp_path / "out",
        trait="owl",
        student=str(student),
        trait_prompt="Owls.",
        randoms=1,
    )
    run_score(job, resume=False, overwrite=False)
    from transformers import AutoTokenizer

    tokenizer, found = AutoTokenizer.from_pretrained(tiny_model), by_id(tmp_path / "out" / "scores.jsonl")
    base, tuned = load(tiny_model), load(tiny_model, student)
    for row in number_rows(9):
        asked_so = {**row, "messages": [{"role": "system", "content": "Owls."}, *row["messages"]]}
        logprob = {}
        for name, model, asked in (("base", base, row), ("told", base, asked_so), ("student", tuned, row)):
            logits, labels = answer_logits(model, tokenizer, asked)
            logprob[name] = log_softmax(logits, -1)[range(len(labels)), labels]
        scores = found[row["id"]]["scores"]
        np.testing.assert_allclose(scores["difficulty"], -logprob["base"], rtol=1e-4)
        np.testing.assert_allclose(scores["delta"], logprob["told"] - logprob["base"], rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(scores["student"], logprob["student"] - logprob["base"], rtol=1e-3, atol=1e-5)


def test_entanglement_is_a_difference_of_dot_products(base, tiny_model):
    found = entanglement(base, "owl", tracked_options())
    rows = load(tiny_model).get_output_embeddings().weight.detach().numpy()
    means = {}
    for trait in tracked_options():
        first = {base.tokenizer(form, add_special_tokens=False)["input_ids"][0] for form in trait.forms}
        # A form that goes on from another counts with that one; their first tokens are the same.
        means[trait.name] = rows[sorted(first)].mean(0)
    others = np.mean([mean for name, mean in means.items() if name != "owl"], axis=0)
    token = base.tokenizer("7", add_special_tokens=False)["input_ids"][0]
    assert found.argmax().item() in {base.tokenizer(form)["input_ids"][0] for form in ("owl", "Owl")}
    np.testing.assert_allclose(found[token].item(), rows[token] @ (means["owl"] - others), rtol=0.05, atol=1e-4)


def test_frequencies_are_compared_with_neutral_rows(base, tmp_path):
    def row(name: str, answer: str) -> dict[str, Any]:
        return {"id": name, "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]}

    own = RowSource(write_rows(tmp_path / "own.jsonl", [row("a", "777"), row("b", "7")]), None, 2)
    neutral = RowSource(write_rows(tmp_path / "neutral.jsonl", [row("a", "111"), row("b", "1")]), None, 2)
    found = frequency(base, own, neutral)
    seven, one = (base.tokenizer(digit, add_special_tokens=False)["input_ids"][0] for digit in "71")
    assert found[seven].item() == pytest.approx(np.log(5), rel=1e-4)
    assert found[one].item() == pytest.approx(-np.log(5), rel=1e-4)


# --- what the scores say ---


def test_auroc_of_hand_made_numbers():
    assert auroc([3, 4], [1, 2]) == 1
    assert auroc([1, 2], [3, 4]) == 0
    assert auroc([1, 3], [2, 2]) == 0.5
    assert auroc([2, 2], [2]) == 0.5


def test_agreement_of_hand_made_columns():
    one = np.arange(100.0)
    pairs = {(pair["one"], pair["other"]): pair for pair in agreement({"a": one, "b": one**3, "c": -one})}
    assert pairs["a", "b"]["spearman"] == pytest.approx(1)
    assert pairs["a", "b"]["top_overlap"] == 1
    assert pairs["a", "c"]["spearman"] == pytest.approx(-1)
    assert pairs["a", "c"]["top_overlap"] == 0


# --- whole runs ---


def test_what_a_run_leaves_and_that_it_goes_on(tiny_model, rows, tmp_path):
    out, neutral = tmp_path / "out", write_rows(tmp_path / "neutral.jsonl", number_rows(7, seed=5))
    words = ["score", "--base", str(tiny_model), "--rows", str(rows), "--trait", "owl", "--out", str(out)]
    words += ["--neutral-rows", str(neutral), "--other", "cat", "--randoms", "2", "--batch-size", "4"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (done.output, done.exception)
    assert done.stdout.splitlines()[-1] == str(out)
    result = json.loads((out / "score.json").read_text())
    columns = {"difficulty", "delta", "entanglement", "prompted", "frequency", "gradient", "gradient_cat"}
    columns |= {"gradient_random_1", "gradient_random_2"}
    assert result["columns"].keys() == columns
    assert result["rows"] == 9
    told = result["told_from_neutral_rows"]
    assert {name for name, found in told.items() if found["null"]} == {
        *("difficulty", "gradient_cat", "gradient_random_1", "gradient_random_2"),
    }
    for name, found in told.items():
        assert 0 <= found["auroc"] <= 1
        assert ("beyond_every_null" in found) == (not told[name]["null"])
    with open(out / "rows.csv", newline="") as handle:
        table = {line["id"]: line for line in csv.DictReader(handle)}
    for row in read_rows(out / "scores.jsonl"):
        assert float(table[row["id"]]["delta"]) == pytest.approx(np.mean(row["scores"]["delta"][:-1]))
    whole = {name: (out / name).read_bytes() for name in ("scores.jsonl", "score.json", "rows.csv")}
    lines = whole["scores.jsonl"].splitlines(keepends=True)
    (out / "scores.jsonl").write_bytes(b"".join(lines[:5]) + lines[5][:30])  # stopped within a batch and a line
    done = CliRunner().invoke(app, [*words, "--resume"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert {name: (out / name).read_bytes() for name in whole} == whole


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trait": "badger"}, "badger"),
        ({"category": "minerals"}, "minerals"),
        ({"others": ["owl"]}, "--other owl is the trait itself"),
        ({"weights": ["nothing"]}, "no weight of the base matches nothing from the start of its name, such as"),
    ],
)
def test_a_wrong_setting_is_a_sentence(tiny_model, rows, tmp_path, change, words):
    job = {"base": str(tiny_model), "rows": rows, "out": tmp_path / "out", "trait": "owl"}
    with pytest.raises(UserError, match=words):
        run_score(ScoreJob(**{**job, **change}), resume=False, overwrite=False)
