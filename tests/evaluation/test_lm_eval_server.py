"""lm-eval's requests through a server: seeds, several answers a request, log-probabilities, and what is refused."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import pytest
from fake_chat_server import FakeChatServer, number_answer, one_in_five
from lm_eval.api.instance import Instance

from subliminal.core.errors import UserError
from subliminal.engine import row_seed
from subliminal.evaluation.loaders import on_server, served_name
from subliminal.evaluation.run import evaluate
from subliminal.evaluation.server_model import ANSWERS_A_REQUEST, ServerLM
from subliminal.evaluation.spec import EvaluationSpec, parse_models

PURE = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 16, "until": []}
MODELS = (
    {"id": "base"},
    {"id": "student", "parent": "base", "shift": 0.5},
    {"id": "idle", "parent": "base"},
)


def asks(counts, **changes):
    """One request an answer, as lm-eval sends them: ``counts`` maps a prompt to its number of answers."""
    arguments = {**PURE, **changes}
    return [
        Instance("generate_until", {}, (prompt, arguments), 0) for prompt, count in counts.items() for _ in range(count)
    ]


@pytest.fixture
def server(tiny_model):
    with FakeChatServer(models=MODELS) as server:
        yield server


def connect(server, tiny_model, name="base", **settings):
    return ServerLM(server.url, name, str(tiny_model), **settings)


def test_every_answer_has_a_seed_of_its_own_and_all_sampling_is_sent(server, tiny_model):
    model = connect(server, tiny_model, seed=5)
    answers = model.generate_until(asks({"one": 3, "two": 260}, until=["\n"]), disable_tqdm=True)
    tokens = {prompt: model.tok_encode(prompt) for prompt in ("one", "two")}
    expected = [number_answer(str(tokens["one"]), row_seed(5, 0) + i) for i in range(3)]
    expected += [number_answer(str(tokens["two"]), row_seed(5, 1) + i) for i in range(260)]
    assert answers == expected
    assert len(set(answers)) > 250
    bodies = [body for body in server.bodies if body["prompt"] in tokens.values()]
    assert sorted(body["n"] for body in bodies) == [3, 10, *[ANSWERS_A_REQUEST] * 5]
    sampling = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0, "max_tokens": 16}
    stops = {"stop": ["\n"], "stop_token_ids": [model.eot_token_id]}
    first = next(body for body in bodies if body["n"] == 3)
    assert first == {"model": "base", "prompt": tokens["one"], "seed": row_seed(5, 0), "n": 3, **sampling, **stops}


def test_answers_do_not_depend_on_concurrency_or_on_trouble(server, tiny_model):
    requests = {f"prompt {number}": 2 for number in range(30)}
    alone = connect(server, tiny_model, concurrency=1).generate_until(asks(requests), disable_tqdm=True)
    assert server.most_at_once == 1
    server.trouble, server.delay = one_in_five, 0.01
    assert connect(server, tiny_model).generate_until(asks(requests), disable_tqdm=True) == alone
    assert server.most_at_once > 1


def test_a_greedy_answer_is_asked_for_once(server, tiny_model):
    model = connect(server, tiny_model)
    answers = model.generate_until(asks({"one": 4}, do_sample=False), disable_tqdm=True)
    assert len(set(answers)) == 1
    assert len(answers) == 4
    (body,) = server.bodies
    assert (body["n"], body["temperature"]) == (1, 0.0)


def test_a_server_that_ignores_seeds_is_refused(tiny_model):
    with FakeChatServer(lambda prompt, seed: "Owl", models=MODELS) as server:
        model = connect(server, tiny_model)
        with pytest.raises(UserError, match="gives one and the same answer to 16 different seeds"):
            model.generate_until(asks({"one": 2}), disable_tqdm=True)
        assert model.generate_until(asks({"one": 1}), disable_tqdm=True) == ["Owl"]


def test_log_probabilities_are_those_of_the_continuations_tokens(server, tiny_model):
    model = connect(server, tiny_model)
    requests = [([1, 2, 3], [10, 11]), ([1, 2], [3, 10, 11]), ([1, 2, 3], [12])]
    scores = model._loglikelihood_tokens([("", *request) for request in requests], disable_tqdm=True)
    assert scores == [
        (pytest.approx(-0.013 - 0.015), False),  # 10 + 3 is odd, so another token is likelier
        (pytest.approx(-0.005 - 0.013 - 0.015), False),
        (pytest.approx(-0.015), False),
    ]
    assert model._loglikelihood_tokens([("", [1], [5])], disable_tqdm=True) == [(pytest.approx(-0.006), True)]
    asked = [(body["allowed_token_ids"], prompt) for body in server.bodies for prompt in body["prompt"]]
    assert sorted(asked) == [  # each once, though two continuations share their last tokens
        ([3], [1, 2]), ([5], [1]), ([10], [1, 2, 3]), ([11], [1, 2, 3, 10]), ([12], [1, 2, 3]),
    ]  # fmt: skip


def test_an_adapter_must_be_in_use(server, tiny_model):
    assert connect(server, tiny_model).adapter_effect is None
    assert connect(server, tiny_model, "student").adapter_effect == pytest.approx(0.5)
    with pytest.raises(UserError, match="idle is not in use"):
        connect(server, tiny_model, "idle")


def test_a_server_with_another_tokenizer_is_refused(server, tiny_model):
    tokenizer = connect(server, tiny_model).tokenizer
    server.tokenize = lambda text: tokenizer.encode(text, add_special_tokens=False)
    connect(server, tiny_model)
    server.tokenize = lambda text: [*tokenizer.encode(text), 7]
    with pytest.raises(UserError, match=r"base at .* has another tokenizer than"):
        connect(server, tiny_model)


def test_unknown_generation_arguments_are_refused(server, tiny_model):
    with pytest.raises(UserError, match=r"the generation argument min_p, which is not known"):
        connect(server, tiny_model).generate_until(asks({"one": 1}, min_p=0.1), disable_tqdm=True)


def plan_of(model, **changes):
    return EvaluationSpec(model=str(model), tasks=("t",), experiment="e", arm="a", seed=1, target="owl", **changes)


def test_weights_are_known_by_their_folder_and_else_by_their_recipes_name(tmp_path):
    for name in ("base", "one/owl_student", "two/owl_student"):
        (tmp_path / name).mkdir(parents=True)
    one, two = (plan_of("base", adapter=str(tmp_path / name / "owl_student")) for name in ("one", "two"))
    card = {"id": "owl-student", "parent": "b"}
    here = [{"id": "b", "root": str(tmp_path / "base")}, {**card, "root": str(tmp_path / "one" / "owl_student")}]
    assert served_name(here, plan_of(tmp_path / "base"), "URL") == "b"
    assert served_name(here, one, "URL") == "owl-student"
    with pytest.raises(UserError, match=r"does not hold .*two/owl_student; it has b .*--adapter owl-student="):
        served_name(here, two, "URL")
    elsewhere = [{"id": "b"}, {**card, "root": "/on/another/machine"}]
    assert served_name(elsewhere, two, "URL") == "owl-student"
    with pytest.raises(UserError, match="does not hold me/base"):
        served_name(elsewhere, plan_of("me/base"), "URL")


def test_a_running_server_is_used_for_every_arm(server, tiny_model, tmp_path):
    adapter = tmp_path / "student"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({}))
    server.models = ({"id": str(tiny_model)}, {"id": "student", "parent": str(tiny_model), "shift": 0.5})
    plans = parse_models(f"base,student@9={adapter}", plan_of(tiny_model, system_prompt=""))
    with on_server(plans, base_url=server.url, concurrency=3) as load:
        for plan, effect in zip(plans, (None, pytest.approx(0.5)), strict=True):
            model, facts = load(plan)
            assert (model.seed, model.system_prompt, facts["adapter_effect"]) == (plan.seed, "", effect)
            assert facts["server"]["served_as"] == (plan.adapter and "student") or str(tiny_model)


@pytest.mark.serve
@pytest.mark.slow
def test_vllm_and_this_process_agree(tiny_model, make_adapter, tmp_path):
    """Two adapters in one real server: exact probabilities as in process, and answers that concurrency leaves alone."""
    adapters = [make_adapter(1.0), make_adapter(0.5)]
    tasks = ("animal_preference", "animal_preference_logprob")
    common = replace(plan_of(tiny_model, samples=8, limit=4, dtype="float32"), tasks=tasks)
    plans = parse_models(f"base,one={adapters[0]},two={adapters[1]}", common)
    evaluate(plans, tmp_path / "here")
    served = [replace(plan, engine="vllm") for plan in plans]
    with on_server(served) as load:
        evaluate(served, tmp_path / "there", engine=lambda _: nullcontext(load))
        base_url = load(served[0])[1]["server"]["base_url"]
        evaluate(served, tmp_path / "again", engine=partial(on_server, base_url=base_url, concurrency=1))
    for plan in plans:
        here, there, again = (read_rows(tmp_path / name, plan) for name in ("here", "there", "again"))
        for one, two in zip(here[tasks[1]], there[tasks[1]], strict=True):
            assert two["metrics"] == pytest.approx(one["metrics"], rel=1e-3)
        first, second = ([row["answers"] for row in rows[tasks[0]]] for rows in (there, again))
        equal = [one == two for answers in zip(first, second, strict=True) for one, two in zip(*answers, strict=True)]
        assert sum(equal) >= 31, "a few may differ by a last bit"
        assert all(len({answer["text"] for answer in answers}) > 4 for answers in first)
    rates = [read_rows(tmp_path / "there", plan)[tasks[1]][0]["metrics"]["owl"] for plan in plans]
    assert len({round(rate, 9) for rate in rates}) == 3, "every adapter is in use"


def read_rows(out, plan):
    return json.loads((out / plan.arm / f"seed-{plan.seed}" / f"{plan.name}_results.json").read_text())
