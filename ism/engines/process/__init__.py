"""Work in processes of their own, with limits on time and memory: training, and the trials of a search.

`worker` is the child's side, `runner` the parent's, `train` the training itself as a pure function.
"""

from ism.engines.process.runner import Limits, Outcome, Worker
from ism.engines.process.train import TrainingJob, train

__all__ = ["Limits", "Outcome", "TrainingJob", "Worker", "train"]
