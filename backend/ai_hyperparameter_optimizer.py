"""The documented door to the search for parameters."""

from ism.tuning.config import OptimizationConfig
from ism.tuning.optimizer import AIHyperparameterOptimizer

__all__ = ["AIHyperparameterOptimizer", "OptimizationConfig"]

if __name__ == "__main__":
    import sys

    from ism.tuning.debug import main

    sys.exit(main())
