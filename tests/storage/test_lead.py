"""One process leads at a time, on both databases; one that was overtaken can write nothing more."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from ism.domain.errors import LeadLostError, StorageUnavailableError
from ism.storage import Store
from ism.storage.lead import NAME, SOLE, Lead
from ism.storage.lease_schema import lease as table


def expire(store: Store) -> None:
    """Let the lease end now."""
    with store._database.write() as connection:  # type: ignore[attr-defined]  # what only time does otherwise
        connection.execute(update(table).values(until=datetime.now(UTC) - timedelta(days=1)))


def until(done: Callable[[], object], limit_s: float = 10.0) -> None:
    ends = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < ends, "it took too long"
        time.sleep(0.01)


def test_a_lease_has_one_holder_and_its_fence_grows_with_each(store: Store) -> None:
    leases = store.leases
    assert leases.holder(NAME) is None
    first = leases.take(NAME, "a", 60)
    assert (first.holder, first.fence) == ("a", 1)
    assert leases.take(NAME, "b", 60) == first
    assert leases.take(NAME, "a", 60) == first  # prolonged
    expire(store)
    assert leases.holder(NAME) is None
    second = leases.take(NAME, "b", 60)
    assert (second.holder, second.fence) == ("b", 2)
    leases.release(first)  # too late
    assert leases.holder(NAME) == second
    leases.release(second)
    assert leases.holder(NAME) is None
    assert leases.take(NAME, "a", 60).fence == 3


def test_who_was_overtaken_writes_nothing_more(store: Store) -> None:
    lease = store.leases.take(NAME, "a", 60)
    with store.leases.fenced(lease):
        store.set_setting("x", 1)
        expire(store)
        store.set_setting("x", 2)  # nobody else has taken it
        other = threading.Thread(target=store.leases.take, args=(NAME, "b", 60))
        other.start()
        other.join(20)
        with pytest.raises(LeadLostError, match="took over"):
            store.set_setting("x", 3)
        assert store.get_setting("x") == 2
    store.set_setting("x", 4)  # outside its term it is a caller like others


@pytest.mark.postgres
def test_taking_over_waits_for_what_is_being_written_and_prolonging_does_not(
    postgres_url: str,
) -> None:
    from ism.storage import open_postgres

    with open_postgres(postgres_url) as store:
        lease = store.leases.take(NAME, "a", 60)
        taken: list[str] = []
        with store.leases.fenced(lease), store.judging() as tables:
            tables.take_cursor("judge")
            prolonging = threading.Thread(target=store.leases.take, args=(NAME, "a", 0.001))
            prolonging.start()
            prolonging.join(20)
            assert not prolonging.is_alive()
            time.sleep(0.01)  # the lease ends
            taking = threading.Thread(target=lambda: taken.append(store.leases.take(NAME, "b", 60).holder))
            taking.start()
            taking.join(0.3)
            assert taken == []
        taking.join(20)
        assert taken == ["b"]


def test_one_of_two_leads_and_the_other_takes_over(store: Store) -> None:
    changes: list[str] = []
    leads = [Lead(store.leases, 0.4, name, lambda name=name: changes.append(name)) for name in ("a", "b")]  # type: ignore[misc]  # a default binds the name
    try:
        leads[0].start()
        until(lambda: leads[0].leads)
        leads[1].start()
        until(lambda: leads[1].leader().replica == "a")
        assert not leads[1].leads
        assert leads[0].leader().here
        with leads[1].term() as mine:
            assert not mine
        with leads[0].term() as mine:
            assert mine
        leads[0].stop()
        assert not leads[0].leads
        until(lambda: leads[1].leads)
        with leads[0].term() as mine:
            assert not mine
    finally:
        for lead in leads:
            lead.stop()
    assert changes[:2] == ["a", "b"]


def test_without_a_database_nobody_leads_for_longer_than_a_lease(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lead = Lead(store.leases, 0.4, "a")
    lead.start()
    try:
        until(lambda: lead.leads)

        def gone(*_: object) -> None:
            raise StorageUnavailableError("gone")

        monkeypatch.setattr(type(store.leases), "take", gone)
        until(lambda: not lead.leads, 2.0)
        assert lead.leader().replica == ""
        monkeypatch.undo()
        until(lambda: lead.leads)
    finally:
        lead.stop()


def test_without_an_election_whoever_works_leads(store: Store) -> None:
    assert SOLE.leads
    lead = Lead(store.leases, 5)
    assert lead.leads
    with lead.term() as mine:
        assert mine
        store.set_setting("x", 1)
