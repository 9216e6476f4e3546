from orchestrator_fakes import POLICY, Clock

from ism.app.orchestrator.breaker import Breaker, RestartPolicy


def test_waits_grow_until_the_circuit_opens():
    breaker = Breaker(POLICY, Clock())
    assert [breaker.failed() for _ in range(4)] == [1, 2, 4, 120]
    assert breaker.circuit == "open"


def test_no_wait_is_longer_than_the_longest():
    breaker = Breaker(RestartPolicy(first_s=10, longest_s=25, failures=9), Clock())
    assert [breaker.failed() for _ in range(4)] == [10, 20, 25, 25]


def test_one_attempt_decides_after_the_rest():
    breaker = Breaker(POLICY, Clock())
    for _ in range(4):
        breaker.failed()
    breaker.attempt()
    assert breaker.circuit == "half_open"
    assert breaker.failed() == 240  # rests twice as long
    assert breaker.circuit == "open"
    breaker.attempt()
    assert breaker.failed() == 300  # at most
    breaker.attempt()
    breaker.worked()
    assert breaker.circuit == "closed"


def test_what_begins_well_and_fails_again_and_again_still_opens_it():
    clock = Clock()
    breaker = Breaker(POLICY, clock)
    waits = []
    for _ in range(5):
        breaker.worked()
        waits.append(breaker.failed())
        clock.now += 10
        breaker.attempt()
    assert waits == [1, 2, 4, 120, 240]


def test_old_failures_are_forgotten():
    clock = Clock()
    breaker = Breaker(POLICY, clock)
    for _ in range(4):
        breaker.failed()
    breaker.attempt()
    breaker.worked()
    clock.now = 1001
    breaker.worked()
    assert [breaker.failed() for _ in range(4)] == [1, 2, 4, 120]
