"""A process that brings a database up to date, until it is killed."""

import time
from multiprocessing.connection import Connection
from pathlib import Path

import alembic.command  # noqa: F401 - loaded before the fork, as what is killed is the migration
import psycopg  # noqa: F401 - as above
from sqlalchemy import Engine

from ism.storage import dialects, migrations


def engine_at(place: str) -> Engine:
    """For a PostgreSQL URL, or a file."""
    if place.startswith("postgresql:"):
        return dialects.postgres_engine(dialects.postgres_url(place))
    return dialects.sqlite_engine(Path(place))


def migrate_once(place: str, told: Connection) -> None:
    """Bring it up to date, and say so."""
    engine = engine_at(place)
    engine.connect().close()
    told.send("ready")
    migrations.migrate(engine)
    told.send("done")
    time.sleep(3600)  # waits to be killed
