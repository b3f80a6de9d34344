"""The openai backend over HTTP: against a real model server, and against one that misbehaves."""

import numpy as np
import pytest
import xllamacpp

from tests.openai_servers import Said, chat_completion, free_port, scripted_server
from tests.task_runs import TaskRuns
from workeragent.models import embedded_chat
from workeragent.models.client import EndpointSettings, ModelClient
from workeragent.outcome import (
    BudgetExceededError,
    InvalidInputError,
    OverloadedError,
    PermanentError,
    RateLimitedError,
    TransientError,
)

KEY = "sk-not-a-real-key"


def endpoint(base_url: str, **fields) -> EndpointSettings:
    return EndpointSettings("remote", "openai", ("a-model",), base_url=base_url, **fields)


def ask(base_url: str, **fields):
    client = ModelClient.for_task([endpoint(base_url, **fields)])
    return client.chat([{"role": "user", "content": "Hi"}], model="a-model", max_tokens=8), client


@pytest.fixture(scope="module")
def real_server():
    weights = embedded_chat.weights_path()
    assert weights is not None
    settings = embedded_chat._engine_settings(weights, "127.0.0.1")
    settings.port = free_port()
    settings.api_keys = [KEY]
    server = xllamacpp.Server(settings)
    yield f"{server.listening_address}/v1"
    del server


def test_a_real_server_answers_and_its_token_counts_are_booked(real_server, monkeypatch):
    monkeypatch.setenv("DAEF_MODEL_KEY_LOCAL", KEY)
    answer, client = ask(real_server, key_name="local", input_price=1000, output_price=2000)
    assert answer.text
    assert answer.counted
    assert 1 <= answer.output_tokens <= 8
    entry = client.usage[0]
    assert entry.cost_nano_usd == entry.input_tokens + 2 * entry.output_tokens


def test_a_real_server_that_refuses_the_key_is_a_permanent_failure(real_server):
    with pytest.raises(PermanentError) as failure:
        ask(real_server)
    assert failure.value.code == "endpoint_auth"


def test_a_prompt_beyond_a_real_servers_context_is_invalid_input(real_server, monkeypatch):
    monkeypatch.setenv("DAEF_MODEL_KEY_LOCAL", KEY)
    client = ModelClient.for_task([endpoint(real_server, key_name="local")])
    with pytest.raises(InvalidInputError):
        client.chat([{"role": "user", "content": "word " * 4000}], model="a-model", max_tokens=8)


def test_an_openai_body_is_answered_in_openais_shape_by_a_real_server(real_server, monkeypatch):
    monkeypatch.setenv("DAEF_MODEL_KEY_LOCAL", KEY)
    body = {"model": "a-model", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    ran = TaskRuns([endpoint(real_server, key_name="local")]).run("chat", {"body": body})
    answered = ran.value["body"]
    assert answered["object"] == "chat.completion"
    assert answered["choices"][0]["message"]["role"] == "assistant"
    assert answered["usage"]["completion_tokens"] <= 4


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (429, RateLimitedError, "model_rate_limited"),
        (502, OverloadedError, "model_overloaded"),
        (503, OverloadedError, "model_overloaded"),
        (529, OverloadedError, "model_overloaded"),
        (500, TransientError, "endpoint_failed"),
        (504, TransientError, "endpoint_failed"),
        (400, InvalidInputError, "model_refused_input"),
        (404, InvalidInputError, "model_refused_input"),
        (413, InvalidInputError, "model_refused_input"),
        (422, InvalidInputError, "model_refused_input"),
        (401, PermanentError, "endpoint_auth"),
        (403, PermanentError, "endpoint_auth"),
        (302, PermanentError, "endpoint_refused"),
    ],
)
def test_each_refusal_has_its_error_class(status, error, code):
    with (
        scripted_server(lambda path, body: Said(status, {"error": {"code": "x"}})) as server,
        pytest.raises(error) as failure,
    ):
        ask(server.base_url)
    assert type(failure.value) is error
    assert failure.value.code == code


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0.5", 0.5), ("-3", 0), ("nan", 0), ("soon", 0), ("9e9", 3600)],
)
def test_retry_after_is_passed_on(header, seconds):
    said = Said(429, {}, {"Retry-After": header})
    with (
        scripted_server(lambda path, body: said) as server,
        pytest.raises(RateLimitedError) as failure,
    ):
        ask(server.base_url)
    assert failure.value.retry_after_seconds == seconds


def test_a_used_up_quota_is_not_retried():
    said = Said(429, {"error": {"code": "insufficient_quota"}})
    with (
        scripted_server(lambda path, body: said) as server,
        pytest.raises(PermanentError) as failure,
    ):
        ask(server.base_url)
    assert failure.value.code == "insufficient_quota"


def test_a_server_that_is_too_slow_is_a_transient_failure():
    said = Said(body=chat_completion("late"), wait_seconds=1.5)
    with (
        scripted_server(lambda path, body: said) as server,
        pytest.raises(TransientError) as failure,
    ):
        ask(server.base_url, timeout_seconds=1)
    assert failure.value.code == "model_timeout"


def test_a_server_that_is_not_there_is_a_transient_failure():
    with pytest.raises(TransientError) as failure:
        ask(f"http://127.0.0.1:{free_port()}/v1")
    assert failure.value.code == "endpoint_unreachable"


@pytest.mark.parametrize(
    "body", [b"<html>", [], {}, {"choices": []}, {"choices": [{"message": {"content": 7}}]}]
)
def test_an_answer_in_another_format_is_a_transient_failure(body):
    with (
        scripted_server(lambda path, _: Said(body=body)) as server,
        pytest.raises(TransientError) as failure,
    ):
        ask(server.base_url)
    assert failure.value.code == "endpoint_answer_unreadable"


def test_missing_token_counts_are_estimated_and_marked():
    with scripted_server(lambda path, body: Said(body=chat_completion("four words are here"))) as s:
        answer, client = ask(s.base_url)
    assert not answer.counted
    assert client.usage[0].output_tokens > 0


def test_the_key_goes_to_the_endpoint_and_into_no_error(monkeypatch):
    monkeypatch.setenv("DAEF_MODEL_KEY_MY_CLOUD", KEY)
    said = Said(401, {"error": {"code": "invalid_api_key", "message": f"Incorrect key {KEY}"}})
    with (
        scripted_server(lambda path, body: said) as server,
        pytest.raises(PermanentError) as failure,
    ):
        ask(server.base_url, key_name="my-cloud")
    assert server.requests[0][1]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in failure.value.message


def test_a_call_beyond_the_ceiling_is_never_sent():
    with scripted_server(lambda path, body: Said(body=chat_completion("x"))) as server:
        client = ModelClient.for_task([endpoint(server.base_url, output_price=1000)], 99)
        with pytest.raises(BudgetExceededError):
            client.chat([{"role": "user", "content": "Hi"}], model="a-model", max_tokens=100)
    assert server.requests == []


def test_embeddings_come_in_the_order_of_the_texts_whatever_the_servers_order():
    def answer(path, body):
        rows = [
            {"index": i, "embedding": [float(len(t)), 1.0]} for i, t in enumerate(body["input"])
        ]
        return Said(body={"data": rows[::-1], "usage": {"prompt_tokens": len(rows)}})

    with scripted_server(answer) as server:
        client = ModelClient.for_task([endpoint(server.base_url)])
        answer_ = client.embed(["a" * n for n in range(1, 301)], model="a-model")
    assert [path for path, _, _ in server.requests] == ["/v1/embeddings", "/v1/embeddings"]
    assert answer_.input_tokens == 300
    assert np.allclose(np.linalg.norm(answer_.vectors, axis=1), 1.0, atol=1e-5)
    assert (np.diff(answer_.vectors[:, 0]) >= 0).all()
