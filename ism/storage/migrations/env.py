"""Alembic's entry point: runs migrations on the connection, and in the transaction, that `migrate` opened."""

from alembic import context

from ism.storage.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite alters a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
