import numpy as np
from collusion import world

from ism.feedback.blocs import contradicted, find_blocs
from ism.feedback.claims import FACT, RATING, claims_of, one_voice_each


def said(rows):
    return claims_of([(s, a, a, v, w, f, 0.0) for s, a, v, w, f in rows])


def seen(subject, value):
    return (subject, 9, value, FACT, True)


def test_which_statements_can_be_held_against_outcomes():
    claims = said([(0, 0, 1.0, RATING, False), (0, 1, 0.0, RATING, False), (1, 0, 1.0, RATING, False), seen(0, 1.0)])
    held, wrong = contradicted(claims)
    assert held.tolist() == [True, True, False, False]
    assert wrong.tolist() == [False, True, False, False]


def test_companies_that_share_errors_are_joined_and_others_are_not():
    rows = []
    for subject in range(30):
        rows.append(seen(subject, 1.0))
        rows += [(subject, honest, 1.0, RATING, False) for honest in (2, 3, 4, 5, 6)]
        rows += [(subject, ring, float(subject >= 6), RATING, False) for ring in (0, 1)]  # six errors in common
    rows += [(subject, 7, float(subject != 12), RATING, False) for subject in range(30)]  # one of its own
    blocs = find_blocs(said(rows), 10)
    assert blocs[0] == blocs[1]
    assert len(set(blocs.tolist())) == 9


def test_honest_errors_do_not_join_anybody():
    for seed in range(5):
        claims, _, bad = world(seed, hostile=0.0, verified=0.5)
        assert len(set(find_blocs(one_voice_each(claims), len(bad) + 1).tolist())) == len(bad) + 1


def test_nothing_to_compare_with():
    assert find_blocs(claims_of([]), 3).tolist() == [0, 1, 2]
    assert find_blocs(said([(0, 0, 1.0, RATING, False)]), 2).tolist() == [0, 1]
    assert np.array_equal(contradicted(claims_of([]))[0], [])
