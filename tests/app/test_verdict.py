"""A person says what came of a match on the page, and is told what that changed."""

import re

import pytest
from test_pages import parsed
from test_teaching import show

from ism.app.http.form import EXAMPLES
from ism.app.verdict import MOST_REMARK, read_verdict
from ism.domain.errors import InvalidInputError

FORM = {"recommendation_id": "a", "place": "1", "token": "t1"}


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"burst_statements": 3})


@pytest.fixture
def shown(application):
    show(application, ["a"])


def test_every_match_can_be_accepted_rejected_and_rated(client):
    page = client.post("/matches", data={"material": "coal fly ash"}).text
    assert page.count('value="accepted"') == page.count('value="rejected"') == 2  # two matches
    assert page.count('name="rating"') == 2
    seen = parsed(page)
    assert not seen.forbidden
    assert seen.labels == {name for name in seen.fields if name}
    assert len(seen.ids) == len(set(seen.ids))


def test_viewers_see_no_form_and_may_not_send_one(application, client):
    _, key = application.auth.create("reader", "viewer")
    headers = {"X-API-Key": key}
    assert 'action="/feedback"' not in client.post("/matches", data={"material": "ash"}, headers=headers).text
    assert client.post("/feedback", data={**FORM, "outcome": "accepted"}, headers=headers).status_code == 403


@pytest.mark.usefixtures("shown")
def test_accepting_tells_what_changed(client, application):
    page = client.post("/feedback", data={**FORM, "outcome": "accepted"})
    assert page.status_code == 200
    assert "Recorded as accepted." in page.text
    label = application.feedback.loop.review.label_history("a")[-1]
    assert label.value == 1.0
    assert f"counts as good from now on, with weight {label.weight:.2f} of 1." in page.text
    weights = application.fusion.registry.get("adaptive").weights
    assert f"→ {weights['matching']:.3f}" in page.text
    assert "Your trust" in page.text
    assert "Feedback since the last retraining: 1 of 100" in page.text
    assert not parsed(page.text).forbidden


@pytest.mark.usefixtures("shown")
def test_a_rejection_turns_the_label(client, application):
    client.post("/feedback", data={**FORM, "outcome": "accepted"})
    page = client.post("/feedback", data={**FORM, "token": "t2", "outcome": "rejected"}).text
    assert "counts as bad from now on" in page
    assert "(before: good" in page
    assert "Adaptive weights: unchanged; each match moves them once" in page


@pytest.mark.usefixtures("shown")
def test_a_rating_with_a_remark(client, application):
    page = client.post("/feedback", data={**FORM, "rating": "2", "remark": "Too <b>wet</b>."}).text
    assert "Recorded as rated 2 of 5." in page
    assert "<b>wet" not in page
    [stored] = application.store.feedback.events()
    assert stored.event.data["rating"] == 2
    assert stored.event.data["feedback"] == "Too <b>wet</b>."
    assert stored.event.metadata == {"from": "page"}


@pytest.mark.usefixtures("shown")
def test_a_rating_of_three_leaves_it_open_until_a_day(client):
    page = client.post("/feedback", data={**FORM, "rating": "3"}).text
    assert "A rating of 3 takes no side" in page
    assert re.search(r"later than \d+ \w{3} \d{4}, silence after opening is a weak no", page)


@pytest.mark.usefixtures("shown")
def test_a_second_click_says_nothing_new(client, application):
    for _ in range(2):
        assert client.post("/feedback", data={**FORM, "outcome": "accepted"}).status_code == 200
    assert len(application.store.feedback.events()) == 1
    other = client.post("/feedback", data={**FORM, "outcome": "rejected"})
    assert other.status_code == 409
    assert "Not recorded" in other.text
    assert len(application.store.feedback.events()) == 1


@pytest.mark.usefixtures("shown")
def test_a_burst_waits_for_an_operator(client):
    for number in range(4):
        page = client.post("/feedback", data={**FORM, "token": f"t{number}", "rating": "5"}).text
    assert "It does not count until an operator has looked:" in page


def test_a_match_that_was_never_shown(client):
    page = client.post("/feedback", data={**FORM, "outcome": "accepted", "remark": 'x"><i>'})
    assert page.status_code == 422
    assert "Not recorded" in page.text
    assert 'role="alert"' in page.text
    assert 'x"><i>' not in page.text  # stays in its field, escaped
    assert len(client.get("/api/feedback/dead-letters").json()["items"]) == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "recommendation_id"),
        ({"recommendation_id": "a"}, "rating"),
        ({"recommendation_id": "a", "outcome": "delivered"}, "outcome"),
        ({"recommendation_id": "a", "rating": "6"}, "rating"),
        ({"recommendation_id": "a", "rating": "banana"}, "rating"),
        ({"recommendation_id": "a", "outcome": "accepted", "rating": "0"}, "rating"),
        ({"recommendation_id": "a", "rating": "4", "remark": "x" * (MOST_REMARK + 1)}, "remark"),
    ],
)
def test_forms_that_cannot_be_used(given, field):
    with pytest.raises(InvalidInputError, match=f"^{field}"):
        read_verdict(given)


def test_another_site_cannot_send_it(client):
    headers = {"Origin": "https://elsewhere.example", "X-API-Key": ""}
    answer = client.post("/feedback", data={**FORM, "outcome": "accepted"}, headers=headers)
    assert answer.status_code in {401, 403}


def test_the_answer_leads_back_to_the_offer(client, application):
    assert EXAMPLES
    show(application, ["a"])
    page = client.post("/feedback", data={**FORM, "outcome": "accepted"}).text
    assert 'href="/matches?' in page
