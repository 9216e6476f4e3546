"""The federated engine: a choice model trained across sites that keep their listings."""

from ism.engines.federated.engine import FederatedEngine

__all__ = ["FederatedEngine"]
