"""Monitoring put together: the log of requests, the collector and its turns, and the documented dashboard class."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ism.app.record import shown_url
from ism.engines import catalog
from ism.feedback.limits import rules_from
from ism.monitoring.alerts import AlertJudge, AlertRules
from ism.monitoring.dashboard import HEALTH, Dashboard, health_score
from ism.monitoring.delivery import Delivery, channels_of
from ism.monitoring.drift import DriftWatch
from ism.monitoring.metrics import Collector, SystemSampler, exposition, points
from ism.monitoring.outlook import OutlookWatch
from ism.monitoring.quality import FUSION, QualityMeter
from ism.monitoring.requests import EngineTimes, RequestLog, RequestTotals
from ism.storage.lead import SOLE, Leadership

if TYPE_CHECKING:
    from ism.domain.engine import FusionModel
    from ism.fusion.layer import AIFusionLayer
    from ism.settings import Settings
    from ism.storage import Store


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists: with PostgreSQL there may be none yet."""
    whole = folder.resolve()
    return next(each for each in (whole, *whole.parents) if each.is_dir())


class Monitoring:
    """What measures and tells, for one process.

    Args:
        settings: where alerts are delivered.
        store: keeps everything; is not closed.
        engine_times: where the engines' times are counted; None while nothing matches.
        lead: whether this process judges and tells alerts, where several share a store.

    Attributes:
        requests: counts what the server answers.
        rules: when to tell.
        dashboard: what is shown.
        collector: measures once a minute after its `start`.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        engine_times: Callable[[], EngineTimes | None] = lambda: None,
        lead: Leadership = SOLE,
    ) -> None:
        models = catalog.names()
        self._store, self._engine_times, self._fuses = store, engine_times, settings.fusion_enabled
        self.requests, self.rules, self.dashboard = RequestLog(), AlertRules(store), Dashboard(store, models)
        judge = AlertJudge(store, self.rules)
        delivery = Delivery(store, channels_of(settings, shown_url(settings)))
        turns: dict[str, Callable[[datetime], object]] = {
            "quality": QualityMeter(store, rules_from(settings), models, self._times).turn,
            "drift": DriftWatch(store).turn,
            "outlook": OutlookWatch(store).turn,
            "alerts": judge.judge,
            "health": self._health,
            "delivery": delivery.deliver,
        }
        sampler = SystemSampler(self.requests, existing(settings.data_dir))
        self.collector = Collector(store, sampler, turns, lead=lead)

    def _times(self) -> dict[str, RequestTotals]:
        found = self._engine_times()
        return {**(found.totals() if found else {}), FUSION: self.requests.matches.totals()}

    def _health(self, now: datetime) -> None:
        alerts = [alert.as_dict() for alert in self._store.monitoring.alerts(resolved=False, limit=1000)]
        self._store.monitoring.add_metrics(points({HEALTH: health_score(alerts)}, now), now)

    def exposition(self) -> str:
        """All measurements in Prometheus' text format."""
        return exposition(self.requests, self.dashboard.latest())

    def fusion_status(self, fusion: AIFusionLayer) -> dict[str, Any]:
        """Fusion models, the active one, and what became of the matches of the last 24 hours.

        A fusion is one answer, or one request for it that failed (status 500 or more, those turned away included). It
        is successful where every engine that the active model weighs took part; ``missing`` says why a number is None
        or not whole.
        """
        now = datetime.now(UTC)
        model = fusion.get_active_model()
        active = model.model_id
        since, until = now - timedelta(hours=24), now + timedelta(seconds=1)
        answered, _, confidence = self._store.monitoring.shown_total(since, until)
        whole = self._store.monitoring.fused_by_all(since, until, list(model.weights))
        counted = self._store.monitoring.metrics(["failed_matches"], since, until)
        failed = round(sum(point.total for point in counted)) if counted else None
        return {
            "fusion_models": [
                {**_model(each), "is_active": each.model_id == active} for each in fusion.get_fusion_models()
            ],
            "fusion_stats": {
                "total_fusions": answered + (failed or 0),
                "successful_fusions": whole,
                "incomplete_fusions": answered - whole,
                "failed_fusions": failed,
                "average_confidence": confidence,
                "last_updated": now.isoformat(),
                "missing": self._lacks(answered, failed),
            },
            "active_model": active,
        }

    def _lacks(self, answered: int, failed: int | None) -> str | None:
        found = []
        if not answered:
            found.append("Nothing was matched in the last 24 hours.")
        elif not self._fuses:
            found.append("Fusion is switched off: one engine answers alone, which is no successful fusion.")
        if failed is None:
            found.append("Failed requests were not counted: nothing was measured in the last 24 hours.")
        return " ".join(found) or None

    def close(self) -> None:
        """End the collector."""
        self.collector.close()


def _model(model: FusionModel) -> dict[str, Any]:
    values = {name: getattr(model, name) for name in ("model_id", "model_type", "version")}
    more = {name: getattr(model, name) for name in ("weights", "parameters", "performance_metrics")}
    return {**values, **more, "last_updated": model.last_updated.isoformat() if model.last_updated else None}


class AIMonitoringDashboard:
    """The dashboard as a program of its own; making one opens nothing.

    Args:
        settings: every knob; from the environment by default.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings

    def run_dashboard(self, host: str = "127.0.0.1", port: int = 5001) -> None:
        """Serve pages and API until interrupted; owns the data folder meanwhile.

        Raises:
            ConfigurationError: the address cannot be listened on.
            StorageError: the store cannot be opened, such as where another process has the folder.
        """
        from ism.app.cli.serve import serve  # noqa: PLC0415 - the server loads only when it runs

        given: dict[str, Any] = {} if self._settings is None else self._settings.model_dump(exclude_unset=True)
        serve({**given, "host": host, "port": port})
