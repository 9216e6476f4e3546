"""The process of one optimisation: takes up the search in a folder and carries it on until its end.

It ends when its standard input does, so that it never outlives whoever started it; what was running then is run again.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ism.domain.errors import IsmError, StorageError
from ism.tuning.config import config_of
from ism.tuning.folder import LOG, OptimizationFolder, now
from ism.tuning.objective import Objective
from ism.tuning.storage import open_storage

if TYPE_CHECKING:
    import optuna

DATABASE_VARIABLE = "DATABASE_URL"
NICE = 10  # the search yields to whoever serves
_log = logging.getLogger("ism.tuning")


def main() -> None:
    """Carry on the optimisation in the folder that the command line names."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    os.nice(NICE)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: stopped.set())
    threading.Thread(target=_until_input_ends, args=(stopped,), daemon=True).start()
    carry_on(OptimizationFolder(Path(sys.argv[1])), os.environ.get(DATABASE_VARIABLE), stopped)


def carry_on(folder: OptimizationFolder, database_url: str | None, stopped: threading.Event) -> None:
    """Run the search until its budget is used, it is cancelled, or ``stopped`` is set.

    Every way to end it is written to the folder's status, but for ``stopped``: then it can be taken up again.
    """
    from ism.tuning.search import Running, Search, StoppedError  # noqa: PLC0415 - optuna takes 0.4 s

    # takes a second: loaded while the first trial runs, so that the status of a later one need not wait for it
    threading.Thread(target=import_module, args=("optuna.importance",), name="importances", daemon=True).start()
    request = folder.request()
    config, jobs = config_of(request["config"]), int(request["running"]["jobs"])
    folder.tell(status="running", start_time=folder.status()["start_time"] or now())
    try:
        search = Search(
            folder.name,
            config,
            Objective.of_json(request["objective"]),
            open_storage(folder.path, database_url),
            Running(**request["running"], log=folder.path / LOG),
        )
        _tell(folder, search.study, jobs, config.budget[0])
        search.run(
            request["first"],
            lambda: stopped.is_set() or folder.cancelled or folder.paused,
            lambda study: _tell(folder, study, jobs, config.budget[0]),
        )
    except StoppedError:
        if folder.cancelled:
            folder.end("cancelled")
        return
    except StorageError:
        raise  # the supervisor tries again: a database may be away for a moment
    except IsmError as error:
        folder.end("failed", str(error))
        return
    except Exception as error:  # noqa: BLE001 - the edge of the process: its last word goes to the status
        _log.exception("The search ended unexpectedly.")
        folder.end("failed", f"{type(error).__name__}: {error}")
        return
    _conclude(folder)


def _conclude(folder: OptimizationFolder) -> None:
    if folder.status()["best_score"] is None:
        folder.end("failed", "No trial finished within its limits. Loosen the constraints or give more time.")
        return
    folder.tell(progress=1.0)
    folder.end("completed")


def _tell(folder: OptimizationFolder, study: optuna.Study, jobs: int, trials: int) -> None:
    from ism.tuning.view import view  # noqa: PLC0415 - optuna takes 0.4 s

    seen: dict[str, Any] = view(study, jobs)
    folder.tell(**seen, progress=min(seen["n_trials"] / trials, 1.0))


def _until_input_ends(stopped: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    stopped.set()
