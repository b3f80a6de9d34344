import json

import pytest

from jobs.errors import InvalidRequest, PlanRefused, PolicyDenied
from jobs.planner.draft import TEST_KINDS
from jobs.planner.request import Document
from jobs.policies.policy import PolicySpec
from tests.unit.planning import ENDPOINTS, planned


def documents(count: int, characters: int = 40) -> list[str]:
    return [f"{number} ".ljust(characters, "x") for number in range(count)]


def refused(body, error=InvalidRequest, **keywords):
    with pytest.raises(error) as caught:
        planned(body, **keywords)
    return caught.value.fields[0] if caught.value.fields else caught.value.detail


def test_a_question_without_documents_is_one_task():
    plan = planned({"type": "chat", "input": "why?", "parameters": {"max_tokens": 9}})
    assert [(task.name, task.kind, task.input) for task in plan.tasks] == [
        ("answer", "chat", '{"prompt":"why?"}')
    ]
    assert plan.tasks[0].parameters == '{"max_tokens":9}'
    assert plan.models == ("smollm2-135m",)


def test_a_question_about_documents_is_mapped_reduced_and_answered():
    plan = planned({"type": "chat", "input": "why?", "documents": documents(100, 600)})
    assert [stage.name for stage in plan.stages] == [
        "map",
        "reduce-1",
        "reduce-2",
        "answer",
    ]
    assert [stage.planned_min for stage in plan.stages] == [100, 13, 2, 1]
    answer = plan.tasks[-1]
    assert answer.kind == "reduce"
    assert json.loads(answer.parameters) == {"question": "why?", "final": True}


def test_every_map_and_reduce_result_is_collected_exactly_once_by_few():
    plan = planned({"type": "chat", "input": "why?", "documents": documents(100, 600)})
    collected = [parent for task in plan.tasks for parent in task.collects]
    assert sorted(collected) == list(range(len(plan.tasks) - 1))
    assert max(len(task.collects) for task in plan.tasks) <= 8


def test_map_prompts_stay_small():
    plan = planned({"type": "chat", "input": "why?", "documents": documents(90, 100)})
    for task in plan.tasks:
        if task.kind == "chat":
            texts = [each["text"] for each in json.loads(task.input)["documents"]]
            assert sum(map(len, texts)) <= 600


def test_an_analysis_embeds_clusters_labels_and_reports():
    plan = planned({"type": "analyze", "input": "what?", "documents": documents(500)})
    assert [(stage.name, stage.planned_min, stage.planned_max) for stage in plan.stages] == [
        ("embed", 10, 10),
        ("cluster", 1, 1),
        ("label", 0, 100),
        ("report", 1, 1),
    ]
    cluster, report = plan.tasks[10], plan.tasks[11]
    assert cluster.collects == tuple(range(10))
    assert report.collects == (10,)
    assert plan.models == ("minilm-l6-v2", "smollm2-135m")


@pytest.mark.parametrize("type_", ["analyze", "embed"])
def test_every_document_is_embedded_exactly_once_in_order(type_):
    plan = planned({"type": type_, "input": "what?", "documents": documents(123, 9_000)})
    given = [
        document["id"]
        for task in plan.tasks
        if task.kind == "embed"
        for document in json.loads(task.input)["documents"]
    ]
    assert given == [f"doc-{number}" for number in range(1, 124)]


def test_a_batch_is_one_independent_task_per_request_in_order():
    requests = [
        {"custom_id": "a", "kind": "echo", "input": {"n": 1}, "parameters": {"sleep_ms": 5}},
        {"custom_id": "b", "input": "hello"},
        {"custom_id": "c", "body": {"messages": [], "model": "large"}},
        {"custom_id": "d", "body": {"input": "text"}},
    ]
    plan = planned({"type": "batch", "requests": requests})
    assert [(task.name, task.kind, task.model) for task in plan.tasks] == [
        ("a", "echo", ""),
        ("b", "chat", "smollm2-135m"),
        ("c", "chat", "large"),
        ("d", "embed", "minilm-l6-v2"),
    ]
    assert not any(task.needs or task.collects for task in plan.tasks)
    assert plan.tasks[0].parameters == '{"sleep_ms":5}'


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"type": "chat"}, "input", "what to ask"),
        ({"type": "chat", "input": " \n"}, "input", "what to ask"),
        ({"type": "analyze", "input": "x"}, "documents", "file_id"),
        ({"type": "analyze", "documents": ["a"]}, "input", "question"),
        ({"type": "embed"}, "documents", "file_id"),
        ({"type": "embed", "documents": []}, "documents", "file_id"),
        ({"type": "batch"}, "requests", "at least one"),
        ({"type": "batch", "requests": []}, "requests", "at least one"),
        ({"type": "pipeline"}, "tasks", "at least one"),
        ({"type": "chat", "input": "x", "tasks": []}, "tasks", "documents or file_id"),
        ({"type": "batch", "documents": ["a"]}, "documents", "requests"),
        ({"type": "embed", "documents": ["a"], "file_id": "f"}, "file_id", "not both"),
        ({"type": "embed", "documents": ["a", " "]}, "documents[1].text", "empty"),
        (
            {"type": "embed", "documents": ["a", {"id": "doc-1", "text": "b"}]},
            "documents[1].id",
            "twice",
        ),
        ({"type": "chat", "input": "x", "model": "gpt"}, "model", "known models: large, minilm"),
        (
            {
                "type": "chat",
                "input": "x",
                "documents": ["a"],
                "parameters": {"group_documents": 0},
            },
            "parameters.group_documents",
            "1 to 1,000",
        ),
        (
            {"type": "analyze", "input": "x", "documents": ["a"], "parameters": {"minimum": 101}},
            "parameters.minimum",
            "1 to 100",
        ),
        (
            {
                "type": "analyze",
                "input": "x",
                "documents": ["a"],
                "parameters": {"minimum": 5, "maximum": 2},
            },
            "parameters.minimum",
            "maximum",
        ),
        ({"type": "batch", "requests": [{"custom_id": "a"}]}, "requests[0]", "either"),
        (
            {"type": "batch", "requests": [{"custom_id": "a", "input": 1, "body": {}}]},
            "requests[0]",
            "not both",
        ),
        (
            {"type": "batch", "requests": [{"custom_id": "a", "input": "1"}] * 2},
            "requests[1].custom_id",
            "requests[0]",
        ),
        (
            {
                "type": "batch",
                "requests": [{"custom_id": "a", "kind": "echo", "input": 1, "model": "large"}],
            },
            "requests[0].model",
            "no model",
        ),
    ],
)
def test_a_request_that_cannot_be_planned_names_field_and_remedy(body, field, said):
    error = refused(body)
    assert error.field == field
    assert said in error.message


@pytest.mark.parametrize("sleep", [-1, 60_001, "5", True, None])
def test_a_sleep_outside_its_bounds_is_refused(sleep):
    request = {"custom_id": "a", "kind": "echo", "input": 1, "parameters": {"sleep_ms": sleep}}
    error = refused({"type": "batch", "requests": [request]})
    assert error.field == "requests[0].parameters.sleep_ms"


@pytest.mark.parametrize("kind", sorted(TEST_KINDS))
def test_test_kinds_are_planned_only_where_they_are_allowed(kind):
    body = {"type": "batch", "requests": [{"custom_id": "a", "kind": kind, "input": 1}]}
    assert "known kinds: chat, cluster, echo" in refused(body, PlanRefused).message
    assert planned(body, test_kinds=True).tasks[0].kind == kind


def test_more_tasks_than_the_policy_allows_are_refused():
    body = {"type": "embed", "documents": documents(101)}
    assert "up to 3 tasks" in refused(body, PlanRefused, policy=PolicySpec(max_tasks=2)).message


def test_more_documents_than_the_policy_allows_are_refused():
    body = {"type": "embed", "documents": documents(3)}
    assert "at most 2" in refused(body, policy=PolicySpec(max_documents=2)).message


@pytest.mark.parametrize(
    "policy", [PolicySpec(models=["smollm2-135m"]), PolicySpec(locations=["local"])]
)
def test_a_model_or_location_outside_the_policy_is_denied(policy):
    said = refused({"type": "chat", "input": "x", "model": "large"}, PolicyDenied, policy=policy)
    assert "'large'" in said.message


def test_the_same_request_has_the_same_hash_and_another_one_has_not():
    body = {"type": "chat", "input": "why?", "documents": documents(20)}
    assert planned(body).hash == planned(body).hash
    assert planned(body).hash != planned({**body, "input": "who?"}).hash
    assert planned(body).hash != planned({**body, "model": "large"}).hash


def test_tasks_without_a_model_cost_nothing():
    plan = planned({"type": "batch", "requests": [{"custom_id": "a", "kind": "echo", "input": 1}]})
    assert plan.tasks[0].ceiling_nano_usd == 0
    assert plan.estimate.cost_high_nano_usd == 0


def test_a_ceiling_covers_the_worst_case_of_the_priciest_endpoint():
    body = {"type": "chat", "input": "x" * 400, "model": "large", "parameters": {"max_tokens": 100}}
    ceiling = planned(body).tasks[0].ceiling_nano_usd
    price = ENDPOINTS[1]
    assert ceiling >= (400 * price.input_price + 100 * price.output_price) // 1000


def test_an_estimate_grows_with_the_work():
    small = planned({"type": "analyze", "input": "x", "documents": documents(50)}).estimate
    large = planned({"type": "analyze", "input": "x", "documents": documents(500)}).estimate
    assert small.input_tokens < large.input_tokens
    assert small.cost_low_nano_usd < small.cost_expected_nano_usd < small.cost_high_nano_usd
    assert small.seconds_low < small.seconds_high < large.seconds_high


def test_documents_of_a_file_are_planned_like_given_ones():
    from jobs.planner import plan_job
    from jobs.planner.request import parse_job_request
    from jobs.policies.policy import ENTERPRISE_DEFAULT

    plan = plan_job(
        parse_job_request(b'{"type": "embed", "file_id": "file-1"}'),
        policy=ENTERPRISE_DEFAULT,
        endpoints=ENDPOINTS,
        documents=[Document("row-9", "text")],
    )
    assert json.loads(plan.tasks[0].input) == {"documents": [{"id": "row-9", "text": "text"}]}


@pytest.mark.parametrize("kind", ["chat", "analyze", "batch", "embed", "pipeline"])
def test_a_misspelt_parameter_is_named_with_those_there_are(kind):
    with pytest.raises(InvalidRequest) as caught:
        planned({"type": kind, "input": "x", "parameters": {"temprature": 1}})
    assert caught.value.fields[0].field == "parameters.temprature"
    assert "they take" in caught.value.detail
