"""A study as plain data, for status calls and dashboards."""

from __future__ import annotations

from typing import Any

import optuna

from ism.tuning.search import MEASURED, best_trial, finished_trials, worked_seconds

_ENOUGH = 4  # completed trials below which importances would be noise


def view(study: optuna.Study, jobs: int = 1) -> dict[str, Any]:
    """Best result, history and importances.

    Returns:
        ``best_score`` and ``best_params`` (None until a trial kept every limit), ``n_trials`` finished, ``duration`` of
        the work in seconds, ``importances`` by parameter, and ``trials`` in order: ``number``, ``state`` (``complete``,
        ``pruned``, ``failed``), ``score``, ``params``, ``steps`` (running means), ``feasible``, ``constraints`` (0 or
        less where a limit is kept), and what was measured: ``seconds``, ``training_seconds``, ``peak_memory_mib``,
        ``reason``.
    """
    best = best_trial(study)
    return {
        "best_score": None if best is None else best.value,
        "best_params": None if best is None else dict(best.params),
        "n_trials": len(finished_trials(study)),
        "duration": worked_seconds(study, jobs),
        "importances": importances(study),
        "trials": [_trial(trial) for trial in finished_trials(study)],
    }


def importances(study: optuna.Study) -> dict[str, float]:
    """How much each parameter moved the score, adding up to 1, largest first; empty where too little is known.

    PED-ANOVA (Watanabe et al. 2023, "PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary
    subspaces").
    """
    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    moved = len({trial.value for trial in done}) > 1
    if len(done) < _ENOUGH or not moved:
        return {}
    return {name: float(value) for name, value in optuna.importance.get_param_importances(study).items()}


def _trial(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    measured = trial.user_attrs.get(MEASURED, {})
    states = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    return {
        "number": trial.number,
        "state": states[trial.state.name],
        "score": trial.value,
        "params": dict(trial.params),
        "steps": [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)],
        "feasible": all(excess <= 0 for excess in trial.constraints.values()),
        "constraints": dict(trial.constraints),
        **{name: measured.get(name) for name in ("seconds", "training_seconds", "peak_memory_mib")},
        "reason": measured.get("reason", ""),
    }
