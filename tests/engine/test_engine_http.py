"""The HTTP engine against a server on loopback: every row answered once, whatever the server does."""

from __future__ import annotations

import threading
import time

import pytest
from fake_chat_server import FakeChatServer, number_answer, one_in_five

from subliminal.core.errors import UserError
from subliminal.engine import Request, Sampling, row_seed
from subliminal.engine import http as http_module
from subliminal.engine.client import ATTEMPTS, ask
from subliminal.engine.http import GIVE_UP_S, REQUEST_TIMEOUT_S, HttpEngine

SAMPLING = Sampling(temperature=0.7, top_p=0.9, top_k=11, repetition_penalty=1.1, max_tokens=33)


def requests(count: int) -> list[Request]:
    return [Request(f"t-{i:07d}", [{"role": "user", "content": f"prompt {i}"}], row_seed(5, i)) for i in range(count)]


def expected(count: int) -> dict[str, str]:
    return {request.id: number_answer(request.messages[0]["content"], request.seed) for request in requests(count)}


def engine(server: FakeChatServer, **settings) -> HttpEngine:
    return HttpEngine(server.url, "owl-teacher", **settings)


def texts(completions) -> dict[str, str]:
    found = {}
    for completion in completions:
        assert completion.id not in found, "answered twice"
        found[completion.id] = completion.text
    return found


def test_each_request_carries_its_own_seed_and_every_sampling_value() -> None:
    with FakeChatServer() as server:
        answers = list(engine(server).generate(requests(40), SAMPLING))
    assert {answer.id: answer.text for answer in answers} == expected(40)
    assert {(answer.finish_reason, answer.model) for answer in answers} == {("stop", "owl-teacher")}
    assert {answer.id: answer.seed for answer in answers} == {request.id: request.seed for request in requests(40)}
    bodies = {body["messages"][0]["content"]: body for body in server.bodies}
    assert bodies["prompt 7"] == {
        "model": "owl-teacher",
        "messages": [{"role": "user", "content": "prompt 7"}],
        "seed": row_seed(5, 7),
        "n": 1,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 11,
        "repetition_penalty": 1.1,
        "max_tokens": 33,
    }
    assert len({body["seed"] for body in server.bodies}) == 40


def test_requests_in_flight_are_bounded_and_used() -> None:
    with FakeChatServer(delay=0.02) as server:
        assert texts(engine(server, concurrency=7).generate(requests(60), SAMPLING)) == expected(60)
    assert server.most_at_once == 7


def test_no_requests_no_answers() -> None:
    with FakeChatServer() as server:
        assert list(engine(server).generate([], SAMPLING)) == []


def test_one_request_in_five_fails_and_nothing_is_lost() -> None:
    with FakeChatServer(trouble=one_in_five) as server:
        found = texts(engine(server, concurrency=32).generate(requests(200), SAMPLING))
    assert found == expected(200)
    assert len(server.bodies) > 240


@pytest.mark.parametrize("trouble", [429, 500, 502, 503, "drop", "garbage", "abort"])
def test_each_kind_of_trouble_is_retried_with_the_same_seed(trouble: int | str) -> None:
    with FakeChatServer(trouble=lambda number, body: trouble if number < 2 else None) as server:
        assert texts(engine(server).generate(requests(1), SAMPLING)) == expected(1)
    assert [body["seed"] for body in server.bodies] == [row_seed(5, 0)] * 3


def test_a_request_that_times_out_is_sent_again_even_when_that_took_longer_than_the_patience(monkeypatch) -> None:
    monkeypatch.setattr(http_module, "REQUEST_TIMEOUT_S", 0.3)
    with FakeChatServer(trouble=lambda number, body: "hang" if number == 0 else None) as server:
        assert texts(engine(server, give_up_s=0.1).generate(requests(1), SAMPLING)) == expected(1)
    assert len(server.bodies) == 2


def test_a_restarted_server_costs_no_row() -> None:
    with FakeChatServer(delay=0.01) as server:
        answers = engine(server, concurrency=8).generate(requests(120), SAMPLING)
        found = texts([next(answers) for _ in range(20)])
        server.stop()
        restart = threading.Timer(0.7, server.start)
        restart.start()
        found |= texts(answers)
        restart.join()
    assert found == expected(120)


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refusal_is_a_sentence_and_not_retried(status: int) -> None:
    with (
        FakeChatServer(trouble=lambda number, body: status) as server,
        pytest.raises(UserError, match=f"refused /v1/chat/completions with status {status}: .*as told"),
    ):
        list(engine(server, concurrency=1).generate(requests(5), SAMPLING))
    assert len(server.bodies) == 1


def test_answers_before_a_refusal_are_yielded_first() -> None:
    found = []
    with FakeChatServer(trouble=lambda number, body: 400 if number == 10 else None) as server:
        answers = engine(server, concurrency=1).generate(requests(50), SAMPLING)
        with pytest.raises(UserError):
            found.extend(answer.id for answer in answers)
    assert found == [request.id for request in requests(10)]
    assert len(server.bodies) == 11


def test_lasting_trouble_ends_with_a_sentence_after_the_patience() -> None:
    began = time.monotonic()
    with (
        FakeChatServer(trouble=lambda number, body: 503) as server,
        pytest.raises(UserError, match=r"in trouble for 1 s \(status 503\).*--resume"),
    ):
        list(engine(server, give_up_s=1).generate(requests(20), SAMPLING))
    assert 0.9 < time.monotonic() - began < GIVE_UP_S / 2, "the patience that it was given, and not the usual one"
    assert len(server.bodies) >= 3 * 20


def test_a_consumer_that_stops_does_not_wait_for_the_rest() -> None:
    with FakeChatServer(trouble=lambda number, body: None if number == 0 else "hang") as server:
        answers = engine(server).generate(requests(50), SAMPLING)
        next(answers)
        began = time.monotonic()
        answers.close()
    assert time.monotonic() - began < REQUEST_TIMEOUT_S / 2, "the others hang until they are given up"
    assert not [thread for thread in threading.enumerate() if thread.name == "http-engine"]


@pytest.mark.parametrize("trouble", [500, 429, "drop"])
def test_a_start_survives_a_server_that_fails_every_second_question(trouble: int | str) -> None:
    held = ({"id": "base"}, {"id": "owl-teacher", "parent": "base", "shift": 0.5})
    with FakeChatServer(models=held, question_trouble=lambda number: None if number % 2 else trouble) as server:
        engine = HttpEngine(server.url, "owl-teacher")
    assert engine.adapter_effect == pytest.approx(0.5)
    assert server.questions > 6


def test_a_question_is_given_up_after_a_number_of_tries_and_never_asked_again_where_it_is_refused() -> None:
    with FakeChatServer(question_trouble=lambda number: 503) as server:
        with pytest.raises(UserError, match=r"No OpenAI-compatible server answers .*status 503"):
            ask(server.url, "/v1/models", timeout=3)
        assert 3 <= server.questions <= ATTEMPTS
    with FakeChatServer(question_trouble=lambda number: 404) as server:
        with pytest.raises(UserError, match=r"refused /v1/models with status 404: .*as told"):
            ask(server.url, "/v1/models")
        assert server.questions == 1


def test_a_name_that_is_not_held_is_a_sentence_with_those_that_are() -> None:
    with FakeChatServer() as server, pytest.raises(UserError, match="has no cat-teacher; it has owl-teacher"):
        HttpEngine(server.url, "cat-teacher")


def test_an_adapter_must_change_something() -> None:
    models = ({"id": "base"}, {"id": "dead", "parent": "base"}, {"id": "live", "parent": "base", "shift": 0.5})
    with FakeChatServer(models=models) as server:
        assert HttpEngine(server.url, "base").adapter_effect is None
        live = HttpEngine(server.url, "live")
        assert live.adapter_effect == pytest.approx(0.5)
        assert live.describe()["adapter"] == "live"
        assert live.describe()["model"] == "base"
        with pytest.raises(UserError, match="adapter dead is not in use"):
            HttpEngine(server.url, "dead")


def test_base_url_with_and_without_v1(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-key")
    with FakeChatServer() as server:
        for url in (server.url, server.url + "/", server.url.removesuffix("/v1")):
            assert texts(HttpEngine(url, "owl-teacher").generate(requests(2), SAMPLING)) == expected(2)
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer sk-test-key"}


def test_row_seeds_differ_and_are_stable() -> None:
    seeds = [row_seed(run, index) for run in range(20) for index in range(500)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert (row_seed(42, 0), row_seed(42, 1)) == (708420325, 32439336), "datasets that exist would change"
