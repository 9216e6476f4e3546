"""The documented door to the orchestrator; as a program it runs everything but the web page, for debugging."""

from ism.app.orchestrator import ProductionConfig, ProductionOrchestrator

__all__ = ["ProductionConfig", "ProductionOrchestrator"]

if __name__ == "__main__":
    import sys

    from ism.app.orchestrator.debugging import main

    sys.exit(main())
