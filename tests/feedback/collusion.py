"""A simulated world of honest and colluding actors; nothing in it is data."""

import numpy as np

from ism.feedback.claims import AGREEMENT, FACT, RATING, claims_of

ACTORS, SUBJECTS, VOICES = 100, 400, 6


def world(seed, strategy="invert", verified=0.15, hostile=0.2):
    """Claims, what is true of each subject, and who is hostile.

    Honest actors are wrong one time in ten. Hostile ones say the opposite of the truth (``invert``), do so half of the
    time and hide behind true statements otherwise (``half``), or also invent deliveries together (``invent``).
    """
    rng = np.random.default_rng(seed)
    bad = np.arange(ACTORS) < ACTORS * hostile
    truth = rng.random(SUBJECTS) < 0.4
    rows = []
    for subject in range(SUBJECTS):
        real = bool(truth[subject])
        for actor in rng.choice(ACTORS, VOICES, replace=False):
            said = real ^ bool(rng.random() < 0.1)
            if bad[actor]:
                said = not real if strategy != "half" or rng.random() < 0.5 else real
            strength = RATING if rng.random() < 0.6 else AGREEMENT
            rows.append((subject, int(actor), int(actor), float(said), strength, False, float(subject)))
        if rng.random() < verified:
            rows.append((subject, ACTORS, ACTORS, float(real), FACT, True, float(subject)))
        if strategy == "invent" and rng.random() < 0.3:
            ring = rng.choice(int(bad.sum()), 2, replace=False).tolist()
            rows += [(subject, actor, actor, float(not real), FACT, False, float(subject)) for actor in ring]
    return claims_of(rows), truth, bad


def claims_about(claims, influence, truth):
    """Share of the label weight that lies on the wrong side."""
    margin = np.bincount(claims.subject, claims.strength * influence * (2 * claims.value - 1), len(truth))
    wrong = (margin > 0) != truth
    return np.abs(margin[wrong]).sum() / np.abs(margin).sum()
