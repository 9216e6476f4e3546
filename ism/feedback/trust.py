"""How far to believe each actor, from how often others and the outcomes bore it out.

A one-coin Dawid-Skene model (Dawid and Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM
algorithm"), with a Beta prior on each actor's rate of being right and the others' statements as the reference. Three
things keep a group from vouching for itself:

- a statement is compared with those of *other blocs* only; a bloc is a company, or companies that share errors
  (`ism.feedback.blocs`);
- the reference are deliveries and failures that a system saw, opinions only elsewhere; a delivery that a person tells
  of is an opinion here, so that a ring cannot vouch for itself with invented ones;
- what opinions can add is limited (`TrustRules.peer_limit`), so peers lift an actor to a middling trust and only
  outcomes lift it further.

Influence is ``max(0, 2 * rate - 1)``: the excess over a coin toss, so that whoever is right half of the time, or less,
has none. A new actor starts with the prior's, which is small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ism.feedback.claims import AGREEMENT, Claims
from ism.feedback.ladder import Floats, Ints

_ROUNDS = 25
_SETTLED = 1e-4


@dataclass(frozen=True)
class TrustRules:
    """Numbers of the model, all in units of statements.

    Attributes:
        prior_right: statements that a new actor is taken to have been right with.
        prior_wrong: and wrong with.
        peer_limit: most evidence that agreement and disagreement with opinions can add.
    """

    prior_right: float = 3.0
    prior_wrong: float = 2.0
    peer_limit: float = 4.0


@dataclass(frozen=True)
class Trust:
    """The result, for actors 0..k-1.

    Attributes:
        influence: ``[k]`` 0..1.
        outcome_right: ``[k]`` evidence that verified outcomes bore out, in statements.
        outcome_wrong: ``[k]`` evidence that they contradicted.
        peer_right: ``[k]`` the same for opinions of others, after the limit.
        peer_wrong: ``[k]``.
    """

    influence: Floats
    outcome_right: Floats
    outcome_wrong: Floats
    peer_right: Floats
    peer_wrong: Floats


def influence_of(right: Floats, wrong: Floats, rules: TrustRules = TrustRules()) -> Floats:
    """Influence from evidence.

    Example:
        >>> import numpy as np
        >>> influence_of(np.array([0.0, 10.0, 0.0]), np.array([0.0, 0.0, 5.0])).round(3).tolist()
        [0.2, 0.733, 0.0]
    """
    good, bad = rules.prior_right + right, rules.prior_wrong + wrong
    return np.maximum(0.0, (good - bad) / (good + bad))


def estimate_trust(claims: Claims, bloc: Ints, actors: int, rules: TrustRules = TrustRules()) -> Trust:
    """Trust of each actor.

    Args:
        claims: what was said; best one statement a company and subject (`ism.feedback.claims.one_voice_each`).
        bloc: ``[n]`` the bloc of each statement's company.
        actors: how many actors there are.
        rules: the model's numbers.
    """
    influence = influence_of(np.zeros(actors), np.zeros(actors), rules)
    groups = _Groups(claims.subject, bloc)
    outcome = groups.others(np.where(claims.verified & claims.facts, 1.0, 0.0), claims.value)
    for _ in range(_ROUNDS):
        said = influence[claims.actor]
        peer = groups.others(
            np.where(claims.verified, 0.0, np.minimum(claims.strength, AGREEMENT) * said), claims.value
        )
        found = _counted(claims, outcome, peer, actors, rules)
        change = np.abs(found.influence - influence).max(initial=0.0)
        # Halfway steps keep two camps of equal size from swapping sides for ever.
        influence = (influence + found.influence) / 2
        if change < _SETTLED:
            break
    return found


@dataclass(frozen=True)
class _Reference:
    """What others say of each statement's subject: how much weight they have, and the share that calls it good."""

    support: Floats
    share: Floats


class _Groups:
    """Sums over everybody else's statements on a subject."""

    def __init__(self, subject: Ints, bloc: Ints) -> None:
        self._subject = subject
        width = int(bloc.max(initial=0)) + 1
        _, self._own = np.unique(subject * width + bloc, return_inverse=True)

    def others(self, weight: Floats, value: Floats) -> _Reference:
        total, good = (self._without_own(part) for part in (weight, weight * value))
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(total > 0, good / total, 0.5)
        return _Reference(np.minimum(1.0, total), np.clip(share, 0.0, 1.0))

    def _without_own(self, weight: Floats) -> Floats:
        rest = np.bincount(self._subject, weight)[self._subject] - np.bincount(self._own, weight)[self._own]
        return np.where(rest > 1e-9, rest, 0.0)


def _counted(claims: Claims, outcome: _Reference, peer: _Reference, actors: int, rules: TrustRules) -> Trust:
    """Evidence for and against each actor: a clear reference counts fully, a divided one not at all."""

    def tally(reference: _Reference, chosen: Floats) -> tuple[Floats, Floats]:
        agreed = np.where(claims.value > 0.5, reference.share, 1.0 - reference.share)
        size = chosen * reference.support * np.abs(2.0 * reference.share - 1.0)
        return tuple(np.bincount(claims.actor, size * part, actors) for part in (agreed, 1.0 - agreed))  # type: ignore[return-value]  # two parts

    outcome_right, outcome_wrong = tally(outcome, np.ones(len(claims)))
    peer_right, peer_wrong = tally(peer, 1.0 - outcome.support)
    scale = np.minimum(1.0, rules.peer_limit / np.maximum(peer_right + peer_wrong, 1e-12))
    peer_right, peer_wrong = peer_right * scale, peer_wrong * scale
    right, wrong = outcome_right + peer_right, outcome_wrong + peer_wrong
    return Trust(influence_of(right, wrong, rules), outcome_right, outcome_wrong, peer_right, peer_wrong)
