"""The calls that the specification prints for the production orchestrator, as they are printed."""

import asyncio
from pathlib import Path

import pytest

import ism.app.orchestrator
from backend import ai_production_orchestrator
from backend.ai_production_orchestrator import ProductionConfig, ProductionOrchestrator
from ism.domain.errors import ConflictError, InvalidInputError, NotFoundError

SELLER = {"name": "Power station", "nace": "35.11", "country": "DK",
          "listings": [{"kind": "offer", "material": "coal fly ash", "ewc": "10 01 02"}]}  # fmt: skip
BUYER = {"name": "Cement works", "nace": "23.51", "country": "DK",
         "listings": [{"kind": "need", "material": "cement constituent"}]}  # fmt: skip


@pytest.fixture(scope="module")
def orchestrator(tmp_path_factory):
    """On a default data folder without a market, opened once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISM_DATA_DIR", str(tmp_path_factory.mktemp("orchestrator") / "data"))
        patch.setenv("ISM_DEMO_MARKET", "false")
        patch.delenv("DATABASE_URL", raising=False)
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        made = ProductionOrchestrator()
        _ = made.application
    yield made
    made.close()


def test_production_config_as_printed():
    config = ProductionConfig(
        feedback_enabled=True,
        fusion_enabled=True,
        optimization_enabled=True,
        retraining_enabled=True,
        monitoring_enabled=True,
        auto_deploy=True,
        health_check_interval=60,
        backup_interval=3600,
        log_level='INFO'
    )  # fmt: skip
    assert config == ProductionConfig()


def test_process_ai_request_as_printed(orchestrator):
    async def printed():
        result = await orchestrator.process_ai_request('matching', {
            'buyer': {**BUYER},
            'seller': {**SELLER}
        })  # fmt: skip
        return result

    result = asyncio.run(printed())
    (match,) = result["matches"]
    assert match["receiver"]["name"] == "Cement works"
    assert match["final_score"] == pytest.approx(sum(match["engine_contributions"].values()), abs=1e-5)
    shown = asyncio.run(orchestrator.process_ai_request("analysis", {"recommendation_id": match["recommendation_id"]}))
    assert shown["final_score"] == pytest.approx(match["final_score"])
    assert set(shown["engine_scores"]) >= {"matching", "knowledge_graph"}


def test_process_ai_request_for_matching_takes_an_offer(orchestrator):
    question = {"offer": {"material": "coal fly ash", "ewc": "10 01 02"}, "top": 3}
    result = asyncio.run(orchestrator.process_ai_request("matching", question))
    assert [match["rank"] for match in result["matches"]] == [1, 2, 3]


def test_process_ai_request_for_analysis(orchestrator):
    async def asked(data):
        return await orchestrator.process_ai_request("analysis", data)

    fused = asyncio.run(asked({"engine_outputs": [{"engine_name": "gnn", "confidence_score": 0.8},
                                                  {"engine_name": "matching", "confidence_score": 0.9}]}))  # fmt: skip
    assert fused["final_score"] == pytest.approx(0.84)
    assert set(asyncio.run(asked({}))) >= {"system_health", "ai_performance", "feedback_analytics"}
    assert asyncio.run(asked({"model_name": "matching", "hours": 2}))["model_name"] == "matching"


def test_process_ai_request_for_optimization(orchestrator):
    async def asked(data):
        return await orchestrator.process_ai_request("optimization", data)

    begun = asyncio.run(asked({"model_name": "matching", "n_trials": 1, "timeout": 60}))
    name = begun["optimization_id"]
    assert asyncio.run(asked({"optimization_id": name}))["status"] in {"running", "completed", "failed"}
    orchestrator.application.tuning.optimizer.cancel(name)


def test_process_ai_request_for_feedback(orchestrator):
    event = {"type": "user_feedback", "source": "user", "data": {"model_name": "matching", "rating": 4}}
    told = asyncio.run(orchestrator.process_ai_request("feedback", event))
    stored = orchestrator.application.store.feedback.event(told["feedback_id"]).event
    assert stored.data == event["data"]


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("prophecy", {}, "request_type"),
        ("matching", [], "request_data"),
        ("matching", {"offer": {"material": ""}}, "offer.material"),
        ("matching", {"buyer": BUYER}, "request_data"),
        ("analysis", {"colour": "red"}, "colour"),
        ("analysis", {"model_name": "matching", "hours": 0}, "hours"),
        ("analysis", {"engine_outputs": [{"engine_name": "gnn"}]}, "engine_outputs[0]"),
        ("analysis", {"model_name": "a", "recommendation_id": "b"}, "model_name"),
        ("optimization", {"model_name": "oracle"}, "model_name"),
        ("optimization", {"model_name": "matching", "trials": 3}, "trials"),
        ("feedback", {"type": "user_feedback", "data": {"model_name": "gnn", "rating": 9}}, "data.rating"),
    ],
)
def test_a_request_that_cannot_be_used_is_refused_by_name(orchestrator, kind, data, field):
    with pytest.raises(InvalidInputError) as refused:
        asyncio.run(orchestrator.process_ai_request(kind, data))
    assert refused.value.field == field
    assert refused.value.remedy


def test_what_is_named_and_missing_is_not_found(orchestrator):
    for kind, data in (
        ("matching", {"offer_id": "gone"}),
        ("analysis", {"recommendation_id": "gone"}),
        ("analysis", {"model_name": "oracle"}),
        ("optimization", {"optimization_id": "gone"}),
    ):
        with pytest.raises(NotFoundError):
            asyncio.run(orchestrator.process_ai_request(kind, data))


def test_get_system_status_as_printed(default_folder: Path, monkeypatch):
    monkeypatch.setenv("ISM_DEMO_MARKET", "false")
    orchestrator = ProductionOrchestrator()
    status = orchestrator.get_system_status()
    assert (status["status"], status["config"], status["config_version"]) == (
        "stopped",
        ProductionConfig().as_dict(),
        0,
    )
    assert not default_folder.exists()  # asking opens nothing

    async def supervised():
        async with orchestrator:
            assert await orchestrator.until_ready(60)
            return orchestrator.get_system_status()

    status = asyncio.run(supervised())
    assert status["status"] == "running"
    assert list(status["components"]) == [
        "matcher", "feedback", "fusion", "optimization", "retraining", "monitoring", "backup"
    ]  # fmt: skip
    assert {(each["state"], each["restarts"], each["circuit"]) for each in status["components"].values()} == {
        ("ok", 0, "closed")
    }
    assert orchestrator.get_system_status()["status"] == "stopped"


def test_each_part_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("ISM_DEMO_MARKET", "false")
    off = ProductionConfig(
        feedback_enabled=False,
        fusion_enabled=False,
        optimization_enabled=False,
        retraining_enabled=False,
        monitoring_enabled=False,
    )
    orchestrator = ProductionOrchestrator(off)

    async def supervised():
        async with orchestrator:
            assert await orchestrator.until_ready(60)
            status = orchestrator.get_system_status()
            answer = await orchestrator.process_ai_request("matching", {"offer": {"material": "coal fly ash"}})
            for kind, data in (("feedback", {"type": "error", "data": {"component": "gnn", "message": "m"}}),
                               ("optimization", {"model_name": "matching"})):  # fmt: skip
                with pytest.raises(ConflictError, match="switched off"):
                    await orchestrator.process_ai_request(kind, data)
        return status, answer

    status, answer = asyncio.run(supervised())
    states = {name: each["state"] for name, each in status["components"].items()}
    assert states.pop("matcher") == states.pop("backup") == "ok"  # these two always run
    assert set(states.values()) == {"disabled"}
    assert set(answer["missing_engines"]) == {"gnn", "federated", "knowledge_graph"}
    assert set(answer["matches"][0]["engine_contributions"]) == {"matching"}


def test_update_production_config_as_printed(orchestrator):
    success = orchestrator.update_production_config({
        'health_check_interval': 30
    })  # fmt: skip
    assert success is True
    assert orchestrator.config.health_check_interval == 30
    assert orchestrator.application.settings.health_check_interval_s == 30
    for bad in ({"health_check_interval": 0}, {"colour": "red"}, {"log_level": "LOUD", "health_check_interval": 5}):
        with pytest.raises(InvalidInputError):
            orchestrator.update_production_config(bad)
    assert orchestrator.config.health_check_interval == 30
    assert orchestrator.undo_production_config(actor="ada", reason="too often") == ProductionConfig()
    assert [(each.actor, each.action) for each in orchestrator.config_history()] == [
        ("ada", "undo"),
        ("library", "update"),
    ]


def test_a_changed_configuration_survives_a_restart(monkeypatch):
    monkeypatch.setenv("ISM_DEMO_MARKET", "false")
    first = ProductionOrchestrator()
    first.update_production_config({"health_check_interval": 7}, actor="ada")
    first.close()
    second = ProductionOrchestrator()
    _ = second.application
    assert second.config.health_check_interval == 7
    second.close()
    third = ProductionOrchestrator(ProductionConfig())  # what is given in so many words comes first
    _ = third.application
    assert third.config.health_check_interval == 60
    third.close()


def test_the_door_opens_onto_the_very_same_objects():
    assert ai_production_orchestrator.__all__ == ["ProductionConfig", "ProductionOrchestrator"]
    assert ProductionOrchestrator is ism.app.orchestrator.ProductionOrchestrator
    assert ProductionConfig is ism.app.orchestrator.ProductionConfig
