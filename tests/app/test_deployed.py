"""Promoted models in a serving process: swapped in while it answers, tried on some companies, left out when damaged."""

import json
import shutil
import threading
import time
from dataclasses import replace

import pytest
from app_fakes import ADMIN_KEY

from ism.app.deployed import in_canary
from ism.app.wiring import open_application
from ism.domain.market import Offer
from ism.retraining.opening import registry_of
from ism.retraining.registry import Lineage
from ism.settings import Settings

OFFER = Offer("coal fly ash", ewc="10 01 02", nace="35.11", latitude=55.66, longitude=11.08)


@pytest.fixture(scope="module")
def served(real_application, tmp_path_factory):
    """An application of its own that starts from the engines of the other."""
    folder = tmp_path_factory.mktemp("deployed")
    for part in ("models", "cache"):
        shutil.copytree(real_application.settings.data_dir / part, folder / part)
    with open_application(Settings(data_dir=folder, admin_key=ADMIN_KEY, _env_file=None)) as opened:
        yield opened


@pytest.fixture(scope="module")
def registry(served):
    return registry_of(served.store, served.settings)


@pytest.fixture(scope="module")
def version(served, registry, tmp_path_factory):
    """Registers the engine that serves, with another calibration."""

    def make(intercept):
        folder = tmp_path_factory.mktemp("trained")
        serving = served.settings.data_dir / "models" / "serving"
        shutil.copytree(serving / "matching", folder / "engine")
        calibration = json.loads((serving / "fusion.json").read_text())["calibrations"]["matching"]
        changed = {**calibration, "intercept": calibration["intercept"] + intercept}
        (folder / "calibration.json").write_text(json.dumps(changed))
        return registry.register("matching", folder, Lineage("c" * 64, "0.1.0", {}, 0, gate="PASS"))

    return make


def answer(served, offer=OFFER):
    result = served.match(offer, 5)
    return result.model_versions["matching"], [(match.receiver.id, match.final_score) for match in result.matches]


def until(served, wanted, offer=OFFER):
    """Ask until a version answers, within a limit."""
    for _ in range(400):
        if answer(served, offer)[0] == wanted:
            return
        time.sleep(0.05)
    raise AssertionError(f"{wanted} does not answer")


def test_models_are_swapped_without_a_failed_request_and_a_rollback_answers_as_before(served, registry, version):
    one, two = version(0.5), version(-0.5)
    registry.promote(one, "test", "first")
    until(served, one.artifact[:12])
    before = answer(served)
    failures, seen, ended = [], set(), threading.Event()

    def ask():
        while not ended.is_set():
            try:
                seen.add(answer(served)[0])
            except Exception as error:  # noqa: BLE001 - whatever fails is what is looked for
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    registry.promote(two, "test", "better")
    until(served, two.artifact[:12])
    assert answer(served)[1] != before[1]
    registry.rollback("matching", "test", "complaints")
    until(served, one.artifact[:12])
    ended.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert seen == {one.artifact[:12], two.artifact[:12]}
    assert answer(served) == before


def test_a_canary_answers_a_stable_share_of_companies_and_is_watched_in_shadow_first(served, registry, version):
    champion, trial = version(0.7), version(0.9)
    registry.promote(champion, "test", "first")
    until(served, champion.artifact[:12])
    registry.shadow(trial, "test", "staged")
    watch = served.matcher.watch
    for _ in range(400):
        assert answer(served)[0] == champion.artifact[:12]  # unseen
        if watch.shadow(trial.version_id).requests:
            break
        time.sleep(0.05)
    assert watch.shadow(trial.version_id).requests > 0
    assert watch.shadow(trial.version_id).failures == 0
    registry.canary(trial, 0.5, "test", "fine")
    companies = [replace(OFFER, company_id=f"company-{number}") for number in range(12)]
    chosen = [in_canary(trial.version_id, offer.company_id, 0.5) for offer in companies]
    assert 0 < sum(chosen) < 12
    until(served, trial.artifact[:12], companies[chosen.index(True)])
    for _ in range(2):
        assert [answer(served, offer)[0] == trial.artifact[:12] for offer in companies] == chosen
    assert answer(served)[0] == champion.artifact[:12]  # nobody's offer is no company's
    registry.withdraw(trial, "test", "harm")
    until(served, champion.artifact[:12], companies[chosen.index(True)])


def test_a_version_that_cannot_be_loaded_leaves_what_served(served, registry, version, caplog):
    good, bad = version(1.1), version(1.3)
    registry.promote(good, "test", "first")
    until(served, good.artifact[:12])
    registry.promote(bad, "test", "better")
    digest = bad.files["calibration.json"]
    models = served.settings.data_dir / "models"
    (models / "files" / digest[:2] / digest).write_text("{}")
    shutil.rmtree(models / "versions" / bad.artifact)
    with caplog.at_level("ERROR", "ism.deployed"):
        for _ in range(400):
            answer(served)
            if any(digest in record.getMessage() for record in caplog.records):
                break
            time.sleep(0.05)
    assert any(digest in record.getMessage() for record in caplog.records)
    for _ in range(5):
        assert answer(served)[0] == good.artifact[:12]


def test_the_share_of_a_canary_is_met_and_each_version_draws_anew():
    companies = [f"company-{number}" for number in range(4000)]
    one = [in_canary("v1", company, 0.1) for company in companies]
    other = [in_canary("v2", company, 0.1) for company in companies]
    assert 320 < sum(one) < 480
    assert sum(a and b for a, b in zip(one, other, strict=True)) < 100
    assert not any(in_canary("v1", company, 0.0) for company in companies)
