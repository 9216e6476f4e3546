"""The audit log: who did what, each entry bound to the one before it by its SHA-256.

Whoever changes, removes or moves an entry has to compute every later digest anew; the last digest, kept elsewhere (it
is logged with each entry), then differs. This is the hash chain of Haber and Stornetta, "How to time-stamp a digital
document" (Journal of Cryptology 3, 1991).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

BEGINNING = "0" * 64
MOST_TEXT = 1000  # characters of a text in an entry; what is longer is cut
Detail = str | int | bool | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that was done.

    Attributes:
        number: from 1 on, without gaps.
        at: UTC.
        actor: who.
        action: what, ``key.create`` for instance.
        target: to what.
        details: more about it; never a secret.
        previous: digest of the entry before; `BEGINNING` for the first.
        digest: SHA-256 of all of the above, hexadecimal.
    """

    number: int
    at: datetime
    actor: str
    action: str
    target: str
    details: Mapping[str, Detail]
    previous: str
    digest: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {**values, "at": self.at.isoformat(), "details": dict(self.details)}


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What a look through the whole log found.

    Attributes:
        entries: how many are right, from the first on.
        head: digest of the last of them.
        broken: number of the first entry that is not right; None where all are.
        reason: why it is not.
    """

    entries: int = 0
    head: str = BEGINNING
    broken: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """Something to be written into the log."""

    actor: str
    action: str
    target: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


def next_entry(act: Act, at: datetime, number: int, previous: str) -> AuditEntry:
    """The entry that follows another one; texts are cut to `MOST_TEXT`, and what no database keeps is replaced."""
    details = {_plain(name): _detail(value) for name, value in act.details.items()}
    texts = (_plain(act.actor), _plain(act.action), _plain(act.target))
    digest = _digest(number, at, texts, details, previous)
    return AuditEntry(number, at, *texts, details, previous, digest)


def check_chain(entries: Iterable[AuditEntry], head: str | None = None) -> AuditCheck:
    """Compute every digest anew.

    Args:
        entries: all of them, by number.
        head: digest that one of the entries must have: the last one that somebody kept elsewhere.
    """
    done, known = AuditCheck(), head is None
    for entry in entries:
        number = done.entries + 1
        if entry.number != number:
            return _broken(done, number, f"entry {number} is missing; {entry.number} follows")
        if entry.previous != done.head:
            return _broken(done, number, "it does not follow the entry before it")
        texts = (entry.actor, entry.action, entry.target)
        if entry.digest != _digest(number, entry.at, texts, entry.details, entry.previous):
            return _broken(done, number, "its content is not what was written")
        done = AuditCheck(number, entry.digest)
        known = known or entry.digest == head
    if not known:
        return _broken(done, done.entries + 1, "no entry has the digest that was kept: the end was cut off or replaced")
    return done


def _broken(done: AuditCheck, number: int, reason: str) -> AuditCheck:
    return AuditCheck(done.entries, done.head, number, reason)


def _digest(
    number: int, at: datetime, texts: tuple[str, str, str], details: Mapping[str, object], previous: str
) -> str:
    told = [number, at.astimezone(UTC).isoformat(timespec="microseconds"), *texts, details, previous]
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _detail(value: object) -> Detail:
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    return _plain(str(value))


def _plain(text: str) -> str:
    """A text that every database keeps as it is: no NUL, no half of a surrogate pair."""
    return text[:MOST_TEXT].encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
