"""The model client: which endpoint, what it costs, when it refuses. And where keys come from."""

import pytest

from tests.task_runs import EMBEDDED
from workeragent.models.client import EndpointSettings, ModelClient, cost_nano_usd
from workeragent.models.openai import model_key
from workeragent.outcome import BudgetExceededError, InvalidInputError, PermanentError

HELLO = [{"role": "user", "content": "Hello"}]


def priced(input_price: int, output_price: int) -> EndpointSettings:
    return EndpointSettings("priced", "embedded", ("smollm2-135m",), "", input_price, output_price)


@pytest.mark.parametrize(
    ("prices", "tokens", "cost"),
    [((1000, 2000), (3, 4), 11), ((1, 1), (1, 1), 2), ((0, 0), (9, 9), 0), ((1500, 0), (3, 0), 5)],
)
def test_each_direction_of_a_call_is_rounded_up(prices, tokens, cost):
    assert cost_nano_usd(priced(*prices), *tokens) == cost


def test_an_unknown_model_is_refused_with_the_known_ones_named():
    with pytest.raises(PermanentError, match="minilm-l6-v2, smollm2-135m"):
        ModelClient.for_task(EMBEDDED).chat(HELLO, model="gpt-9", max_tokens=4)


def test_an_unknown_backend_is_refused():
    endpoint = EndpointSettings("odd", "carrier-pigeon", ("m",))
    with pytest.raises(PermanentError, match="odd"):
        ModelClient.for_task([endpoint]).chat(HELLO, model="m", max_tokens=4)


def test_every_call_is_recorded_with_its_number_and_price():
    client = ModelClient.for_task(EMBEDDED)
    client.embed(["one text"], model="minilm-l6-v2")
    client.chat(HELLO, model="smollm2-135m", max_tokens=4)
    assert [entry.call for entry in client.usage] == [0, 1]
    assert all(entry.cost_nano_usd > 0 for entry in client.usage)


def test_a_ceiling_is_used_up_call_by_call():
    client = ModelClient.for_task(EMBEDDED, 2500)

    def call_often() -> None:
        for _ in range(50):
            client.embed(["a text of a few words"], model="minilm-l6-v2")

    with pytest.raises(BudgetExceededError):
        call_often()
    assert 0 < client.spent_nano_usd <= 2500


def test_a_free_model_is_never_refused_for_money():
    client = ModelClient.for_task([priced(0, 0)], 0)
    assert client.chat(HELLO, model="smollm2-135m", max_tokens=2).output_tokens <= 2


def test_no_texts_need_no_call():
    client = ModelClient.for_task(EMBEDDED)
    assert len(client.embed([], model="minilm-l6-v2").vectors) == 0
    assert client.usage == []


def test_a_prompt_beyond_the_embedded_context_is_invalid_input():
    with pytest.raises(InvalidInputError, match="shorten"):
        ModelClient.for_task(EMBEDDED).chat(
            [{"role": "user", "content": "word " * 4000}], model="smollm2-135m", max_tokens=4
        )


def test_a_key_is_read_from_its_variable_or_its_file(tmp_path):
    file = tmp_path / "key"
    file.write_text("from-file\n")
    assert model_key("", {}) == ""
    assert model_key("my-cloud", {"DAEF_MODEL_KEY_MY_CLOUD": "direct"}) == "direct"
    assert model_key("my-cloud", {"DAEF_MODEL_KEY_MY_CLOUD_FILE": str(file)}) == "from-file"


@pytest.mark.parametrize("environment", [{}, {"DAEF_MODEL_KEY_X_FILE": "/nowhere/at/all"}])
def test_a_missing_key_names_its_variable(environment):
    with pytest.raises(PermanentError, match="DAEF_MODEL_KEY_X"):
        model_key("x", environment)
