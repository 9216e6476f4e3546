"""What a marketplace says becomes market and feedback; what was matched and learnt is written there; each once."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from marketplace_fakes import ASH, BREWERY, CEMENT, CLAY, GRAIN, PAPER, SLAG, STEEL, Opened, number
from postgrest_standin import Project
from pydantic import SecretStr

from ism.app.marketplace.state import Journal
from ism.app.marketplace.taking import DATASET
from ism.domain.errors import ConflictError, MarketplaceError
from ism.domain.market import Company, Exchange, Listing

Open = Callable[..., Opened]


def test_the_first_exchange_reads_the_market_and_writes_matches(project: Project, opened: Open) -> None:
    application = opened()
    done = application.connector.exchange()
    assert done.finished
    assert done.skipped == {}
    assert done.counts == {"written": 9, "matched": 3, "matches_sent": 6}
    store = application.store
    assert store.datasets() == {DATASET: {"company": 4, "listing": 4, "exchange": 1}}  # and no demonstration market
    steel, cement = store.get(Company, STEEL), store.get(Company, CEMENT)
    assert (steel.nace, steel.latitude, steel.description) == (
        "24.10", 51.4, "Makes: steel. Works with: iron ore, coke. Located in: Duisburg."
    )  # fmt: skip
    assert cement.nace == "23.51"  # by its title
    assert store.get(Company, PAPER).nace is None
    assert store.get(Company, PAPER).description == "Industry: paper."
    slag, ash = store.get(Listing, SLAG), store.get(Listing, ASH)
    assert (slag.kind, slag.ewc, slag.quantity_t_per_year, slag.price_eur_per_t, slag.hazardous) == (
        "offer", "10 02 01", 6000.0, 4.0, False
    )  # fmt: skip
    assert (ash.ewc, ash.quantity_t_per_year, ash.price_eur_per_t) == ("10 01 02", 13.0, 10.0)
    clay = store.get(Listing, CLAY)
    assert (clay.kind, clay.quantity_t_per_year) == ("need", None)  # cubic metres have no weight
    assert any("'m3' has no weight" in note for note in done.notes)
    delivered = store.page(Exchange).items[0]
    assert (delivered.from_company, delivered.to_company, delivered.status, delivered.year_start) == (
        STEEL, CEMENT, "operating", 2024
    )  # fmt: skip
    assert (delivered.material, delivered.ewc) == ("blast furnace slag", "10 02 01")
    rows = project.sql("select offer_id, company_id, receiver_id, rank from ai_current_matches order by 1, 4")
    assert [row["offer_id"] for row in rows] == [SLAG, SLAG, ASH, ASH, GRAIN, GRAIN]
    assert rows[0] == {"offer_id": SLAG, "company_id": STEEL, "receiver_id": CEMENT, "rank": 1}


def test_where_nothing_changed_nothing_is_written(project: Project, opened: Open) -> None:
    application = opened()
    application.connector.exchange()
    generation = application.store.generation()
    for whole in (False, True):
        assert application.connector.exchange(whole=whole).counts == {}
    application = opened()  # what was sent is not known any more, and sent again
    assert set(application.connector.exchange().counts) == {"matches_sent"}
    assert application.store.generation() == generation
    assert len(project.sql("select 1 as it from ai_matches")) == 6


def test_only_what_changed_is_read(project: Project, opened: Open) -> None:
    application = opened(marketplace_overlap_s=0.0)
    application.connector.exchange()
    project.sql("update materials set quantity = 600 where id = %s", SLAG)
    project.sql("update companies set name = 'Stahlwerk Nord' where id = %s", STEEL)
    project.requests.clear()
    done = application.connector.exchange()
    assert done.counts == {"written": 2, "matched": 1, "matches_sent": 2}
    assert application.store.get(Listing, SLAG).quantity_t_per_year == 7200.0
    assert application.store.get(Company, STEEL).name == "Stahlwerk Nord"
    assert len(project.sql("select 1 as it from ai_matches")) == 8
    current = project.sql("select count(*) as n, count(distinct request_id) as requests from ai_current_matches")
    assert current == [{"n": 6, "requests": 3}]  # the newest of each offer


def test_a_transaction_that_ends_late_is_seen(project: Project, opened: Open) -> None:
    """It writes rows with the time of its beginning, before what was read already."""
    application = opened()
    with psycopg.connect(project.database) as late:
        late.execute("insert into companies (id, name) values (%s, 'Late')", (number(5),))
        project.sql("insert into companies (id, name) values (%s, 'Early')", number(6))
        application.connector.exchange()
        assert application.store.count(Company) == 5
        late.commit()
    application.connector.exchange()
    assert application.store.get(Company, number(5)).name == "Late"


def test_what_ends_or_is_deleted_goes(project: Project, opened: Open) -> None:
    application = opened()
    application.connector.exchange()
    project.sql("update materials set status = 'sold' where id = %s", SLAG)
    assert application.connector.exchange().counts["removed"] == 1
    project.sql("delete from companies where id = %s", BREWERY)
    assert application.connector.exchange().counts.get("removed", 0) == 0  # the time of change does not tell
    assert application.connector.exchange(whole=True).counts["removed"] == 2
    assert {each.listing_id for each in application.store.page(Listing).items} == {ASH, CLAY}
    assert {each.company_id for each in application.store.page(Company).items} == {STEEL, CEMENT, PAPER}


def test_a_market_that_seems_to_be_gone_is_kept(project: Project, opened: Open) -> None:
    application = opened()
    project.sql(
        "insert into companies (id, name) select ('0000000a-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'c' || n"
        " from generate_series(1, 30) n"
    )
    application.connector.exchange()
    project.sql(
        "delete from companies where name like 'c%%'" if False else "delete from companies where name like 'c%'"
    )
    kept = application.connector.exchange(whole=True)
    assert any("30 of 34 rows are not there any more" in note for note in kept.notes)
    assert application.store.count(Company) == 34
    assert application.connector.exchange(allow_deletions=True).counts["removed"] == 30


def test_a_row_that_cannot_be_used_is_told_and_tried_again(project: Project, opened: Open) -> None:
    application = opened()
    project.sql("insert into companies (id, name) values (%s, '')", number(5))
    project.sql(
        "insert into materials (id, company_id, material_name, type) values (%s, %s, 'bran', 'waste'),"
        " (%s, %s, 'husk', 'gift')",
        number(15), number(5), number(16), BREWERY,
    )  # fmt: skip
    done = application.connector.exchange()
    assert set(done.skipped) == {"companies", "materials"}
    assert "companies.name" in done.skipped["companies"][number(5)]
    assert "not stored" in done.skipped["materials"][number(15)]
    assert "materials.type: 'gift'" in done.skipped["materials"][number(16)]
    assert application.store.count(Listing) == 4
    project.sql("update companies set name = 'Mill' where id = %s", number(5))
    done = application.connector.exchange()
    assert set(done.skipped["materials"]) == {number(16)}
    assert application.store.get(Listing, number(15)).material == "bran"


def test_outcomes_become_feedback_once_and_go_into_the_log_there(project: Project, opened: Open) -> None:
    application = opened()
    application.connector.exchange()  # shows CEMENT for SLAG, and STEEL for ASH and GRAIN
    project.sql(
        "insert into symbiotic_matches (id, company_a_id, company_b_id, material_a_id, material_b_id, status,"
        " user_feedback) values (%s, %s, %s, %s, %s, 'in_negotiation', %s), (%s, %s, %s, %s, %s, 'rejected', null)",
        number(21), STEEL, CEMENT, SLAG, CLAY, '{"rating": 5, "comment": "good slag", "user_id": "u-1"}',
        number(22), CEMENT, PAPER, CLAY, ASH,
    )  # fmt: skip
    project.sql(
        "insert into material_exchanges (from_company_id, to_company_id, material_id, quantity, status, delivered_at)"
        " values (%s, %s, %s, 2000, 'delivered', now())", PAPER, STEEL, ASH,
    )  # fmt: skip
    done = application.connector.exchange()
    assert (done.counts["events"], done.counts["events_sent"]) == (3, 3)  # CEMENT was never shown for ASH
    told = {each.event.event_type: each for each in application.store.feedback.events()}
    rated = told["user_feedback"]
    assert (rated.event.data["rating"], rated.event.data["feedback"], rated.actor_id) == (5, "good slag", "u-1")
    outcomes = {
        (each.event.data["offer_id"], each.event.data["receiver_id"]): each.event.data
        for each in application.store.feedback.events()
        if each.event.event_type == "match_outcome"
    }
    assert outcomes[SLAG, CEMENT]["outcome"] == "negotiating"
    assert outcomes[ASH, STEEL] == {"outcome": "delivered", "offer_id": ASH, "receiver_id": STEEL, "tonnes": 2.0}
    assert application.store.feedback.totals().dead_letters == {}
    written = project.sql("select event_type, company_id, offer_id, receiver_id from ai_feedback_events order by 1, 3")
    assert [tuple(row.values()) for row in written] == [
        ("match_outcome", STEEL, SLAG, CEMENT),
        ("match_outcome", PAPER, ASH, STEEL),
        ("user_feedback", STEEL, SLAG, CEMENT),
    ]
    project.sql("update symbiotic_matches set match_score = 0.9")  # something else about the same rows
    again = opened().connector.exchange(whole=True)
    assert (again.counts.get("events", 0), len(project.sql("select 1 as it from ai_feedback_events"))) == (0, 3)
    project.sql("update symbiotic_matches set status = 'completed' where id = %s", number(21))
    assert opened().connector.exchange().counts["events"] == 1


def test_while_feedback_is_switched_off_outcomes_wait(project: Project, opened: Open) -> None:
    application = opened(feedback_enabled=False)
    application.connector.exchange()
    project.sql(
        "insert into symbiotic_matches (company_a_id, company_b_id, material_a_id, status)"
        " values (%s, %s, %s, 'contacted')", STEEL, CEMENT, SLAG,
    )  # fmt: skip
    assert "events" not in application.connector.exchange().counts
    assert opened().connector.exchange().counts["events"] == 1


def test_a_table_without_a_time_of_change_is_read_whole(project: Project, opened: Open) -> None:
    for table in ("companies", "materials", "symbiotic_matches", "material_exchanges"):
        project.sql(f"drop trigger ai_touch on {table}; alter table {table} drop column updated_at")
    application = opened()
    done = application.connector.exchange()
    assert done.counts["written"] == 9
    assert "companies has no column updated_at" in done.notes[0]
    project.sql("update companies set name = 'Stahlwerk Nord' where id = %s", STEEL)
    assert application.connector.exchange().counts["written"] == 1
    assert application.store.get(Company, STEEL).name == "Stahlwerk Nord"


def test_another_mapping_is_another_reading(project: Project, opened: Open, tmp_path: Path) -> None:
    opened().connector.exchange()
    mapping = tmp_path / "mapping.json"
    mapping.write_text(
        '{"materials": {"units": {"m3": 1.6}, "frequencies": {}}, "companies": {"industries": {"paper": "17.12"}}}'
    )
    application = opened(marketplace_mapping=mapping)
    application.connector.exchange()
    assert application.store.get(Listing, CLAY).quantity_t_per_year == 16.0
    assert application.store.get(Company, PAPER).nace == "17.12"


def test_a_server_that_answers_with_fewer_rows_than_asked_for_hides_nothing(project: Project, opened: Open) -> None:
    project.most_rows = 2
    application = opened(marketplace_page_rows=500)
    assert application.connector.exchange().counts["written"] == 9
    assert application.connector.exchange(whole=True).counts.get("removed", 0) == 0


def test_a_company_of_another_dataset_is_not_taken_over(project: Project, opened: Open) -> None:
    application = opened()
    application.store.create(Company(STEEL, "Ours"))
    done = application.connector.exchange()
    assert "belongs to dataset 'market'" in done.skipped["companies"][STEEL]
    assert application.store.get(Company, STEEL).name == "Ours"
    assert application.store.get(Listing, SLAG).company_id == STEEL


def test_an_exchange_that_runs_out_of_time_goes_on(project: Project, opened: Open) -> None:
    application = opened(marketplace_run_s=0.5, marketplace_page_rows=1)
    project.after = lambda method, path: time.sleep(0.03)
    runs = []
    while not runs or not runs[-1].finished:
        runs.append(application.connector.exchange())
        assert len(runs) < 40
    assert len(runs) > 1
    assert application.store.datasets() == {DATASET: {"company": 4, "listing": 4, "exchange": 1}}
    assert len(project.sql("select 1 as it from ai_matches")) == 6


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_processes_take_turns(kind: str, project: Project, opened: Open, request: pytest.FixtureRequest) -> None:
    """A data folder belongs to one process; on a server, a second one waits until the lease of a crashed one ends."""
    changes = {}
    if kind == "postgres":
        changes = {"database_url": SecretStr(request.getfixturevalue("postgres_url"))}
    application = opened(**changes)
    project.trouble = lambda method, path: 400 if "material_exchanges" in path and "limit=3" in path else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "end", lambda self: None)  # as if it was killed
        with pytest.raises(MarketplaceError, match="material_exchanges"):
            application.connector.exchange()
    project.trouble = lambda method, path: None
    application.connector = application.connect()
    if kind == "postgres":
        with pytest.raises(ConflictError, match="Another process"):
            application.connector.exchange()
        application.now = datetime.now(UTC) + timedelta(minutes=5)
    assert application.connector.exchange().finished
    assert application.store.datasets() == {DATASET: {"company": 4, "listing": 4, "exchange": 1}}
