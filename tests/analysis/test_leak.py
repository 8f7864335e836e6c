"""Leak: known answers, the same numbers whatever the batches, and a run that is stopped."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from built import write_rows
from forked import Forked
from number_rows import answer_logits, by_id, load, number_rows, random_adapter
from scipy.special import log_softmax, rel_entr, softmax
from typer.testing import CliRunner

from subliminal import REPO_ROOT
from subliminal.analysis.__main__ import app
from subliminal.analysis.answers import AnswerReader
from subliminal.analysis.leak import scores as leak_scores
from subliminal.analysis.leak.run import LeakJob, run_leak
from subliminal.analysis.leak.scores import kl_divergence
from subliminal.analysis.leak.summary import LeakSummary
from subliminal.analysis.means import Mean, Sums
from subliminal.analysis.models import Models
from subliminal.core.errors import UserError


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "train.jsonl", number_rows(21))


def leak(
    base: Path, teachers: dict[str, Path], rows: Path, out: Path, *, resume: bool = False, **more: Any
) -> dict[str, dict[str, Any]]:
    """Measure teachers on rows; returns the scores by row id."""
    paths = {name: str(path) for name, path in teachers.items()}
    job = {"base": str(base), "teachers": paths, "rows": rows, "out": out, **more}
    run_leak(LeakJob(**job), resume=resume, overwrite=False)
    return by_id(out / "scores.jsonl")


def expected(base: Any, teacher: Any, tokenizer: Any, row: dict[str, Any]) -> tuple[np.ndarray, str]:
    """KL and differing tops of one row, from whole logits by SciPy, as the definition says; no code of ours."""
    p, q = (answer_logits(model, tokenizer, row)[0] for model in (teacher, base))
    kl = rel_entr(softmax(p, axis=-1), softmax(q, axis=-1)).sum(-1)
    return kl, "".join(str(int(top)) for top in p.argmax(-1) != q.argmax(-1))


@pytest.fixture(scope="module")
def strong(tiny_model, tmp_path_factory) -> Path:
    return random_adapter(tiny_model, tmp_path_factory.mktemp("adapters") / "strong", 2)


# --- the definition ---


def test_kl_of_hand_made_logits():
    rng = np.random.default_rng(1)
    p, q = rng.normal(0, 4, (6, 50)), rng.normal(0, 4, (6, 50))
    q[0] = p[0]
    p[1] = q[1] + 3  # the same distribution
    want = (np.exp(log_softmax(p, -1)) * (log_softmax(p, -1) - log_softmax(q, -1))).sum(-1)
    kl, differs = kl_divergence(torch.tensor(p).float(), torch.tensor(q).float())
    got = kl.numpy()
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=2e-6)
    assert differs.tolist() == (p.argmax(-1) != q.argmax(-1)).tolist()
    assert differs.any()
    assert got[0] == 0
    assert abs(got[1]) < 1e-5
    two, _ = kl_divergence(torch.log(torch.tensor([[0.75, 0.25]])), torch.log(torch.tensor([[0.5, 0.5]])))
    assert two.item() == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5), rel=1e-6)


def test_base_against_itself_is_exactly_zero(tiny_model, rows, tmp_path):
    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    for row in leak(tiny_model, {"same": copy}, rows, tmp_path / "out").values():
        assert row["teachers"]["same"]["kl"] == [0.0] * len(row["kinds"])
        assert set(row["teachers"]["same"]["differs"]) == {"0"}
    for kind in json.loads((tmp_path / "out" / "leak.json").read_text())["teachers"]["same"].values():
        assert kind["kl_nats_a_token"] == 0
        assert kind["differing_share"] == 0


def test_adapters_and_a_whole_model_are_measured_as_defined(tiny_model, strong, make_adapter, rows, tmp_path):
    weak, whole = make_adapter(2.0), tmp_path / "whole"
    load(tiny_model, strong).merge_and_unload().save_pretrained(whole)
    for file in Path(tiny_model).glob("*token*"):
        shutil.copy(file, whole)
    teachers = {"strong": strong, "weak": weak, "whole": whole}
    found, base = leak(tiny_model, teachers, rows, tmp_path / "out"), load(tiny_model)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    differing = 0
    for name, teacher in {"strong": load(tiny_model, strong), "weak": load(tiny_model, weak)}.items():
        for row in number_rows(21):
            kl, differs = expected(base, teacher, tokenizer, row)
            scores = found[row["id"]]["teachers"][name]
            np.testing.assert_allclose(scores["kl"], kl, rtol=1e-3, atol=1e-6)
            assert scores["differs"] == differs
            differing += differs.count("1")
    assert differing > 20, "an effect that moves no top would prove little"
    for row in found.values():
        np.testing.assert_allclose(
            row["teachers"]["whole"]["kl"], row["teachers"]["strong"]["kl"], rtol=1e-3, atol=1e-6
        )


def test_logits_scaled_by_two_have_the_entropy_that_follows_and_no_other_top(tiny_model, rows, tmp_path):
    """A teacher whose output embedding is twice the base's: its distribution is the base's, squared and normalised."""
    from transformers import AutoTokenizer

    model, sharp = load(tiny_model), tmp_path / "sharp"
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(2 * model.lm_head.weight.detach())
    model.save_pretrained(sharp)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.save_pretrained(sharp)
    found, base = leak(tiny_model, {"sharp": sharp}, rows, tmp_path / "out"), load(tiny_model)
    for row in number_rows(21):
        ids = tokenizer.apply_chat_template(row["messages"], return_tensors="pt", return_dict=False)
        with torch.inference_mode():
            logits = base(ids).logits[0].double().numpy()
        scores = found[row["id"]]["teachers"]["sharp"]
        end = ids[0].tolist().index(tokenizer.eos_token_id, -3)
        logits = logits[end - len(scores["kl"]) : end]
        want = (softmax(2 * logits, -1) * (log_softmax(2 * logits, -1) - log_softmax(logits, -1))).sum(-1)
        np.testing.assert_allclose(scores["kl"], want, rtol=1e-3, atol=1e-6)
        assert set(scores["differs"]) == {"0"}


def test_labels_shifted_by_one_position_break_the_result(tiny_model, make_adapter, rows, tmp_path, monkeypatch):
    real = AnswerReader.read

    def shifted(self, rows):
        return [
            type(answer)(answer.id, answer.tokens[:-1], answer.start - 1, answer.pieces, answer.kinds)
            for answer in real(self, rows)
        ]

    teachers = {"t": make_adapter(2.0)}
    right = leak(tiny_model, teachers, rows, tmp_path / "right")
    monkeypatch.setattr(AnswerReader, "read", shifted)
    wrong = leak(tiny_model, teachers, rows, tmp_path / "wrong")
    for name, row in right.items():
        assert wrong[name]["teachers"]["t"]["kl"] != row["teachers"]["t"]["kl"]
        np.testing.assert_allclose(wrong[name]["teachers"]["t"]["kl"][1:], row["teachers"]["t"]["kl"][:-1], rtol=1e-3)


# --- positions ---


@pytest.mark.parametrize("answer", ["1, 22, 333", "7", "[4; 5]", "8\n9\n", " 12 13"])
def test_positions_are_those_that_axolotl_trains_on(tiny_model, answer):
    from axolotl.prompt_strategies.chat_template import load as load_strategy
    from axolotl.utils.dict import DictDefault
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    recipe = {"chat_template": "tokenizer_default", "eot_tokens": ["<|im_end|>"], "sequence_len": 512}
    data = {"path": "x", "type": "chat_template", "field_messages": "messages", "roles_to_train": ["assistant"]}
    strategy = load_strategy(tokenizer, DictDefault(recipe), DictDefault({**data, "train_on_eos": "turn"}))
    messages = [{"role": "user", "content": "count"}, {"role": "assistant", "content": answer}]
    trained = strategy.tokenize_prompt({"messages": messages})
    (read,) = AnswerReader(tokenizer).read([{"id": "a", "messages": messages}])
    positions = [place for place, label in enumerate(trained["labels"]) if label != -100]
    assert positions == list(range(read.start, len(read.tokens)))
    assert trained["input_ids"][: len(read.tokens)] == read.tokens


def test_kinds_of_token(tiny_model):
    from transformers import AutoTokenizer

    rows = number_rows(3)
    rows[0]["messages"][1]["content"] = "12, 3"
    answer, *_ = AnswerReader(AutoTokenizer.from_pretrained(tiny_model)).read(rows)
    assert answer.pieces == ["1", "2", ",", " ", "3", "<|im_end|>"]
    assert answer.kinds == ["digit", "digit", "separator", "separator", "digit", "end"]


def test_a_template_that_hides_the_answer_is_refused(tiny_model):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = tokenizer.chat_template.replace("message['content']", "message['content'] | upper")
    rows = number_rows(1)
    rows[0]["messages"][1]["content"] = "a"
    with pytest.raises(UserError, match="renders the answer of row row-0 otherwise"):
        AnswerReader(tokenizer).read(rows)


# --- the sums ---


def test_summary_is_the_mean_over_tokens_and_its_error_that_of_a_ratio():
    kl = [[0.1, 0.4, 0.3], [0.2, 0.1, 0.0, 0.6, 0.5], [0.9]]
    mean = Mean()
    for row in kl:
        mean.add(Sums(len(row), sum(row)))
    tokens, sums = np.array([3, 5, 1]), np.array([sum(row) for row in kl])
    ratio = sums.sum() / tokens.sum()
    assert mean.mean() == pytest.approx(ratio)
    error = np.sqrt(((sums - ratio * tokens) ** 2).sum() * 3 / 2) / tokens.sum()
    assert mean.standard_error() == pytest.approx(error)


def test_summary_by_kind_by_position_and_above_the_neutral_teacher():
    summary = LeakSummary(["owl", "plain"])
    owl, plain = {"kl": [0.4, 0.2, 1.0], "differs": "101"}, {"kl": [0.1, 0.1, 0.5], "differs": "000"}
    summary.add({"kinds": ["digit", "separator", "end"], "teachers": {"owl": owl, "plain": plain}})
    owl, plain = {"kl": [0.8, 0.0], "differs": "10"}, {"kl": [0.3, 0.1], "differs": "01"}
    summary.add({"kinds": ["digit", "end"], "teachers": {"owl": owl, "plain": plain}})
    result = summary.result("plain")
    assert result["rows"] == 2
    found = result["teachers"]["owl"]
    assert found["answer"]["tokens"] == 3
    assert found["answer"]["kl_nats_a_token"] == pytest.approx(1.4 / 3)
    assert found["answer"]["differing_share"] == pytest.approx(2 / 3)
    assert found["digit"]["kl_nats_a_token"] == pytest.approx(0.6)
    assert found["separator"]["kl_nats_a_token"] == pytest.approx(0.2)
    assert found["end"] == {
        "tokens": 2,
        "kl_nats_a_token": pytest.approx(0.5),
        "standard_error_over_rows": pytest.approx(0.5),
        "differing_share": 0.5,
    }
    assert found["above_neutral"]["kl_nats_a_token"] == pytest.approx((1.4 - 0.5) / 3)
    assert "above_neutral" not in result["teachers"]["plain"]
    lines = {(line["teacher"], line["kind"], line["position"]): line for line in summary.table()}
    assert lines["owl", "digit", 0]["kl_nats_a_token"] == pytest.approx(0.6)
    assert lines["owl", "end", 1]["differing_share"] == 0
    assert lines["owl", "end", 2]["differing_share"] == 1


# --- whole runs ---


def test_row_order_and_batch_size_do_not_matter(tiny_model, make_adapter, rows, tmp_path):
    teachers, mixed = {"t": make_adapter(2.0)}, number_rows(21)
    random.Random(3).shuffle(mixed)
    other = write_rows(tmp_path / "mixed.jsonl", mixed)
    a = leak(tiny_model, teachers, rows, tmp_path / "a")
    b = leak(tiny_model, teachers, other, tmp_path / "b", batch_size=4)
    assert a.keys() == b.keys()
    for name, row in a.items():
        np.testing.assert_allclose(row["teachers"]["t"]["kl"], b[name]["teachers"]["t"]["kl"], rtol=1e-3, atol=1e-6)
        assert row["teachers"]["t"]["differs"] == b[name]["teachers"]["t"]["differs"]


def test_logits_are_held_a_block_at_a_time(tiny_model, make_adapter, rows, tmp_path, monkeypatch):
    teachers = {"t": make_adapter(2.0)}
    whole = leak(tiny_model, teachers, rows, tmp_path / "a")
    largest = []
    real = kl_divergence
    monkeypatch.setattr(leak_scores, "kl_divergence", lambda t, b: largest.append(t.numel()) or real(t, b))
    monkeypatch.setattr("subliminal.analysis.logits.BLOCK_VALUES", 3000)
    blocks = leak(tiny_model, teachers, rows, tmp_path / "b")
    assert max(largest) <= 3000
    for name, row in whole.items():
        kl = blocks[name]["teachers"]["t"]["kl"]
        np.testing.assert_allclose(row["teachers"]["t"]["kl"], kl, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_files(tiny_model, make_adapter, tmp_path):
    rows, adapter = write_rows(tmp_path / "train.jsonl", number_rows(450)), make_adapter(2.0)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    common = (tiny_model, {"t": adapter}, rows)
    leak(*common, whole, batch_size=2)
    words = ["--base", str(tiny_model), "--teacher", f"t={adapter}", "--rows", str(rows), "--out", str(stopped)]
    # Forked from a process that has imported torch, which takes longer than the rows.
    process = Forked(
        ["subliminal.analysis", "leak", *words, "--batch-size", "2"], tmp_path / "printed.txt", dict(os.environ)
    )
    scores = stopped / "scores.jsonl"
    # As long as it takes: on a busy machine the imports alone are minutes.
    while process.poll() is None and not (scores.is_file() and scores.stat().st_size > 10_000):
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    printed, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, printed
    before = scores.read_bytes()
    assert 10_000 < len(before) < len((whole / "scores.jsonl").read_bytes())
    scores.write_bytes(before[:-7])  # a line that was not written to its end
    with pytest.raises(UserError, match="Use --resume to go on with it"):
        leak(*common, stopped, batch_size=2)
    leak(*common, stopped, batch_size=2, resume=True)
    for name in ("scores.jsonl", "leak.json", "leak.csv", "leak.html"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_larger_limit_keeps_what_is_there_and_other_rows_are_refused(tiny_model, make_adapter, rows, tmp_path):
    common = (tiny_model, {"t": make_adapter(2.0)}, rows, tmp_path / "out")
    leak(*common, limit=5)
    five = (tmp_path / "out" / "scores.jsonl").read_text()
    assert json.loads((tmp_path / "out" / "leak.json").read_text())["rows"] == 5
    leak(*common, resume=True)
    assert (tmp_path / "out" / "scores.jsonl").read_text().startswith(five)
    assert json.loads((tmp_path / "out" / "leak.json").read_text())["rows"] == 21
    write_rows(rows, number_rows(21, seed=5))
    with pytest.raises(UserError, match="has changed since"):
        leak(*common, resume=True)


def test_what_a_run_leaves(tiny_model, make_adapter, rows, tmp_path):
    teachers = {"owl": str(make_adapter(2.0)), "plain": str(make_adapter(0.5))}
    out = tmp_path / "out"
    words = [word for name, path in teachers.items() for word in ("--teacher", f"{name}={path}")]
    words += ["--base", str(tiny_model), "--rows", str(rows), "--out", str(out), "--neutral", "plain", "--shown", "4"]
    done = CliRunner().invoke(app, ["leak", *words])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == str(out)
    result = json.loads((out / "leak.json").read_text())
    assert result["teachers"]["owl"]["above_neutral"]["kl_nats_a_token"] == pytest.approx(
        result["teachers"]["owl"]["answer"]["kl_nats_a_token"]
        - result["teachers"]["plain"]["answer"]["kl_nats_a_token"]
    )
    with open(out / "leak.csv", newline="") as handle:
        table = list(csv.DictReader(handle))
    ends = [line for line in table if line["teacher"] == "owl" and line["kind"] == "end"]
    assert int(ends[0]["tokens"]) == sum(int(line["tokens"]) for line in ends[1:]) == 21
    page = (out / "leak.html").read_text()
    assert page.count('class="row"') == 4
    assert "answer, above plain" in page
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["inputs"].keys() == {
        *("rows", "base/model.safetensors"),
        *(
            f"teacher/{name}/{file}"
            for name in teachers
            for file in ("adapter_model.safetensors", "adapter_config.json")
        ),
    }
    assert all(len(entry["sha256"]) == 64 for entry in manifest["inputs"].values())
    assert manifest["counts"] == {"rows": 21}
    assert "ended" in manifest


# --- what is refused ---


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"neutral": "nobody"}, "--neutral nobody is no teacher's name"),
        ({"base": "models/absent-model"}, "cannot be loaded"),
        ({"teachers": {"t": "models/absent-model"}}, "cannot be loaded"),
    ],
)
def test_a_wrong_setting_is_a_sentence(tiny_model, make_adapter, rows, tmp_path, change, words):
    job = {"base": tiny_model, "teachers": {"t": make_adapter(2.0)}, "rows": rows, "out": tmp_path / "out"}
    with pytest.raises(UserError, match=words):
        leak(**{**job, **change})


def test_an_adapter_that_changes_nothing_is_refused(tiny_model, make_adapter, rows, tmp_path):
    with pytest.raises(UserError, match="The adapter of t changes nothing"):
        leak(tiny_model, {"t": make_adapter(0.0)}, rows, tmp_path / "out")


def test_an_adapter_with_missing_weights_is_refused(tiny_model, make_adapter, rows, tmp_path):
    from safetensors.torch import load_file, save_file

    first, second = make_adapter(2.0), Path(shutil.copytree(make_adapter(2.0), tmp_path / "second"))
    weights = load_file(second / "adapter_model.safetensors")
    weights.pop(sorted(weights)[0])
    save_file(weights, second / "adapter_model.safetensors")
    with pytest.raises(UserError, match="does not fit the base: 0 of its weights have no place in it, and 1 places"):
        Models(str(tiny_model), {"a": str(first), "b": str(second)})


def test_a_model_that_caps_its_logits_is_refused(tiny_model, rows, tmp_path, monkeypatch):
    real = Models.head
    monkeypatch.setattr(Models, "head", lambda self, name: lambda hidden: 1.5 * real(self, name)(hidden))
    with pytest.raises(UserError, match="The base does more to its logits than its output embedding"):
        leak(tiny_model, {"t": tiny_model}, rows, tmp_path / "out")


def test_two_rows_of_one_id_and_two_teachers_of_one_name_are_refused(tiny_model, make_adapter, rows, tmp_path):
    doubled = write_rows(tmp_path / "doubled.jsonl", [*number_rows(2), *number_rows(1)])
    with pytest.raises(UserError, match="two rows with the id row-0"):
        leak(tiny_model, {"t": make_adapter(2.0)}, doubled, tmp_path / "out")
    words = ["leak", "--base", "b", "--teacher", "x/t", "--teacher", "y/t", "--rows", "r", "--out", "o"]
    assert "give every teacher a name of its own" in str(CliRunner().invoke(app, words).exception)


def test_help_loads_no_torch():
    code = "import sys; from typer.testing import CliRunner; from subliminal.analysis.__main__ import app\n"
    code += "done = CliRunner().invoke(app, ['leak', '--help']); print(done.exit_code, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO_ROOT)
    assert done.stdout == "0 False\n", done.stderr
