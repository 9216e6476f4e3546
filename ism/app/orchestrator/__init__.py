"""The whole system under one roof: `ProductionOrchestrator` starts, supervises and stops its parts."""

from ism.app.orchestrator.config import ProductionConfig
from ism.app.orchestrator.production import ProductionOrchestrator

__all__ = ["ProductionConfig", "ProductionOrchestrator"]
