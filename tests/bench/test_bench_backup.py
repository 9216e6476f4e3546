from pathlib import Path

from bench import backup
from ism.domain.market import Company
from ism.storage import open_sqlite


def test_a_row_that_differs_is_counted(tmp_path: Path) -> None:
    with open_sqlite(tmp_path / "a") as one, open_sqlite(tmp_path / "b") as other:
        engines = [store._database.engine for store in (one, other)]
        assert backup.differing(*engines) == 0
        one.create(Company("written-1", "while it was backed up"))
        assert backup.differing(*engines) == 0
        one.create(Company("c1", "Works"))
        assert backup.differing(*engines) == 1
        other.create(Company("c1", "Other works"))
        assert backup.differing(*engines) == 2


def test_the_section_tells_times_and_rows() -> None:
    told = {
        "rows": 100, "database_bytes": 2e9, "backup_bytes": 1e9, "backup_s": 12.0, "restore_s": 8.0, "differ": 0,
        "checked": "x",
    }  # fmt: skip
    found = {"databases": {"sqlite": {**told, "copy_s": 1.5}, "postgresql": told}, "limit_s": 300.0}
    text = backup.section(found, "about")
    assert "| SQLite | 2,000 | 1,000 | 12.0 | 1.5 | 8.0 | 100 | 0 |" in text
    assert "| PostgreSQL | 2,000 | 1,000 | 12.0 | – | 8.0 | 100 | 0 |" in text
