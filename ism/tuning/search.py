"""The search itself: draws parameters, runs trials in workers, keeps what they measured."""

from __future__ import annotations

import math
import queue
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from ism.domain.errors import EngineError
from ism.engines.base import ParamValue
from ism.engines.process import Limits, Outcome, Worker
from ism.tuning.config import OptimizationConfig
from ism.tuning.methods import Pruner, pruner_of, sampler_of
from ism.tuning.objective import Objective
from ism.tuning.space import suggest

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

MEASURED = "measured"
_SEEDED = "first trials are queued"
_HOPELESS = 5  # failures in a row without a success after which a search gives up
_FINISHED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.FAIL)
_INTERRUPTED = "interrupted"
_RETRIES = 2  # of a trial that was running when its process was killed


class StoppedError(BaseException):
    """The search was asked to stop; not an `Exception`, so that the running trial stays open and is run again."""


class _TrialFailedError(Exception):
    """A trial ended without a score."""


@dataclass(frozen=True, slots=True)
class Running:
    """How trials run.

    Attributes:
        jobs: trials at the same time, each in its own process.
        threads: of numerical libraries in a trial.
        trial_seconds: longest trial, in seconds.
        trial_memory_mib: largest trial, in MiB.
        pruner: ends trials that fall behind the others.
        log: file that gets what trials print.
    """

    jobs: int = 1
    threads: int = 1
    trial_seconds: float | None = None
    trial_memory_mib: float | None = None
    pruner: Pruner = "median"
    log: Path | None = None


class Search:
    """One optimisation, begun or taken up again.

    Args:
        name: of the study.
        config: what is asked for.
        objective: what a trial computes.
        storage: where trials are kept; `Search` expects to be the only one that works on this study.
        running: how trials run.
    """

    def __init__(
        self,
        name: str,
        config: OptimizationConfig,
        objective: Objective,
        storage: BaseStorage,
        running: Running | None = None,
    ) -> None:
        self._config, self._objective, self._running = config, objective, running or Running()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self.study = optuna.create_study(
            study_name=name,
            storage=storage,
            direction=config.direction,
            pruner=pruner_of(self._running.pruner),
            load_if_exists=True,
        )
        retry_interrupted(self.study)
        self._deadline = math.inf
        self._stop: Callable[[], bool] = lambda: False
        self._workers: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self.study.sampler = sampler_of(config, len(self.study.get_trials(deepcopy=False)), self._running.jobs)

    def run(
        self,
        first: Sequence[Mapping[str, ParamValue]] = (),
        stop: Callable[[], bool] | None = None,
        on_trial: Callable[[optuna.Study], None] | None = None,
    ) -> None:
        """Run trials until the budget is used.

        Args:
            first: parameters to try before any are drawn: the champion's, and the best of earlier searches.
            stop: asked often; answering True ends the search, and the running trials will be run again.
            on_trial: told after each trial.

        Raises:
            StoppedError: `stop` said so.
            EngineError: every one of the first trials failed.
        """
        self._queue_first(first)
        trials, seconds = self._config.budget
        left, finished = seconds - worked_seconds(self.study, self._running.jobs), len(finished_trials(self.study))
        if finished >= trials or left <= 0:
            return
        self._deadline, self._stop = time.monotonic() + left, stop or self._stop
        workers = [Worker(self._running.threads, self._running.log, ahead=True) for _ in range(self._running.jobs)]
        for worker in workers:
            self._workers.put(worker)

        def after(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            if on_trial is not None:
                on_trial(study)
            _give_up_if_hopeless(study)

        try:
            self.study.optimize(
                self._score,
                n_trials=trials - finished,
                timeout=left,
                n_jobs=self._running.jobs,
                catch=(_TrialFailedError,),
                callbacks=[after],
            )
        finally:
            for worker in workers:
                worker.close()

    def _queue_first(self, first: Sequence[Mapping[str, ParamValue]]) -> None:
        if self.study.user_attrs.get(_SEEDED):
            return
        for params in first:
            known = {name: value for name, value in params.items() if name in self._objective.space}
            if known:
                self.study.enqueue_trial(known, skip_if_exists=True)
        self.study.set_user_attr(_SEEDED, True)

    def _score(self, trial: optuna.Trial) -> float:
        params = suggest(trial, self._objective.space)
        attempt = _Attempt(trial, self._config, self._stop)
        limits = Limits(
            _least(self._running.trial_seconds, max(self._deadline - time.monotonic(), 0.1)),
            _least(self._running.trial_memory_mib, (self._config.constraints or {}).get("max_memory")),
        )
        arguments = {**self._objective.arguments, "params": params, "seed": self._config.seed}
        worker = self._workers.get()
        try:
            outcome = worker.run(self._objective.call, arguments, limits, attempt.on_report, attempt.should_stop)
        finally:
            self._workers.put(worker)
        if attempt.interrupted:
            raise StoppedError
        return attempt.conclude(outcome)


class _Attempt:
    """One trial as it runs."""

    def __init__(self, trial: optuna.Trial, config: OptimizationConfig, stop: Callable[[], bool]) -> None:
        self._trial, self._limits, self._stop = trial, dict(config.constraints or {}), stop
        self._sign = 1.0 if config.direction == "maximize" else -1.0
        self._fit_began: float | None = None
        self._training = math.nan
        self._score: float | None = None
        self._steps = 0
        self._verdict = ""
        self.interrupted = False

    def on_report(self, values: dict[str, Any]) -> bool:
        """Take in a report; False when the trial need not go on."""
        if "fitting" in values:
            self._fit_began = time.monotonic() if values["fitting"] else None
        self._training = values.get("training_seconds", self._training)
        if "score" not in values:
            return True
        self._score = float(values["score"])
        self._trial.report(self._score, self._steps)
        self._steps += 1
        if self._training > self._limits.get("max_training_time", math.inf):
            self._verdict = self._too_slow()
        elif self._trial.should_prune():
            self._verdict = "It fell behind the other trials."
        return not self._verdict

    def should_stop(self) -> bool:
        """Whether the search stops, or a fit takes longer than is allowed."""
        self.interrupted = self.interrupted or self._stop()
        if self._fit_began is not None:
            taken = time.monotonic() - self._fit_began
            if taken > self._limits.get("max_training_time", math.inf):
                self._training = taken
                self._verdict = self._too_slow()
        return self.interrupted or bool(self._verdict)

    def conclude(self, outcome: Outcome) -> float:
        """Keep what was measured; the score, or the reason why there is none as an exception."""
        result = outcome.result if isinstance(outcome.result, Mapping) else {"score": outcome.result}
        if outcome.status == "done":
            self._score = _number(result.get("score"))
            given = _number(result.get("training_seconds"))
            self._training = outcome.seconds if given is None else given
        reason = outcome.reason if outcome.status == "done" else self._verdict or outcome.reason
        if outcome.status == "done" and self._score is None:
            reason = f"The objective returned no finite score: {result.get('score')!r}."
        measured = {
            "status": outcome.status,
            "reason": reason,
            "seconds": outcome.seconds,
            "training_seconds": None if math.isnan(self._training) else self._training,
            "peak_memory_mib": None if math.isnan(outcome.peak_memory_mib) else outcome.peak_memory_mib,
        }
        self._trial.set_user_attr(MEASURED, measured)
        self._set_constraints(outcome)
        if outcome.status == "failed" or (outcome.status == "done" and self._score is None):
            raise _TrialFailedError(reason)
        if outcome.status != "done" or self._score is None:
            raise optuna.TrialPruned(reason)
        return self._score

    def _set_constraints(self, outcome: Outcome) -> None:
        """By how much the trial breaks each limit; 0 or less where it keeps it, nothing where it is not known."""
        over = {
            "max_training_time": self._training - self._limits.get("max_training_time", math.nan),
            "max_memory": outcome.peak_memory_mib - self._limits.get("max_memory", math.nan),
            "min_score": math.nan,
        }
        if self._score is not None:
            over["min_score"] = self._sign * (self._limits.get("min_score", math.nan) - self._score)
        for name, excess in over.items():
            if not math.isnan(excess):
                self._trial.set_constraint(name, excess)

    def _too_slow(self) -> str:
        return f"A fit took more than {self._limits['max_training_time']:g} s."


def retry_interrupted(study: optuna.Study) -> None:
    """Close trials that a killed process left open, and queue their parameters to be run again."""
    again = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES)
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        with suppress(optuna.exceptions.UpdateFinishedTrialError):
            study._storage.set_trial_user_attr(trial._trial_id, _INTERRUPTED, True)
            study._storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.FAIL)
            if trial.params:
                again(study, trial)


def finished_trials(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that ended by themselves, in order; those that an interruption closed were run again."""
    trials = study.get_trials(deepcopy=False, states=_FINISHED)
    return [trial for trial in trials if not trial.user_attrs.get(_INTERRUPTED)]


def worked_seconds(study: optuna.Study, jobs: int = 1) -> float:
    """Time that the search has worked, in seconds; pauses between runs do not count."""
    durations = [trial.duration.total_seconds() for trial in finished_trials(study) if trial.duration is not None]
    return sum(durations) / jobs


def best_trial(study: optuna.Study) -> optuna.trial.FrozenTrial | None:
    """The best completed trial that keeps every limit; None where there is none."""
    done = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        if all(excess <= 0 for excess in trial.constraints.values())
    ]
    sign = 1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1.0
    return max(done, key=lambda trial: sign * (trial.value or 0.0), default=None)


def _give_up_if_hopeless(study: optuna.Study) -> None:
    ended = finished_trials(study)
    if len(ended) >= _HOPELESS and all(trial.state == optuna.trial.TrialState.FAIL for trial in ended):
        reason = ended[-1].user_attrs.get(MEASURED, {}).get("reason", "")
        raise EngineError(f"The first {len(ended)} trials all failed. The last one said: {reason}")


def _least(*values: float | None) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _number(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None  # type: ignore[arg-type]  # good says that it is a number
