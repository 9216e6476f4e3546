"""SPEC.md's calls of the dashboard, as printed."""

import inspect

from backend.ai_monitoring_dashboard import AIMonitoringDashboard
from ism.app import monitoring


def test_the_documented_calls_exist_and_making_one_opens_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dashboard = AIMonitoringDashboard()
    assert inspect.signature(dashboard.run_dashboard).bind(host="0.0.0.0", port=5001)
    assert AIMonitoringDashboard is monitoring.AIMonitoringDashboard
    assert list(tmp_path.iterdir()) == []
