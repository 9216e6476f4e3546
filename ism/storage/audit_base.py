"""What a store promises about the audit log."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ism.domain.audit import Act, AuditCheck, AuditEntry


class AuditStore(ABC):
    """An append-only log whose entries are chained; each method is one transaction.

    The store itself writes an entry, in the transaction of the change, when a key is made or revoked, when what serves
    under a model's name changes, when another fusion model is chosen, and when a setting is changed by somebody.
    """

    @abstractmethod
    def append(self, act: Act) -> AuditEntry:
        """Write an entry; writers queue up, also those of several processes."""

    @abstractmethod
    def entries(self, before: int | None = None, limit: int = 100) -> list[AuditEntry]:
        """Entries, newest first, with numbers below ``before``."""

    @abstractmethod
    def check(self, head: str | None = None) -> AuditCheck:
        """Look through the whole log; arguments as in `ism.domain.audit.check_chain`."""
