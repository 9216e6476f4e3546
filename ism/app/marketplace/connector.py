"""Exchanges data with a marketplace: once by hand, and by itself at an interval."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from ism.app.marketplace.checking import Checked, check_mapping
from ism.app.marketplace.exchange import Exchange, Exchanged, Surroundings
from ism.app.marketplace.mapping import Mapping, load_mapping
from ism.app.marketplace.postgrest import LONGEST_TRIES, PostgRest, RefusedError
from ism.app.marketplace.state import Journal
from ism.app.marketplace.taking import DATASET
from ism.app.marketplace.writing import Writer
from ism.app.supabase import project_url
from ism.domain.background import Background
from ism.domain.errors import ConflictError, EngineError, IsmError

_WAIT_S = 5.0  # for an exchange that is under way in this process
_LATE = 5  # intervals without an exchange after which it is told
_CHECK_S = 3600.0  # after which tables are compared with the mapping again
_FOLDER = "data folder"
_SPARE_S = 60.0  # of the lease, beside the longest request: what is done between two of them, and pauses
_log = logging.getLogger("ism.marketplace")


class MarketplaceConnector:
    """Exchanges data with the marketplace of the settings; threads may share it, one exchange runs at a time.

    Args:
        around: what it works with.

    Raises:
        ConfigurationError: address, key or mapping cannot be used.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        settings = around.settings
        self._mapping = load_mapping(settings.marketplace_mapping)
        told = f"{project_url(settings)} {self._mapping.digest()}"
        self._name = hashlib.sha256(told.encode()).hexdigest()[:16]
        # A data folder belongs to one process, which goes on at once where an earlier one was cut off.
        self._owner = _FOLDER if settings.database_url is None else uuid.uuid4().hex
        self._lease = timedelta(seconds=LONGEST_TRIES * settings.marketplace_request_s + _SPARE_S)
        self._background = Background(self._run, "marketplace")
        PostgRest(settings, self._background.over).close()  # a key that cannot be used is told now
        self._busy = threading.Lock()
        self._writer = Writer(around.store, settings.marketplace_page_rows)
        self._checked: Checked | None = None
        self._checked_at = 0.0  # monotonic seconds
        self._last: Exchanged | None = None
        self._failure = ""
        self._worked = time.monotonic()

    @property
    def mapping(self) -> Mapping:
        """Of tables, columns and words."""
        return self._mapping

    def check(self) -> Checked:
        """Compare the mapping with the marketplace; errors as in `check_mapping`."""
        with self._client() as client:
            return self._check(client)

    def exchange(self, whole: bool = False, allow_deletions: bool = False) -> Exchanged:
        """Read what changed, match offers that are new or changed, write matches and feedback.

        Args:
            whole: whether to read whole tables, whatever changed.
            allow_deletions: whether more than half of what is stored may be removed as deleted.

        Raises:
            ConfigurationError: the mapping does not fit.
            ConflictError: another exchange is under way.
            MarketplaceError: the marketplace does not answer, or refuses.
            StorageError: the store cannot be read or written.
        """
        if not self._busy.acquire(timeout=_WAIT_S):
            raise ConflictError("An exchange with the marketplace is under way. Wait until it has ended.")
        try:
            done = self._exchange(whole, allow_deletions)
        except ConflictError:  # it happens, in another process
            self._failure, self._worked = "", time.monotonic()
            raise
        except IsmError as error:
            self._failure = str(error)
            raise
        finally:
            self._busy.release()
        self._last, self._failure, self._worked = done, "", time.monotonic()
        return done

    def start(self) -> None:
        """Exchange at the interval, in a thread of its own, until `stop`; does nothing when it has begun."""
        if not self._background.alive:
            self._worked = time.monotonic()
        self._background.start()

    def stop(self, wait_s: float = 3.0) -> None:
        """End the loop; what is cut off is carried on by the next start."""
        self._background.stop(wait_s)

    def close(self, wait_s: float = 3.0) -> None:
        """End the loop for good."""
        self._background.close(wait_s)

    def probe(self) -> tuple[bool, str]:
        """Whether exchanges happen, and what there is to say about them.

        Raises:
            EngineError: the loop has ended.
        """
        if not self._background.alive:
            raise EngineError("The loop that exchanges data with the marketplace has ended.")
        if self._failure:
            return False, f"The last exchange failed: {self._failure}"
        quiet, settings = time.monotonic() - self._worked, self._around.settings
        if quiet > _LATE * settings.marketplace_interval_s + settings.marketplace_run_s:
            return False, f"No exchange has ended for {quiet:.0f} s."
        return True, self._told()

    def status(self) -> dict[str, Any]:
        """How it is: ``tables`` that were checked, ``stored`` rows by kind, the ``last`` exchange, its ``failure``."""
        return {
            "tables": self._checked.tables if self._checked else {},
            "stored": self._around.store.datasets().get(DATASET, {}),
            "last": asdict(self._last) if self._last else None,
            "failure": self._failure or None,
        }

    def _told(self) -> str:
        last = self._last
        if last is None:
            return "The first exchange is under way."
        skipped = sum(map(len, last.skipped.values()))
        told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in last.counts.items() if count)
        rows = f"; {skipped} rows cannot be used" if skipped else ""
        return f"Exchanged at {last.began_at[11:19]} UTC: {told or 'nothing new'}{rows}."

    @contextmanager
    def _client(self) -> Iterator[PostgRest]:
        client = PostgRest(self._around.settings, self._background.over)
        try:
            yield client
        finally:
            client.close()

    def _exchange(self, whole: bool, allow_deletions: bool) -> Exchanged:
        around = self._around
        with self._client() as client:
            fresh = self._checked is not None and time.monotonic() - self._checked_at < _CHECK_S
            checked = self._checked if fresh and self._checked is not None else self._check(client)
            journal = Journal(around.store.marketplace, self._owner, self._lease, around.clock)
            journal.begin(self._name)
            if whole:
                for place in journal.state.places.values():
                    place.whole_at = place.swept_at = None
            exchange = Exchange(
                around, self._mapping, checked, client, journal, self._writer, self._background.over, allow_deletions
            )
            try:
                return exchange.run()
            except RefusedError as error:
                if error.lacks_column or error.lacks_table:
                    self._check(client)  # says which
                raise
            finally:
                with suppress(IsmError):  # what led here says more; the lease ends by itself
                    journal.end()

    def _check(self, client: PostgRest) -> Checked:
        self._checked = None
        self._checked, self._checked_at = check_mapping(client, self._mapping), time.monotonic()
        return self._checked

    def _run(self) -> None:
        while not self._background.over.is_set():
            finished = True
            try:
                finished = self.exchange().finished
            except ConflictError as error:
                _log.info("%s", error)
            except IsmError as error:
                if not self._background.over.is_set():
                    _log.warning("The exchange with the marketplace failed: %s", error)
            except Exception as error:  # noqa: BLE001 - the next one is tried all the same
                self._failure = f"{type(error).__name__}; the log says more."
                _log.exception("The exchange with the marketplace failed.")
            self._background.over.wait(self._around.settings.marketplace_interval_s if finished else 0.0)
