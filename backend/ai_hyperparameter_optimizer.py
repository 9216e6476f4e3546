"""The documented door to the search for parameters."""

from ism.tuning.config import OptimizationConfig
from ism.tuning.optimizer import AIHyperparameterOptimizer

__all__ = ["AIHyperparameterOptimizer", "OptimizationConfig"]
