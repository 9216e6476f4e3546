"""Training as a pure function: snapshot, parameters and seed in, artifact out, in a process of its own.

Nothing but the snapshot's folder is read, and no database is opened. The same snapshot, parameters and seed give the
same digest on the same machine and library versions; numerical libraries run on one thread to that end.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ism.domain.errors import InvalidInputError
from ism.engines import catalog
from ism.engines.base import ParamValue
from ism.engines.files import folder_digest
from ism.engines.params import resolve
from ism.engines.process.runner import Limits, OnReport, Outcome, Worker
from ism.engines.process.worker import Report
from ism.engines.snapshot_files import read_snapshot, snapshot_digest

_CALL = "ism.engines.process.train:fit_and_save"


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What to train.

    Attributes:
        engine: name in the catalogue.
        snapshot: folder that `ism.engines.snapshot_files.write_snapshot` wrote.
        out: folder of the artifact; made by the training, must not exist.
        params: values for names in the engine's search space; defaults for the rest.
        seed: of everything random.
        text_model: folder of the sentence model that the snapshot was made with; the bundled one when None.
        policy: parameters of the engine that people decide about, such as its privacy.
    """

    engine: str
    snapshot: Path
    out: Path
    params: Mapping[str, ParamValue] = field(default_factory=dict)
    seed: int = 0
    text_model: Path | None = None
    policy: Mapping[str, ParamValue] = field(default_factory=dict)


def train(
    job: TrainingJob,
    limits: Limits | None = None,
    on_progress: Callable[[float, str], None] | None = None,
    stop: Callable[[], bool] | None = None,
    worker: Worker | None = None,
) -> Outcome:
    """Train in a process of its own and wait for it.

    Args:
        job: what to train.
        limits: on time and memory.
        on_progress: gets the done share (0..1) and the name of the step.
        stop: asked every 0.05 s; answering True ends the training.
        worker: to train in; a new one when None.

    Returns:
        When ``done``, the result is the report: ``engine``, ``params`` (all of them), ``policy``, ``seed``,
        ``snapshot`` and ``artifact`` (digests), ``fit_seconds``, ``seconds``, ``versions``. Otherwise ``out`` does
        not exist.

    Raises:
        InvalidInputError: a parameter cannot be used, or ``out`` exists.
        NotFoundError: there is no such engine.
    """
    resolve(catalog.engine_class(job.engine).search_space(), job.params)
    if job.out.exists():
        raise InvalidInputError("out", str(job.out), "Name a folder that does not exist yet.")
    told = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(job).items()}
    try:
        if worker is not None:
            return worker.run(_CALL, told, limits, _steps(on_progress), stop)
        with Worker() as own:
            return own.run(_CALL, told, limits, _steps(on_progress), stop)
    finally:
        shutil.rmtree(_draft(job.out), ignore_errors=True)


def fit_and_save(  # noqa: PLR0913, PLR0917 - the fields of a job, as they come over the wire
    engine: str,
    snapshot: str,
    out: str,
    params: Mapping[str, ParamValue],
    seed: int,
    text_model: str | None,
    policy: Mapping[str, ParamValue],
    report: Report,
) -> dict[str, Any]:
    """What the process of a training does; see `train` for the result."""
    started = time.perf_counter()
    report({"progress": 0.0, "step": "reading the snapshot"})
    learnt = read_snapshot(Path(snapshot))
    made = catalog.make(engine, catalog.text_encoder(text_model), policy=policy)
    report({"progress": 0.1, "step": "fitting"})
    began = time.perf_counter()
    made.fit(learnt, params, seed)
    fitted = time.perf_counter() - began
    report({"progress": 0.9, "step": "saving"})
    draft = _draft(Path(out))
    shutil.rmtree(draft, ignore_errors=True)
    draft.parent.mkdir(parents=True, exist_ok=True)
    made.save(draft)
    digest = folder_digest(draft)
    draft.rename(out)
    return {
        "engine": engine,
        "params": resolve(made.search_space(), params),
        "policy": dict(policy),
        "seed": seed,
        "snapshot": snapshot_digest(Path(snapshot)),
        "artifact": digest,
        "fit_seconds": fitted,
        "seconds": time.perf_counter() - started,
        "versions": {name: version(name) for name in ("ism-ai-platform", "numpy", "scipy", "lightgbm")},
    }


def _draft(out: Path) -> Path:
    return out.with_name(f"{out.name}.part")


def _steps(tell: Callable[[float, str], None] | None) -> OnReport | None:
    if tell is None:
        return None

    def on_report(values: dict[str, Any]) -> bool:
        tell(float(values["progress"]), str(values["step"]))
        return True

    return on_report
