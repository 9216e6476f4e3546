"""The collector: one thread that measures machine, requests and models, and keeps it once a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from ism.domain.background import Background
from ism.domain.errors import EngineError, IsmError
from ism.domain.monitoring import MetricPoint
from ism.monitoring.requests import BUCKETS, RequestLog, RequestTotals
from ism.storage.lead import SOLE, Leadership
from ism.storage.monitoring_base import RESOLUTIONS

if TYPE_CHECKING:
    from ism.storage import Store

RAW_S = RESOLUTIONS[0]
SYSTEM = (
    "cpu_percent",
    "memory_percent",
    "disk_percent",
    "process_memory_mib",
    "active_connections",
    "requests_per_second",
    "error_percent",
    "latency_mean_s",
    "latency_p95_s",
    "match_latency_p95_s",
    "matches_per_second",
    "failed_matches",
)
Turn = Callable[[datetime], object]
_LATE = 5  # intervals without a measurement after which it does not work; turns may take their time
_log = logging.getLogger("ism.monitoring")


class SystemSampler:
    """Measures the machine and, through the request log, the server, since the last reading.

    Args:
        log: of requests.
        folder: whose disk is watched.
    """

    def __init__(self, log: RequestLog, folder: Path) -> None:
        self._log, self._folder = log, folder
        self._process = psutil.Process()
        self._before = (log.every.totals(), log.matches.totals())
        psutil.cpu_percent(None)  # the first reading has nothing to compare with

    def read(self, seconds: float) -> dict[str, float]:
        """Measurements by name; one that cannot be taken (no request came) is left out.

        Args:
            seconds: how long ago the last reading was.
        """
        found = {
            "cpu_percent": psutil.cpu_percent(None),
            "memory_percent": psutil.virtual_memory().percent,
            "disk_percent": psutil.disk_usage(str(self._folder)).percent,
            "process_memory_mib": self._process.memory_info().rss / 2**20,
            "active_connections": float(self._log.active),
        }
        every, matches = self._log.every.totals(), self._log.matches.totals()
        new, asked = every.since(self._before[0]), matches.since(self._before[1])
        self._before = (every, matches)
        found |= {"requests_per_second": new.requests / seconds, "matches_per_second": asked.requests / seconds}
        found["failed_matches"] = float(asked.errors)
        return found | _durations(new, asked)


def _durations(new: RequestTotals, asked: RequestTotals) -> dict[str, float]:
    found: dict[str, float] = {}
    if new.requests:
        found["error_percent"] = 100.0 * new.errors / new.requests
        found["latency_mean_s"] = new.seconds / new.requests
        found["latency_p95_s"] = new.quantile(0.95) or 0.0
    if asked.requests:
        found["match_latency_p95_s"] = asked.quantile(0.95) or 0.0
    return found


class Collector:
    """Writes measurements once a minute, in one transaction, then lets others look at them.

    Args:
        store: keeps the measurements.
        sampler: measures.
        turns: called after each write with the moment of it, such as the judging of alert rules; what one raises is
            logged and stops neither the others nor the next turn.
        seconds: between two writes.
        lead: whether this process takes those turns, where several share a store; all of them measure.

    Attributes:
        turns: how many there were.
    """

    def __init__(
        self,
        store: Store,
        sampler: SystemSampler,
        turns: Mapping[str, Turn],
        seconds: float = float(RAW_S),
        lead: Leadership = SOLE,
    ) -> None:
        self._store, self._sampler, self._jobs, self._seconds, self._lead = store, sampler, turns, seconds, lead
        self.turns = 0
        self._background = Background(self._run, "monitoring")
        self._failure: str | None = None
        self._kept_at = 0.0  # of the monotonic clock

    def start(self) -> None:
        """Begin; does nothing when it has begun."""
        if not self._background.alive:
            self._failure, self._kept_at = None, time.monotonic()
        self._background.start()

    def stop(self, wait_s: float = 10.0) -> None:
        """End; waits so long for a turn that is under way."""
        self._background.stop(wait_s)

    def close(self, wait_s: float = 10.0) -> None:
        """End for good."""
        self._background.close(wait_s)

    def probe(self) -> str:
        """Whether measurements are kept, for people.

        Raises:
            EngineError: they are not.
        """
        age = time.monotonic() - self._kept_at
        if not self._background.alive:
            raise EngineError("The thread that measures has ended.")
        if self._failure is not None:
            raise EngineError(f"Measurements cannot be kept: {self._failure}")
        if age > _LATE * self._seconds:
            raise EngineError(f"Nothing was measured for {age:.0f} s.")
        return f"Measured every {self._seconds:g} s, last {age:.0f} s ago."

    def collect(self, now: datetime | None = None) -> None:
        """One turn."""
        moment = now or datetime.now(UTC)
        read = points(self._sampler.read(self._seconds), moment)
        self._store.monitoring.add_metrics(read, moment, merge=True)
        self._kept_at = time.monotonic()
        with self._lead.term() as mine:
            if mine:
                self._take_turns(moment)
        self.turns += 1

    def _take_turns(self, moment: datetime) -> None:
        for name, turn in self._jobs.items():
            try:
                turn(moment)
            except IsmError as error:
                _log.warning("Monitoring: %s failed: %s", name, error)
            except Exception:  # noqa: BLE001 - one part that fails must not blind the others
                _log.exception("Monitoring: %s failed.", name)

    def _run(self) -> None:
        while not self._background.over.wait(self._seconds):
            try:
                self.collect()
                self._failure = None
            except Exception as error:  # noqa: BLE001 - the next minute is measured all the same
                self._failure = str(error) if isinstance(error, IsmError) else f"{type(error).__name__}."
                if not self._background.over.is_set():
                    _log.exception("Measurements could not be kept.")


def points(values: Mapping[str, float], at: datetime) -> list[MetricPoint]:
    """Raw points of single measurements, in the minute that holds ``at``."""
    start = at.replace(second=0, microsecond=0)
    return [MetricPoint(name, start, RAW_S, 1, value, value, value) for name, value in values.items()]


def exposition(log: RequestLog, latest: Mapping[str, float]) -> str:
    """Prometheus' text format 0.0.4: counters since the process started, and the latest measurements as gauges."""
    totals = log.every.totals()
    lines = [
        "# HELP ism_requests_total HTTP requests answered.",
        "# TYPE ism_requests_total counter",
        f"ism_requests_total {totals.requests}",
        "# HELP ism_request_errors_total HTTP requests answered with 500 or more.",
        "# TYPE ism_request_errors_total counter",
        f"ism_request_errors_total {totals.errors}",
        "# HELP ism_request_duration_seconds How long requests took.",
        "# TYPE ism_request_duration_seconds histogram",
    ]
    seen = 0
    for end, count in zip(BUCKETS, totals.buckets, strict=False):
        seen += count
        lines.append(f'ism_request_duration_seconds_bucket{{le="{end:.6g}"}} {seen}')
    lines += [
        f'ism_request_duration_seconds_bucket{{le="+Inf"}} {totals.requests}',
        f"ism_request_duration_seconds_sum {totals.seconds:.6f}",
        f"ism_request_duration_seconds_count {totals.requests}",
    ]
    models: dict[str, list[str]] = {}
    for name, value in sorted(latest.items()):
        family, _, model = name.partition(":")
        label = f'{{model="{_escaped(model)}"}}' if model else ""
        models.setdefault(f"ism_{family.replace('.', '_')}", []).append(f"{label} {value!r}")
    for family, values in models.items():
        lines += [f"# TYPE {family} gauge", *(f"{family}{value}" for value in values)]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
