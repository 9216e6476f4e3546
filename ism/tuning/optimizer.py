"""`AIHyperparameterOptimizer`: searches for better parameters in the background, one search at a time."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ism.domain.errors import EngineError, InvalidInputError, NotFoundError
from ism.engines.base import ParamValue, Snapshot
from ism.engines.snapshot_files import write_snapshot
from ism.settings import Settings
from ism.tuning.config import OptimizationConfig, config_of
from ism.tuning.folder import NOTHING, OF_A_JOB, OptimizationFolder, folders, make_folder
from ism.tuning.found import gain, is_whole_engine
from ism.tuning.objective import Objective, check_engine, engine_objective
from ism.tuning.supervisor import Supervisor

FOLDER = "tuning"
_PAST = 3  # earlier searches whose best parameters are tried first
_DETAILS = ("trials", "importances")

ReadSnapshot = Callable[[], Snapshot]
Champion = Callable[[str], Mapping[str, ParamValue] | None]


class AIHyperparameterOptimizer:
    """Searches for parameters; everything it does survives the end of the process.

    A search is a folder under ``tuning/`` of the data folder. Whoever opens the data folder carries on what is not
    finished there, one search after another, each in a process of its own. Trials see the snapshot that was written for
    them and nothing else: the exchanges that would judge a promotion are not in it.

    Threads: every method may be called from any thread.

    Args:
        settings: of the application; read from the environment when None.
        read_snapshot: what is learnt from, without what judges the result; what a retraining on the data folder would
            learn from when None.
        champion: parameters of a model that serves now, tried first; the engine's defaults where it knows none.
        resume: whether to carry on what earlier processes left unfinished.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        read_snapshot: ReadSnapshot | None = None,
        champion: Champion | None = None,
        resume: bool = True,
    ) -> None:
        self._settings = settings or Settings()
        self._read = read_snapshot or partial(_default_snapshot, self._settings)
        self._champion = champion or (lambda name: None)
        self._home = (self._settings.data_dir / FOLDER).absolute()
        self._supervisor = Supervisor(self._home, self._settings)
        if resume:
            self._supervisor.wake()

    async def optimize_hyperparameters(
        self, config: OptimizationConfig, objective: Objective | None = None, snapshot: Path | None = None
    ) -> str:
        """Begin a search; see `submit`."""
        return await asyncio.to_thread(self.submit, config, objective, snapshot)

    def submit(
        self,
        config: OptimizationConfig,
        objective: Objective | None = None,
        snapshot: Path | None = None,
        name: str | None = None,
    ) -> str:
        """Begin a search, or put it behind the one that runs.

        Args:
            config: what is asked for.
            objective: what a trial computes; the engine's ranking of held-out folds when None.
            snapshot: folder of the snapshot that an engine learns from. It must not hold what judges the result. What
                ``read_snapshot`` tells when None.
            name: identifier of the search; a new one when None.

        Returns:
            the identifier, once the search is on disk.

        Raises:
            InvalidInputError: the config cannot be used for this model.
            StorageError: the market cannot be read.
        """
        if not isinstance(config, OptimizationConfig):
            raise InvalidInputError("config", config, "Give an OptimizationConfig.")
        if objective is None:
            check_engine(config)
        held = _Draft(self._home)
        try:
            if objective is None and snapshot is None:
                snapshot = held.write(self._read())
            folder = make_folder(
                self._home, lambda path: self._request(config, objective, held.into(path) or snapshot), name
            )
        finally:
            held.discard()
        self._supervisor.wake()
        return folder.name

    def get_optimization_status(self, optimization_id: str) -> dict[str, Any]:
        """How far a search is.

        Returns:
            ``status`` (``running``, also while it waits for another one; ``completed``, ``failed``, ``cancelled``,
            ``not_found``), ``progress`` 0..1, ``best_score``, ``best_params``, ``n_trials`` finished, ``duration`` (s),
            ``start_time``, ``completed_at`` (ISO 8601, UTC), and ``error_message`` where it failed.
        """
        told = self._folder(optimization_id).status() if optimization_id else dict(NOTHING)
        return {name: value for name, value in told.items() if name not in _DETAILS}

    def get_optimization(self, optimization_id: str) -> dict[str, Any]:
        """The status with ``importances`` and ``trials``, as `ism.tuning.view.view` describes them.

        Raises:
            NotFoundError: there is no such search.
        """
        told = self._folder(optimization_id).status()
        if told["status"] == "not_found":
            raise NotFoundError("optimization", optimization_id)
        return {"importances": {}, "trials": [], **told}

    def get_config(self, optimization_id: str) -> OptimizationConfig:
        """What was asked for.

        Raises:
            NotFoundError: there is no such search.
        """
        request = self._folder(optimization_id).request() if optimization_id else {}
        if not request:
            raise NotFoundError("optimization", optimization_id)
        return config_of(request["config"])

    def list_optimizations(self) -> list[dict[str, Any]]:
        """The status of every search, oldest first."""
        return [self.get_optimization_status(folder.name) for folder in folders(self._home)]

    def optimization_status(self) -> dict[str, list[dict[str, Any]]]:
        """What a dashboard shows: ``active_optimizations`` and ``optimization_history``."""
        every = self.list_optimizations()
        return {
            "active_optimizations": [each for each in every if each["status"] == "running"],
            "optimization_history": [each for each in every if each["status"] != "running"],
        }

    def better(self, least_gain: float) -> list[tuple[str, str]]:
        """Searches that found better parameters than those in use now: identifier and model of each, oldest first.

        Searches of whole engines count, when their budget is used; those that a retraining began do not: it goes on by
        itself. So does nothing that was measured against parameters which are in use no more.

        Args:
            least_gain: by which the best score must exceed that of the parameters in use, in the search's metric.
        """
        found = []
        for folder in folders(self._home):
            request = folder.request()
            if folder.name.startswith(OF_A_JOB) or not is_whole_engine(request) or gain(folder.status()) < least_gain:
                continue
            model, objective = request["config"]["model_name"], Objective.of_json(request["objective"])
            if request["first"][0] == self._in_use(model, objective):
                found.append((folder.name, model))
        return found

    def cancel(self, optimization_id: str) -> bool:
        """End a search; what it found so far stays. False where there is none, or it has ended already."""
        folder = self._folder(optimization_id)
        if folder.status()["status"] != "running":
            return False
        folder.cancel()
        self._supervisor.wake()
        return True

    def wait(self, optimization_id: str, timeout: float) -> dict[str, Any]:
        """The status once the search has ended, or after ``timeout`` seconds."""
        self._supervisor.wait(self._folder(optimization_id), timeout)
        return self.get_optimization_status(optimization_id)

    def pause(self, optimization_id: str, paused: bool = True) -> None:
        """Stop working on a search until it is woken with ``paused=False``; a finished trial is never lost."""
        self._folder(optimization_id).pause(paused)
        self._supervisor.wake()

    def extend(self, optimization_id: str, n_trials: int) -> None:
        """Give a search that has completed more trials, or one that runs.

        Args:
            optimization_id: of the search.
            n_trials: in all; fewer than it has change nothing.

        Raises:
            NotFoundError: there is no such search.
            EngineError: it failed or was cancelled.
        """
        folder = self._folder(optimization_id)
        status = folder.status()["status"]
        if status == "not_found":
            raise NotFoundError("optimization", optimization_id)
        if status not in {"running", "completed"}:
            raise EngineError(f"Optimization {optimization_id} is {status}. Begin another one.")
        folder.extend(n_trials)
        self._supervisor.wake()

    def probe(self) -> str:
        """See to it that unfinished searches are worked on; how many there are, for people.

        Raises:
            EngineError: work on them stopped.
        """
        every = self.list_optimizations()
        if self._supervisor.failure is not None:
            kind = type(self._supervisor.failure).__name__
            raise EngineError(f"Work on the searches stopped ({kind}); the log says more.")
        self._supervisor.wake()
        running = sum(each["status"] == "running" for each in every)
        return f"{len(every)} searches, {running} unfinished."

    def close(self) -> None:
        """Stop working; what is not finished is carried on when the data folder is opened again."""
        self._supervisor.close()

    def __enter__(self) -> AIHyperparameterOptimizer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _folder(self, name: str) -> OptimizationFolder:
        safe = isinstance(name, str) and name.replace("-", "").isalnum() and len(name) <= 100
        return OptimizationFolder(self._home / (name if safe else "-"))

    def _request(
        self, config: OptimizationConfig, objective: Objective | None, snapshot: Path | None
    ) -> dict[str, Any]:
        settings = self._settings
        if objective is None and snapshot is not None:
            objective = engine_objective(config, snapshot.absolute(), settings.text_model, settings.engine_policies())
        if objective is None:  # submit writes a snapshot where there is no objective
            raise EngineError("There is neither an objective nor a snapshot.")
        running = {
            "jobs": settings.tuning_jobs,
            "threads": settings.tuning_threads,
            "trial_seconds": settings.tuning_trial_seconds,
            "trial_memory_mib": settings.tuning_trial_memory_mib,
            "pruner": settings.tuning_pruner,
        }
        first = self._first(config.model_name, objective)
        return {"config": config.to_json(), "objective": objective.to_json(), "first": first, "running": running}

    def _first(self, model: str, objective: Objective) -> list[dict[str, ParamValue]]:
        """Parameters to try before any are drawn: the champion's, or the defaults, then the best of past searches."""
        past = [folder.status() for folder in reversed(folders(self._home))]
        best = [each["best_params"] for each in past if each["model_name"] == model and each["best_params"]][:_PAST]
        known = [{name: value for name, value in params.items() if name in objective.space} for params in best]
        return [self._in_use(model, objective), *known]

    def _in_use(self, model: str, objective: Objective) -> dict[str, ParamValue]:
        """The parameters that are searched, as they are now."""
        defaults = {name: param.default for name, param in objective.space.items()}
        return {**defaults, **{k: v for k, v in (self._champion(model) or {}).items() if k in defaults}}


class _Draft:
    """A snapshot on its way into the folder of a search."""

    def __init__(self, home: Path) -> None:
        self._path = home / f".snapshot-{threading.get_ident()}"
        self._written = False

    def write(self, snapshot: Snapshot) -> Path:
        self.discard()
        write_snapshot(snapshot, self._path)
        self._written = True
        return self._path

    def into(self, folder: Path) -> Path | None:
        """Move it; the path that it will have once the folder is in place."""
        if not self._written:
            return None
        self._path.rename(folder / "snapshot")
        return folder.with_name(folder.name.removeprefix(".new-")) / "snapshot"

    def discard(self) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


def _default_snapshot(settings: Settings) -> Snapshot:
    from ism.tuning.source import market_snapshot  # noqa: PLC0415 - the sentence model loads only where it is needed

    return market_snapshot(settings)
