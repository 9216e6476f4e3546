"""Order, checks, restarts, the circuit, switches and the end, on components that fail when told to."""

import asyncio
import logging
from dataclasses import replace

import pytest
from orchestrator_fakes import Fake, World, chain, failure

from ism.app.orchestrator.component import aside
from ism.app.orchestrator.config import ProductionConfig
from ism.app.orchestrator.supervisor import Supervisor
from ism.domain.errors import ConfigurationError, ConflictError, EngineError, NotFoundError, StorageUnavailableError


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 20))


def test_what_needs_others_begins_when_they_work_and_ends_before_them():
    world = World(chain)

    async def play():
        world.fakes["a"].starting = True
        await world.turns()
        assert world.states() == {"a": "starting", "b": "waiting", "c": "waiting", "x": "ok"}
        assert world.supervisor.report()["b"]["detail"] == "Waits for a."
        world.fakes["a"].starting = False
        await world.turns([0.5, 0, 0, 0])
        assert set(world.states().values()) == {"ok"}
        assert world.log == ["start a", "start x", "start b", "start c"]
        await world.supervisor.end(5)

    run(play())
    assert world.log[4:] == ["stop x", "stop c", "stop b", "stop a"]
    assert set(world.states().values()) == {"stopped"}


def test_needs_must_come_first():
    with pytest.raises(ConfigurationError, match="c needs b"):
        Supervisor([Fake("c", [], ("b",)), Fake("b", [])], ProductionConfig)


def test_a_check_tries_and_comes_again_after_the_interval():
    world = World(chain)

    async def play():
        await world.turns([0] * 4)
        first = world.fakes["x"].checks
        await world.turns([9])
        assert world.fakes["x"].checks == first
        await world.turns([1])
        assert world.fakes["x"].checks == first + 1
        assert world.supervisor.report()["x"]["detail"] == "x was tried."

    run(play())


def test_who_is_asked_to_begins_again_with_what_rests_on_it():
    world = World(chain)

    async def play():
        await world.turns([0] * 5)
        world.log.clear()
        world.supervisor.restart("b")
        await world.turns([0, 0, 0])
        assert world.log == ["stop c", "stop b", "start b", "start c"]
        assert set(world.states().values()) == {"ok"}
        told = world.supervisor.report()["b"]
        assert (told["restarts"], told["failures"]) == (1, 0)
        world.fakes["b"].broken = failure()
        await world.turns([10])
        world.fakes["b"].broken = None
        world.log.clear()
        world.supervisor.restart("b")  # it rests: nobody need wait for that
        await world.turns([0])
        assert world.log == ["start b"]
        with pytest.raises(NotFoundError):
            world.supervisor.restart("d")
        world.config = ProductionConfig(health_check_interval=10, feedback_enabled=False)
        await world.turns([0])
        with pytest.raises(ConflictError, match="switched off"):
            world.supervisor.restart("b")

    run(play())


def test_what_fails_is_started_again_with_what_rests_on_it_and_nothing_else():
    world = World(chain)

    async def play():
        await world.turns([0] * 5)
        world.log.clear()
        world.fakes["b"].broken = failure()
        await world.turns([10])
        assert world.log == ["stop c", "stop b"]
        assert world.states() == {"a": "ok", "b": "restarting", "c": "waiting", "x": "ok"}
        told = world.supervisor.report()["b"]
        assert told["last_error"] == "The disk is gone."
        assert (told["failures"], told["restarts"], told["next_attempt_s"]) == (1, 0, 1)
        world.fakes["b"].broken = None
        await world.turns([0.9])
        assert world.log == ["stop c", "stop b"]
        await world.turns([0.1, 0, 0])
        assert world.log == ["stop c", "stop b", "start b", "start c"]
        assert set(world.states().values()) == {"ok"}
        assert world.supervisor.report()["b"]["restarts"] == 1
        assert world.supervisor.report()["c"]["restarts"] == 0

    run(play())


def test_waits_grow_then_the_circuit_opens_and_one_success_closes_it():
    world = World(lambda log: [Fake("a", log)])

    async def play():
        await world.turns()
        world.fakes["a"].cannot_start = world.fakes["a"].broken = failure()
        await world.turns([10])
        waits = []
        for _ in range(4):
            waits.append(world.supervisor.report()["a"]["next_attempt_s"])
            await world.turns([waits[-1]])
        assert waits == [1, 2, 4, 120]
        told = world.supervisor.report()["a"]
        assert (told["state"], told["circuit"], told["next_attempt_s"]) == ("down", "open", 240)
        assert "rests" in told["detail"]
        world.fakes["a"].cannot_start = world.fakes["a"].broken = None
        await world.turns([239])
        assert world.states() == {"a": "down"}
        await world.turns([1, 0])
        assert world.states() == {"a": "ok"}
        assert world.supervisor.report()["a"]["circuit"] == "closed"

    run(play())


def test_a_check_that_is_not_answered_counts_when_it_happens_twice():
    world = World(lambda log: [Fake("a", log)])
    world.fakes["a"].check_limit_s = 0.01

    async def play():
        await world.turns()
        world.fakes["a"].hangs = True
        await world.turns([10])
        assert world.states() == {"a": "degraded"}
        await world.turns([10])
        assert world.states() == {"a": "restarting"}
        assert "twice in a row" in world.supervisor.report()["a"]["last_error"]

    run(play())


def test_other_peoples_messages_are_not_shown(caplog):
    world = World(lambda log: [Fake("a", log)])

    async def play():
        await world.turns()
        world.fakes["a"].broken = RuntimeError("postgresql://user:hunter2@host/db refused")
        with caplog.at_level(logging.WARNING, "ism.orchestrator"):
            await world.turns([10])

    run(play())
    assert world.supervisor.report()["a"]["last_error"] == "RuntimeError; the log says more."
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.component for record in told] == ["a"]
    assert told[0].exc_info is not None


def test_a_switch_ends_a_part_and_begins_it_again():
    world = World(chain)

    async def play():
        await world.turns([0] * 5)
        world.log.clear()
        world.config = replace(world.config, feedback_enabled=False)
        await world.turns([0, 0, 0])
        assert world.log == ["stop c", "stop b", "start c"]  # what is switched off is not waited for
        assert world.states() == {"a": "ok", "b": "disabled", "c": "ok", "x": "ok"}
        world.config = replace(world.config, feedback_enabled=True)
        await world.turns([0, 0])
        assert world.states()["b"] == "ok"
        assert world.supervisor.report()["b"]["failures"] == 0

    run(play())


def test_a_part_begins_again_when_what_it_uses_changes():
    world = World(lambda log: [Fake("a", log, uses=("auto_deploy",)), Fake("b", log)])

    async def play():
        await world.turns()
        world.log.clear()
        world.config = replace(world.config, auto_deploy=False, log_level="DEBUG")
        await world.turns([0, 0])
        assert world.log == ["stop a", "start a"]
        assert world.supervisor.report()["a"]["restarts"] == 0

    run(play())


def test_the_end_keeps_its_time_whatever_hangs():
    world = World(chain)
    world.fakes["c"].hangs_at_end = True

    async def play():
        await world.turns([0] * 5)
        await asyncio.wait_for(world.supervisor.end(0.05), 2)

    run(play())
    assert world.log[-4:] == ["stop x", "stop c", "stop b", "stop a"]


def test_it_goes_on_by_itself_and_hears_a_call():
    world = World(chain)

    async def play():
        task = asyncio.create_task(world.supervisor.run())
        while set(world.states().values()) != {"ok"}:
            await asyncio.sleep(0.01)
        world.config = replace(world.config, feedback_enabled=False)
        await asyncio.to_thread(world.supervisor.wake)
        while world.states()["b"] != "disabled":
            await asyncio.sleep(0.01)
        await world.supervisor.end(1)
        await task

    run(play())


def test_aside_gives_what_a_function_gives_and_raises_what_it_raises():
    def fail():
        raise EngineError("no")

    async def play():
        assert await aside(lambda: 3) == 3
        with pytest.raises(EngineError, match="no"):
            await aside(fail)

    run(play())


def test_a_database_that_is_away_is_waited_for_and_nothing_is_started_again():
    world = World(chain)

    async def play():
        await world.turns([0] * 5)
        world.log.clear()
        world.fakes["b"].broken = StorageUnavailableError("The server closed the connection.")
        for _ in range(20):  # far more often than failures open a circuit
            await world.turns([10])
        told = world.supervisor.report()["b"]
        assert (told["state"], told["failures"], told["circuit"]) == ("degraded", 0, "closed")
        assert "waits for the database" in told["detail"]
        world.fakes["b"].broken = None
        await world.turns([0.5])
        assert world.states()["b"] == "ok"
        assert world.log == []

    run(play())


def test_a_start_that_the_database_holds_up_is_tried_again_soon():
    world = World(lambda log: [Fake("a", log)])

    async def play():
        world.fakes["a"].cannot_start = StorageUnavailableError("No connection.")
        await world.turns()
        assert "Waits for the database" in world.supervisor.report()["a"]["detail"]
        world.fakes["a"].cannot_start = None
        await world.turns([0.5, 0])
        assert world.states() == {"a": "ok"}
        assert world.supervisor.report()["a"]["failures"] == 0

    run(play())
