from collections import Counter

import pytest

from ism.data.text import SentenceModel
from ism.feedback.text import ASPECTS, TextReader, accuracy, labelled, text_digest


@pytest.fixture(scope="module")
def encoder():
    """The bundled model, asked once for each text."""
    model, known = SentenceModel(), {}

    class Remembering:
        name, dimension = model.name, model.dimension

        def encode(self, texts):
            key = tuple(texts)
            if key not in known:
                known[key] = model.encode(texts)
            return known[key]

    return Remembering()


def test_the_labelled_texts_are_balanced_and_different():
    rows = labelled()
    assert len({row["text"] for row in rows}) == len(rows) == 216
    assert set(Counter((row["topic"], row["sentiment"]) for row in rows).values()) == {9}


@pytest.mark.parametrize("aspect", ASPECTS)
def test_the_stated_accuracy(encoder, aspect):
    share, low, high = accuracy(encoder, aspect)
    assert low < share < high
    assert share == pytest.approx(0.85, abs=0.01)  # as docs/feedback.md says


def test_remarks_that_were_not_among_the_examples(encoder):
    reader = TextReader(encoder)
    texts = [
        "The sludge was contaminated with heavy metals and we sent it back.",
        "Thank you for the friendly and quick reply!",
        "The web page crashed when I clicked on save.",
    ]
    found = reader.read(texts)
    assert [(item.sentiment, item.topic) for item in found] == [
        ("negative", "quality"),
        ("positive", "contact"),
        ("negative", "system"),
    ]
    assert reader.read([]) == []


def test_copies_are_known_by_their_letters():
    text = "We will never work with this company again, they lied about everything."
    assert text_digest(text) == text_digest(
        "  WE WILL never work with this company again -- they lied about everything!!"
    )
    assert text_digest(text) != text_digest(text.replace("never", "gladly"))
    assert text_digest("Great match quality") is None
    assert text_digest("\ud800" * 60) is None
