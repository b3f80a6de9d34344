from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.errors import InvalidRequest, PlanRefused
from tests.unit.planning import echo, pipeline, planned


def test_parents_come_before_their_children_whatever_the_order_given():
    plan = planned(
        pipeline(echo("c", needs=["b"], collects=["a"]), echo("b", needs=["a"]), echo("a"))
    )
    index = {task.name: number for number, task in enumerate(plan.tasks)}
    assert plan.tasks[index["c"]].needs == (index["b"],)
    assert plan.tasks[index["c"]].collects == (index["a"],)
    assert index["a"] < index["b"] < index["c"]


def test_each_kind_is_a_stage():
    plan = planned(pipeline(echo("a"), {"name": "b", "kind": "chat", "input": "x"}, echo("c")))
    assert [(stage.name, stage.planned_min) for stage in plan.stages] == [("echo", 2), ("chat", 1)]


def test_a_cluster_task_gets_a_stage_and_a_model_for_its_labels():
    embed = {"name": "e", "kind": "embed", "input": {"documents": [{"id": "a", "text": "b"}]}}
    plan = planned(pipeline(embed, {"name": "c", "kind": "cluster", "collects": ["e"]}))
    assert plan.stages[-1].name == "label"
    assert plan.stages[-1].planned_max == 100
    assert plan.tasks[1].parameters == '{"label_model":"smollm2-135m"}'
    assert "smollm2-135m" in plan.models


@pytest.mark.parametrize(
    ("tasks", "field", "said"),
    [
        ([echo("a"), echo("a")], "tasks[1].name", "tasks[0]"),
        ([echo("a", needs=["b"])], "tasks[0].needs[0]", "no task 'b'"),
        ([echo("a"), echo("b", collects=["a", "x"])], "tasks[1].collects[1]", "no task 'x'"),
        ([echo("a", needs=["a"])], "tasks[0].needs[0]", "itself"),
        ([echo("a"), echo("b", needs=["a"], collects=["a"])], "tasks[1].collects[0]", "twice"),
        ([echo("a", parameters={"sleep_ms": -1})], "tasks[0].parameters.sleep_ms", "60000"),
        ([echo("a", model="large")], "tasks[0].model", "no model"),
        ([{"name": "a", "kind": "chat", "model": "gpt"}], "tasks[0].model", "known models"),
        (
            [{"name": "a", "kind": "cluster", "parameters": {"label_model": 1}}],
            "tasks[0].parameters.label_model",
            "name of a model",
        ),
    ],
)
def test_a_wrong_task_is_named_with_its_position(tasks, field, said):
    with pytest.raises(InvalidRequest) as refused:
        planned(pipeline(*tasks))
    assert refused.value.fields[0].field == field
    assert said in refused.value.fields[0].message


def test_a_circle_is_named_in_the_order_of_the_work():
    with pytest.raises(PlanRefused) as refused:
        planned(pipeline(echo("a", needs=["c"]), echo("b", needs=["a"]), echo("c", needs=["b"])))
    path = refused.value.detail.split("circle: ")[1].split(";")[0].split(" -> ")
    assert path[0] == path[-1]
    assert {("a", "b"), ("b", "c"), ("c", "a")} == set(pairwise(path))


def test_a_long_circle_is_shortened():
    ring = [echo(f"t{number}", needs=[f"t{(number + 1) % 500}"]) for number in range(500)]
    with pytest.raises(PlanRefused) as refused:
        planned(pipeline(*ring))
    assert len(refused.value.detail) < 500


def test_two_cluster_tasks_are_refused():
    with pytest.raises(PlanRefused, match="at most one cluster"):
        planned(pipeline({"name": "a", "kind": "cluster"}, {"name": "b", "kind": "cluster"}))


def test_many_unknown_kinds_before_a_known_one_are_refused_like_one():
    strange = [{"name": f"k{n}", "kind": f"k{n}", "needs": ["e"]} for n in range(17)]
    with pytest.raises(PlanRefused, match="no executor 'k0'"):
        planned(pipeline(*strange, echo("e")))


def test_a_chain_of_thousands_is_planned():
    chain = [echo(f"t{n}", needs=[f"t{n - 1}"] if n else []) for n in range(5_000)]
    assert len(planned(pipeline(*chain)).tasks) == 5_000


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sets(st.integers(0, 30)), min_size=1, max_size=30), st.randoms())
def test_any_graph_without_circles_keeps_exactly_its_edges(parents, shuffle):
    wanted = {
        f"t{number}": sorted(f"t{parent}" for parent in of if parent < number)
        for number, of in enumerate(parents)
    }
    tasks = [echo(name, needs=needs) for name, needs in wanted.items()]
    shuffle.shuffle(tasks)
    plan = planned(pipeline(*tasks))
    got = {
        task.name: sorted(plan.tasks[parent].name for parent in task.needs) for task in plan.tasks
    }
    assert got == wanted
    assert all(parent < number for number, task in enumerate(plan.tasks) for parent in task.needs)
