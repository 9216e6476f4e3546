"""The knowledge-graph engine: typed paths through curated rules and documented precedents."""

from ism.engines.knowledge_graph.engine import KnowledgeGraphEngine

__all__ = ["KnowledgeGraphEngine"]
