"""A thread that others begin and end, in any order and at the same time."""

import random
import threading
import time

import pytest

from ism.domain.background import Background
from ism.domain.errors import EngineError


class Counted:
    """Counts how many of its threads run at the same time."""

    def __init__(self) -> None:
        self.background = Background(self.run, "counted")
        self.now = self.most = self.turns = 0

    def run(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        while not self.background.over.wait(0.001):
            self.turns += 1
        self.now -= 1


def test_it_runs_until_it_is_told_to_end_and_again():
    counted = Counted()
    assert not counted.background.begun
    for _ in range(3):
        counted.background.start()
        counted.background.start()
        assert counted.background.alive
        counted.background.stop(5.0)
        assert not counted.background.alive
    assert counted.background.begun
    assert counted.most == 1


def test_threads_that_begin_and_end_it_at_the_same_time_leave_one_or_none():
    counted, failures = Counted(), []

    def meddle(seed: int) -> None:
        luck = random.Random(seed)
        for _ in range(100):
            try:
                if luck.random() < 0.5:
                    counted.background.start()
                else:
                    counted.background.stop(5.0)
            except EngineError:  # it was just being ended
                continue
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not happen
                failures.append(error)

    threads = [threading.Thread(target=meddle, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted.background.stop(5.0)
    assert not failures
    assert counted.most == 1
    assert not counted.background.alive


def test_after_it_was_closed_a_late_start_begins_nothing():
    counted = Counted()
    counted.background.start()
    counted.background.close(5.0)
    counted.background.start()
    assert not counted.background.alive


def test_two_never_run_at_a_time():
    freed = threading.Event()
    background = Background(lambda: freed.wait(10) and None, "stubborn")
    background.start()
    background.stop(0.01)
    with pytest.raises(EngineError, match="stubborn"):
        background.start()
    freed.set()
    for _ in range(500):
        if not background.alive:
            break
        time.sleep(0.01)
    background.start()
    background.stop(5.0)


def test_it_may_end_itself():
    background = Background(lambda: background.stop(5.0), "itself")
    background.start()
    background.stop(5.0)
    assert not background.alive
