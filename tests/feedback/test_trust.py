import numpy as np
import pytest
from collusion import claims_about, world
from hypothesis import given
from hypothesis import strategies as st

from ism.feedback.blocs import find_blocs
from ism.feedback.claims import AGREEMENT, FACT, RATING, claims_of, one_voice_each
from ism.feedback.trust import TrustRules, estimate_trust, influence_of

SYSTEM = True


def trust_of(rows, actors, companies=None):
    claims = one_voice_each(claims_of([(s, a, (companies or {}).get(a, a), v, w, f, 0.0) for s, a, v, w, f in rows]))
    return estimate_trust(claims, claims.company, actors)


def test_influence_by_hand():
    right, wrong = np.array([0.0, 10.0, 0.0]), np.array([0.0, 0.0, 5.0])
    assert influence_of(right, wrong) == pytest.approx([0.2, (13 - 2) / 15, 0.0])


def test_whom_outcomes_bear_out_is_believed_and_whom_they_contradict_is_not():
    rows = []
    for subject in range(10):
        rows += [(subject, 0, 1.0, RATING, False), (subject, 1, 0.0, RATING, False), (subject, 2, 1.0, FACT, SYSTEM)]
    found = trust_of(rows, 3)
    assert found.influence[0] == pytest.approx((13 - 2) / 15)
    assert found.influence[1] == 0.0
    assert (found.outcome_right[0], found.outcome_wrong[1]) == (pytest.approx(10.0), pytest.approx(10.0))


def test_opinions_alone_lift_nobody_far():
    rules = TrustRules()
    rows = [(subject, actor, 1.0, AGREEMENT, False) for subject in range(200) for actor in range(10)]
    most = influence_of(np.array([rules.peer_limit]), np.zeros(1))[0]
    assert (trust_of(rows, 10).influence <= most + 1e-9).all()


def test_colleagues_do_not_count_as_peers():
    rows = [(subject, actor, 1.0, AGREEMENT, False) for subject in range(50) for actor in range(5)]
    found = trust_of(rows, 5, companies=dict.fromkeys(range(5), 0))
    assert found.influence == pytest.approx(np.full(5, 0.2))


def test_a_ring_cannot_vouch_for_itself_with_invented_deliveries():
    ring = [(subject, actor, 1.0, FACT, False) for subject in range(100) for actor in (0, 1, 2)]
    most = influence_of(np.array([TrustRules().peer_limit]), np.zeros(1))[0]
    assert (trust_of(ring, 3).influence <= most + 1e-9).all()
    verified = [(subject, 3, 0.0, FACT, SYSTEM) for subject in range(0, 100, 10)]
    assert (trust_of([*ring, *verified], 4).influence[:3] < 0.05).all()


statements = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(0, 4),
        st.sampled_from([0.0, 1.0]),
        st.sampled_from([RATING, AGREEMENT, FACT]),
        st.booleans(),
    ),
    max_size=40,
)


@given(statements, st.randoms(use_true_random=False))
def test_bounds_and_order(rows, random):
    found = trust_of(rows, 5).influence
    assert ((found >= 0) & (found < 1)).all()
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert trust_of(shuffled, 5).influence == pytest.approx(found, abs=1e-9)


@pytest.mark.parametrize("strategy", ["invert", "half", "invent"])
@pytest.mark.parametrize("verified", [0.0, 0.15])
def test_a_fifth_of_colluding_actors_gains_little(strategy, verified):
    weighted, plain, honest, hostile = [], [], [], []
    for seed in range(3):
        claims, truth, bad = world(seed, strategy=strategy, verified=verified)
        claims = one_voice_each(claims)
        companies = len(bad) + 1
        blocs = find_blocs(claims, companies)
        found = estimate_trust(claims, blocs[claims.company], companies).influence
        weighted.append(claims_about(claims, np.where(claims.verified, 1.0, found[claims.actor]), truth))
        plain.append(claims_about(claims, np.ones(len(claims)), truth))
        honest.append(found[:-1][~bad].mean())
        hostile.append(found[:-1][bad].mean())
    assert np.mean(hostile) < np.mean(honest) / 2
    assert np.mean(weighted) < 0.02  # share of label weight on the wrong side
    assert np.mean(weighted) < np.mean(plain) / 2
