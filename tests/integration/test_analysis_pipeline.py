"""From documents to the report, through every executor of an analysis, on the real models."""

import json
import random
from itertools import chain

import pytest

from tests.invented_tickets import CAUSES, tickets
from tests.openai_servers import Said, chat_completion, scripted_server
from tests.task_runs import EMBEDDED, Ran, TaskRuns, analyse
from workeragent.executors.chat.messages import shortened_documents
from workeragent.models.answers import estimated_tokens
from workeragent.models.client import EndpointSettings

WORDS = ["garbage", "zzz", "\x07", "��", "titles", "messages", "0x3f", "<|im_end|>", "sorry"]


def documents(*texts: str) -> list[dict[str, str]]:
    return [{"id": f"d-{number}", "text": text} for number, text in enumerate(texts)]


def placed_ids(report) -> list[str]:
    lists = [cause["document_ids"] for cause in report["causes"]]
    return sorted(chain(*lists, report["unexplained"]["document_ids"]))


def assert_report_is_sound(report, given) -> None:
    """What holds for every report: each id once, citations true, causes by size, counts right."""
    texts = {document["id"]: document["text"] for document in given}
    assert placed_ids(report) == sorted(texts)
    assert [cause["rank"] for cause in report["causes"]] == list(
        range(1, len(report["causes"]) + 1)
    )
    sizes = [cause["documents"] for cause in report["causes"]]
    assert sizes == sorted(sizes, reverse=True)
    assert report["unexplained"]["documents"] == len(report["unexplained"]["document_ids"])
    assert report["unexplained"]["documents"] <= len(texts) / 10
    for cause in report["causes"]:
        assert_cause_is_sound(cause, texts)
    titles = [cause["title"] for cause in report["causes"]]
    assert len(set(titles)) == len(titles)
    assert str(len(texts)) in report["summary"]


def assert_cause_is_sound(cause, texts) -> None:
    assert cause["documents"] == len(cause["document_ids"]) > 0
    assert cause["share"] == pytest.approx(cause["documents"] / len(texts), abs=1e-4)
    assert 0 <= cause["confidence"] <= 1
    assert cause["title"].strip()
    assert cause["explanation"].strip()
    assert cause["evidence"]
    for cited in cause["evidence"]:
        assert cited["id"] in cause["document_ids"]
        assert texts[cited["id"]].startswith(cited["text"])
        assert 0 <= cited["score"] <= 1


def test_the_causes_of_invented_tickets_are_found_and_named():
    given = tickets(10)
    report = analyse(TaskRuns(), given, chunk=20)
    assert_report_is_sound(report, given)
    assert len(report["causes"]) == len(CAUSES)
    for cause in report["causes"]:
        assert len({name.split("-")[0] for name in cause["document_ids"]}) == 1
    assert report["method"]["embedding_model"] == "minilm-l6-v2"


def test_with_a_model_that_answers_garbage_the_report_is_still_usable():
    chance = random.Random(3)

    def garbage(path, body):
        return Said(body=chat_completion(" ".join(chance.choices(WORDS, k=chance.randint(0, 9)))))

    with scripted_server(garbage) as server:
        endpoints = [
            EndpointSettings("bad", "openai", ("smollm2-135m",), base_url=server.base_url),
            *EMBEDDED,
        ]
        given = tickets(12)
        report = analyse(TaskRuns(endpoints), given)
    assert len(server.requests) == len(report["causes"])
    assert_report_is_sound(report, given)
    assert {cause["labelled_by"] for cause in report["causes"]} == {"keywords"}
    for cause in report["causes"]:
        subject = cause["document_ids"][0].split("-")[0]
        assert any(subject in text for text in [cause["title"].lower(), *cause["keywords"]])


@pytest.mark.parametrize(
    ("status", "error_class"), [(503, "overloaded"), (429, "rate_limited"), (500, "transient")]
)
def test_a_label_is_tried_again_when_its_model_is_away_for_now(status, error_class):
    with scripted_server(lambda path, body: Said(status, {})) as server:
        endpoint = EndpointSettings("away", "openai", ("m",), base_url=server.base_url)
        ran = TaskRuns([endpoint]).run("label", LABEL_INPUT, model="m")
    assert ran.error is not None
    assert ran.error.error_class == error_class


LABEL_INPUT = {"cluster": 1, "keywords": ["parcel", "late"], "examples": ["My parcel is late"]}


def test_a_label_is_made_from_keywords_when_its_model_fails_for_good():
    with scripted_server(lambda path, body: Said(401, {})) as server:
        endpoint = EndpointSettings("locked", "openai", ("m",), base_url=server.base_url)
        ran = TaskRuns([endpoint]).run("label", LABEL_INPUT, model="m")
    assert ran.value["labelled_by"] == "keywords"
    assert ran.value["title"] == "Parcel and late"


def test_a_label_that_never_came_leaves_the_report_whole():
    given = tickets(8)
    runs = TaskRuns()
    embedded = runs.run("embed", {"documents": given})
    cluster = runs.run("cluster", parents=[embedded])
    report = runs.run("report", parents=[cluster]).value
    assert_report_is_sound(report, given)
    assert {cause["labelled_by"] for cause in report["causes"]} == {"keywords"}


@pytest.mark.parametrize(
    "given",
    [
        documents("only one"),
        documents("the printer jams", "the weather is fine"),
        documents("the printer jams", "the printer is jammed", "a nice day at sea"),
        documents(*["all the same text"] * 30),
        documents(*["", " ", "?", "🙂", "…"] * 4),
        documents(*(f"{number}" for number in range(40))),
    ],
    ids=["one", "two", "three", "identical", "almost-empty", "numbers"],
)
def test_odd_sets_of_documents_get_a_sound_report(given):
    assert_report_is_sound(analyse(TaskRuns(), given, chunk=7), given)


def test_documents_of_a_chunk_that_failed_are_left_out_and_named():
    runs = TaskRuns()
    given = tickets(6)
    embedded = runs.run("embed", {"documents": given})
    lost = Ran("embed-2", "embed", error=runs.run("embed", {"documents": []}).error)
    cluster = runs.run("cluster", parents=[embedded, lost])
    assert cluster.value["missing"] == ["embed-2"]
    assert cluster.value["documents"] == len(given)


def test_one_label_task_is_spawned_for_each_cause():
    runs = TaskRuns()
    cluster = runs.run("cluster", parents=[runs.run("embed", {"documents": tickets(8)})])
    names = [spawn.name for spawn in cluster.spawned]
    assert names == [f"label-{each['rank']}" for each in cluster.value["clusters"]]
    assert all(len(json.dumps(spawn.input)) < 16_384 for spawn in cluster.spawned)


@pytest.mark.parametrize(
    ("kind", "input", "parameters", "names"),
    [
        ("embed", {}, {}, "documents"),
        ("embed", {"documents": [{"id": "a"}]}, {}, r"documents\[0\].text"),
        ("embed", {"body": {"input": []}}, {}, "body.input"),
        ("embed", {"body": {"input": "x", "tools": 1}}, {}, "body.tools"),
        ("chat", None, {}, "input"),
        ("chat", {"prompt": " "}, {}, "prompt"),
        ("chat", {"prompt": "x"}, {"max_tokens": 0}, "max_tokens"),
        ("chat", {"prompt": "x"}, {"temperature": "hot"}, "temperature"),
        ("chat", {"messages": [{"role": "king", "content": ""}]}, {}, r"messages\[0\].role"),
        ("chat", {"body": {"messages": [], "n": 2}}, {}, "body.n"),
        ("cluster", None, {"minimum": 9, "maximum": 3}, "minimum"),
        ("label", [], {}, "input"),
    ],
)
def test_wrong_input_is_refused_by_the_field(kind, input, parameters, names):
    ran = TaskRuns().run(kind, input, parameters=parameters)
    assert ran.error is not None
    assert ran.error.error_class == "invalid_input"
    assert ran.error.message.startswith(names.replace("\\", ""))


@pytest.mark.parametrize("kind", ["cluster", "reduce", "report"])
def test_collectors_without_any_usable_parent_fail_for_good(kind):
    ran = TaskRuns().run(kind, parents=[Ran("x", "echo", value={"odd": 1})])
    assert ran.error is not None
    assert ran.error.error_class == "permanent"


def test_a_document_longer_than_the_embedded_model_reads_is_shortened_and_named():
    given = documents("short", "The printer jams all day. " * 900)
    fitting, cut = shortened_documents(given, 1000)
    assert cut == ["d-1"]
    assert fitting[0] == given[0]
    assert estimated_tokens(fitting[1]["text"]) <= 500


def test_a_question_about_documents_names_the_documents():
    given = documents("The printer jams.", "Paper is stuck.")
    ran = TaskRuns().run(
        "chat", {"documents": given}, parameters={"question": "What?", "max_tokens": 2}
    )
    assert ran.value["document_ids"] == ["d-0", "d-1"]
    assert ran.value["shortened"] == []


def test_reduce_narrows_many_texts_to_one_and_counts_what_it_skipped():
    texts = [Ran(f"map-{n}", "chat", {"text": f"Note {n}. " * 6}) for n in range(6)]
    failed = Ran("map-6", "chat", error=TaskRuns().run("embed", {}).error)
    runs = TaskRuns()
    ran = runs.run(
        "reduce",
        parameters={"max_tokens": 4, "group_tokens": 60, "final": True},
        parents=[*texts, failed],
    )
    assert ran.value["sources"] == 6
    assert ran.value["skipped"] == 1
    assert ran.value["answer"] == ran.value["text"]
    assert ran.models is not None
    assert len(ran.models.usage) > 1
    assert max(call.input_tokens for call in ran.models.usage) < 250


def test_vectors_answer_an_openai_request_in_both_encodings():
    runs = TaskRuns()
    body = {"model": "minilm-l6-v2", "input": ["a", "b"]}
    plain = runs.run("embed", {"body": body}).value["body"]["data"]
    packed = runs.run("embed", {"body": {**body, "encoding_format": "base64"}}).value["body"]
    assert [row["index"] for row in plain] == [0, 1]
    assert len(plain[0]["embedding"]) == 384
    assert isinstance(packed["data"][0]["embedding"], str)
