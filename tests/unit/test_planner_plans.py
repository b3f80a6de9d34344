"""Plans as the executors read them, what they may cost, and what their hash covers."""

import json
from typing import Any

import pytest

from jobs.errors import InvalidRequest, PlanRefused, PolicyDenied
from jobs.planner import plan_job
from jobs.planner.request import parse_job_request
from jobs.policies.policy import ENTERPRISE_DEFAULT, EndpointSpec, PolicySpec
from tests.unit.planning import ENDPOINTS, echo, pipeline, planned
from workeragent.executors.chat.messages import read_request

CHAT_BODY = {"model": "large", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 7}
EMBED_BODY = {"input": ["a", "b"]}
ASKED = {"type": "chat", "input": "why?"}
DOCUMENTS = ["some text " * 20] * 30


def batch(*requests, **fields):
    return {"type": "batch", "requests": list(requests), **fields}


def refused(body, error=InvalidRequest, **keywords):
    with pytest.raises(error) as caught:
        planned(body, **keywords)
    return caught.value.fields[0]


@pytest.mark.parametrize("more", [{}, {"documents": DOCUMENTS}])
def test_every_chat_task_of_a_plan_is_one_its_executor_reads(more):
    parameters = {"max_tokens": 9, "temperature": 0.5, "system": "Be brief.", "group_tokens": 60}
    plan = planned({**ASKED, **more, "parameters": parameters})
    for task in plan.tasks:
        given = json.loads(task.parameters)
        if task.kind == "chat":
            read = read_request(json.loads(task.input), given)
            assert (read.max_tokens, read.temperature) == (9, 0.5)
            assert read.messages[0] == {"role": "system", "content": "Be brief."}
            assert read.messages[1]["content"].startswith("why?")
        else:
            assert (given["question"], given["group_tokens"]) == ("why?", 60)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"max_tokens": 0}, "parameters.max_tokens"),
        ({"max_tokens": "9"}, "parameters.max_tokens"),
        ({"max_tokens": True}, "parameters.max_tokens"),
        ({"temperature": 3}, "parameters.temperature"),
        ({"temperature": "warm"}, "parameters.temperature"),
        ({"system": 1}, "parameters.system"),
        ({"group_tokens": 19}, "parameters.group_tokens"),
        ({"group_documents": 1.5}, "parameters.group_documents"),
    ],
)
def test_a_chat_parameter_that_its_executor_would_refuse_is_refused_at_once(parameters, field):
    error = refused({**ASKED, "documents": ["a"], "parameters": parameters})
    assert error.field == field
    assert "must be" in error.message


def test_larger_groups_make_fewer_map_tasks():
    small = planned({**ASKED, "documents": DOCUMENTS})
    large = planned({**ASKED, "documents": DOCUMENTS, "parameters": {"group_tokens": 1000}})
    assert large.stages[0].planned_min < small.stages[0].planned_min


def test_an_openai_chat_body_is_a_chat_task_of_its_model():
    task = planned(batch({"custom_id": "a", "body": CHAT_BODY})).tasks[0]
    assert (task.name, task.kind, task.model) == ("a", "chat", "large")
    read = read_request(json.loads(task.input), json.loads(task.parameters))
    assert (read.max_tokens, read.model) == (7, "large")


def test_an_openai_embeddings_body_is_an_embed_task_whatever_chat_model_the_job_names():
    task = planned(batch({"custom_id": "a", "body": EMBED_BODY}, model="large")).tasks[0]
    assert (task.kind, task.model) == ("embed", "minilm-l6-v2")
    assert json.loads(task.input) == {"body": EMBED_BODY}


def test_a_body_that_is_neither_chat_nor_embeddings_is_refused():
    error = refused(batch({"custom_id": "a", "body": {"prompt": "x"}}))
    assert error.field == "requests[0].body"
    assert "messages" in error.message


def test_a_request_names_its_model_before_its_body_and_its_job():
    request = {"custom_id": "a", "body": CHAT_BODY, "model": "smollm2-135m"}
    assert planned(batch(request, model="large")).tasks[0].model == "smollm2-135m"
    assert planned(batch({"custom_id": "a", "input": "x"}, model="large")).models == ("large",)


def test_an_embed_job_uses_the_model_it_names():
    body = {"type": "embed", "documents": ["a"], "model": "large"}
    assert planned(body).models == ("large",)
    assert planned({"type": "embed", "documents": ["a"]}).models == ("minilm-l6-v2",)


def test_an_analysis_names_its_chat_model_for_the_labels():
    plan = planned({"type": "analyze", "input": "x", "documents": ["a"], "model": "large"})
    cluster = next(task for task in plan.tasks if task.kind == "cluster")
    assert json.loads(cluster.parameters)["label_model"] == "large"
    assert plan.models == ("large", "minilm-l6-v2")
    assert cluster.model == ""


def test_a_pipelines_chat_tasks_use_the_jobs_model_or_their_bodys():
    plan = planned(
        pipeline(
            {"name": "a", "kind": "chat", "input": {"body": CHAT_BODY}},
            {"name": "b", "kind": "chat", "input": "x"},
            model="smollm2-135m",
        )
    )
    assert [task.model for task in plan.tasks] == ["large", "smollm2-135m"]


def test_a_pipeline_given_in_order_keeps_its_order():
    names = ["a", "c", "b", "d"]
    plan = planned(
        pipeline(echo("a"), echo("c", needs=["a"]), echo("b"), echo("d", collects=["b", "c"]))
    )
    assert [task.name for task in plan.tasks] == names


def test_a_name_that_the_cluster_task_gives_is_refused():
    tasks: list[dict[str, Any]] = [
        {"name": "e", "kind": "embed", "input": {"documents": [{"id": "a", "text": "b"}]}},
        {"name": "c", "kind": "cluster", "collects": ["e"]},
        {"name": "label-1", "kind": "echo"},
    ]
    error = refused(pipeline(*tasks), PlanRefused)
    assert error.field == "tasks[2].name"
    assert planned(pipeline(tasks[2])).tasks[0].name == "label-1"


@pytest.mark.parametrize("type_", ["batch", "pipeline"])
def test_too_many_tasks_name_the_field_to_shorten(type_):
    requests = [{"custom_id": str(n), "kind": "echo", "input": n} for n in range(3)]
    body = batch(*requests) if type_ == "batch" else pipeline(echo("a"), echo("b"), echo("c"))
    error = refused(body, PlanRefused, policy=PolicySpec(max_tasks=2))
    assert error.field == {"batch": "requests", "pipeline": "tasks"}[type_]
    assert "allows 2" in error.message


def test_labels_to_come_count_against_the_policys_tasks():
    body = {"type": "analyze", "input": "x", "documents": ["a"]}
    assert planned(body, policy=PolicySpec(max_tasks=103)).stages[2].planned_max == 100
    assert refused(body, PlanRefused, policy=PolicySpec(max_tasks=102)).field == "documents"


def test_a_question_is_part_of_the_ceiling_of_every_task_that_reads_it():
    short = planned({**ASKED, "documents": DOCUMENTS})
    long = planned({**ASKED, "input": "why?" * 5_000, "documents": DOCUMENTS})
    price = ENDPOINTS[0].input_price
    for before, after in zip(short.tasks, long.tasks, strict=True):
        assert after.ceiling_nano_usd >= before.ceiling_nano_usd + 19_000 * price // 1000


def test_a_ceiling_never_leaves_the_databases_range():
    dear = EndpointSpec("dear", "openai", ("smollm2-135m",), 2**62, 2**62)
    request = parse_job_request(json.dumps({**ASKED, "input": "x" * 9_000}).encode())
    plan = plan_job(request, policy=ENTERPRISE_DEFAULT, endpoints=[dear])
    assert plan.tasks[0].ceiling_nano_usd == 2**63 - 1


def test_a_denied_location_is_named():
    error = refused({**ASKED, "model": "large"}, PolicyDenied, policy=PolicySpec(locations=["eu"]))
    assert error.field == "model"
    assert "eu" in error.message


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"kind": "chat", "input": "x"},
        {"input": 1},
        {"input": "0"},
        {"parameters": {"sleep_ms": 1}},
        {"needs": ["root"]},
        {"collects": ["root"]},
    ],
)
def test_any_change_of_a_task_changes_the_hash(change):
    base = planned(pipeline(echo("root"), {"name": "a", "kind": "echo", "input": 0}))
    other = planned(pipeline(echo("root"), {"name": "a", "kind": "echo", "input": 0, **change}))
    assert base.hash != other.hash


def test_needs_and_collects_are_told_apart_by_the_hash():
    plans = [planned(pipeline(echo("a"), echo("b", **{edge: ["a"]}))) for edge in EDGES]
    assert plans[0].hash != plans[1].hash


EDGES = ("needs", "collects")


def test_ten_thousand_requests_are_planned_in_input_order():
    requests = [{"custom_id": f"r-{n}", "kind": "echo", "input": n} for n in range(10_000)]
    body = json.dumps(batch(*requests)).encode()
    request = parse_job_request(body)
    plan = plan_job(request, policy=ENTERPRISE_DEFAULT, endpoints=ENDPOINTS)
    assert [task.input for task in plan.tasks[:2]] == ["0", "1"]
    assert len({task.name for task in plan.tasks}) == 10_000
