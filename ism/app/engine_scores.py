"""What one engine alone says of an offer, for programs that fuse by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ism.domain.errors import EngineError, InvalidInputError, NotFoundError
from ism.domain.market import ReceiverKind

if TYPE_CHECKING:
    from ism.app.wiring import Application
    from ism.domain.market import Offer


@dataclass(frozen=True, slots=True)
class EngineScore:
    """A receiver with one engine's score.

    Attributes:
        score: 0..1, larger is better; comparable within one engine only.
    """

    receiver_id: str
    kind: ReceiverKind
    name: str
    score: float


def score_alone(
    application: Application, engine: str, offer: Offer, receivers: Sequence[str] | None, top: int
) -> list[EngineScore]:
    """The receivers that an engine scores highest, best first.

    Args:
        application: whose engines are asked.
        engine: name of one.
        offer: what is offered.
        receivers: identifiers of those that are scored; all when None.
        top: most to return.

    Raises:
        NotFoundError: there is no such engine.
        InvalidInputError: a receiver is not in the market.
        EngineError: the engine is not ready.
    """
    import numpy as np  # noqa: PLC0415 - only where something is scored

    from ism.data.market import offer_arrays  # noqa: PLC0415 - as above

    known = {each["name"]: each["detail"] for each in application.engines()}
    if engine not in known:
        raise NotFoundError("engine", engine)
    built, fusion = application.matcher.serving()
    if engine not in fusion.engines:
        raise EngineError(f"{engine}: {known[engine]}")
    unknown = next((each for each in receivers or () if each not in built.row_of), None)
    if unknown is not None:
        raise InvalidInputError("receivers", unknown, "Name companies of the market, or sectors as nace:23.51.")
    home = built.market.receivers
    chosen = range(len(home)) if receivers is None else sorted({built.row_of[each] for each in receivers})
    rows = np.asarray(chosen, dtype=np.intp)
    if not len(rows):
        return []
    scores = fusion.engines[engine].score(built.market, offer_arrays([offer], application.encoder), rows)[0]
    best = np.argsort(-scores, kind="stable")[:top]
    return [
        EngineScore(home.ids[row], home.kinds[row], home.names[row], float(score))
        for row, score in zip(rows[best].tolist(), scores[best].tolist(), strict=True)
    ]
