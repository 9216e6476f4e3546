"""What every store must pass about measurements and alerts: one check for each promise of `MonitoringStore`.

Run as those of `ism.testing.store_checks`, each on a fresh, empty store.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError
from ism.domain.market import Recommendation
from ism.domain.monitoring import Alert, MetricPoint
from ism.domain.retraining import RetrainingJob
from ism.storage.base import Store
from ism.testing.store_checks import StoreCheck, expect, expect_refused

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
NAME = "cpu_percent"
ALERT = Alert("a1", "cpu", "cpu", "warning", "open", "busy", "look", "/system", 90.0, 80.0, NOW, NOW)


def check_points_are_rolled_up(store: Store) -> None:
    """Ended intervals are summed up with their bounds, once each."""
    start = NOW - timedelta(hours=2)
    for minute in range(61):
        at = start + timedelta(minutes=minute)
        store.monitoring.add_metrics([_point(at, float(minute))], at)
    (hour,) = _read(store, start, start + timedelta(minutes=30), 3600)
    found = (hour.count, hour.total, hour.least, hour.most)
    expect("an hour sums up its minutes", found == (60, sum(range(60)), 0.0, 59.0))
    fives = _read(store, start, start + timedelta(hours=1), 300)
    expect("so do five minutes", [point.count for point in fives] == [5] * 12)


def check_a_turn_may_be_repeated(store: Store) -> None:
    """The same point again replaces the first."""
    at = NOW - timedelta(minutes=90)
    for value in (1.0, 2.0):
        store.monitoring.add_metrics([_point(at, value)], NOW)
    (only,) = _read(store, at, at + timedelta(minutes=1), 60)
    expect("the later value stays", only.mean == 2.0)
    (hour,) = _read(store, at - timedelta(hours=1), NOW, 3600)
    expect("an hour counts it once", hour.count == 1)


def check_points_of_several_processes_merge(store: Store) -> None:
    """Count, sum and bounds of a minute are those of all who measured in it."""
    at = NOW - timedelta(minutes=90)
    for value in (3.0, 1.0, 2.0):
        store.monitoring.add_metrics([_point(at, value)], NOW, merge=True)
    (only,) = _read(store, at, at + timedelta(minutes=1), 60)
    found = (only.count, only.total, only.least, only.most)
    expect("three measurements in one point", found == (3, 6.0, 1.0, 3.0))


def check_old_points_go(store: Store) -> None:
    """Minutes are dropped after a day; their hours stay."""
    old = NOW - timedelta(days=2)
    store.monitoring.add_metrics([_point(old, 7.0)], old + timedelta(hours=2))
    store.monitoring.add_metrics([_point(NOW, 9.0)], NOW)
    expect("old minutes are gone", [p.mean for p in _read(store, old, NOW + timedelta(minutes=1), 60)] == [9.0])
    expect("their hour stays", [p.mean for p in _read(store, NOW - timedelta(days=40), NOW, 3600)] == [7.0])


def check_each_resolution_is_kept_for_its_days(store: Store) -> None:
    """A minute for a day, five minutes for 30, hours and six hours for 400: to the second, and not longer."""
    limits = {60: 1, 300: 30, 3600: 400, 21_600: 400}
    start = (NOW - timedelta(days=500)).replace(hour=0)
    store.monitoring.add_metrics([_point(start, 7.0)], start + timedelta(hours=7))

    def kept(now: datetime) -> dict[int, bool]:
        store.monitoring.add_metrics([], now)
        return {each: bool(_read(store, start, start + timedelta(minutes=1), each)) for each in limits}

    for days in sorted(set(limits.values())):
        end = start + timedelta(days=days)
        expect(f"{days} days keep it", kept(end) == {each: most >= days for each, most in limits.items()})
        late = kept(end + timedelta(seconds=1))
        expect(f"but no second more than {days}", late == {each: most > days for each, most in limits.items()})


def check_names_by_prefix(store: Store) -> None:
    """Metrics are found by the beginning of their name, wildcards taken as they are."""
    store.monitoring.add_metrics([_point(NOW, 1.0, name) for name in ("model.a:x", "model_a:x", NAME)], NOW)
    expect("only those", store.monitoring.metric_names("model.a") == ["model.a:x"])
    expect("an underscore is no wildcard", store.monitoring.metric_names("model_") == ["model_a:x"])


def check_one_open_alert_per_cause(store: Store) -> None:
    """However many open it at once, a cause has one alert until it is resolved."""
    alerts = [replace(ALERT, alert_id=f"a{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(store.monitoring.open_alert, alerts))
    expect("one of them is kept", sum(opened) == 1)
    expect("and only one", store.monitoring.count_alerts() == 1)
    (kept,) = store.monitoring.alerts(resolved=False)
    store.monitoring.change_alert(kept.alert_id, {"state": "resolved", "resolved_at": NOW})
    expect("after it a new one opens", store.monitoring.open_alert(replace(ALERT, alert_id="later")))


def check_alerts_change_until_they_are_resolved(store: Store) -> None:
    """Every field comes back as it was set; a resolved one stays as it is, but for what was told."""
    store.monitoring.open_alert(ALERT)
    values = {"state": "acknowledged", "acknowledged_at": NOW, "acknowledged_by": "Zoë", "silenced_until": NOW}
    changed = store.monitoring.change_alert("a1", values)
    expect("it is changed", changed == replace(ALERT, **values))  # type: ignore[arg-type]  # fields of an Alert
    expect("and kept", store.monitoring.alerts(resolved=False) == [changed])
    expect_refused(InvalidInputError, "colour", lambda: store.monitoring.change_alert("a1", {"colour": "red"}))
    expect_refused(NotFoundError, "none", lambda: store.monitoring.change_alert("none", {"value": 1.0}))
    store.monitoring.change_alert("a1", {"state": "resolved", "resolved_at": NOW})
    expect_refused(ConflictError, "a1", lambda: store.monitoring.change_alert("a1", {"value": 1.0}))
    expect("it is not told yet", len(store.monitoring.alerts(resolved=True, untold=True)) == 1)
    store.monitoring.change_alert("a1", {"told": "resolved"})
    expect("then it is", not store.monitoring.alerts(resolved=True, untold=True))


def check_what_was_shown(store: Store) -> None:
    """Requests of a time, the latest ones in order, and their lists by rank."""
    for number in range(3):
        at = NOW - timedelta(hours=3 - number)
        store.log_recommendations([_shown(f"q{number}", rank, at) for rank in (2, 1)])
    late = store.monitoring.requests(NOW - timedelta(days=1), NOW, 2)
    expect("the latest two, in order", late == ["q1", "q2"])
    expect(
        "the end is left out",
        store.monitoring.requests(NOW - timedelta(hours=2), NOW - timedelta(hours=1), 9) == ["q1"],
    )
    offers = store.monitoring.offers(NOW - timedelta(hours=3), NOW - timedelta(hours=1))
    expect("what was offered comes once a request", offers == [{"material": "q0"}, {"material": "q1"}])
    rows = store.monitoring.shown_of(["q1", "none"])
    expect("a list is by rank", [row[1] for row in rows] == [0.5, 0.25])
    expect("with the engines' scores", rows[0][3] == {"matching": 0.5})
    between = store.monitoring.shown(NOW - timedelta(hours=2, minutes=30), NOW)
    expect("so are those of a time", {row[0] for row in between} == {"q1", "q2"})
    mean = sum(row[2] for row in between) / len(between)
    total = store.monitoring.shown_total(NOW - timedelta(hours=2, minutes=30), NOW)
    store.log_recommendations([replace(_shown("q3", 1, NOW), engine_scores={"matching": 0.5, "gnn": 0.0})])
    day = (NOW - timedelta(days=1), NOW + timedelta(minutes=1))
    expect("one engine scored all", store.monitoring.fused_by_all(*day, ["matching"]) == 4)
    expect("two scored one", store.monitoring.fused_by_all(*day, ["matching", "gnn"]) == 1)
    expect("the rest nobody", store.monitoring.fused_by_all(*day, ["matching", "gnn", "federated"]) == 0)
    expect("they are counted", total[:2] == (2, 4) and total[2] is not None and abs(total[2] - mean) < 1e-9)
    expect("no mean of nothing", store.monitoring.shown_total(day[1], NOW + timedelta(hours=1)) == (0, 0, None))


def check_jobs_are_counted_by_state(store: Store) -> None:
    """One number for each state that occurs."""
    expect("none at first", store.monitoring.job_states() == {})
    for number in range(3):
        store.retraining.add_job(RetrainingJob(f"j{number}", "gnn", "manual", {}, "REQUESTED", NOW))
    expect("then those", store.monitoring.job_states() == {"REQUESTED": 1, "COALESCED": 2})


MONITORING_CHECKS: tuple[StoreCheck, ...] = (
    check_points_are_rolled_up,
    check_a_turn_may_be_repeated,
    check_points_of_several_processes_merge,
    check_old_points_go,
    check_each_resolution_is_kept_for_its_days,
    check_names_by_prefix,
    check_one_open_alert_per_cause,
    check_alerts_change_until_they_are_resolved,
    check_what_was_shown,
    check_jobs_are_counted_by_state,
)


def _point(at: datetime, value: float, name: str = NAME) -> MetricPoint:
    return MetricPoint(name, at, 60, 1, value, value, value)


def _read(store: Store, since: datetime, until: datetime, resolution_s: int) -> list[MetricPoint]:
    return store.monitoring.metrics([NAME], since, until, resolution_s)


def _shown(request: str, rank: int, at: datetime) -> Recommendation:
    return Recommendation(
        f"{request}-{rank}", request, rank, "company", f"r{rank}", 0.5 / rank, 0.5, 1.0, {"matching": 0.5 / rank},
        offer={"material": request}, created_at=at,
    )  # fmt: skip
