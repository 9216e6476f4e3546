"""The documented door to the dashboard; as a program it serves the default data folder."""

from ism.app.monitoring import AIMonitoringDashboard

__all__ = ["AIMonitoringDashboard"]


if __name__ == "__main__":
    AIMonitoringDashboard().run_dashboard()
