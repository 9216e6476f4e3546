"""How a command line finds the server that owns a data folder: address and token in a file of mode 0600."""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ism.domain.errors import StorageError

if TYPE_CHECKING:
    from ism.settings import Settings

FILE = "server.json"


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A running server: where it listens, what its local token is, and its process."""

    url: str
    token: str = field(repr=False)
    pid: int


def local_url(host: str, port: int) -> str:
    """The address at which this machine reaches a server that listens on ``host``."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


def shown_url(settings: Settings) -> str:
    """The address that people are told: ``public_url``, or how this machine reaches the server; no slash at its end."""
    return settings.public_url or local_url(settings.host, settings.port)


def write_record(folder: Path, record: ServerRecord) -> None:
    """Put the record in place at once, so that nobody reads half of it.

    Raises:
        StorageError: the folder cannot be written.
    """
    path, draft = folder / FILE, folder / f"{FILE}.{os.getpid()}"
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(record), file)
        draft.replace(path)
    except OSError as error:
        raise StorageError(
            f"data_dir: {path} cannot be written ({error.strerror}). Make the folder writable."
        ) from error


def read_record(folder: Path) -> ServerRecord | None:
    """The record, if there is one that can be read; a server that was killed leaves its record behind."""
    try:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return ServerRecord(str(values["url"]), str(values["token"]), int(values["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remove_record(folder: Path, token: str) -> None:
    """Take one's own record away; another server's stays."""
    record = read_record(folder)
    if record is not None and record.token == token:
        (folder / FILE).unlink(missing_ok=True)
