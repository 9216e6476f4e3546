"""The graph network: link prediction on the market's graph, trained with torch and served without it."""

from ism.engines.gnn.engine import GnnEngine

__all__ = ["GnnEngine"]
