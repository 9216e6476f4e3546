"""The audit log: every kind of tampering is found, whoever writes at once."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from ism.domain.audit import BEGINNING, MOST_TEXT, Act
from ism.storage import ApiKey, Store

KEY = ApiKey("k1", "robot", "service", "$argon2id$secret-hash", datetime(2026, 1, 1, tzinfo=UTC))


def change(store: Store, statement: str) -> None:
    with store._database.write() as connection:  # type: ignore[attr-defined]  # tampering goes around the store
        connection.execute(text(statement))


def fill(store: Store, number: int = 5) -> list[str]:
    return [store.audit.append(Act("ann", "test", f"t{n}", {"n": n, "ok": True})).digest for n in range(number)]


def test_an_untouched_log_is_right(store: Store) -> None:
    assert store.audit.check().entries == 0
    assert store.audit.check().head == BEGINNING
    digests = fill(store, 1005)
    done = store.audit.check()
    assert (done.entries, done.head, done.broken) == (1005, digests[-1], None)
    assert store.audit.check(digests[2]).broken is None
    newest = store.audit.entries(limit=2)
    assert [entry.number for entry in newest] == [1005, 1004]
    assert newest[0].details == {"n": 1004, "ok": True}
    assert store.audit.entries(before=3)[0].number == 2


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE ism_audit SET actor = 'eve' WHERE number = 3", 3),
        ("UPDATE ism_audit SET action = 'other' WHERE number = 1", 1),
        ("UPDATE ism_audit SET target = '' WHERE number = 5", 5),
        ("UPDATE ism_audit SET details = '{\"n\": 9, \"ok\": true}' WHERE number = 2", 2),
        ("UPDATE ism_audit SET at = '2020-01-01 00:00:00.000000' WHERE number = 4", 4),
        ("DELETE FROM ism_audit WHERE number = 3", 3),
        ("DELETE FROM ism_audit WHERE number = 1", 1),
        ("UPDATE ism_audit SET number = 9 WHERE number = 2", 2),
        ("UPDATE ism_audit SET digest = previous WHERE number = 2", 2),
        ("INSERT INTO ism_audit SELECT 6, at, actor, action, target, details, previous, digest FROM ism_audit"
         " WHERE number = 5", 6),
    ],
)  # fmt: skip
def test_tampering_is_found_where_it_begins(store: Store, statement: str, broken: int) -> None:
    fill(store)
    change(store, statement)
    found = store.audit.check()
    assert found.broken == broken
    assert found.entries == broken - 1
    assert found.reason


def test_a_cut_end_is_found_with_a_digest_kept_elsewhere(store: Store) -> None:
    head = fill(store)[-1]
    change(store, "DELETE FROM ism_audit WHERE number = 5")
    assert store.audit.check().broken is None
    assert store.audit.check(head).broken == 5
    change(store, "DELETE FROM ism_audit")
    assert store.audit.check(head).broken == 1


def test_writers_queue_up_and_a_reopened_log_goes_on(open_again: Callable[[], Store]) -> None:
    with open_again() as store:
        threads = [threading.Thread(target=fill, args=(store, 25)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert store.audit.check().entries == 100
    with open_again() as store:
        fill(store, 1)
        assert store.audit.check().entries == 101


def test_any_text_can_be_written(store: Store) -> None:
    odd = {"nul": "a\0b", "surrogate": "\ud800", "long": "x" * 5000, "float": 0.1, "list": [1, "é"], "none": None}
    entry = store.audit.append(Act("ü\0", "test", "\U0001f600", {**odd, "big": 10**30}))
    assert len(str(entry.details["long"])) == MOST_TEXT
    assert store.audit.entries() == [entry]
    assert store.audit.check().broken is None


def test_keys_and_settings_are_audited_with_the_change_and_without_secrets(store: Store) -> None:
    store.add_api_key(KEY, "ann")
    store.revoke_api_key("k1", KEY.created_at + timedelta(days=1), "bob")
    store.revoke_api_key("k1", KEY.created_at + timedelta(days=2), "bob")  # it was revoked already
    store.set_setting("budget", 3, "ann")
    store.set_setting("counter", 4)
    entries = store.audit.entries()[::-1]
    told = [(entry.actor, entry.action, entry.target) for entry in entries]
    assert told == [("ann", "key.create", "k1"), ("bob", "key.revoke", "k1"), ("ann", "setting.change", "budget")]
    assert "secret-hash" not in repr(entries)


def test_a_change_that_fails_leaves_no_entry(store: Store) -> None:
    store.add_api_key(KEY)
    with pytest.raises(Exception, match="k1"):
        store.add_api_key(KEY)
    assert store.audit.check().entries == 1
