"""The optimizer by itself, for debugging: ``python backend/ai_hyperparameter_optimizer.py [MODEL] [TRIALS]``."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence

from ism.domain.errors import InvalidInputError, IsmError
from ism.settings import Settings
from ism.tuning.config import OptimizationConfig
from ism.tuning.optimizer import AIHyperparameterOptimizer

_LOOK = 1.0  # seconds between two looks at what runs
_log = logging.getLogger("ism.tuning")


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the data folder, carry on what is unfinished, begin a search where a model is named, and tell of it.

    Returns:
        0 when nothing is left to do or Ctrl+C was pressed, 1 when a value cannot be used.
    """
    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    model, trials = [*(sys.argv[1:] if arguments is None else arguments), None, None][:2]
    settings = Settings()
    _log.info(
        "The hyper-parameter optimizer on %s: carries on unfinished searches and ends when none is left. "
        "Name a model, and a number of trials, to begin one.",
        settings.data_dir.absolute(),
    )
    try:
        with AIHyperparameterOptimizer(settings) as optimizer:
            if model is not None:
                _log.info("Began %s.", optimizer.submit(OptimizationConfig(model, n_trials=_whole(trials))))
            _tell_until_done(optimizer)
    except KeyboardInterrupt:
        _log.info("Stopped; what is unfinished is carried on the next time.")
    except IsmError as error:
        _log.error("%s", error)
        return 1
    return 0


def _tell_until_done(optimizer: AIHyperparameterOptimizer) -> None:
    told: dict[str, tuple[object, ...]] = {}
    while True:
        every = optimizer.list_optimizations()
        for each in every:
            seen = (each["status"], each["n_trials"], each["best_score"])
            if told.get(each["optimization_id"]) != seen:
                told[each["optimization_id"]] = seen
                _log.info("%s %s: %s, %s trials, best %s", each["optimization_id"], each["model_name"], *seen)
        if all(each["status"] != "running" for each in every):
            return
        time.sleep(_LOOK)


def _whole(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal():
        raise InvalidInputError("n_trials", text, "Give a whole number.")
    return int(text)
