"""Backups of a running application: by hand, and by themselves at an interval."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from ism.domain.audit import Act
from ism.domain.background import Background
from ism.domain.errors import ConflictError, IsmError
from ism.storage import SYSTEM
from ism.storage.backup import Backup, Backups
from ism.storage.lead import SOLE, Leadership

if TYPE_CHECKING:
    from ism.settings import Settings
    from ism.storage import Store

_log = logging.getLogger("ism.backup")


class BackupService:
    """Makes backups and tells the audit log; threads may share it.

    Args:
        settings: say where, how often, and how many.
        store: what is backed up; is not closed.

    Attributes:
        interval_s: seconds between two backups of the loop; may be changed while it runs.
        lead: whether this process makes them by itself, where several share a store.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._backups, self._store = Backups(store, settings), store
        self.interval_s = float(settings.backup_interval_s)
        self.lead: Leadership = SOLE
        self._failure = ""
        self._background = Background(self._run, "backup")

    def create(self, actor: str = SYSTEM) -> Backup:
        """Make one now; errors as in `ism.storage.backup.Backups.create`."""
        made = self._backups.create()
        self._store.audit.append(Act(actor, "backup.create", made.name, {"rows": made.rows, "bytes": made.size}))
        _log.info("Backup %s: %d rows, %d bytes, %s.", made.name, made.rows, made.size, made.checked)
        return made

    def list(self) -> list[Backup]:
        """Those that there are, newest first."""
        return self._backups.list()

    def start(self) -> None:
        """Make backups at the interval, in a thread of its own, until `stop`; does nothing when it has begun."""
        self._background.start()

    def stop(self, wait_s: float = 10.0) -> None:
        """End the loop; waits so long for a backup that is under way, which leaves a draft when it is cut off."""
        self._background.stop(wait_s)

    def close(self, wait_s: float = 10.0) -> None:
        """End the loop for good."""
        self._background.close(wait_s)

    def turn(self, now: datetime | None = None) -> Backup | None:
        """Make a backup if the newest one is older than the interval; replicas that share a folder make one."""
        newest = next(iter(self.list()), None)
        if newest is not None and self._age_s(newest, now or datetime.now(UTC)) < self.interval_s:
            return None
        try:
            made = self.create()
        except ConflictError:  # another process is at it
            return None
        except IsmError as error:
            self._failure = str(error)
            raise
        self._failure = ""
        return made

    def health(self) -> tuple[Literal["ok", "degraded"], str]:
        """State and detail for people: degraded while the last try failed."""
        newest = next(iter(self.list()), None)
        last = f"The newest is of {newest.made_at[:16]} UTC." if newest else "There is none yet."
        if self._failure:
            return "degraded", f"The last backup failed; the log says why. {last}"
        return "ok", last

    @staticmethod
    def _age_s(backup: Backup, now: datetime) -> float:
        return (now - datetime.fromisoformat(backup.made_at)).total_seconds()

    def _run(self) -> None:
        while not self._background.over.wait(min(self.interval_s, 60.0)):
            try:
                with self.lead.term() as mine:
                    if mine:
                        self.turn()
            except IsmError as error:
                _log.error("The backup failed: %s", error)
            except Exception:  # noqa: BLE001 - the next one is tried all the same
                _log.exception("The backup failed.")
