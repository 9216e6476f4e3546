"""What a job does in each of its states: plain functions from a job to its next move.

A step may run twice, after a crash or a lease that ran out. So each is idempotent: what it makes is named by its
content or by its job, and what it changes is looked at first. None of them writes the job's row; `Driver` moves it.
None, instead of a move, waits.
"""

from __future__ import annotations

from collections.abc import Mapping

from ism.domain.retraining import JobState
from ism.retraining import judge, prepare, rollout
from ism.retraining.parts import StepFunction

STEPS: Mapping[JobState, StepFunction] = {
    "REQUESTED": prepare.request,
    "DEFERRED": prepare.request,
    "SNAPSHOTTED": prepare.validate,
    "VALIDATED": prepare.choose,
    "TUNING": prepare.tune_and_train,
    "TRAINED": judge.evaluate,
    "EVALUATED": judge.follow_verdict,
    "GATE_PASSED": rollout.stage,
    "STAGED": rollout.start_shadow,
    "SHADOW": rollout.watch_shadow,
    "CANARY": rollout.watch_canary,
    "PROMOTED": rollout.bake,
}
