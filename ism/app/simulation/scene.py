"""A data folder of its own for a simulated market, with the real application on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from ism.app.simulation import DATASET
from ism.app.simulation.board import Board, make_board
from ism.app.simulation.world import Stage, make_stage
from ism.data.demo import load
from ism.domain.errors import ConflictError
from ism.settings import Settings
from ism.storage.opening import SIMULATED_MARK, SQLITE_FILE

if TYPE_CHECKING:
    from ism.app.simulation.desk import Clock
    from ism.app.wiring import Application

_MARK_TEXT = "Everything in this folder was made by `ism simulate`. Nothing in it is data.\n"
_ASIDE = {"retraining_enabled": False, "optimization_enabled": False}  # requests are stored; nothing is trained
_STORED = (SQLITE_FILE, f"{SQLITE_FILE}-wal", f"{SQLITE_FILE}-shm")


@dataclass(frozen=True)
class Scene:
    """The application, the offers, and what its engines say of them."""

    application: Application
    stage: Stage
    board: Board


def settings_for(folder: Path) -> Settings:
    """Default settings on a folder, whatever the environment says: nothing of it may reach a real database.

    Args:
        folder: of the simulation.
    """
    given = {name: field.default for name, field in Settings.model_fields.items()}
    return Settings(
        _env_file=None, **{**given, "data_dir": folder, "demo_market": False, "schedule_zone": "UTC", **_ASIDE}
    )


def prepare(folder: Path) -> None:
    """Make a folder ready for a new run; engines that an earlier run fitted stay.

    Raises:
        ConflictError: there is something in it that no simulation put there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not (folder / SIMULATED_MARK).is_file():
        raise ConflictError(f"folder: {folder} holds something that no simulation made. Name a new or an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SIMULATED_MARK).write_text(_MARK_TEXT, encoding="utf-8")
    for name in _STORED:
        (folder / name).unlink(missing_ok=True)


@contextmanager
def open_scene(folder: Path, clock: Clock) -> Iterator[Scene]:
    """The real application on a prepared folder, with the demonstration market's companies as the stage.

    Args:
        folder: from `prepare`.
        clock: the simulated time.

    Raises:
        DataFolderInUseError: another process has the folder.
    """
    from ism.app.matching import MatchService  # noqa: PLC0415 - only where a market is played
    from ism.app.wiring import offer_from, open_application  # noqa: PLC0415 - as above

    companies, listings, exchanges = load()
    make = partial(MatchService, clock=clock)  # waits for all engines
    with open_application(settings_for(folder), make, warm=False, clock=clock, simulated=True) as application:
        application.store.bulk_upsert(chain(companies, listings, exchanges), DATASET)
        application.warm_up()
        by_id = {company.company_id: company for company in companies}
        offers = [offer_from(item, by_id[item.company_id]) for item in listings if item.kind == "offer"]
        built, fusion = application.matcher.serving()
        stage = make_stage(built, offers, application.encoder)
        yield Scene(application, stage, make_board(stage, fusion))
