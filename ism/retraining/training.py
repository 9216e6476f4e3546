"""Training for a job: the engine on all of the training part, and its calibration on folds that a twin did not see.

It runs in a process of its own (`ism.engines.process`), reads the training part and nothing else, and writes a folder:
``engine/`` as the engine saves itself, and ``calibration.json``.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from ism.data.text import TextEncoder
from ism.domain.errors import EngineError
from ism.engines import catalog
from ism.engines.base import Engine, ParamValue, Snapshot
from ism.engines.files import folder_digest
from ism.engines.process import Limits, Outcome, Worker
from ism.engines.process.train import fit_and_save
from ism.engines.snapshot_files import read_snapshot
from ism.fusion.calibration import Calibration, as_json, from_json
from ism.fusion.fit import calibrate
from ism.retraining.evaluation import Model
from ism.retraining.parts import log_of

ENGINE, CALIBRATION = "engine", "calibration.json"
_CALL = "ism.retraining.training:fit_calibrate_save"


def train(
    arguments: Mapping[str, Any],
    limits: Limits,
    on_report: Callable[[dict[str, Any]], bool] | None = None,
    stop: Callable[[], bool] | None = None,
    logged: bool = False,
) -> Outcome:
    """Train in a process of its own and wait for it.

    Args:
        arguments: JSON values for `fit_calibrate_save`, without ``report``.
        limits: on time and memory.
        on_report: gets ``progress`` and ``step``; answering False ends the training.
        stop: asked every 0.05 s; answering True ends the training.
        logged: whether `log_of` the folder that is made gets what the process prints, instead of standard error.

    Returns:
        When ``done``, the result is the report of `fit_calibrate_save`.
    """
    log = log_of(Path(arguments["out"])) if logged else None
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
    with Worker(log=log) as worker:
        return worker.run(_CALL, dict(arguments), limits, on_report, stop)


def fit_calibrate_save(  # noqa: PLR0913, PLR0917 - the fields of a job, as they come over the wire
    engine: str,
    snapshot: str,
    out: str,
    params: Mapping[str, ParamValue],
    seed: int,
    text_model: str | None,
    policy: Mapping[str, ParamValue],
    report: Callable[[Mapping[str, Any]], None],
) -> dict[str, Any]:
    """What the process of a training does; equal arguments give an equal ``artifact``.

    Args:
        engine: name in the catalogue.
        snapshot: the training part.
        out: folder of the artifact; replaced when it exists.
        params: of the engine.
        seed: of everything random.
        text_model: folder of the sentence model; the bundled one when None.
        policy: parameters of the engine that people decide about, such as its privacy.
        report: gets the progress.

    Returns:
        the report of `ism.engines.process.train.fit_and_save`, with the digest of the whole artifact.
    """
    started, folder = time.perf_counter(), Path(out)
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    told = fit_and_save(engine, snapshot, str(draft / ENGINE), params, seed, text_model, policy, report)
    report({"progress": 0.95, "step": "calibrating"})
    encoder = catalog.text_encoder(text_model)

    def twin() -> Engine:
        return cast("Engine", _Fixed(catalog.make(engine, encoder, policy=policy), params))

    began = time.perf_counter()
    calibration = calibrate(read_snapshot(Path(snapshot)), twin, seed)
    calibrated = time.perf_counter() - began
    (draft / CALIBRATION).write_text(json.dumps(as_json(calibration)), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return {
        **told,
        "artifact": folder_digest(folder),
        "calibrate_seconds": calibrated,
        "seconds": time.perf_counter() - started,
    }


def load_model(engine: str, folder: Path, encoder: TextEncoder) -> tuple[Engine, Model]:
    """The engine of an artifact, and with its calibration as a model.

    Raises:
        EngineError: a file is missing, damaged or of another version.
    """
    loaded = catalog.load(engine, folder / ENGINE, encoder)
    return loaded, Model.of(loaded, read_calibration(folder))


def read_calibration(folder: Path) -> Calibration:
    """The calibration of an artifact.

    Raises:
        EngineError: it cannot be read.
    """
    path = folder / CALIBRATION
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return from_json(found)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise EngineError(f"{path} cannot be read: {error}. Restore it from a backup or train again.") from error


class _Fixed:
    """An engine that always fits with the same parameters: calibration knows nothing of them.

    Args:
        engine: does the work.
        params: of every fit.
    """

    def __init__(self, engine: Engine, params: Mapping[str, ParamValue]) -> None:
        self._engine, self._params = engine, params

    def fit(self, snapshot: Snapshot, params: Mapping[str, ParamValue] | None = None, seed: int = 0) -> None:
        self._engine.fit(snapshot, self._params, seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)
