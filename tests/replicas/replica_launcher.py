"""``ism serve`` that also knows the small engine of the pipeline's tests, whose training takes a while.

Its matcher answers at once: what is killed here are servers, not the fitting of engines.
"""

import os
import sys
import time

import counting
from app_fakes import FakeMatcher

from ism.app import wiring
from ism.retraining import training

PAUSE_S = float(os.environ.get("REPLICA_TRAINING_S", "1.0"))


def slow_training(arguments, limits, stop=None, **more):
    """Train in this process after a while, or stop."""
    ends = time.monotonic() + PAUSE_S
    while time.monotonic() < ends and not (stop is not None and stop()):
        time.sleep(0.02)
    return counting.train_here(arguments, limits)


if __name__ == "__main__":
    counting.install()
    training.train = slow_training
    wiring._match_service = FakeMatcher
    from ism.app.cli.root import app

    app(["serve", *sys.argv[1:]])
