"""How urgent an event is, 1 (least) to 5 (most urgent): the first rule that applies decides."""

from __future__ import annotations

from ism.domain.feedback import EventType
from ism.feedback.claims import NEGATIVE_TO, POSITIVE_FROM

URGENT_TOPICS = frozenset({"permits"})  # a waste without a permit, or hazardous and not declared, cannot wait


def priority_of(
    event_type: EventType,
    *,
    rating: float | None = None,
    outcome: str | None = None,
    sentiment: str | None = None,
    topic: str | None = None,
) -> int:
    """The priority of an event.

    =  ========================================================================================
    5  an error; a failed delivery; a negative remark about permits or hazard
    4  rejected; a rating of 1 or 2 with a negative remark
    3  a rating of 1 or 2, or a negative remark, alone
    2  a rating of 3, a neutral remark, or an outcome between contacted and delivered
    1  everything else: good ratings, praise, shown and opened, metrics
    =  ========================================================================================

    Example:
        >>> priority_of("match_outcome", outcome="failed"), priority_of("user_feedback", rating=5)
        (5, 1)
    """
    poor = rating is not None and rating <= NEGATIVE_TO
    negative = sentiment == "negative"
    rules = (
        (5, event_type == "error" or outcome == "failed" or (negative and topic in URGENT_TOPICS)),
        (4, outcome == "rejected" or (poor and negative)),
        (3, poor or negative),
        (2, (rating is not None and rating < POSITIVE_FROM) or (sentiment == "neutral" and rating is None)),
        (2, outcome in {"contacted", "negotiating", "accepted", "delivered"}),
    )
    return next((level for level, applies in rules if applies), 1)
