"""Whether a marketplace has the tables and columns of the mapping: asked of itself, column by column."""

from __future__ import annotations

from dataclasses import dataclass, field

from ism.app.marketplace.mapping import Mapping, Source
from ism.app.marketplace.postgrest import PostgRest, RefusedError
from ism.domain.errors import ConfigurationError

MATCH_COLUMNS = (
    "recommendation_id",
    "request_id",
    "rank",
    "offer_id",
    "company_id",
    "receiver_kind",
    "receiver_id",
    "final_score",
    "confidence",
    "engine_scores",
    "model_versions",
    "created_at",
)
EVENT_COLUMNS = (
    "event_id",
    "event_type",
    "source",
    "data",
    "event_time",
    "recorded_at",
    "metadata",
    "priority",
    "recommendation_id",
    "offer_id",
    "receiver_id",
    "company_id",
)
_HINT = "Name the right one in ISM_MARKETPLACE_MAPPING, or null where there is none; docs/supabase.md tells how."
_MAKE = "Run deploy/supabase/ism.sql in the project."


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    Attributes:
        tables: each that is read or written -> its columns.
        timeless: tables that are read whole each time, as they lack a time of change.
    """

    tables: dict[str, list[str]] = field(default_factory=dict)
    timeless: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """What could be better, for people."""
        return [
            f"{table} has no column updated_at, so it is read whole each time; deploy/supabase/updated_at.sql adds one."
            for table in self.timeless
        ]


def check_mapping(client: PostgRest, mapping: Mapping) -> Checked:
    """Compare the mapping with the marketplace.

    Raises:
        ConfigurationError: tables or columns are missing; names all of them.
        MarketplaceError: the marketplace does not answer, or refuses the key.
    """
    tables, timeless, missing = {}, [], []
    for source in mapping.sources().values():
        columns = list(source.columns().values())
        missing += _missing(client, source.table, columns, _HINT)
        if source.changed is not None and not missing:
            if not _missing(client, source.table, [source.changed], _HINT):
                columns.append(source.changed)
            elif source.demands_changed:
                missing.append(f"{source.table} has no column {source.changed!r}. {_HINT}")
            else:
                timeless.append(source.table)
        tables[source.table] = columns
    for table, wanted in written(mapping).items():
        missing += _missing(client, table, list(wanted), _MAKE)
        if not missing:
            client.insert(table, [])  # asks for the right to write, and writes nothing
        tables[table] = list(wanted)
    if missing:
        raise ConfigurationError("The marketplace does not fit the mapping: " + " ".join(dict.fromkeys(missing)))
    return Checked(tables, tuple(timeless))


def written(mapping: Mapping) -> dict[str, tuple[str, ...]]:
    """Tables that are written, with their columns."""
    found = {mapping.write_matches: MATCH_COLUMNS, mapping.write_events: EVENT_COLUMNS}
    return {table: columns for table, columns in found.items() if table is not None}


def selected(source: Source, changed: str | None) -> dict[str, str]:
    """What is asked of a table: field -> column; the time of change as ``changed``."""
    return {**source.columns(), **({"changed": changed} if changed is not None else {})}


def _missing(client: PostgRest, table: str, columns: list[str], remedy: str) -> list[str]:
    """What is missing, for people."""
    try:
        client.select(table, {f"c{place}": column for place, column in enumerate(columns)})
    except RefusedError as error:
        if error.lacks_table:
            return [f"There is no table {table!r}. {remedy}"]
        if not error.lacks_column:
            raise
        if len(columns) == 1:
            return [f"{table} has no column {columns[0]!r}. {remedy}"]
        return [problem for column in columns for problem in _missing(client, table, [column], remedy)]
    return []
