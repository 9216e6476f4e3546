"""The documented door to the fusion layer."""

from ism.domain.engine import EngineOutput, FusionModel, FusionResult
from ism.fusion.layer import AIFusionLayer

__all__ = ["AIFusionLayer", "EngineOutput", "FusionModel", "FusionResult"]
