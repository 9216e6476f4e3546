"""The five groups of the specification's dashboard: each line has a panel, which says why where it is empty."""

import pytest
from launching import launched

# group -> line of the specification -> panels, each with what its title or its note says
FEATURES = {
    "System Health": {
        "CPU and memory usage": {"system/cpu": "Processor", "system/memory": "Memory"},
        "Active connections": {"system/connections": "Connections"},
        "Error rates": {"system/errors": "Errors"},
        "Overall health score": {"overview/numbers": "Health"},
    },
    "AI Performance": {
        "Model accuracy trends": {"models/accuracy": "Quality in service", "models/quality": "nDCG@10"},
        "Latency monitoring": {"system/latency": "Latency", "models/use": "p95"},
        "Throughput analysis": {"system/requests": "Answered a second"},
        "Confidence scores": {"models/measured": "probabilities"},
    },
    "Feedback Analytics": {
        "User satisfaction trends": {"feedback/satisfaction": "Mean of"},
        "Feedback volume analysis": {"feedback/volume": "Volume"},
        "Positive/negative ratio": {"feedback/volume": "Positive is a rating of 4 or 5, negative of 1 or 2"},
        "Improvement tracking": {"overview/satisfaction": "Satisfaction"},
    },
    "Retraining Status": {
        "Active retraining jobs": {"jobs/retraining": "Retraining"},
        "Success/failure rates": {"models/gate": "Why it was or was not deployed"},
        "Model improvement tracking": {"models/quality": "promotions"},
        "Deployment status": {"models/serving": "What serves", "models/ledger": "What changed"},
    },
    "Optimization Status": {
        "Active optimizations": {"jobs/searches": "Searches for better parameters"},
        "Performance improvements": {"jobs/trials": "Trials"},
        "Hyperparameter trends": {"jobs/importances": "What mattered", "jobs/coordinates": "together"},
        "Model versioning": {"models/versions": "Versions"},
    },
}
LINES = [
    (line, panel, says)
    for group in FEATURES.values()
    for line, panels in group.items()
    for panel, says in panels.items()
]


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with launched(tmp_path_factory.mktemp("features") / "data") as it:
        it.ready()
        yield it


@pytest.mark.parametrize(("line", "panel", "says"), LINES)
def test_each_line_has_a_panel(system, line, panel, says):
    told = system.client.get(f"/panels/{panel}.json")
    assert told.status_code == 200, told.text
    found = told.json()
    assert says in " ".join([found["title"], found["note"], *(str(row) for row in found["rows"])]), line
    assert found["rows"] or found["empty"]  # which says why there is nothing yet
    page, name = panel.split("/")
    shown = system.client.get("/" if page == "overview" else f"/{page}", headers={"accept": "text/html"})
    assert f'id="panel-{name}"' in shown.text
