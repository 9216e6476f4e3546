"""``ism sync``: exchange with the marketplace's own tables, or see whether they fit."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ism.app.cli.backend import connect
from ism.app.cli.common import load_settings, out, plain_table, print_json
from ism.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from ism.settings import Settings

_SHOWN = 20


def sync(whole: bool, allow_deletions: bool, data_dir: Path | None, as_json: bool) -> None:
    """Exchange once and say what was done.

    Raises:
        ConfigurationError: no marketplace is set.
    """
    settings = _connected(data_dir)
    with connect(settings, matching=True) as backend:
        done = backend.sync({"whole": whole, "allow_deletions": allow_deletions})
    if as_json:
        print_json(done)
        return
    console = out()
    told = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in done["counts"].items() if count)
    console.print(f"{told or 'Nothing was new'}; {done['seconds']:.1f} s.", markup=False, soft_wrap=True)
    if not done["finished"]:
        console.print("There is more to do: run it again, or let the server go on.", markup=False)
    for note in done["notes"]:
        console.print(note, markup=False, soft_wrap=True)
    rows = [(table, row, why) for table, skipped in done["skipped"].items() for row, why in skipped.items()]
    if rows:
        table = plain_table("table", "row", "why it cannot be used")
        for row in rows[:_SHOWN]:
            table.add_row(*map(_literal, row))
        console.print(table)
        if len(rows) > _SHOWN:
            console.print(f"… and {len(rows) - _SHOWN} more.")


def check(data_dir: Path | None, as_json: bool) -> None:
    """Compare the mapping with the marketplace, and say what is read and written.

    Raises:
        ConfigurationError: no marketplace is set, or it does not fit; names what is missing.
        MarketplaceError: it does not answer.
    """
    from ism.app.marketplace.checking import check_mapping, written  # noqa: PLC0415 - only where one is set
    from ism.app.marketplace.mapping import load_mapping  # noqa: PLC0415 - as above
    from ism.app.marketplace.postgrest import PostgRest  # noqa: PLC0415 - as above

    settings = _connected(data_dir)
    mapping, client = load_mapping(settings.marketplace_mapping), PostgRest(settings)
    try:
        found = check_mapping(client, mapping)
    finally:
        client.close()
    if as_json:
        print_json({**asdict(found), "notes": found.notes()})
        return
    table = plain_table("table", "", "columns")
    for name, columns in found.tables.items():
        table.add_row(name, "written" if name in written(mapping) else "read", ", ".join(columns))
    out().print(table)
    for note in found.notes():
        out().print(note, markup=False, soft_wrap=True)


def _connected(data_dir: Path | None) -> Settings:
    settings = load_settings(data_dir=data_dir)
    if not settings.connects_marketplace:
        raise ConfigurationError("No marketplace is connected. Set SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY.")
    return settings


def _literal(text: str) -> str:
    from rich.markup import escape  # noqa: PLC0415 - only where a table is printed

    return escape(text)
