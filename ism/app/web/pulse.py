"""Notices what changed and tells everybody who listens; two looks a second for all of them, none while nobody does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync

from ism.domain.errors import IsmError
from ism.engines import catalog
from ism.feedback.judge import CONSUMER

if TYPE_CHECKING:
    from ism.app.wiring import Application

Marks = Mapping[str, object]
Heard = asyncio.Queue[frozenset[str] | None]

_MOST_WAITING = 100
_JOBS = 20  # the newest ones, which are those that change
_log = logging.getLogger("ism.http")


class Pulse:
    """Compares marks of the state, topic by topic.

    Args:
        look: topic -> a value that differs whenever what the topic stands for does; called in a thread.
        every_s: seconds from one look to the next.
        beat_s: seconds of silence after which a listener is told that all is well.
    """

    def __init__(self, look: Callable[[], Marks], every_s: float = 0.5, beat_s: float = 5.0) -> None:
        self._look, self._every_s, self.beat_s = look, every_s, beat_s
        self._listeners: set[Heard] = set()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Heard]:
        """A queue of sets of topics; None when there will be no more."""
        heard: Heard = asyncio.Queue(_MOST_WAITING)
        self._listeners.add(heard)
        if self._task is None:
            self._task = asyncio.create_task(self._watch())
        try:
            yield heard
        finally:
            self._listeners.discard(heard)

    async def close(self) -> None:
        """Stop looking and let every listener go."""
        self._tell(None)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _watch(self) -> None:
        before: Marks | None = None
        while self._listeners:
            try:
                now = await run_sync(self._look)
            except IsmError as error:  # the next look may do better; meanwhile beats go on
                _log.warning("Live events cannot see the store: %s", error)
            else:
                if before is not None and (changed := {name for name in now if now[name] != before.get(name)}):
                    self._tell(frozenset(changed))
                before = now
            await asyncio.sleep(self._every_s)
        self._task = None

    def _tell(self, topics: frozenset[str] | None) -> None:
        for heard in self._listeners:
            if heard.full():  # a listener that does not read need not keep us
                heard.get_nowait()
            heard.put_nowait(topics)


def marks(application: Application) -> Marks:
    """What differs when a page of panels would: topic -> mark; cheap enough for every second."""
    store = application.store
    return {
        "feedback": (store.feedback.last_sequence(), store.feedback.cursor(CONSUMER)),
        "market": store.generation(),
        "models": (
            store.fusion_generation(),
            [store.retraining.deployment(name).generation for name in catalog.names()],
        ),
        "jobs": ([(job.job_id, job.moves) for job in store.retraining.jobs(limit=_JOBS)], _newest(application)),
        "alerts": (
            store.monitoring.count_alerts(),
            [(each.alert_id, each.state, each.silenced_until) for each in store.monitoring.alerts(resolved=False)],
        ),
        "metrics": application.monitoring.collector.turns,
        "components": sorted((name, each["state"]) for name, each in application.components().items()),
    }


def _newest(application: Application) -> float:
    """When a search last told how far it is; 0 where there is none."""
    told = (application.settings.data_dir / "tuning").glob("*/*")
    return max((path.stat().st_mtime for path in told), default=0.0)
