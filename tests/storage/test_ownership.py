"""One process owns a data folder: tried with real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ism.domain.errors import DataFolderInUseError
from ism.domain.market import Company
from ism.storage import open_sqlite

OPEN_AND_WAIT = """
import sys, time
from pathlib import Path
from ism.domain.market import Company
from ism.storage import open_sqlite
store = open_sqlite(Path(sys.argv[1]))
store.create(Company("committed", "before the end"))
def values():
    for number in range(3000):
        yield Company(f"c{number}", "half of an import")
    print("ready", flush=True)
    time.sleep(60)
store.bulk_upsert(values())
"""

FORK_AND_WAIT = """
import os, sys, time
from pathlib import Path
from ism.storage import open_sqlite
store = open_sqlite(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    print(os.getpid(), flush=True)  # the child itself, so that it runs when its name is read
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def owner(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has opened the folder and is in the middle of an import."""
    child = subprocess.Popen([sys.executable, "-c", OPEN_AND_WAIT, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    yield child
    child.kill()
    child.communicate()


def test_a_second_process_is_refused_with_the_owners_pid(owner: subprocess.Popen[str], folder: Path) -> None:
    with pytest.raises(DataFolderInUseError, match=rf"in use by process {owner.pid}\b.*running server"):
        open_sqlite(folder)


def test_a_killed_owner_leaves_the_folder_free_and_the_data_whole(owner: subprocess.Popen[str], folder: Path) -> None:
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    with open_sqlite(folder) as store:
        assert [company.company_id for company in store.page(Company).items] == ["committed"]
        assert store.generation() == 1
        assert (folder / "ism.lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_does_not_keep_the_folder(folder: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", FORK_AND_WAIT, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    try:
        with pytest.raises(DataFolderInUseError):
            open_sqlite(folder)
        child.kill()
        child.wait()
        open_sqlite(folder).close()
    finally:
        os.kill(grandchild, signal.SIGKILL)
        child.communicate()


def test_a_second_store_in_the_same_process_is_refused_until_the_first_closes(folder: Path) -> None:
    with open_sqlite(folder), pytest.raises(DataFolderInUseError, match=str(os.getpid())):
        open_sqlite(folder)
    open_sqlite(folder).close()


def test_a_store_that_cannot_be_opened_gives_the_folder_back(folder: Path) -> None:
    folder.mkdir()
    (folder / "ism.sqlite3").write_bytes(b"no database" * 500)
    for _ in range(2):
        with pytest.raises(Exception, match="not a database"):
            open_sqlite(folder)
    (folder / "ism.sqlite3").unlink()
    open_sqlite(folder).close()
