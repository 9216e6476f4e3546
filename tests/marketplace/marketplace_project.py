"""The database of a project, as at its beginning."""

from pathlib import Path

import psycopg
from marketplace_fakes import market
from postgrest_standin import RESET

SQL = Path(__file__).parents[2] / "deploy" / "supabase"


def reset(database: str) -> None:
    """The market and our tables as at the beginning."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(RESET)
        connection.execute(market())
        for name in ("updated_at.sql", "ism.sql"):
            connection.execute((SQL / name).read_text())
