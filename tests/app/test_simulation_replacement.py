"""`ism simulate` shows a rollback, a promotion, and a refit that never serves."""

import json

import pytest
from typer.testing import CliRunner

from ism.app.cli.root import app
from ism.app.simulation.replacement import PLANS


@pytest.mark.slow
def test_a_model_is_rolled_back_one_is_promoted_and_a_refit_is_refused(tmp_path):
    asked = ["simulate", "--part", "replacement", "--folder", str(tmp_path / "market"), "--json"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["simulated"] is True
    disliked, liked, refit = told["replacement"]
    assert [job["title"] for job in told["replacement"]] == [plan.title for plan in PLANS]
    assert [job["moves"][-1]["state"] for job in told["replacement"]] == ["ROLLED_BACK", "BAKED", "REJECTED"]
    assert disliked["serving"] is None
    assert liked["serving"] == refit["serving"] == 2
    assert "showed harm" in disliked["moves"][-1]["reason"]
    assert "PROMOTED" in [move["state"] for move in liked["moves"]]
    assert "Gate: PASS" in liked["reports"][-1]
    assert "Gate: HOLD" in refit["reports"][-1]
