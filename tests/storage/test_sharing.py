from pathlib import Path

import pytest
from pydantic import SecretStr

from ism.domain.errors import DataFolderInUseError, StorageError
from ism.domain.market import Company
from ism.settings import Settings
from ism.storage import open_sqlite, share_store


def test_the_last_user_closes_the_store(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", _env_file=None, database_url=None)
    first, second = share_store(settings), share_store(settings)
    assert first.store is second.store
    first.close()
    first.close()
    second.store.create(Company("a", "A"))
    with pytest.raises(DataFolderInUseError):
        open_sqlite(tmp_path / "data")
    second.close()
    with open_sqlite(tmp_path / "data") as store:
        assert store.get(Company, "a").name == "A"


def test_each_place_has_its_own(tmp_path: Path) -> None:
    one, two = (share_store(Settings(data_dir=tmp_path / name, _env_file=None)) for name in "ab")
    assert one.store is not two.store
    one.close()
    two.close()


def test_a_store_that_cannot_be_opened_is_not_shared(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", _env_file=None)
    with open_sqlite(tmp_path / "data"), pytest.raises(DataFolderInUseError):
        share_store(settings)
    share_store(settings).close()


@pytest.mark.postgres
def test_a_database_is_shared_too(postgres_url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=SecretStr(postgres_url), _env_file=None)
    first, second = share_store(settings), share_store(settings)
    assert first.store is second.store
    first.close()
    second.close()
    with pytest.raises(StorageError, match="closed"):
        second.store.ping()
