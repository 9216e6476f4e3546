"""Pages of panels over HTTP: each panel in three forms, bad addresses, and who may do what."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from app_fakes import ADMIN_KEY, FakeMatcher
from starlette.testclient import TestClient

from ism.app.http.app import create_app
from ism.app.web.flows import Flows
from ism.app.web.page import Asked, Page
from ism.app.web.period import read_period
from ism.app.web.views import PAGES
from ism.app.wiring import Application, open_application
from ism.domain.market import Company, Exchange
from ism.domain.retraining import RetrainingJob
from ism.retraining.opening import registry_of, training_log
from ism.retraining.registry import Lineage
from ism.settings import Settings
from ism.tuning.folder import LOG, STATUS, make_folder

PANELS = [(page.name, name) for page in PAGES.values() for name in page.panels]
SEARCH = {
    "model_name": "gnn", "optimization_type": "tpe", "metric": "accuracy", "direction": "maximize", "n_trials": 9
}  # fmt: skip
JSON = {"accept": "application/json"}


def test_every_panel_answers_as_a_piece_of_a_page_csv_and_json(client: TestClient) -> None:
    for page, name in PANELS:
        piece = client.get(f"/panels/{page}/{name}")
        assert piece.status_code == 200, (page, name)
        assert f'id="panel-{name}"' in piece.text
        table = client.get(f"/panels/{page}/{name}.csv?range=7d")
        assert table.headers["content-type"].startswith("text/csv")
        assert table.headers["content-disposition"] == f'attachment; filename="{page}-{name}.csv"'
        told = client.get(f"/panels/{page}/{name}.json?range=24h").json()
        assert set(told) == {"title", "note", "units", "rows", "empty"}
        assert bool(told["rows"]) != bool(told["empty"]), (page, name)


def test_an_empty_panel_says_why_and_what_to_do(client: TestClient) -> None:
    for page, name in PANELS:
        text = client.get(f"/panels/{page}/{name}").text
        if 'class="nothing"' in text:
            why, remedy = text.split('class="nothing"')[1].split("<p>")[1:3]
            assert len(why) > 10, (page, name)
            assert len(remedy) > 10, (page, name)


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.name)
@pytest.mark.parametrize(
    "query", ["range=abc", "range=-1d", "from=yesterday", "from=2026-02-01&to=2026-01-01", "x=" + 201 * "x"]
)
def test_a_bad_address_is_told_on_a_page(client: TestClient, page: Page, query: str) -> None:
    response = client.get(f"{page.path}?{query}")
    assert response.status_code == 422
    assert query.partition("=")[0] in response.text
    assert 'href="/' in response.text


def test_unknown_panels_pages_and_periods_of_panels_are_problems(client: TestClient) -> None:
    assert client.get("/panels/overview/nothing").status_code == 404
    assert client.get("/panels/nothing/numbers.csv").status_code == 404
    bad = client.get("/panels/overview/numbers.json?range=abc")
    assert bad.status_code == 422
    assert bad.json()["errors"][0]["field"] == "range"


def test_links_of_a_panel_that_was_made_before_keep_the_period_that_is_asked_for(
    client: TestClient, application: Application
) -> None:
    ends = [Company("a", "Plant", "35.11", "DK", 55.0, 11.0), Company("b", "Works", "23.51", "DE", 54.0, 10.0)]
    application.store.bulk_upsert([*ends, Exchange("one", "a", "b", "coal fly ash", status="operating")])
    for month in ("01", "03"):
        text = client.get(f"/panels/network/links?from=2026-{month}-01&to=2026-{month}-20").text
        assert f"from=2026-{month}-01T" in text
        assert f"to=2026-{month}-20T" in text


def test_filters_cut_every_panel_of_the_network_alike(client: TestClient, application: Application) -> None:
    application.store.bulk_upsert(
        [
            Company("a", "Plant", "35.11", "DK", 55.0, 11.0),
            Company("b", "Works", "23.51", "DE", 54.0, 10.0),
            Exchange("one", "a", "b", "coal fly ash", ewc="10 01 02", quantity_t_per_year=10.0, status="operating"),
            Exchange("two", "b", "a", "steam", status="planned"),
        ]
    )

    def rows(panel: str, query: str) -> int:
        return len(client.get(f"/panels/network/{panel}.json?{query}").json()["rows"])

    assert [rows("links", query) for query in ("", "chapter=10", "sector=D", "country=DE", "status=planned")] == [
        2,
        1,
        2,
        2,
        1,
    ]
    assert rows("links", "company=a&chapter=10") == 1
    assert rows("links", "company=nobody") == 0
    assert rows("flows", "chapter=10") == 1
    assert rows("map", "chapter=10") == 2
    sums = {row["what"]: row for row in client.get("/panels/network/totals.json?chapter=10").json()["rows"]}
    assert sums["Material, t a year"]["amount"] == 10.0
    assert sums["Cost, thousand € a year"]["known"] == 1


def test_tables_of_the_network_hold_what_their_charts_draw(client: TestClient, application: Application) -> None:
    names = [f"c{number:03}" for number in range(260)]
    application.store.bulk_upsert(
        [Company(name, f"Company {name}", "35.11", "DK", 55.0 + row / 1000, 11.0) for row, name in enumerate(names)]
    )
    application.store.bulk_upsert(
        [Exchange(f"x{row}", one, two, "coal fly ash", ewc="10 01 02", quantity_t_per_year=1.0 + row)
         for row, (one, two) in enumerate(pairwise(names))]
    )  # fmt: skip
    asked = Asked(application, Flows(application.store), read_period({}, datetime.now(UTC)), {"measure": "tonnes"})
    where, web = (PAGES["network"].panels[name](asked) for name in ("map", "web"))
    assert where.chart is not None
    assert {(row["company"], row["amount"]) for row in where.rows} == {
        (site[0], site[3]) for site in where.chart["sites"]
    }
    assert len(where.chart["routes"]) == sum(row["gives"] is not None for row in where.rows) == 259
    assert where.rows[1]["gives"] == "Company c258 258"
    assert web.chart is not None
    nodes = [node["name"] for node in web.chart["nodes"]]
    drawn = {(nodes[each["source"]], nodes[each["target"]], each["value"]) for each in web.chart["links"]}
    assert {(row["giver"], row["taker"], row["amount"]) for row in web.rows if row["taker"]} == drawn
    told = {row["giver"] for row in web.rows} | {row["taker"] for row in web.rows if row["taker"]}
    assert told == set(nodes)


def test_a_band_of_the_material_flows_leads_to_its_exchanges(client: TestClient, application: Application) -> None:
    application.store.bulk_upsert(
        [
            Company("a", "Plant", "35.11", "DK"),
            Company("b", "Works", "23.51", "DE"),
            Exchange("one", "a", "b", "coal fly ash", ewc="10 01 02"),
            Exchange("two", "b", "a", "steam"),
        ]
    )
    asked = Asked(application, Flows(application.store), read_period({}, datetime.now(UTC)))
    chart = PAGES["network"].panels["flows"](asked).chart
    assert chart is not None
    links = {(each["source"], each["target"]): each["link"] for each in chart["links"]}
    query = links["0 D", "1 10"].partition("?")[2]
    assert {"sector=D", "chapter=10"} <= set(query.split("&"))
    assert [row["material"] for row in client.get(f"/panels/network/links.json?{query}").json()["rows"]] == [
        "coal fly ash"
    ]
    assert links["0 C", "1 "] == ""  # nothing can be chosen by a code that is not known


@pytest.fixture
def viewer(tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(data_dir=tmp_path / "seen", demo_market=False, feedback_turn_s=3600, _env_file=None)
    with open_application(settings, make_matcher=FakeMatcher) as application:
        key = application.auth.create("somebody", "viewer")[1]
        application.auth.ensure_admin(ADMIN_KEY)
        with TestClient(create_app(application), headers={"X-API-Key": key}, follow_redirects=False) as client:
            client.post("/api/feedback", json={"type": "nothing"}, headers={"X-API-Key": ADMIN_KEY})
            yield client


def test_who_may_only_look_sees_no_buttons_and_cannot_act(viewer: TestClient) -> None:
    assert "/act/" not in "".join(viewer.get(page.path).text for page in PAGES.values())
    for path in (
        "/act/jobs",
        "/act/searches",
        "/act/letters/x",
        "/act/quarantine/x",
        "/act/fusion",
        "/act/components/matcher",
        "/act/alerts/x",
        "/act/rules/cpu",
    ):
        assert viewer.post(path, data={"model": "matching"}).status_code == 403, path


def test_what_was_done_is_told_on_the_page_it_came_from(client: TestClient, application: Application) -> None:
    client.post("/api/feedback", json={"type": "user_feedback", "source": "user", "data": {"rating": 9}})
    (letter,) = application.store.feedback.dead_letters("open")
    in_vain = client.post(f"/act/letters/{letter.letter_id}", data={"decision": "replay"})
    assert in_vain.status_code == 422
    assert "Nothing was changed" in in_vain.text
    done = client.post(f"/act/letters/{letter.letter_id}", data={"decision": "discard"})
    assert done.status_code == 303
    assert "The letter is discarded." in client.get(done.headers["location"]).text
    assert client.post(f"/act/letters/{letter.letter_id}", data={"decision": "discard"}).status_code == 409


def test_a_switch_of_the_fusion_model_needs_a_reason_and_is_written_down(
    client: TestClient, application: Application
) -> None:
    assert client.post("/act/fusion", data={"model": "rrf"}).status_code == 422
    assert client.post("/act/fusion", data={"model": "none", "reason": "x"}).status_code == 404
    assert client.post("/act/fusion", data={"model": "rrf", "reason": "to compare"}).status_code == 303
    assert application.fusion.get_active_model().model_id == "rrf"
    (row,) = [row for row in client.get("/panels/system/changes.json").json()["rows"] if row["who"]]
    assert row["reason"] == "to compare"


def test_administrators_see_the_audit_log_of_the_time(client: TestClient, application: Application) -> None:
    client.post("/act/fusion", data={"model": "rrf", "reason": "to compare"})
    (switch,) = [entry for entry in application.store.audit.entries() if entry.action == "fusion.switch"]
    told = client.get("/panels/system/audit.json").json()["rows"]
    (row,) = [row for row in told if row["number"] == switch.number]
    assert (row["who"], row["what"], row["target"]) == (switch.actor, "fusion.switch", "rrf")
    assert "reason to compare" in row["detail"]
    assert row["at"] == switch.at.isoformat()
    assert [row["number"] for row in told] == sorted((row["number"] for row in told), reverse=True)
    assert "to compare" in client.get("/panels/system/audit.csv").text
    assert "to compare" in client.get("/system").text
    past = client.get("/panels/system/audit.json?from=2026-01-01&to=2026-01-02").json()
    assert past["rows"] == []


def test_the_audit_log_is_not_shown_to_who_may_only_look(viewer: TestClient) -> None:
    told = viewer.get("/panels/system/audit.json").json()
    assert told["rows"] == []
    assert "Administrators" in told["empty"]


def test_a_job_is_asked_for_cancelled_and_asked_for_again(client: TestClient, application: Application) -> None:
    asked = client.post("/act/jobs", data={"model": "nothing"})
    assert asked.status_code == 404
    store = application.store.retraining
    job = store.add_job(
        RetrainingJob("j1", "matching", "manual", {"retraining_type": "full"}, "REQUESTED", datetime.now(UTC))
    )
    assert client.post(f"/act/jobs/{job.job_id}", data={"decision": "cancel"}).status_code == 303
    assert store.get_job("j1").cancel_requested
    text = client.get("/jobs?job=j1").text
    assert "Requested." in text
    assert client.get("/jobs?job=unknown").status_code == 200


def test_a_job_tells_how_far_its_step_is(client: TestClient, application: Application) -> None:
    store, now = application.store.retraining, datetime.now(UTC)
    store.add_job(RetrainingJob("j1", "matching", "manual", {"retraining_type": "full"}, "REQUESTED", now))
    claim = store.claim("j1", "worker", now, now + timedelta(minutes=5))
    for state in ("SNAPSHOTTED", "VALIDATED", "TUNING"):
        claim = store.move(claim, state, reason="for the test")
    store.renew(claim, now + timedelta(minutes=5), {"step": "fitting", "progress": 0.1})
    [row] = client.get("/panels/jobs/retraining.json").json()["rows"]
    assert row["state"] == "Tuning: fitting, 10%"


def test_what_a_search_found_is_trained_with_when_asked(client: TestClient, application: Application) -> None:
    home = application.settings.data_dir / "tuning"
    for name in ("s1", "job-j1-1"):
        make_folder(home, lambda path: {"config": SEARCH}, name).end("completed")
    assert client.get("/jobs").text.count('action="/act/searches/s1"') == 1
    assert 'action="/act/searches/job-j1-1"' not in client.get("/jobs").text
    assert client.post("/act/searches/s1", data={"decision": "train"}).status_code == 303
    [job] = application.store.retraining.jobs()
    assert job.config == {"retraining_type": "optimization", "optimization_id": "s1"}
    assert client.post("/act/searches/unknown", data={"decision": "train"}).status_code == 404


def test_the_first_model_can_be_taken_back_on_the_page(
    client: TestClient, application: Application, tmp_path: Path
) -> None:
    trained = tmp_path / "trained"
    trained.mkdir()
    (trained / "engine.json").write_text("{}", encoding="utf-8")
    registry = registry_of(application.store, application.settings)
    lineage = Lineage("c" * 64, "0.1.0", {}, 0, gate="PASS")
    registry.promote(registry.register("matching", trained, lineage), "ada", "first")
    assert "Let the engine as fitted at the start answer again?" in client.get("/models").text
    assert client.post("/act/models/matching", data={"reason": "complaints"}).status_code == 303
    assert registry.deployment("matching").champion is None


def test_components_begin_again_and_a_backup_is_made_when_asked(client: TestClient, application: Application) -> None:
    def until(done: Callable[[], bool]) -> None:
        ends = time.monotonic() + 20
        while not done() and time.monotonic() < ends:
            time.sleep(0.05)
        assert done()

    until(lambda: 'action="/act/components/feedback"' in client.get("/system").text)
    text = client.get("/system").text
    assert 'action="/act/components/store"' not in text  # nobody tends it
    assert client.post("/act/components/store").status_code == 404
    assert client.post("/act/components/feedback").status_code == 303
    until(lambda: application.components()["feedback"]["restarts"] == 1)
    assert 'action="/act/backups"' in text
    assert client.post("/act/backups").status_code == 303
    [made] = application.backups.list()
    assert made.rows > 0
    assert "component.restart" in [entry.action for entry in application.store.audit.entries()]


def test_a_rollback_without_a_champion_before_changes_nothing(client: TestClient) -> None:
    assert client.post("/act/models/matching", data={}).status_code == 422
    refused = client.post("/act/models/matching", data={"reason": "worse"})
    assert refused.status_code in {404, 409}
    assert "Nothing was changed" in refused.text


def test_heartbeats_tell_how_long_a_worker_and_a_search_have_been_silent(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path / "beats",
        demo_market=False,
        retraining_lease_s=600,
        retraining_enabled=False,
        optimization_enabled=False,  # nothing is to work on what lies there
        _env_file=None,
    )
    with open_application(settings, make_matcher=FakeMatcher) as application:
        application.auth.ensure_admin(ADMIN_KEY)
        now, store = datetime.now(UTC), application.store.retraining
        store.add_job(RetrainingJob("j1", "matching", "manual", {}, "REQUESTED", now))
        store.claim("j1", "worker", now, now + timedelta(minutes=5))
        home = settings.data_dir / "tuning"
        names = ("begun", "waiting", "paused", "over")
        begun, _, paused, over = (make_folder(home, lambda path: {"config": SEARCH}, name) for name in names)
        paused.pause()
        over.end("completed")
        begun.tell(status="running", start_time=now.isoformat())
        early = (now - timedelta(minutes=7)).timestamp()
        os.utime(begun.path / STATUS, (early, early))
        with TestClient(create_app(application), headers={"X-API-Key": ADMIN_KEY}) as client:
            (job,) = client.get("/panels/jobs/retraining.json").json()["rows"]
            assert job["beat"] == "5.0 min ago"
            assert "10 min" in client.get("/panels/jobs/retraining.json").json()["note"]
            found = client.get("/panels/jobs/searches.json").json()["rows"]
            assert sorted(str(each["beat"]) for each in found) == ["7.0 min ago", "None", "None", "waits for its turn"]


def test_what_was_printed_is_that_of_the_job_and_the_search_that_are_looked_at(
    client: TestClient, application: Application
) -> None:
    store, now = application.store.retraining, datetime.now(UTC)
    for name, model in (("j1", "matching"), ("j2", "gnn"), ("j3", "federated")):
        store.add_job(RetrainingJob(name, model, "manual", {}, "REQUESTED", now))
    for name in ("j1", "j2"):
        path = training_log(application.settings, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"fitting {name}\n")
    search = make_folder(application.settings.data_dir / "tuning", lambda path: {"config": SEARCH})
    search.end("completed")
    (search.path / LOG).write_text("trying\n")

    def lines(query: str) -> list[str]:
        return [row["line"] for row in client.get(f"/panels/jobs/log.json?{query}").json()["rows"]]

    assert lines("job=j1") == ["fitting j1"]
    assert lines("job=j2") == ["fitting j2"]
    assert lines(f"search={search.name}") == ["trying"]
    assert lines(f"job=j2&search={search.name}") == ["fitting j2", "trying"]
    assert "Federated" in client.get("/panels/jobs/log.json?job=j3").json()["empty"]
