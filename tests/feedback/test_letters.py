import hashlib
import json
from datetime import UTC, datetime

import pytest

from ism.domain.errors import InvalidInputError
from ism.domain.feedback import FeedbackEvent
from ism.feedback.letters import letter_for

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PROBLEM = InvalidInputError("data.rating", "banana", "Give a whole number from 1 to 5.")


def test_a_letter_keeps_what_was_sent_and_why_it_failed() -> None:
    sent = {"data": {"rating": "banana"}, "type": "ä"}
    letter = letter_for(sent, PROBLEM, NOW, 1000, "k")
    assert json.loads(letter.body) == sent
    assert (letter.field, letter.value, letter.reason) == ("data.rating", "'banana'", PROBLEM.remedy)
    assert (letter.state, letter.attempts, letter.idempotency_key) == ("open", 1, "k")
    assert letter.is_whole
    assert letter.body_sha256 == hashlib.sha256(letter.body.encode()).hexdigest()
    assert letter_for(sent, PROBLEM, NOW, 1000).letter_id == letter.letter_id


def test_of_a_large_body_the_beginning_is_kept() -> None:
    letter = letter_for(("ä" * 1000).encode(), PROBLEM, NOW, 101)
    assert letter.body == "ä" * 50
    assert (letter.body_bytes, letter.is_whole) == (2000, False)
    assert letter.body_sha256 == hashlib.sha256(("ä" * 1000).encode()).hexdigest()


@pytest.mark.parametrize("sent", [b"\xff\0x", {"a": "\ud800\0"}, {1: object()}, float("nan"), None])
def test_whatever_was_sent_can_be_stored(sent: object) -> None:
    letter = letter_for(sent, InvalidInputError("\ud800", "\0" * 500, "x"), NOW, 100, "\0")
    for text in (letter.body, letter.field, letter.value, str(letter.idempotency_key)):
        assert "\0" not in text
        text.encode()
    assert len(letter.value) <= 200


def test_an_event_and_a_value_without_end_are_written() -> None:
    assert "user_feedback" in letter_for(FeedbackEvent("e", "user_feedback", "user", {}), PROBLEM, NOW, 1000).body
    deep: list[object] = []
    deep.append(deep)
    assert letter_for(deep, PROBLEM, NOW, 1000).body == "[[...]]"
