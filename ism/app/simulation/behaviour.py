"""How people react to a list: the stated click-and-outcome model.

1. *Examination*: rank k is opened with probability ``1 / k`` (position bias, Joachims et al. 2017).
2. *Answer*: who opened a match answers after a log-normal delay with a median of 6 days, 60 days at most: a receiver
   that can use the offer accepts, another one rejects. One honest answer in ten is wrong, and three rejections in ten
   are never told. An answer comes with a rating in four cases of ten.
3. *Fate*: of the accepted, a system sees six in ten after another such delay: delivered where the receiver can use the
   offer, failed where it cannot.
4. *Hostile actors* collude: they answer the whole list within a day, say the opposite of the truth, and rate
   accordingly with the same remark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from ism.app.simulation import DATASET

Event = dict[str, Any]
CAMPAIGN = "Everybody here knows how this one ends, ask the others on the list."


@dataclass(frozen=True)
class Habits:
    """Numbers of the model; shares are 0..1.

    Attributes:
        actors: people who ask for matches.
        requests: lists that are asked for, a day.
        median_days: of a delay.
        spread: standard deviation of a delay's logarithm.
        most_days: longest delay.
        wrong: share of honest answers that are wrong.
        told: share of rejections that are told.
        rated: share of answers with a rating.
        seen: share of acceptances whose fate a system sees.
    """

    actors: int = 60
    requests: int = 12
    median_days: float = 6.0
    spread: float = 1.0
    most_days: float = 60.0
    wrong: float = 0.1
    told: float = 0.7
    rated: float = 0.4
    seen: float = 0.6


@dataclass(frozen=True)
class Shown:
    """One line of a list: what it is called, and whether its receiver can use the offer."""

    recommendation_id: str
    useful: bool


class Crowd:
    """Actors, of whom some are hostile.

    Args:
        seed: of everything they do.
        hostile: share of the actors, 0..1.
        habits: numbers of the model.

    Attributes:
        hostile: how many actors are; the first ones.
    """

    def __init__(self, seed: int, hostile: float = 0.0, habits: Habits | None = None) -> None:
        self.habits = habits or Habits()
        self._rng = np.random.default_rng([seed, 2])
        self.hostile = round(hostile * self.habits.actors)
        self._told = 0

    def requests(self, offers: int) -> list[tuple[int, int]]:
        """Who asks for which offer today: pairs of actor and offer."""
        count = self.habits.requests
        asked = self._rng.integers(0, [self.habits.actors, offers], (count, 2))
        return [(int(actor), int(offer)) for actor, offer in asked]

    def react(self, actor: int, lines: Sequence[Shown], now: datetime) -> list[Event]:
        """What an actor will tell of a list, in the order of its lines; each event has its time."""
        return [event for rank, line in enumerate(lines, 1) for event in self._on(actor, rank, line, now)]

    def _on(self, actor: int, rank: int, line: Shown, now: datetime) -> list[Event]:
        # Every draw is made for every line, so that crowds that differ in one habit differ in nothing else.
        opens, errs, tells, rates, watched = self._rng.random(5)
        first, second = self._delay(), self._delay()
        hostile = actor < self.hostile
        if not hostile and opens >= 1.0 / rank:
            return []
        habits = self.habits
        accepted = line.useful != (hostile or errs < habits.wrong)
        answered = now + (timedelta(hours=24 * tells) if hostile else first)
        events = [self._outcome(line, "opened", now + timedelta(minutes=rank), actor)]
        if accepted or hostile or tells < habits.told:
            events.append(self._outcome(line, "accepted" if accepted else "rejected", answered, actor))
            if hostile or rates < habits.rated:
                events.append(self._rating(line, 5 if accepted else 1, answered, actor, hostile))
        if accepted and watched < habits.seen:
            events.append(self._outcome(line, "delivered" if line.useful else "failed", answered + second, None))
        return events

    def _delay(self) -> timedelta:
        days = self.habits.median_days * np.exp(self.habits.spread * self._rng.normal())
        return timedelta(days=float(min(days, self.habits.most_days)))

    def _outcome(self, line: Shown, outcome: str, at: datetime, actor: int | None) -> Event:
        data = {"recommendation_id": line.recommendation_id, "outcome": outcome}
        return self._event("match_outcome", data, at, actor)

    def _rating(self, line: Shown, rating: int, at: datetime, actor: int, hostile: bool) -> Event:
        data = {"recommendation_id": line.recommendation_id, "model_name": "fusion", "rating": rating}
        return self._event("user_feedback", {**data, **({"feedback": CAMPAIGN} if hostile else {})}, at, actor)

    def _event(self, kind: str, data: dict[str, Any], at: datetime, actor: int | None) -> Event:
        self._told += 1
        who = {} if actor is None else {"actor_id": actor_name(actor), "company_id": f"{DATASET}-firm-{actor}"}
        return {
            "type": kind,
            "source": "external" if actor is None else "user",
            "event_id": f"{DATASET}-{self._told:07}",
            "event_time": at.isoformat(),
            "data": {**data, **who},
            "metadata": {"dataset": DATASET},
        }


def actor_name(actor: int) -> str:
    """By which name feedback knows an actor."""
    return f"{DATASET}-actor-{actor}"
