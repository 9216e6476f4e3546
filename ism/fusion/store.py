"""A fitted fusion on disk: one folder of engines, one JSON file of calibrations and weights."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ism.domain.engine import FusionModel
from ism.domain.errors import EngineError, InvalidInputError
from ism.engines.base import Engine
from ism.fusion.calibration import as_json, from_json
from ism.fusion.conformal import Conformal
from ism.fusion.fit import FittedFusion
from ism.fusion.methods import method_of
from ism.fusion.weighted_sum import checked

_FORMAT = 3
_READ = (2, 3)  # 2 has neither learnt models nor prediction sets
Loader = Callable[[Path], Engine]


def save_fusion(fusion: FittedFusion, folder: Path) -> None:
    """Write a fitted fusion; readers see the old folder or the whole new one."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, engine in fusion.engines.items():
        engine.save(fresh / name)
    about = {
        "format": _FORMAT,
        "engines": list(fusion.engines),
        "weights": fusion.weights,
        "calibrations": {name: as_json(calibration) for name, calibration in fusion.calibrations.items()},
        "models": [{**asdict(model), "last_updated": model.last_updated.isoformat()} for model in fusion.models],
        "conformal": {name: asdict(sets) for name, sets in fusion.conformal.items()},
    }
    (fresh / "fusion.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_fusion(folder: Path, loaders: Mapping[str, Loader]) -> FittedFusion:
    """Read what `save_fusion` wrote.

    Raises:
        EngineError: something is missing, damaged or of another version.
    """
    path = folder / "fusion.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["format"] not in _READ:
            raise EngineError(f"{path} is of format {about['format']!r}, not {_FORMAT}. Fit the engines again.")
        calibrations = {name: from_json(values) for name, values in about["calibrations"].items()}
        weights = checked(about["weights"])
        names = [str(name) for name in about["engines"]]
        models = [_model(values) for values in about.get("models", [])]
        conformal = {name: _conformal(values) for name, values in about.get("conformal", {}).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidInputError) as error:
        raise EngineError(f"{path} cannot be read: {error!r}. Restore it from a backup or fit again.") from error
    engines = {name: loaders[name](folder / name) for name in names if name in loaders}
    return FittedFusion(engines, calibrations, weights, models=models, conformal=conformal)


def _model(values: Mapping[str, Any]) -> FusionModel:
    model = FusionModel(**{**values, "last_updated": datetime.fromisoformat(values["last_updated"])})
    method_of(model)
    return model


def _conformal(values: Mapping[str, Any]) -> Conformal:
    scores, weights = (np.asarray(values[name], np.float64) for name in ("scores", "weights"))
    if scores.shape != weights.shape or not np.isfinite([scores, weights]).all() or (np.diff(scores) < 0).any():
        raise ValueError("the thresholds of a prediction set are not in order")
    return Conformal(tuple(scores.tolist()), tuple(weights.tolist()), int(values["groups"]))


def versions(folder: Path) -> dict[str, str]:
    """Engine -> the first 12 hexadecimal digits of the SHA-256 of its files; ``fusion`` for the whole."""
    found = {}
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        digest = hashlib.sha256()
        for file in sorted(part.iterdir()):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        found[part.name] = digest.hexdigest()[:12]
    found["fusion"] = hashlib.sha256((folder / "fusion.json").read_bytes()).hexdigest()[:12]
    return found
