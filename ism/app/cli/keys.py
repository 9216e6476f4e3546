"""``ism keys``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from ism.app.cli.backend import connect
from ism.app.cli.common import err, load_settings, out, plain_table, print_json

if TYPE_CHECKING:
    from ism.storage import Role


def create(name: str, role: Role, data_dir: Path | None, as_json: bool) -> None:
    """Make a key; only its text goes to standard output."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        made = backend.create_key(name, role)
    if as_json:
        print_json(made)
        return
    err().print(f"Key {made['key_id']} for {made['name']} ({role}). It is shown this once:", markup=False)
    out().print(made["key"], markup=False, soft_wrap=True)


def rotate(key_id: str, data_dir: Path | None, as_json: bool) -> None:
    """Put a new key in the place of another one; only its text goes to standard output."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        made = backend.rotate_key(key_id)
    if as_json:
        print_json(made)
        return
    told = f"Key {made['key_id']} for {made['name']} ({made['role']}); {key_id} has ended. It is shown this once:"
    err().print(told, markup=False)
    out().print(made["key"], markup=False, soft_wrap=True)


def show(data_dir: Path | None, as_json: bool) -> None:
    """List all keys."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        keys = backend.list_keys()
    if as_json:
        print_json({"keys": keys})
        return
    table = plain_table("id", "name", "role", "made", "revoked")
    for key in keys:
        table.add_row(
            key["key_id"], escape(key["name"]), key["role"], key["created_at"][:16], (key["revoked_at"] or "")[:16]
        )
    out().print(table if keys else "There is no key yet; `ism serve` makes the first one.")


def revoke(key_id: str, data_dir: Path | None, as_json: bool) -> None:
    """End a key."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        revoked = backend.revoke_key(key_id)
    if as_json:
        print_json(revoked)
    else:
        out().print(f"Revoked {revoked['key_id']} ({revoked['name']}).", markup=False)
