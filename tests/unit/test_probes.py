"""What a process knows of itself, by a clock of the test's own."""

from probes.signs import ALIVE_SECONDS, READY_SECONDS, Signs


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def signs_and_clock() -> tuple[Signs, Clock]:
    clock = Clock()
    return Signs(clock), clock


def test_a_process_is_alive_and_not_ready_at_its_start():
    signs, _ = signs_and_clock()
    assert (signs.alive(), signs.ready()) == (True, False)


def test_a_main_loop_that_stands_still_is_no_life():
    signs, clock = signs_and_clock()
    clock.now += ALIVE_SECONDS
    assert not signs.alive()
    signs.turned()
    assert signs.alive()


def test_an_answer_makes_ready_for_a_while():
    signs, clock = signs_and_clock()
    signs.answered()
    clock.now += READY_SECONDS - 1
    assert signs.ready()
    clock.now += 1
    assert not signs.ready()


def test_who_leaves_is_alive_but_not_ready():
    signs, _ = signs_and_clock()
    signs.answered()
    signs.leaving()
    assert (signs.alive(), signs.ready()) == (True, False)
