"""From a question, as callers put it, to its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ism.domain.match import MatchResult

if TYPE_CHECKING:
    from ism.app.http.schemas import MatchRequest
    from ism.app.wiring import Application


def answer(application: Application, question: MatchRequest) -> MatchResult:
    """The ranked receivers, with a narrative where a language model is set and nobody declined it.

    Raises:
        InvalidInputError: a value cannot be used.
        NotFoundError: there is no such listing.
        EngineError: the engines are not ready.
    """
    result = _ranked(application, question)
    return result if question.narrative is False else application.narrator.tell(result)


def _ranked(application: Application, question: MatchRequest) -> MatchResult:
    if question.seller is not None and question.buyer is not None:
        buyer = question.buyer.company("buyer")
        return application.match_pair(buyer, question.buyer.needs(buyer.company_id), question.seller.offers())
    offer = question.offer.value() if question.offer else application.offer_of(question.offer_id or "")
    return application.match(offer, question.top, question.filters.value() if question.filters else None)
