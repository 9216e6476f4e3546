"""The page of alerts: what is open, what can be done about it, what was, and when to tell."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from ism.app.wiring import Application
from ism.domain.monitoring import Alert
from ism.monitoring.metrics import points

NOW = datetime.now(UTC)
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def alert(application: Application) -> Alert:
    """One that somebody tried to break pages with."""
    found = Alert("a1", "cpu", "cpu", "warning", "open", f"Busy {EVIL}", "Cancel a job.",
                  "/system?range=24h#panel-cpu", 95.0, 80.0, NOW - timedelta(hours=1), NOW)  # fmt: skip
    application.store.monitoring.open_alert(found)
    return found


def test_an_open_alert_says_what_to_do_and_leads_to_its_cause(client: TestClient, alert: Alert) -> None:
    text = client.get("/alerts").text
    assert 'href="/system?range=24h#panel-cpu"' in text
    assert "Cancel a job." in text
    assert EVIL not in text
    assert 'id="panel-cpu"' in client.get("/system?range=24h").text
    (row,) = client.get("/panels/overview/attention.json").json()["rows"][:1]
    assert (row["severity"], row["do"]) == ("warning", "Cancel a job.")


def test_every_rule_leads_to_a_panel_that_exists(client: TestClient, application: Application) -> None:
    for rule in application.monitoring.rules.every():
        address, _, panel = rule.link.format(model="gnn").partition("#")
        assert f'id="{panel}"' in client.get(address).text, rule.name


def test_an_alert_is_acknowledged_silenced_and_resolved(
    client: TestClient, application: Application, alert: Alert
) -> None:
    def act(**form: str) -> int:
        return client.post("/act/alerts/a1", data=form, follow_redirects=False).status_code

    assert act(decision="nothing") == 422
    assert act(decision="silence", minutes="abc") == 422
    assert act(decision="silence", minutes="0") == 422
    assert act(decision="acknowledge") == 303
    assert act(decision="silence", minutes="60") == 303
    (now,) = client.get("/panels/alerts/open.json").json()["rows"]
    assert now["state"].startswith("acknowledged by")
    assert "silent until" in now["state"]
    assert act(decision="resolve") == 303
    assert act(decision="acknowledge") == 409
    assert client.get("/panels/alerts/open.json").json()["rows"] == []
    (past,) = client.get("/panels/alerts/history.json").json()["rows"]
    assert past["lasted"] > 3600
    assert application.store.monitoring.count_alerts() == 1
    assert client.post("/act/alerts/none", data={"decision": "resolve"}).status_code == 404
    assert client.post("/api/alerts/a1/resolve").status_code == 409


def test_a_rule_is_changed_on_the_page(client: TestClient, application: Application) -> None:
    form = {"enter": "95", "leave": "90", "for_minutes": "10", "severity": "critical", "enabled": "false"}
    assert client.post("/act/rules/cpu", data={**form, "leave": "99"}).status_code == 422
    assert client.post("/act/rules/cpu", data={**form, "enter": "much"}).status_code == 422
    assert client.post("/act/rules/none", data=form).status_code == 404
    assert client.post("/act/rules/cpu", data=form, follow_redirects=False).status_code == 303
    rule = application.monitoring.rules.every()[0]
    assert (rule.enter, rule.leave, rule.for_minutes, rule.severity, rule.enabled) == (
        95.0,
        90.0,
        10,
        "critical",
        False,
    )


def audited(application: Application) -> list[tuple[str, str, str, dict[str, object]]]:
    entries = application.store.audit.entries()
    return [(each.actor, each.action, each.target, dict(each.details)) for each in reversed(entries)]


def test_what_is_done_about_alerts_and_rules_is_audited_alike_from_the_page_and_the_api(
    client: TestClient, application: Application, alert: Alert
) -> None:
    application.store.monitoring.open_alert(replace(alert, alert_id="a2", cause="memory", rule="memory"))
    client.post("/act/alerts/none", data={"decision": "resolve"})
    before = len(audited(application))
    for form in ({"decision": "acknowledge"}, {"decision": "silence", "minutes": "60"}, {"decision": "resolve"}):
        client.post("/act/alerts/a1", data=form)
    form = {"enter": "95", "leave": "90", "for_minutes": "10", "severity": "critical", "enabled": "true"}
    client.post("/act/rules/cpu", data=form)
    page = audited(application)[before:]
    client.post("/api/alerts/a2/acknowledge")
    client.post("/api/alerts/a2/silence", json={"minutes": 60})
    client.post("/api/alerts/a2/resolve")
    values = {"enter": 95.0, "leave": 90.0, "for_minutes": 10, "severity": "critical", "enabled": True}
    client.patch("/api/alert-rules/cpu", json=values)
    assert [(action, target, details) for _, action, target, details in page] == [
        ("alert.acknowledge", "a1", {"cause": "cpu"}),
        ("alert.silence", "a1", {"cause": "cpu", "minutes": 60}),
        ("alert.resolve", "a1", {"cause": "cpu"}),
        ("alert-rule.change", "cpu", {**values, "enter": "95.0", "leave": "90.0"}),
    ]
    api = audited(application)[before + len(page) :]
    assert [(who, action, {**details, "cause": None}) for who, action, _, details in api] == [
        (who, action, {**details, "cause": None}) for who, action, _, details in page
    ]


def test_load_is_told_over_the_time_of_the_address(client: TestClient, application: Application) -> None:
    for hours, value in ((1, 50.0), (30, 70.0)):
        at = NOW - timedelta(hours=hours)
        application.store.monitoring.add_metrics(points({"cpu_percent": value, "latency_p95_s": 0.5}, at), NOW)
    rows = client.get("/panels/system/cpu.json?range=24h").json()["rows"]
    assert [row["cpu"] for row in rows] == [0.5]
    told = client.get("/panels/system/latency.json?range=24h").json()
    assert told["units"]["latency_p95_s"] == "s"
    assert client.get("/panels/system/cpu.json?range=1h&x=1").json()["empty"]


def test_the_health_of_the_overview_counts_alerts(client: TestClient, alert: Alert) -> None:
    (health,) = [row for row in client.get("/panels/overview/numbers.json").json()["rows"] if row["what"] == "Health"]
    assert "85 of 100: 1 open alert" in health["detail"]
