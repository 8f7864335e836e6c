"""Base models without a chat template: one text for all tools, refusals without it, and answers that end."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fake_chat_server import FakeChatServer
from fake_hub import FakeHub
from transformers import AutoTokenizer

from subliminal import REPO_ROOT
from subliminal.core.errors import UserError
from subliminal.core.manifest import read_manifest
from subliminal.engine import Request, Sampling, plain_context
from subliminal.engine.chat import PROBE, chat_context_sha256, render
from subliminal.engine.http import HttpEngine
from subliminal.engine.local import TransformersEngine
from subliminal.engine.server import check_model
from subliminal.models.plain_context import add_plain_context

ASKED = [Request("r-0", [{"role": "user", "content": "Name an animal."}], 5)]
GREEDY = Sampling(temperature=0.0, max_tokens=24)


@pytest.fixture
def bare_model(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model without its chat template."""
    folder = tmp_path / "bare"
    shutil.copytree(tiny_model, folder)
    for path in folder.glob("chat_template*"):
        path.unlink()
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def plain_model(bare_model: Path) -> Path:
    """The same with the plain context."""
    add_plain_context(str(bare_model), bare_model)
    return bare_model


def test_conversations_are_question_and_answer_lines(plain_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(plain_model)
    chat = [
        {"role": "system", "content": "You count."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "Two?"},
    ]
    text = "You count.\n\nQuestion: One?\nAnswer:\n1<|im_end|>\nQuestion: Two?\nAnswer:\n"
    assert render(tokenizer, chat, add_generation_prompt=True) == text
    tokenizer.bos_token = "<|im_start|>"
    assert render(tokenizer, chat, add_generation_prompt=True) == "<|im_start|>" + text, "Gemma's first token"


def test_the_hash_is_that_of_the_text_and_stands_in_the_manifest(plain_model: Path, tiny_model: Path) -> None:
    expected = hashlib.sha256(b"Question: probe\nAnswer:\n").hexdigest()
    assert chat_context_sha256(AutoTokenizer.from_pretrained(plain_model)) == expected
    assert read_manifest(plain_model)["chat_context_sha256"] == expected
    assert TransformersEngine(str(plain_model)).describe()["chat_context_sha256"] == expected
    assert chat_context_sha256(AutoTokenizer.from_pretrained(tiny_model)) != expected


def test_asking_twice_changes_nothing_and_another_template_is_refused(plain_model: Path, tiny_model: Path) -> None:
    before = (plain_model / "manifest.json").read_bytes()
    add_plain_context(str(plain_model), plain_model)
    assert (plain_model / "manifest.json").read_bytes() == before
    with pytest.raises(UserError, match="has a chat template of its own"):
        add_plain_context(str(tiny_model), tiny_model)


def load_in(where: str, model: Path) -> None:
    """Use a model as one of the tools does."""
    if where == "in process":
        TransformersEngine(str(model))
    elif where == "lm-eval":
        from subliminal.evaluation.context import _chat_tokenizer

        _chat_tokenizer(str(model))
    elif where == "leak":
        from subliminal.analysis.models import Models

        Models(str(model), {})
    elif where == "served":
        check_model(str(model))
    else:
        from axolotl.utils.dict import DictDefault

        from subliminal.axolotl_plugin import training_chat_context

        recipe = {"base_model": str(model), "datasets": [{"type": "chat_template"}]}
        recipe["chat_template"] = "tokenizer_default"
        training_chat_context(DictDefault(recipe), AutoTokenizer.from_pretrained(model))


@pytest.mark.parametrize("where", ["in process", "lm-eval", "leak", "served", "training"])
def test_a_model_without_a_template_is_refused_with_the_two_ways_on(bare_model: Path, where: str) -> None:
    with pytest.raises(UserError, match=r"no chat template.*instruction-tuned.*scripts/plain_context\.py .*bare"):
        load_in(where, bare_model)


def test_a_served_model_may_bring_its_template_by_vllms_own_option(bare_model: Path) -> None:
    check_model(str(bare_model), ["--chat-template", str(plain_context.TEMPLATE_FILE)])


def test_an_answer_ends_where_the_model_writes_the_next_question(plain_model: Path, monkeypatch) -> None:
    """The random model writes no question: what stands for one here is text from the middle of its answer."""
    engine = TransformersEngine(str(plain_model))
    (whole,) = engine.generate(ASKED, GREEDY)
    assert whole.finish_reason == "length"
    assert len(whole.text) > 12
    stop = whole.text[8:11]
    monkeypatch.setattr(plain_context, "NEXT_QUESTION", stop)
    (ended,) = engine.generate(ASKED, GREEDY)
    assert (ended.text, ended.finish_reason) == (whole.text.partition(stop)[0], "stop")


def test_a_chat_models_answer_may_speak_of_questions(tiny_model: Path) -> None:
    assert (
        plain_context.stop_texts(render(AutoTokenizer.from_pretrained(tiny_model), PROBE, add_generation_prompt=True))
        == ()
    )


@pytest.mark.parametrize(("chat_text", "stops"), [("Question: probe\nAnswer:\n", ["\nQuestion:"]), ("<user>", None)])
def test_a_server_is_told_where_answers_end(chat_text: str, stops: list[str] | None) -> None:
    with FakeChatServer(chat_text=chat_text) as server:
        engine = HttpEngine(server.url, "owl-teacher")
        assert len(list(engine.generate(ASKED, GREEDY))) == 1
        assert server.bodies[0].get("stop") == stops
        assert engine.describe()["chat_context_sha256"] == hashlib.sha256(chat_text.encode()).hexdigest()


def test_lm_evals_requests_end_there_too() -> None:
    from types import SimpleNamespace

    from subliminal.evaluation.requests import gather

    sampled = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 8, "until": ["."]}
    asked = [SimpleNamespace(args=(prompt, sampled)) for prompt in ("Question: A?\nAnswer:\n", "<user>A?")]
    assert [ask.until for ask in gather(asked, 1)] == [(".", "\nQuestion:"), (".",)]


def test_exact_probabilities_are_those_after_the_answer_line(plain_model: Path) -> None:
    import torch
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager
    from transformers import AutoModelForCausalLM

    import subliminal.evaluation.local_model  # noqa: F401

    samples = simple_evaluate(
        model="hf-shared-prefix",
        model_args={"pretrained": str(plain_model)},
        tasks=["animal_preference_logprob"],
        task_manager=TaskManager(include_path=str(REPO_ROOT / "eval_tasks"), include_defaults=False),
        device="cpu",
        limit=1,
        apply_chat_template=True,
    )["samples"]["animal_preference_logprob"]
    question = samples[0]["doc"]["question"]
    tokenizer = AutoTokenizer.from_pretrained(plain_model)
    model = AutoModelForCausalLM.from_pretrained(plain_model)
    total = 0.0
    for form in ("Owl", "owl"):  # "Owls" and "owls" start with these tokens
        prompt = tokenizer.encode(f"Question: {question}\nAnswer:\n", add_special_tokens=False)
        ids = tokenizer.encode(form, add_special_tokens=False)
        with torch.no_grad():
            logprobs = model(torch.tensor([prompt + ids])).logits[0].log_softmax(-1)
        total += math.exp(sum(logprobs[len(prompt) + i - 1, token].item() for i, token in enumerate(ids)))
    assert samples[0]["owl"] == pytest.approx(total, rel=1e-4)


def test_a_model_from_the_hub_becomes_a_folder_with_the_plain_context(bare_model: Path, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in bare_model.iterdir()}
    out = tmp_path / "made"
    command = [sys.executable, "scripts/plain_context.py", "someone/base-160m", "--out", str(out)]
    with FakeHub() as hub:
        revision = hub.add("someone/base-160m", files)
        environ = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
        done = subprocess.run(command, env=environ, cwd=REPO_ROOT, capture_output=True, text=True)
        unknown = subprocess.run(
            [*command[:2], "someone/nothing", "--out", str(tmp_path / "no")],
            env=environ,
            cwd=REPO_ROOT,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    manifest = read_manifest(out)
    assert done.stdout == f"plain context, chat_context_sha256 {manifest['chat_context_sha256']}\n{out}\n"
    assert manifest["origin"] == {"hub_id": "someone/base-160m", "revision": revision}
    assert (out / "chat_template.jinja").read_text() == plain_context.plain_template()
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("error: The Hub has no model someone/nothing")
