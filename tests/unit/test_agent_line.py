"""The line of tasks before a runner's slots."""

import threading
from collections import Counter
from queue import Empty

import pytest

from proto.daef.v1 import worker_pb2
from workeragent.line import Line


def task(number: int, priority: int = 0) -> worker_pb2.ClaimedTask:
    return worker_pb2.ClaimedTask(task_id=number, lease_epoch=1, priority=priority)


def test_tasks_of_one_class_run_in_the_order_they_came():
    line = Line()
    for number in (3, 1, 2):
        line.put(task(number))
    assert [line.get().task_id for _ in range(3)] == [3, 1, 2]


def test_a_task_of_a_higher_class_overtakes_those_that_wait():
    line = Line()
    for number, priority in ((1, -50), (2, 0), (3, 100), (4, -50), (5, 100)):
        line.put(task(number, priority))
    assert [line.get().task_id for _ in range(5)] == [3, 5, 2, 1, 4]


def test_an_empty_line_says_so():
    line = Line()
    assert line.empty()
    with pytest.raises(Empty):
        line.get_nowait()
    line.put(task(1))
    assert not line.empty()


def test_many_threads_get_every_task_once():
    line, got = Line(), list[int]()
    threads = [
        threading.Thread(target=lambda: got.extend(line.get().task_id for _ in range(500)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for number in range(4000):
        line.put(task(number, number % 7))
    for thread in threads:
        thread.join(10)
    assert Counter(got) == Counter(range(4000))
