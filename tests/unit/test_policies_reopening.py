"""What opens again with dead letters: by hand-made cases, and for every graph there is."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.policies.reopening import Edge, obstacle, plan_reopening
from jobs.states import TASK_ENDS, SkipReason

DEAD, DONE, CUT, RUNS, WAITS = "DeadLettered", "Succeeded", "Cancelled", "Running", "Blocked"


def plan(asked, statuses, *edges):
    return plan_reopening(asked, statuses, [Edge(*edge) for edge in edges])


def test_a_dead_letter_with_nothing_behind_it_runs_at_once():
    found = plan({1}, {1: DEAD})
    assert (found.queue, found.block) == ((1,), ())


def test_what_was_cancelled_for_it_and_collectors_that_ended_wait_again():
    found = plan({1}, {1: DEAD, 2: CUT, 3: DONE}, (1, 2, "needs"), (1, 3, "collects"))
    assert (found.queue, found.block) == ((1,), (2, 3))


def test_of_two_that_hang_on_each_other_the_second_waits():
    found = plan({1, 2}, {1: DEAD, 2: DEAD}, (1, 2, "collects"))
    assert (found.queue, found.block) == ((1,), (2,))


def test_what_needs_another_dead_letter_stays_cancelled_and_what_collects_it_runs_without():
    statuses = {1: DEAD, 2: DEAD, 3: CUT, 4: DONE}
    edges = [(1, 3, "needs"), (2, 3, "needs"), (1, 4, "collects"), (3, 4, "collects")]
    found = plan({1}, statuses, *edges)
    assert (found.queue, found.block) == ((1,), (4,))


def test_what_hung_only_on_a_task_that_stays_cancelled_is_left_alone():
    statuses = {1: DEAD, 2: CUT, 3: CUT, 4: DONE}
    edges = [(1, 3, "needs"), (2, 3, "needs"), (3, 4, "collects")]
    assert plan({1}, statuses, *edges).block == ()


def test_a_dead_letter_above_a_running_task_is_held_and_the_others_are_not():
    statuses = {1: DEAD, 2: DEAD, 3: DONE, 4: RUNS}
    found = plan({1, 2}, statuses, (1, 3, "collects"), (3, 4, "collects"))
    assert (found.queue, found.held, found.block) == ((2,), (1,), ())


def test_a_dead_letter_that_needs_what_stays_dead_is_hopeless():
    found = plan({2, 3}, {1: DEAD, 2: DEAD, 3: DEAD}, (1, 2, "needs"), (3, 2, "collects"))
    assert (found.queue, found.hopeless) == ((3,), (2,))


def test_the_first_obstacle_is_told():
    clear = {"cancelled": False, "ending": False, "budget_used_up": False}
    assert obstacle(**clear) is None
    assert obstacle(**{**clear, "budget_used_up": True}) is SkipReason.BUDGET_USED_UP
    assert obstacle(cancelled=False, ending=True, budget_used_up=True) is SkipReason.JOB_ENDING
    assert obstacle(cancelled=True, ending=True, budget_used_up=True) is SkipReason.JOB_CANCELLED


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 7))
    statuses = {
        n: draw(st.sampled_from([DEAD, DEAD, DONE, CUT, RUNS, WAITS])) for n in range(count)
    }
    edges = [
        Edge(parent, child, draw(st.sampled_from(["needs", "collects"])))
        for child in range(count)
        for parent in range(child)
        if draw(st.booleans())
    ]
    dead = [n for n, status in statuses.items() if status == DEAD]
    asked = {n for n in dead if draw(st.booleans())}
    return asked, statuses, edges


@given(graphs())
def test_for_every_graph_what_opens_can_run_and_nothing_running_is_touched(graph):
    asked, statuses, edges = graph
    found = plan_reopening(asked, statuses, edges)
    opened = set(found.opened)
    assert asked == (opened & asked) | set(found.held) | set(found.hopeless)
    assert not any(statuses[task] == RUNS for task in opened)
    for task in opened:
        mine = [edge for edge in edges if edge.child == task]
        waits = any(edge.parent in opened for edge in mine)
        assert waits == (task in found.block)
        assert waits or task in asked
        for edge in mine:
            stays = edge.parent not in opened and statuses[edge.parent] in TASK_ENDS - {DONE}
            assert not (edge.kind == "needs" and stays)
