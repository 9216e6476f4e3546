"""What a store promises about measurements and alerts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from ism.domain.monitoring import Alert, MetricPoint

RESOLUTIONS = (60, 300, 3600, 21_600)  # seconds
KEPT_DAYS = {60: 1, 300: 30, 3600: 400, 21_600: 400}


class MonitoringStore(ABC):
    """Measurements and alerts; each method is one transaction."""

    @abstractmethod
    def add_metrics(self, points: Sequence[MetricPoint], now: datetime, merge: bool = False) -> None:
        """Keep raw points; roll up intervals that have ended by ``now``, and drop what is older than `KEPT_DAYS`.

        A point that is stored already is replaced, so that a turn may be repeated; where they are to ``merge``, such as
        measurements of several processes, it gets their count, sum and bounds.
        """

    @abstractmethod
    def metrics(
        self, names: Collection[str], since: datetime, until: datetime, resolution_s: int | None = None
    ) -> list[MetricPoint]:
        """Points of some metrics by time; by default at the finest resolution that is kept and gives some 400 each."""

    @abstractmethod
    def metric_names(self, prefix: str) -> list[str]:
        """Names that begin so."""

    @abstractmethod
    def open_alert(self, alert: Alert) -> bool:
        """Keep a new alert; False when its cause has one that is not resolved."""

    @abstractmethod
    def change_alert(self, alert_id: str, values: Mapping[str, object]) -> Alert:
        """Set fields by name; NotFoundError when there is none, ConflictError when it is resolved (but for told)."""

    @abstractmethod
    def alerts(self, *, resolved: bool, limit: int = 100, untold: bool = False) -> list[Alert]:
        """Alerts that are or are not resolved, newest first.

        Args:
            resolved: which of both.
            limit: most of them.
            untold: only those whose state was not delivered.
        """

    @abstractmethod
    def count_alerts(self) -> int:
        """How many there are in all."""

    @abstractmethod
    def feedback_days(self, since: datetime, until: datetime) -> list[tuple[str, int, int, int, float]]:
        """Ratings that count, by day (``YYYY-MM-DD``): number, positive, negative, and their sum."""

    @abstractmethod
    def model_ratings(self, since: datetime, until: datetime) -> dict[str, tuple[int, float]]:
        """Model -> number of ratings that count, and their sum."""

    @abstractmethod
    def job_states(self) -> dict[str, int]:
        """State -> how many retraining jobs are in it."""

    @abstractmethod
    def requests(self, since: datetime, until: datetime, limit: int) -> list[str]:
        """Identifiers of the latest requests for matches of a time, in order of time."""

    @abstractmethod
    def offers(self, since: datetime, until: datetime) -> list[Mapping[str, Any]]:
        """What the requests of a time offered, as it was logged, in order of time."""

    @abstractmethod
    def shown_of(self, requests: Collection[str]) -> list[tuple[str, float, float, Mapping[str, float]]]:
        """As `shown`, of some requests, each by rank."""

    @abstractmethod
    def shown(self, since: datetime, until: datetime) -> list[tuple[str, float, float, Mapping[str, float]]]:
        """Request, final score, confidence and the engines' scores of what was recommended in a time."""

    @abstractmethod
    def fused_by_all(self, since: datetime, until: datetime, engines: Collection[str]) -> int:
        """How many requests of a time every one of these engines scored."""

    @abstractmethod
    def shown_total(self, since: datetime, until: datetime) -> tuple[int, int, float | None]:
        """How many requests and recommendations there were in a time; mean confidence of the latter, None without."""
