"""Answers are given again only while what gave them is the same."""

import threading

from ism.app.remembered import Remembered


def test_an_answer_is_that_of_its_source():
    memory, source, other = Remembered[str](4), object(), object()
    assert memory.get(source, "a") is None
    memory.keep(source, "a", "one")
    assert memory.get(source, "a") == "one"
    assert memory.get(other, "a") is None
    memory.keep(other, "b", "two")
    assert memory.get(source, "a") is None
    assert memory.get(other, "b") == "two"


def test_what_was_asked_for_longest_ago_is_forgotten():
    memory, source = Remembered[int](2), object()
    for number in (1, 2):
        memory.keep(source, number, number)
    assert memory.get(source, 1) == 1
    memory.keep(source, 3, 3)
    assert [memory.get(source, number) for number in (1, 2, 3)] == [1, None, 3]


def test_none_are_kept_where_none_are_wanted():
    memory, source = Remembered[int](0), object()
    memory.keep(source, 1, 1)
    assert memory.get(source, 1) is None


def test_threads_share_it():
    memory, sources, wrong = Remembered[tuple[int, int]](8), [object(), object()], []

    def ask(which: int) -> None:
        for number in range(3000):
            found = memory.get(sources[which], number % 12)
            if found is None:
                memory.keep(sources[which], number % 12, (which, number % 12))
            elif found != (which, number % 12):
                wrong.append(found)

    threads = [threading.Thread(target=ask, args=(place % 2,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
