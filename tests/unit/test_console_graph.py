"""The plan as a graph: alike tasks are one box, layers follow the longest way, all is bounded."""

from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.admin.graph import MOST_ABREAST, MOST_BOXES, Graph, draw, plan_graph
from jobs.queries.plan_graph import PlanParts, PlanTask

EVIL = "<script>alert(1)</script>"


def stage(name="echo", total=0, **counts):
    blank = dict.fromkeys(
        ("blocked", "queued", "running", "succeeded", "dead_lettered", "cancelled"), 0
    )
    return {"name": name, "total": total, "planned_min": 0, "planned_max": 0, **blank, **counts}


def parts(tasks, edges=(), stage_edges=()):
    """A plan of tasks given as name by number, with their edges."""
    found = [PlanTask(number, name, 0, "Queued") for number, name in tasks.items()]
    return PlanParts(found, set(edges), set(stage_edges))


def graph_of(found, stages) -> Graph:
    """The graph of a plan that can be drawn."""
    graph = plan_graph(found, stages)
    assert graph is not None
    return graph


def layers(graph):
    return [[box.name for box in layer] for layer in graph.layers]


def test_each_box_stands_behind_everything_it_waits_for():
    graph = graph_of(parts({1: "a", 2: "b", 3: "c"}, [(1, 2), (2, 3), (1, 3)]), [stage(total=3)])
    assert layers(graph) == [["a"], ["b"], ["c"]]


def test_alike_tasks_are_one_box_with_their_number():
    tasks = {1: "split", **{n: f"part-{n}" for n in range(2, 8)}, 8: "join"}
    edges = [*((1, n) for n in range(2, 8)), *((n, 8) for n in range(2, 8))]
    graph = graph_of(parts(tasks, edges), [stage(total=8)])
    assert layers(graph) == [["split"], ["echo"], ["join"]]
    assert "echo × 6" in draw(graph, {})
    assert len(graph.edges) == 2


def test_a_few_alike_tasks_keep_their_names():
    graph = graph_of(parts({1: "a", 2: "b", 3: "c"}), [stage(total=3)])
    assert layers(graph) == [["a", "b", "c"]]


def test_a_task_is_a_link_to_its_page():
    graph = graph_of(parts({7: "a"}), [stage(total=1)])
    assert 'href="/x/7/"' in draw(graph, {7: "/x/7/"})


def test_where_tasks_are_too_many_stages_stand_for_them():
    stages = [stage("embed", 9_000, succeeded=8_000, queued=1_000), stage("report", 1, blocked=1)]
    graph = graph_of(parts({}, stage_edges=[(0, 1), (0, 0)]), stages)
    assert graph.by_stage
    assert layers(graph) == [["embed"], ["report"]]
    assert "embed × 9,000" in draw(graph, {})
    assert "8,000 ok · 1,000 queued" in draw(graph, {})


def test_what_is_spawned_later_stands_there_from_the_start():
    stages = [stage("cluster", 1), {**stage("label"), "planned_max": 16}, stage("report", 1)]
    tasks = [PlanTask(1, "cluster", 0, "Running"), PlanTask(2, "report", 2, "Blocked")]
    graph = graph_of(PlanParts(tasks, {(1, 2)}, {(0, 2)}), stages)
    assert layers(graph) == [["cluster"], ["label"], ["report"]]
    drawn = draw(graph, {})
    assert "label × 0–16" in drawn
    assert "later" in drawn


def test_more_stages_than_fit_are_not_drawn():
    stages = [stage(f"s{n}", 1) for n in range(MOST_BOXES + 1)]
    assert plan_graph(parts({}), stages) is None


def test_a_plan_without_anything_is_an_empty_graph():
    assert graph_of(parts({}), []).boxes == []


def test_names_are_escaped_and_shortened_with_the_whole_one_in_the_title():
    drawn = draw(graph_of(parts({1: EVIL}), [stage(total=1)]), {})
    assert EVIL not in drawn
    assert "&lt;script&gt;alert(1)&lt;/script&gt;: queued</title>" in drawn


def test_a_circle_between_stages_ends():
    stages = [stage("a", 900), stage("b", 900)]
    graph = graph_of(parts({}, stage_edges=[(0, 1), (1, 0)]), stages)
    assert {box.name for layer in graph.layers for box in layer} == {"a", "b"}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 60).flatmap(
        lambda count: st.tuples(
            st.just(count),
            st.sets(st.tuples(st.integers(1, count), st.integers(1, count)), max_size=60),
        )
    )
)
def test_every_plan_is_drawn_whole_within_bounds(plan):
    count, pairs = plan
    edges = {(a, b) for a, b in pairs if a < b}
    tasks = {number: f"t{number}" for number in range(1, count + 1)}
    graph = graph_of(parts(tasks, edges), [stage(total=count, queued=count)])
    assert sum(box.size for box in graph.boxes) == count
    assert len(graph.boxes) <= MOST_BOXES
    assert max(map(len, graph.layers)) <= MOST_ABREAST
    layer = {box.key: box.layer for box in graph.boxes}
    assert not [(a, b) for a, b in graph.edges if layer[a] >= layer[b]]
    for down in (False, True):
        drawing = ElementTree.fromstring(draw(graph, {}, down=down))
        width, height = float(drawing.get("width", "0")), float(drawing.get("height", "0"))
        for place in drawing.iter("g"):
            x, y = map(float, place.get("transform", "")[10:-1].split())
            assert 0 <= x <= width - 150
            assert 0 <= y <= height - 58
