from ism.feedback.claims import AGREEMENT, FACT, RATING, claims_of, one_voice_each, rating_claim


def test_ratings_take_sides():
    assert [rating_claim(rating) for rating in (1, 2, 3, 4, 5)] == [(0.0, RATING)] * 2 + [None] + [(1.0, RATING)] * 2


def test_a_company_has_one_voice_its_strongest_and_then_its_latest():
    rows = [
        (0, 1, 5, 1.0, RATING, False, 9.0),
        (0, 2, 5, 0.0, AGREEMENT, False, 1.0),
        (0, 3, 5, 1.0, AGREEMENT, False, 2.0),
        (0, 4, 6, 0.0, FACT, False, 0.0),
        (1, 1, 5, 1.0, RATING, False, 0.0),
    ]
    kept = one_voice_each(claims_of(rows))
    assert list(zip(kept.subject.tolist(), kept.actor.tolist(), strict=True)) == [(0, 3), (0, 4), (1, 1)]
    assert kept.facts.tolist() == [False, True, False]
    assert len(one_voice_each(claims_of([]))) == 0
