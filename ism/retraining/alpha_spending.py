"""How much error each look at the gate may spend, so that endless retraining does not promote chance.

A model is retrained again and again, and a candidate may be looked at again when more outcomes have matured; every
look is a test. The rule is LORD++ (Javanmard and Montanari 2018, "Online rules for control of false discovery rate and
false discovery exceedance"; Ramdas, Yang, Wainwright and Jordan 2017): test number ``t`` of a model may spend

    alpha_t = w gamma(t) + (alpha - w) gamma(t - tau_1) + alpha sum_{j >= 2} gamma(t - tau_j)

where ``tau_j`` are the tests that promoted and ``w`` is what there is at the start. With ``w = alpha``, as here, a
first promotion gives nothing back and each later one gives back alpha. Before any promotion the levels add up to at
most alpha, so the chance that *any* of endlessly many looks promotes a model that is no better is at most alpha, by
the union bound and therefore however much the looks share their data. Afterwards the share of false promotions among
all promotions is held at alpha for tests on fresh data.
"""

from __future__ import annotations

from collections.abc import Sequence

_DECAY = 1.6
_ZETA = 2.2857656  # sum of n ** -1.6 over all n >= 1, so that the weights add up to 1


def weight(age: int) -> float:
    """``gamma(age)``: the share spent ``age`` tests after it was earned; falls with age, adds up to 1 over 1, 2, ..."""
    return age**-_DECAY / _ZETA if age >= 1 else 0.0


def level(promoted: Sequence[bool], alpha: float) -> float:
    """What the next test may spend.

    Args:
        promoted: for each earlier test of the model, oldest first, whether it passed.
        alpha: of the whole sequence, in 0..1.

    Returns:
        a one-sided level below ``alpha``.
    """
    now = len(promoted) + 1
    earned = [number for number, passed in enumerate(promoted, start=1) if passed]
    return alpha * (weight(now) + sum(weight(now - number) for number in earned[1:]))
