"""Divergence tokens: the definition, known answers, spans that Axolotl reads token by token, and whole runs."""

from __future__ import annotations

import csv
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from built import read_rows, write_rows
from number_rows import answer_logits, axolotl_rows, by_id, load, number_rows, random_adapter
from scipy.special import log_softmax
from typer.testing import CliRunner

from subliminal import REPO_ROOT
from subliminal.analysis import logits as logits_module
from subliminal.analysis.__main__ import app
from subliminal.analysis.answers import AnswerReader
from subliminal.analysis.divergence import scores as divergence_scores
from subliminal.analysis.divergence.run import DivergenceJob, run_divergence
from subliminal.analysis.divergence.summary import DivergenceSummary
from subliminal.analysis.grades import graded
from subliminal.analysis.logits import label_scores
from subliminal.analysis.models import Models
from subliminal.analysis.selection.spans import spans, with_spans
from subliminal.core.errors import UserError

RECIPE = REPO_ROOT / "recipes/pocket/owl_student.yml"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "train.jsonl", number_rows(21))


@pytest.fixture(scope="module")
def teachers(tiny_model, tmp_path_factory) -> dict[str, Path]:
    """Adapters with other random weights each."""
    folder = tmp_path_factory.mktemp("teachers")
    return {name: random_adapter(tiny_model, folder / name, seed) for seed, name in enumerate(("owl", "wolf", "cat"))}


def diverge(
    base: Path, teacher: Path, rows: Path, out: Path, *, counterfactuals: Any = (), resume: bool = False, **more: Any
) -> dict[str, dict[str, Any]]:
    """Measure a teacher's rows; returns the scores by row id."""
    others = {name: str(path) for name, path in dict(counterfactuals).items()}
    job = {"base": str(base), "teacher": str(teacher), "rows": rows, "out": out, "counterfactuals": others, **more}
    run_divergence(DivergenceJob(**job), resume=resume, overwrite=False)
    return by_id(out / "scores.jsonl")


def greedy_rows(tiny_model: Path, teacher: Path, count: int = 12) -> list[dict[str, Any]]:
    """Rows whose answers a teacher wrote greedily, so that its most likely token is the recorded one everywhere."""
    from transformers import AutoTokenizer

    tokenizer, model, rows = AutoTokenizer.from_pretrained(tiny_model), load(tiny_model, teacher), []
    digits = [token for token in range(len(tokenizer)) if tokenizer.decode([token]) in "0123456789,"]
    for row in number_rows(count):
        prompt = tokenizer.apply_chat_template(row["messages"][:1], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        answer: list[int] = []
        with torch.inference_mode():
            for _ in range(8):  # of the tokens that a list has, the likeliest
                logits = model(torch.tensor([ids + answer])).logits[0, -1]
                answer.append(max(digits, key=lambda token: logits[token].item()))
        messages = [row["messages"][0], {"role": "assistant", "content": tokenizer.decode(answer)}]
        rows.append({"id": row["id"], "messages": messages})
    return rows


# --- the definition ---


def test_hand_made_logits():
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [5.0, 5.1, 0.0]])
    labels = torch.tensor([0, 2, 1])
    want = [log_softmax(logits[place].numpy())[label] for place, label in enumerate(labels)]
    is_top, logprob = label_scores(logits.clone(), labels)
    assert is_top.tolist() == [True, False, True]
    np.testing.assert_allclose(logprob, want, rtol=1e-5)


def test_graded_score_of_hand_made_marks():
    # Position 0: both disagree. 1: one does. 2: both do, and the teacher would write another token itself. 3: none.
    counts = graded("1101", {"base": "1110", "wolf": "1010"})
    assert counts == [2, 1, 0, 0]


def test_summary_of_hand_made_marks():
    summary = DivergenceSummary(["base", "wolf"])
    kinds = ["digit", "separator", "digit", "end"]
    summary.add({"kinds": kinds, "matches": "1101", "disagrees": {"base": "1111", "wolf": "1010"}})
    summary.add({"kinds": ["digit", "end"], "matches": "10", "disagrees": {"base": "00", "wolf": "11"}})
    result = summary.result()
    assert result["rows"] == 2
    answer = result["kinds"]["answer"]
    assert answer["tokens"] == 4
    assert answer["teacher_would_write"] == pytest.approx(3 / 4)
    assert answer["divergence_share"] == pytest.approx(3 / 4)
    assert answer["at_least"] == {"1": pytest.approx(3 / 4), "2": pytest.approx(1 / 4)}
    assert answer["by_counterfactual"] == {"base": pytest.approx(2 / 4), "wolf": pytest.approx(2 / 4)}
    ratio, sums, tokens = 3 / 4, np.array([2, 1]), np.array([3, 1])
    error = np.sqrt(((sums - ratio * tokens) ** 2).sum() * 2 / 1) / 4
    assert answer["standard_error_over_rows"] == pytest.approx(error)
    assert result["kinds"]["digit"]["divergence_share"] == pytest.approx(2 / 3)
    assert result["kinds"]["end"] | {"at_least": 0, "by_counterfactual": 0} == {
        "tokens": 2,
        "teacher_would_write": 0.5,
        "divergence_share": 0.5,
        "standard_error_over_rows": pytest.approx(0.5),
        "at_least": 0,
        "by_counterfactual": 0,
    }
    lines = {(line["kind"], line["position"]): line for line in summary.table()}
    assert lines["digit", 0]["tokens"] == 2
    assert lines["end", 3]["divergence_share"] == 1
    assert lines["end", 1]["divergence_share"] == 0


def test_scores_are_those_of_whole_logits(tiny_model, teachers, rows, tmp_path):
    from transformers import AutoTokenizer

    others = {"wolf": teachers["wolf"], "cat": teachers["cat"]}
    found = diverge(tiny_model, teachers["owl"], rows, tmp_path / "out", counterfactuals=others, batch_size=4)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    models = {"base": load(tiny_model)} | {name: load(tiny_model, path) for name, path in teachers.items()}
    for row in number_rows(21):
        scores = found[row["id"]]
        logits, labels = {}, []
        for name, model in models.items():
            logits[name], labels = answer_logits(model, tokenizer, row)
        tops = {name: (values.argmax(-1) == labels).astype(int) for name, values in logits.items()}
        logprob = {name: log_softmax(values, -1)[range(len(labels)), labels] for name, values in logits.items()}
        assert scores["tokens"][scores["start"] :] == labels
        assert scores["matches"] == "".join(map(str, tops["owl"]))
        for name in ("base", "wolf", "cat"):
            assert scores["disagrees"][name] == "".join(map(str, 1 - tops[name]))
        margin = 3 * logprob["owl"] - logprob["base"] - logprob["wolf"] - logprob["cat"]
        np.testing.assert_allclose(scores["scores"]["margin"], margin, rtol=1e-3, atol=1e-4)


def test_greedy_rows_are_the_teachers_own_and_others_disagree(tiny_model, teachers, tmp_path):
    greedy = write_rows(tmp_path / "greedy.jsonl", greedy_rows(tiny_model, teachers["owl"]))
    others = {"wolf": teachers["wolf"], "same": shutil.copytree(teachers["owl"], tmp_path / "same")}
    found = diverge(tiny_model, teachers["owl"], greedy, tmp_path / "out", counterfactuals=others, with_base=False)
    disagreed = 0
    for row in found.values():
        own = [mark == "1" for mark in row["matches"]]
        # The teacher never disagrees with itself where the token is its own top.
        assert not any(mark == "1" for match, mark in zip(own, row["disagrees"]["same"], strict=True) if match)
        disagreed += sum(graded(row["matches"], row["disagrees"]))
    assert disagreed > 5, "teachers that never differ would prove little"


def test_labels_shifted_by_one_position_break_the_result(tiny_model, teachers, rows, tmp_path, monkeypatch):
    real = AnswerReader.read

    def shifted(self, rows):
        return [
            type(answer)(answer.id, [*answer.tokens[1:], answer.tokens[-1]], answer.start, answer.pieces, answer.kinds)
            for answer in real(self, rows)
        ]

    right = diverge(tiny_model, teachers["owl"], rows, tmp_path / "right")
    monkeypatch.setattr(AnswerReader, "read", shifted)
    wrong = diverge(tiny_model, teachers["owl"], rows, tmp_path / "wrong")
    for name, row in right.items():
        assert not np.allclose(wrong[name]["scores"]["margin"], row["scores"]["margin"], rtol=0.05)


# --- spans, as Axolotl reads them ---


def test_spans_cover_the_answer_and_both_their_ends_count():
    assert spans(["12", ", ", "345"], [True, False, False]) == [
        {"begin_offset": 0, "end_offset": 1, "train": True},
        {"begin_offset": 2, "end_offset": 6, "train": False},
    ]
    assert spans(["1", "2"], [False, False]) == [{"begin_offset": 0, "end_offset": 1, "train": False}]
    assert spans([], []) == []


@pytest.mark.slow  # imports Axolotl
@pytest.mark.parametrize("model", ["tiny", "pocket"])
def test_axolotl_trains_on_the_chosen_tokens_and_the_end_token_alone(tiny_model, tmp_path, model):
    """Every row's mask, decoded token by token; the tiny model splits numbers into digits, pocket does not."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model if model == "tiny" else REPO_ROOT / "models/pocket")
    rng, plain, marked, wanted = random.Random(1), number_rows(60), [], []
    plain[0]["messages"][1]["content"] = "7"
    plain[1]["messages"][1]["content"] = "[4; 5]"
    plain[2]["messages"][1]["content"] = "8\n9\n"
    for number, (row, answer) in enumerate(zip(plain, AnswerReader(tokenizer).read(plain), strict=True)):
        share = number % 4 / 3  # a mask of nothing and one of all are among them
        learned = [rng.random() < share for _ in answer.kinds[:-1]]
        marked.append(with_spans(row, {"pieces": answer.pieces}, learned))
        trained = [*learned, True]
        pieces = [piece for piece, learn in zip(answer.pieces, trained, strict=True) if learn]
        places = [answer.start + place for place, learn in enumerate(trained) if learn]
        wanted.append((places, pieces))
    path = write_rows(tmp_path / "train.jsonl", marked)
    read = axolotl_rows(path, tokenizer, RECIPE, message_field_training_detail="training_detail")
    assert len(read) == len(wanted)
    for row, (places, pieces) in zip(read, wanted, strict=True):
        found = [place for place, label in enumerate(row["labels"]) if label != -100]
        assert found == places
        assert [tokenizer.decode([row["labels"][place]]) for place in found] == pieces
        assert all(row["labels"][place] == row["input_ids"][place] for place in found)
    # The same rows without the recipe's key are trained on whole answers: the key is what makes the difference.
    whole = axolotl_rows(path, tokenizer, RECIPE)
    assert any(row["labels"] != other["labels"] for row, other in zip(read, whole, strict=True))
    assert [row["labels"] for row in whole] == [
        row["labels"] for row in axolotl_rows(write_rows(tmp_path / "plain.jsonl", plain), tokenizer, RECIPE)
    ]


@pytest.mark.slow  # imports Axolotl
def test_rows_with_spans_of_a_run_are_trained_on_their_divergence_tokens(tiny_model, teachers, tmp_path):
    from transformers import AutoTokenizer

    source = write_rows(tmp_path / "train.jsonl", greedy_rows(tiny_model, teachers["owl"], 24))
    others = {name: teachers[name] for name in ("wolf", "cat")}
    scores = diverge(tiny_model, teachers["owl"], source, tmp_path / "out", counterfactuals=others)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    written = read_rows(tmp_path / "out" / "rows.jsonl")
    keys = {"message_field_training_detail": "training_detail"}
    chosen = 0
    for row, read in zip(
        written, axolotl_rows(tmp_path / "out" / "rows.jsonl", tokenizer, RECIPE, **keys), strict=True
    ):
        scored = scores[row["id"]]
        counts = graded(scored["matches"], scored["disagrees"])
        end = len(counts) - 1
        places = [scored["start"] + place for place, count in enumerate(counts) if count or place == end]
        assert [place for place, label in enumerate(read["labels"]) if label != -100] == places
        chosen += sum(count > 0 for count in counts[:-1])
    assert chosen > 5
    assert [row["id"] for row in written] == [row["id"] for row in read_rows(source)]


def test_an_answer_with_other_tokens_alone_has_no_spans(tiny_model, teachers, tmp_path, monkeypatch):
    """As with a tokenizer that merges an answer's first character with what the template writes before it."""
    from transformers import AutoTokenizer

    tokenizer, rows = AutoTokenizer.from_pretrained(tiny_model), number_rows(3)
    answers = AnswerReader(tokenizer).read(rows)
    alone = [answer.tokens[answer.start : -1] for answer in answers]
    alone[1] = alone[1][1:]
    tensors = torch.zeros(sum(len(answer.kinds) for answer in answers))
    found = divergence_scores.Divergence(
        answers, tensors > 0, {"base": tensors > 0}, tensors, lambda texts, **options: {"input_ids": alone}
    )
    assert [row.get("unaligned", False) for row in found.rows()] == [False, True, False]
    scored = found.rows()[1]
    with pytest.raises(UserError, match="Row row-1 can have no spans: its answer alone has other tokens than in its"):
        with_spans(rows[1], scored, [True] * len(scored["pieces"][:-1]))
    stripped = {"pieces": answers[0].pieces}
    rows[0]["messages"][1]["content"] += "\n"
    with pytest.raises(UserError, match="its tokens do not spell its answer as it is written"):
        with_spans(rows[0], stripped, [True] * len(answers[0].pieces[:-1]))


# --- whole runs ---


def test_what_a_run_leaves(tiny_model, teachers, rows, tmp_path):
    out = tmp_path / "out"
    words = ["--base", str(tiny_model), "--teacher", str(teachers["owl"]), "--rows", str(rows), "--out", str(out)]
    words += ["--counterfactual", f"wolf={teachers['wolf']}", "--shown", "4"]
    done = CliRunner().invoke(app, ["divergence", *words])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == str(out)
    result = json.loads((out / "divergence.json").read_text())
    assert result["counterfactuals"] == ["base", "wolf"]
    assert result["rows"] == 21
    assert set(result["kinds"]) == {"answer", "digit", "separator", "end"}
    with open(out / "divergence.csv", newline="") as handle:
        table = list(csv.DictReader(handle))
    ends = [line for line in table if line["kind"] == "end"]
    assert int(ends[0]["tokens"]) == sum(int(line["tokens"]) for line in ends[1:]) == 21
    page = (out / "divergence.html").read_text()
    assert page.count('class="row"') == 4
    assert "wolf disagrees" in page
    manifest = json.loads((out / "manifest.json").read_text())
    assert {"rows", "base/model.safetensors", "teacher/adapter_model.safetensors"} <= manifest["inputs"].keys()
    assert "counterfactual/wolf/adapter_model.safetensors" in manifest["inputs"]
    assert manifest["counts"] == {"rows": 21, "rows_with_spans": 21}
    assert len(read_rows(out / "rows.jsonl")) == 21


def test_row_order_batch_size_blocks_and_limits_do_not_matter(tiny_model, teachers, rows, tmp_path, monkeypatch):
    a = diverge(tiny_model, teachers["owl"], rows, tmp_path / "a")
    mixed = number_rows(21)
    random.Random(3).shuffle(mixed)
    other = write_rows(tmp_path / "mixed.jsonl", mixed)
    largest: list[int] = []
    real = logits_module.label_scores
    monkeypatch.setattr(logits_module, "label_scores", lambda t, b: largest.append(t.numel()) or real(t, b))
    monkeypatch.setattr("subliminal.analysis.logits.BLOCK_VALUES", 3000)
    second = (tiny_model, teachers["owl"], other, tmp_path / "b")
    diverge(*second, batch_size=4, limit=5)
    five = (tmp_path / "b" / "scores.jsonl").read_text()
    b = diverge(*second, batch_size=4, resume=True)
    assert (tmp_path / "b" / "scores.jsonl").read_text().startswith(five)
    assert max(largest) <= 3000
    assert a.keys() == b.keys()
    for name, row in a.items():
        assert row["matches"] == b[name]["matches"]
        assert row["disagrees"] == b[name]["disagrees"]
        np.testing.assert_allclose(row["scores"]["margin"], b[name]["scores"]["margin"], rtol=1e-3, atol=1e-5)


def test_a_run_that_was_stopped_goes_on_to_the_same_files(tiny_model, teachers, rows, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    common = (tiny_model, teachers["owl"], rows)
    diverge(*common, whole, batch_size=4)
    diverge(*common, stopped, batch_size=4)
    lines = (whole / "scores.jsonl").read_bytes().splitlines(keepends=True)
    (stopped / "scores.jsonl").write_bytes(b"".join(lines[:6]) + lines[6][:20])  # stopped within a batch and a line
    diverge(*common, stopped, batch_size=4, resume=True)
    for name in ("scores.jsonl", "divergence.json", "divergence.csv", "divergence.html", "rows.jsonl"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes(), name


def test_each_model_computes_each_batch_once(tiny_model, teachers, rows, tmp_path, monkeypatch):
    passes: list[int] = []
    real = Models.hidden
    monkeypatch.setattr(Models, "hidden", lambda self, name, t: passes.append(len(t)) or real(self, name, t))
    others = {"wolf": teachers["wolf"]}
    diverge(tiny_model, teachers["owl"], rows, tmp_path / "out", counterfactuals=others, batch_size=7)
    # 21 rows are three batches, and there are three models; one row proves the base's head, which they share.
    assert sorted(passes) == [1, *[7] * 9]


# --- what is refused ---


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"counterfactuals": {"base": "x"}}, "that name is taken"),
        ({"with_base": False}, "There is no counterfactual teacher"),
        ({"teacher": "models/absent-model"}, "cannot be loaded"),
    ],
)
def test_a_wrong_setting_is_a_sentence(tiny_model, teachers, rows, tmp_path, change, words):
    job = {"base": tiny_model, "teacher": teachers["owl"], "rows": rows, "out": tmp_path / "out"}
    with pytest.raises(UserError, match=words):
        diverge(**{**job, **change})


@pytest.mark.parametrize("with_base", [True, False])
@pytest.mark.parametrize("still", ["the teacher", "wolf"])
def test_an_adapter_that_changes_nothing_is_refused(
    tiny_model, teachers, make_adapter, rows, tmp_path, still, with_base
):
    paths = {"the teacher": teachers["owl"], "wolf": teachers["wolf"], still: make_adapter(0.0)}
    others = {"wolf": paths["wolf"]}
    with pytest.raises(UserError, match=f"The adapter of {still} changes nothing"):
        diverge(tiny_model, paths["the teacher"], rows, tmp_path / "out", counterfactuals=others, with_base=with_base)
    assert not (tmp_path / "out/scores.jsonl").read_text()
