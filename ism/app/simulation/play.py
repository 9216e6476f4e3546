"""Day after day: lists are asked for, people react, feedback arrives when it is due, the system learns."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ism.app.simulation.behaviour import Crowd, Event, Shown
from ism.app.simulation.board import Board
from ism.app.simulation.desk import Clock, Desk
from ism.app.simulation.world import World
from ism.fusion.linear_pool import WeightedSum
from ism.fusion.method import FusionMethod
from ism.fusion.weighted_sum import DEFAULT_WEIGHTS

DAY = timedelta(days=1)
LEARN_EVERY = 5  # days between two batches; the model that was learnt answers from the next morning on


@dataclass(frozen=True)
class Day:
    """The state at the end of a day.

    Attributes:
        number: 0 is the state before anything happened.
        quality: mean nDCG@10 over all offers, ranked by the model that answers.
        model: that model, with its version.
        learnt: say of each engine in it, adding up to 1 unless all are 0.
        adaptive: the adaptive weights of the engines that took part, adding up to 1.
        told: events that arrived so far.
    """

    number: int
    quality: float
    model: str
    learnt: dict[str, float]
    adaptive: dict[str, float]
    told: int


def quality_of(board: Board, world: World, method: FusionMethod) -> float:
    """Mean nDCG@10 of what a method would show for all offers."""
    return world.quality(board.ranking(board.fused(method)[0]))


def static_quality(board: Board, world: World) -> float:
    """The same with the default weights, which never change."""
    return quality_of(board, world, WeightedSum(DEFAULT_WEIGHTS))


def play(desk: Desk, board: Board, world: World, crowd: Crowd, clock: Clock, days: int) -> Iterator[Day]:
    """Play a market from the time that the clock shows; yields each evening, the first before the first day.

    Args:
        desk: the system.
        board: measures; it is not asked for lists.
        world: what is true.
        crowd: who reacts.
        clock: is moved.
        days: how many.
    """
    start, waiting, told = clock.now, list[tuple[datetime, str, Event]](), 0
    yield _evening(0, desk, board, world, told)
    for number in range(1, days + 1):
        for actor, offer in crowd.requests(len(world.stage.offers)):
            lines = [Shown(name, bool(world.useful[offer, row])) for name, row in desk.ask(offer)]
            for event in crowd.react(actor, lines, clock.now):
                heapq.heappush(waiting, (datetime.fromisoformat(event["event_time"]), event["event_id"], event))
        clock.now = start + number * DAY
        due = _due(waiting, clock.now)
        desk.tell(due)
        told += len(due)
        desk.turn()
        if number % LEARN_EVERY == 0:
            desk.learn()
        yield _evening(number, desk, board, world, told)


def _due(waiting: list[tuple[datetime, str, Event]], now: datetime) -> list[Event]:
    due = []
    while waiting and waiting[0][0] <= now:
        due.append(heapq.heappop(waiting)[2])
    return due


def _evening(number: int, desk: Desk, board: Board, world: World, told: int) -> Day:
    name, method = desk.active()
    quality = quality_of(board, world, method)
    return Day(number, quality, name, _shares(method.weights, board), _shares(desk.adaptive(), board), told)


def _shares(weights: dict[str, float], board: Board) -> dict[str, float]:
    """Weights of the engines that take part, adding up to 1 unless all are 0."""
    taking_part = {name: weight for name, weight in weights.items() if name in board.probabilities}
    total = sum(taking_part.values())
    return {name: weight / total if total else 0.0 for name, weight in taking_part.items()}
