"""Alerts: one per cause, for a duration, with hysteresis; acknowledged, silenced, inhibited, resolved, delivered."""

from datetime import UTC, datetime, timedelta

import pytest

from ism.domain.errors import ConflictError
from ism.monitoring.alerts import AlertJudge, AlertRules, acknowledge, resolve, silence
from ism.monitoring.delivery import Delivery, DeliveryError, safe_address
from ism.monitoring.metrics import points
from ism.storage import open_sqlite

NOW = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)


@pytest.fixture
def store(tmp_path):
    with open_sqlite(tmp_path) as opened:
        yield opened


@pytest.fixture
def play(store):
    """Feed one value a minute of some metrics, judging after each; returns the open alerts."""
    judge, clock = AlertJudge(store, AlertRules(store)), [NOW]

    def minutes(number, **values):
        for _ in range(number):
            clock[0] += timedelta(minutes=1)
            store.monitoring.add_metrics(points(values, clock[0]), clock[0])
            found = judge.judge(clock[0])
        return found

    return minutes


def test_a_short_peak_is_not_told_and_a_long_one_once(play, store):
    assert play(2, cpu_percent=95.0) == []
    assert play(3, cpu_percent=20.0) == []
    assert [alert.cause for alert in play(12, cpu_percent=95.0)] == ["cpu"]
    assert store.monitoring.count_alerts() == 1


def test_between_the_limits_an_alert_stays_and_below_it_ends(play, store):
    play(8, cpu_percent=95.0)
    assert len(play(10, cpu_percent=75.0)) == 1
    assert play(8, cpu_percent=60.0) == []
    (alert,) = store.monitoring.alerts(resolved=True)
    assert alert.resolved_at is not None
    with pytest.raises(ConflictError):
        acknowledge(store, alert.alert_id, "somebody")


def test_a_meter_that_fell_silent_ends_nothing(play):
    play(8, cpu_percent=95.0)
    assert [alert.cause for alert in play(20, memory_percent=10.0)] == ["cpu"]


def test_latency_is_inhibited_while_the_processor_is_busy(play, store):
    found = {alert.cause: alert for alert in play(8, cpu_percent=95.0, latency_p95_s=3.0)}
    assert found["latency"].inhibited_by == "cpu"
    told = []
    Delivery(store, [told.append]).deliver(NOW)
    assert [alert.cause for alert in told] == ["cpu"]


def test_what_could_not_be_told_is_told_later_and_only_once(play, store):
    play(8, cpu_percent=95.0)
    told, broken = [], [True]

    def channel(alert):
        if broken:
            broken.pop()
            raise DeliveryError("down")
        told.append(alert.state)

    delivery = Delivery(store, [channel])
    assert [delivery.deliver(NOW) for _ in range(3)] == [0, 1, 0]
    play(10, cpu_percent=10.0)
    delivery.deliver(NOW)
    assert told == ["open", "resolved"]


def test_a_silence_outlives_the_alert(play, store):
    (alert,) = play(8, cpu_percent=95.0)
    silence(store, alert.alert_id, 600, "somebody")
    play(10, cpu_percent=10.0)
    (again,) = play(10, cpu_percent=95.0)
    assert again.alert_id != alert.alert_id
    told = []
    Delivery(store, [told.append]).deliver(datetime.now(UTC))
    assert told == []


def test_what_is_resolved_by_hand_opens_again_only_if_it_holds_anew(play, store):
    (alert,) = play(8, cpu_percent=95.0)
    resolve(store, alert.alert_id, "somebody", NOW + timedelta(minutes=8))
    assert play(3, cpu_percent=95.0) == []
    (again,) = play(6, cpu_percent=95.0)
    assert again.alert_id != alert.alert_id


PRIVATE = ["127.0.0.1", "169.254.169.254", "10.0.0.1", "0.0.0.0", "224.0.0.1", "[::1]", "[fe80::1]", "[fd00::1]"]
CARRIED = ["[::ffff:10.0.0.1]", "[2002:a00:1::]", "[64:ff9b::10.0.0.1]", "[64:ff9b:1::8.8.8.8]", "[ff0e::1]"]


@pytest.mark.parametrize("host", PRIVATE + CARRIED)
def test_a_webhook_reaches_no_private_address(host):
    with pytest.raises(DeliveryError, match="public"):
        safe_address(f"http://{host}/hook", private=False)
    assert safe_address(f"http://{host}/hook", private=True)[2] == 80


@pytest.mark.parametrize("host", ["8.8.8.8", "[2600::1]", "[::ffff:8.8.8.8]", "[2002:808:808::]", "[64:ff9b::8.8.8.8]"])
def test_a_webhook_reaches_a_public_address(host):
    assert safe_address(f"https://{host}/hook", private=False)[2] == 443
