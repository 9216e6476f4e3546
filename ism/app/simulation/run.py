"""One simulation from an empty folder to its result, as `ism simulate` shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ism.app.simulation.behaviour import Crowd, actor_name
from ism.app.simulation.chart import svg_chart
from ism.app.simulation.desk import Clock, HttpDesk
from ism.app.simulation.play import Day, play, static_quality
from ism.app.simulation.scene import open_scene, prepare
from ism.app.simulation.world import draw_world

START = datetime(2026, 3, 2, 8, tzinfo=UTC)  # a Monday; any would do
CHART = "quality.svg"
TITLE = "Quality of the lists, nDCG@10 (simulated)"


@dataclass(frozen=True)
class Simulated:
    """What came of a simulation.

    Attributes:
        days: the state each evening, the first before the first day.
        static: quality of the default weights, which never change.
        triggers: decisions about retraining, the latest first.
        trust: mean trust of actors who were judged, 0..1: ``honest`` and, where there are any, ``hostile``.
        seconds: that it took.
    """

    days: list[Day]
    static: float
    triggers: list[dict[str, Any]]
    trust: dict[str, float]
    seconds: float

    def plain(self) -> dict[str, Any]:
        """For JSON; says that it is simulated."""
        return {"simulated": True, **asdict(self)}


def simulate(
    folder: Path, days: int, seed: int, hostile: float, watch: Callable[[float, Day], None] | None = None
) -> Simulated:
    """Play a market through the HTTP API of the real application, on a folder of its own.

    Args:
        folder: new, empty, or from an earlier simulation, whose engines are used again.
        days: 1 or more.
        seed: of luck and of everything that people do.
        hostile: share of the actors who collude, 0..1.
        watch: called each evening, with the static quality.

    Raises:
        ConflictError: the folder holds something that no simulation made.
    """
    started = time.perf_counter()
    prepare(folder)
    clock, evenings = Clock(START), list[Day]()
    with open_scene(folder, clock) as scene:
        world, crowd = draw_world(scene.stage, seed), Crowd(seed, hostile)
        static = static_quality(scene.board, world)
        with HttpDesk(scene.application, scene.stage) as desk:
            for evening in play(desk, scene.board, world, crowd, clock, days):
                evenings.append(evening)
                if watch is not None:
                    watch(static, evening)
            triggers, trust = desk.triggers(), _trust(desk.actors(), crowd)
    drawn = svg_chart([evening.quality for evening in evenings], static, TITLE, "day")
    (folder / CHART).write_text(drawn, encoding="utf-8")
    return Simulated(evenings, static, triggers, trust, time.perf_counter() - started)


def _trust(actors: list[dict[str, Any]], crowd: Crowd) -> dict[str, float]:
    hostile = {actor_name(number) for number in range(crowd.hostile)}
    known: dict[str, list[float]] = {"honest": [], "hostile": []}
    for actor in actors:
        known["hostile" if actor["actor_id"] in hostile else "honest"].append(float(actor["trust"]))
    return {kind: sum(values) / len(values) for kind, values in known.items() if values}
