"""The endpoints of the dashboard, asked as the specification prints them."""

import pytest
from launching import launched

PRINTED = {
    "/api/dashboard/overview": {
        "system_health", "ai_performance", "feedback_analytics", "retraining_status", "active_alerts", "last_updated",
    },
    "/api/dashboard/system-metrics?hours=24": list,
    "/api/dashboard/ai-metrics/matching?hours=24": list,
    "/api/dashboard/feedback-analytics?days=7": {"metrics", "summary"},
    "/api/dashboard/retraining-jobs": list,
    "/api/dashboard/alerts": {"active_alerts", "alert_history", "total_alerts"},
    "/api/dashboard/optimization-status": {"active_optimizations", "optimization_history"},
    "/api/dashboard/fusion-status": {"fusion_models", "fusion_stats", "active_model"},
}  # fmt: skip


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with launched(tmp_path_factory.mktemp("endpoints") / "data", "--disable-fusion") as it:
        it.ready()
        yield it


@pytest.mark.parametrize("address", PRINTED)
def test_each_endpoint_as_printed(system, address):
    answer = system.client.get(address)
    assert answer.status_code == 200, answer.text
    shape = PRINTED[address]
    if shape is list:
        assert isinstance(answer.json(), list)
    else:
        assert set(answer.json()) >= shape


@pytest.mark.parametrize("address", PRINTED)
def test_nobody_reads_them_without_a_key(system, address):
    assert system.client.get(address, headers={"X-API-Key": "wrong"}).status_code == 401


def test_the_dashboard_opens_in_a_browser_at_the_root(system):
    token = (system.folder.parent / "said.txt").read_text().partition("sign-in?token=")[2].split()[0]
    signed_in = system.client.get(f"/sign-in?token={token}", headers={"accept": "text/html"}, follow_redirects=True)
    assert signed_in.status_code == 200
    page = system.client.get("/", headers={"accept": "text/html"}, follow_redirects=True)
    assert page.headers["content-type"].startswith("text/html")
    system_page = system.client.get("/system", headers={"accept": "text/html"})
    for part in ("matcher", "feedback", "fusion", "optimization", "retraining", "monitoring", "Restarts"):
        assert part in system_page.text


def test_the_port_and_the_level_are_those_of_the_environment(tmp_path):
    with launched(tmp_path / "data", "--disable-fusion", LOG_LEVEL="DEBUG") as it:  # MONITORING_PORT is set, too
        it.ready()
        assert it.client.get("/api/config").json()["config"]["log_level"] == "DEBUG"
