"""The documented door to the fusion layer; run as a program, it fuses lines of JSON for debugging."""

from ism.domain.engine import EngineOutput, FusionModel, FusionResult
from ism.fusion.layer import AIFusionLayer

__all__ = ["AIFusionLayer", "EngineOutput", "FusionModel", "FusionResult"]

if __name__ == "__main__":
    from ism.fusion.debugging import main

    main()
