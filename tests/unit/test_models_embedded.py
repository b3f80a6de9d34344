"""The embedded models: vectors that mean something, answers that repeat, many threads at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from workeragent.models import registry
from workeragent.models.embedded_embedding import DIMENSIONS
from workeragent.outcome import PermanentError


def embed(*texts: str):
    model = registry.embedding_model("minilm-l6-v2")
    return model.embed(list(texts), model="minilm-l6-v2", timeout_seconds=60)


def ask(text: str, max_tokens: int = 8, **options):
    return registry.chat_model("smollm2-135m").chat(
        [{"role": "user", "content": text}],
        model="smollm2-135m",
        max_tokens=max_tokens,
        temperature=0.0,
        options=options,
        timeout_seconds=60,
    )


def test_both_models_are_installed_here():
    assert registry.available_models() == ["smollm2-135m", "minilm-l6-v2"]


def test_paraphrases_are_nearer_than_other_subjects():
    a, b, c = embed(
        "My card has not arrived.", "I still wait for my new card.", "The sea is calm today."
    ).vectors
    assert a @ b > a @ c + 0.3


def test_vectors_have_length_one_whatever_the_text():
    vectors = embed("", " ", "x", "Größe 中文 🙂", "word " * 5000).vectors
    assert vectors.shape == (5, DIMENSIONS)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_a_vector_hardly_depends_on_the_texts_beside_it():
    texts = ["short", "a somewhat longer text than that", "the invoice is wrong " * 40]
    together = embed(*texts).vectors
    alone = np.vstack([embed(text).vectors for text in texts])
    assert ((together * alone).sum(axis=1) > 0.99).all()


def test_a_long_text_is_read_beyond_the_models_window():
    start = "the weather is fine " * 80
    assert (embed(start).vectors @ embed(start + "printer jam " * 400).vectors.T) < 0.9


def test_the_same_question_gets_the_same_answer():
    assert ask("Name a colour.").text == ask("Name a colour.").text


def test_an_answer_is_cut_at_its_limit_and_says_so():
    answer = ask("Count from one to one hundred.", max_tokens=2)
    assert answer.finish_reason == "length"
    assert answer.output_tokens == 2


def test_options_of_openais_body_reach_the_model():
    assert "2" not in ask("Repeat: 1 2 3", stop=["2"]).text


def test_several_threads_ask_at_once_while_python_goes_on():
    ticks, ended = [0], threading.Event()

    def tick() -> None:
        while not ended.wait(0.001):
            ticks[0] += 1

    ticker = threading.Thread(target=tick)
    ticker.start()
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(ask, ["Name a fruit.", "Name a city.", "Name a tree."]))
    ended.set()
    ticker.join()
    assert all(answer.output_tokens for answer in answers)
    assert ticks[0] > 20


@pytest.mark.parametrize("look_up", [registry.chat_model, registry.embedding_model])
def test_an_unknown_embedded_model_is_refused_by_name(look_up):
    with pytest.raises(PermanentError, match="gpt-9"):
        look_up("gpt-9")
