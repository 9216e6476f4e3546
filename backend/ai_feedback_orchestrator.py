"""The documented door to feedback; run as a program, it starts this one component for debugging."""

from ism.domain.feedback import FeedbackEvent, RetrainingTrigger
from ism.feedback.orchestrator import AIFeedbackOrchestrator

__all__ = ["AIFeedbackOrchestrator", "FeedbackEvent", "RetrainingTrigger"]

if __name__ == "__main__":
    from ism.feedback.debugging import main

    main()
