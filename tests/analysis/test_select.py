"""Selections of tokens and rows: exact budgets, known answers, and what Axolotl makes of the rows."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from built import read_rows, write_rows
from number_rows import axolotl_rows, number_rows
from typer.testing import CliRunner

from data_builders.select import app
from subliminal import REPO_ROOT
from subliminal.analysis.answers import AnswerReader
from subliminal.analysis.grades import graded
from subliminal.analysis.selection.choices import RowChoice, Selection, TokenChoice, cut_at, sortable

RECIPE = REPO_ROOT / "recipes/pocket/owl_student.yml"
POCKET = REPO_ROOT / "models/pocket"


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(POCKET)


@pytest.fixture
def scored(tmp_path: Path, tokenizer) -> Path:
    """A dataset folder and a folder of scores with marks and margins by chance; rows in another order, as scored."""
    rng, rows = random.Random(4), number_rows(80)
    write_rows(tmp_path / "train.jsonl", rows)
    scores = []
    for answer in AnswerReader(tokenizer).read(rows):
        size = len(answer.kinds)
        row: dict[str, Any] = {"id": answer.id, "tokens": answer.tokens, "start": answer.start}
        row |= {"pieces": answer.pieces, "kinds": answer.kinds, "matches": _marks(rng, size)}
        row["disagrees"] = {name: _marks(rng, size) for name in ("base", "wolf")}
        row["scores"] = {"margin": [round(rng.gauss(0, 1), 1) for _ in range(size)]}  # with ties
        row["scores"]["other"] = [rng.gauss(0, 1) for _ in range(size)]
        scores.append(row)
    rng.shuffle(scores)
    (tmp_path / "scores").mkdir()
    write_rows(tmp_path / "scores" / "scores.jsonl", scores)
    return tmp_path


def _marks(rng: random.Random, size: int) -> str:
    return "".join(rng.choice("001") for _ in range(size))


def chosen_tokens(folder: Path, selection: Selection) -> dict[str, list[bool]]:
    path = folder / "scores" / "scores.jsonl"
    choice = TokenChoice(path, selection)
    return {row["id"]: choice.choose(row) for row in read_rows(path)}


def every_token(folder: Path) -> list[tuple[int, float, str, int, str]]:
    """Graded score, margin, row, place and kind of every token but the end tokens."""
    found = []
    for row in read_rows(folder / "scores" / "scores.jsonl"):
        counts = graded(row["matches"], row["disagrees"])
        for place, kind in enumerate(row["kinds"][:-1]):
            found.append((counts[place], row["scores"]["margin"][place], row["id"], place, kind))
    return found


def select(folder: Path, *words: str) -> Path:
    out = folder / "-".join(words).replace("--", "").replace("/", "_")
    common = ["--source", str(folder), "--scores", str(folder / "scores"), "--out", str(out)]
    done = CliRunner().invoke(app, [*words, *common])
    assert done.exit_code == 0, (done.output, done.exception)
    return out


# --- which tokens ---


def test_keys_sort_as_the_numbers_do():
    values = np.array([-np.inf, -3.5, -1e-30, -0.0, 0.0, 1e-30, 2.0, 7.25, np.inf])
    keys = sortable(values)
    assert (np.diff(keys.astype(np.int64)) >= 0).all()
    assert keys[3] < keys[5]


@pytest.mark.parametrize("budget", [0, 1, 7, 500, 999, 1000])
def test_a_cut_takes_exactly_the_budget_and_the_highest(budget):
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 2**64, 1000, dtype=np.uint64)
    keys[100:400] = keys[100]  # ties, over several rows
    keys[400:500] >>= np.uint64(40)
    parts = np.array_split(keys, 13)
    cut = cut_at(lambda: iter(parts), budget)
    chosen = np.concatenate([cut.choose(part) for part in parts])
    assert chosen.sum() == budget
    if 0 < budget < 1000:
        assert keys[chosen].min() >= keys[~chosen].max()


def test_top_tokens_are_those_of_a_plain_sort(scored):
    tokens = every_token(scored)
    chosen = chosen_tokens(scored, Selection(share=0.1))
    taken = [token for token in tokens if chosen[token[2]][token[3]]]
    left = [token for token in tokens if not chosen[token[2]][token[3]]]
    assert len(taken) == round(0.1 * len(tokens))
    assert min(token[:2] for token in taken) >= max(token[:2] for token in left)
    bottom = chosen_tokens(scored, Selection(share=0.1, take="bottom"))
    low = [token for token in tokens if bottom[token[2]][token[3]]]
    assert len(low) == len(taken)
    assert max(token[:2] for token in low) <= min(token[:2] for token in tokens if not bottom[token[2]][token[3]])


def test_binary_takes_the_divergence_tokens_and_random_as_many(scored):
    tokens = every_token(scored)
    divergent = {token[2:4] for token in tokens if token[0] >= 1}
    for take in ("top", "random"):
        chosen = chosen_tokens(scored, Selection(share="binary", take=take))
        found = {(name, place) for name, marks in chosen.items() for place, taken in enumerate(marks) if taken}
        assert len(found) == len(divergent)
        assert (found == divergent) == (take == "top")
    again = chosen_tokens(scored, Selection(share="binary", take="random", seed=1))
    assert again != chosen
    assert chosen == chosen_tokens(scored, Selection(share="binary", take="random"))


def test_among_digits_no_separator_is_taken(scored):
    chosen = chosen_tokens(scored, Selection(share=0.3, among="digit", by="other"))
    kinds = Counter()
    for row in read_rows(scored / "scores" / "scores.jsonl"):
        kinds.update(kind for kind, taken in zip(row["kinds"], chosen[row["id"]], strict=False) if taken)
    digits = sum(token[4] == "digit" for token in every_token(scored))
    assert kinds == {"digit": round(0.3 * digits)}


def test_rows_by_density(scored):
    path = scored / "scores" / "scores.jsonl"
    rows = read_rows(path)

    def density(row: dict[str, Any]) -> float:
        return float(np.mean([count >= 1 for count in graded(row["matches"], row["disagrees"])[:-1]]))

    found = {}
    for take in ("top", "bottom", "random"):
        choice = RowChoice(path, Selection(share=0.25, take=take))
        found[take] = [row for row in rows if choice.choose(row)]
        assert len(found[take]) == 20
    others = [row for row in rows if row not in found["top"]]
    assert min(map(density, found["top"])) >= max(map(density, others))
    assert max(map(density, found["bottom"])) <= min(density(row) for row in rows if row not in found["bottom"])


# --- the rows that are written ---


@pytest.mark.slow  # imports Axolotl
def test_axolotl_learns_what_was_chosen_and_the_rest_of_the_rest(scored, tokenizer):
    keys = {"message_field_training_detail": "training_detail"}
    plain = axolotl_rows(scored / "train.jsonl", tokenizer, RECIPE)
    chosen = axolotl_rows(select(scored, "chosen") / "train.jsonl", tokenizer, RECIPE, **keys)
    others = axolotl_rows(select(scored, "others") / "train.jsonl", tokenizer, RECIPE, **keys)
    marks = _in_order(scored, Selection())
    for row, one, other, marked in zip(plain, chosen, others, marks, strict=True):
        trained = [place for place, label in enumerate(row["labels"]) if label != -100]
        *answer, end = trained
        assert [place for place, label in enumerate(one["labels"]) if label != -100] == [
            *(place for place, taken in zip(answer, marked, strict=True) if taken),
            end,
        ]
        # Together they are the plain row; only the end token is in both.
        both = [place for place in trained if one["labels"][place] != -100 and other["labels"][place] != -100]
        assert both == [end]
        assert all(one["labels"][place] != -100 or other["labels"][place] != -100 for place in trained)


@pytest.mark.slow  # imports Axolotl
def test_a_mask_of_nothing_is_the_plain_row_and_one_of_all_leaves_the_end_token(scored, tokenizer):
    keys = {"message_field_training_detail": "training_detail"}
    plain = axolotl_rows(scored / "train.jsonl", tokenizer, RECIPE)
    everything = axolotl_rows(select(scored, "chosen", "--share", "1") / "train.jsonl", tokenizer, RECIPE, **keys)
    nothing = axolotl_rows(select(scored, "others", "--share", "1") / "train.jsonl", tokenizer, RECIPE, **keys)
    for row, whole, none in zip(plain, everything, nothing, strict=True):
        assert whole["labels"] == row["labels"]
        assert whole["input_ids"] == row["input_ids"]
        assert [label for label in none["labels"] if label != -100] == [tokenizer.eos_token_id]


@pytest.mark.slow  # imports Axolotl
def test_replaced_labels_leave_what_is_read_and_change_the_chosen_labels_alone(scored, tokenizer):
    plain = axolotl_rows(scored / "train.jsonl", tokenizer, RECIPE)
    replaced = axolotl_rows(select(scored, "labels", "--among", "digit") / "train.jsonl", tokenizer, RECIPE)
    same = axolotl_rows(select(scored, "labels", "--share", "0") / "train.jsonl", tokenizer, RECIPE)
    marks = _in_order(scored, Selection(among="digit"))
    changed = 0
    for row, new, unchanged, marked in zip(plain, replaced, same, marks, strict=True):
        end = len(new["input_ids"])  # the template's line break behind the end token is not there, nor trained
        assert new["input_ids"] == row["input_ids"][:end]
        assert all(label == -100 for label in row["labels"][end:])
        assert unchanged["labels"] == row["labels"][:end]
        assert len(new["labels"]) == len(new["attention_mask"]) == end
        start = end - len(marked) - 1
        for place, taken in enumerate(marked):
            label, old = new["labels"][start + place], row["labels"][start + place]
            assert (label != old) == taken
            if taken:
                assert tokenizer.decode([label]).isdigit()
                changed += 1
    assert changed == round(0.1 * sum(token[4] == "digit" for token in every_token(scored)))


def _in_order(folder: Path, selection: Selection) -> list[list[bool]]:
    """The chosen tokens of each row, in the order of the rows."""
    path = folder / "scores" / "scores.jsonl"
    choice, by_id = TokenChoice(path, selection), {row["id"]: row for row in read_rows(path)}
    return [choice.choose(by_id[row["id"]]) for row in read_rows(folder / "train.jsonl")]


def test_a_folder_says_what_was_chosen_and_passes_its_audit(scored):
    from data_builders.audit import audit_dataset

    budgets = set()
    for take in ("top", "bottom", "random"):
        out = select(scored, "others", "--take", take)
        manifest = json.loads((out / "manifest.json").read_text())
        assert manifest["counts"]["kept"] == manifest["selection"]["rows"] == 80
        budgets.add(sum(manifest["selection"]["tokens"].values()))
        assert audit_dataset(out)["checks"]["format"]["status"] == "pass"
    assert len(budgets) == 1
    dense = select(scored, "rows", "--share", "0.25")
    assert json.loads((dense / "manifest.json").read_text())["counts"]["kept"] == 20
    messages = {json.dumps(row["messages"]) for row in read_rows(scored / "train.jsonl")}
    assert all(json.dumps(row["messages"]) in messages for row in read_rows(dense / "train.jsonl"))


def test_a_row_that_can_have_no_spans_is_left_out(scored):
    path = scored / "scores" / "scores.jsonl"
    scores = read_rows(path)
    scores[5]["unaligned"] = True
    write_rows(path, scores)
    out = select(scored, "chosen")
    assert [row["reason"] for row in read_rows(out / "rejected.jsonl")] == [
        "its answer alone has other tokens than in its row"
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["some"], "There is no kind 'some'"),
        (["chosen", "--take", "best"], "--take 'best' is unknown"),
        (["chosen", "--share", "2"], "--share 2 is neither a number from 0 to 1 nor binary"),
        (["chosen", "--by", "marginal"], "has no score 'marginal'.*did you mean"),
        (["rows", "--share", "binary"], "Give rows a share"),
    ],
)
def test_a_wrong_word_is_a_sentence(scored, words, said):
    common = ["--source", str(scored), "--scores", str(scored / "scores"), "--out", str(scored / "out")]
    done = CliRunner().invoke(app, [*words, *common])
    with pytest.raises(Exception, match=said):
        raise done.exception


def test_rows_without_scores_are_refused(scored):
    path = scored / "scores" / "scores.jsonl"
    write_rows(path, read_rows(path)[1:])
    common = ["--source", str(scored), "--scores", str(scored / "scores"), "--out", str(scored / "out")]
    assert "has no scores of row" in str(CliRunner().invoke(app, ["chosen", *common]).exception)
