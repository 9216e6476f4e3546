"""Sentiment and topic of free text, by the offline sentence model and a linear reader on top.

The reader is ridge regression on class indicators (Hoerl and Kennard 1970; as a classifier: Hastie, Tibshirani and
Friedman 2009, section 4.2), fitted in a second on `texts.csv`: 216 short English remarks that were written for this
purpose, 9 for each of 8 topics and 3 sentiments. ``python -m ism.feedback.text`` prints the accuracy on held-out ones.
"""

from __future__ import annotations

import csv
import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Final

import numpy as np

from ism.data.text import SentenceModel, TextEncoder
from ism.feedback.ladder import Floats, Ints

ASPECTS: Final = ("sentiment", "topic")
_RIDGE = 1.0
_FOLDS = 10
_REPEATS = 5
_SHORTEST = 40  # characters; "Great match quality" is not copied, it is what people say


@dataclass(frozen=True)
class Reading:
    """What a remark seems to say.

    Attributes:
        sentiment: ``positive``, ``neutral`` or ``negative``.
        topic: ``quality``, ``price``, ``transport``, ``quantity``, ``permits``, ``contact``, ``relevance``, ``system``.
    """

    sentiment: str
    topic: str


class TextReader:
    """Reads remarks; threads may share it.

    Args:
        encoder: turns texts into vectors; any sentence model, as the reader is fitted on its vectors when first used.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder

    def read(self, texts: Sequence[str]) -> list[Reading]:
        """One reading a text."""
        if not texts:
            return []
        vectors = _with_bias(self._encoder.encode(texts))
        found = {aspect: _best(vectors, weights, names) for aspect, (weights, names) in self._weights.items()}
        return [Reading(*both) for both in zip(found["sentiment"], found["topic"], strict=True)]

    @cached_property
    def _weights(self) -> dict[str, tuple[Floats, list[str]]]:
        examples = labelled()
        vectors = _with_bias(self._encoder.encode([row["text"] for row in examples]))
        fitted = {}
        for aspect in ASPECTS:
            names, classes = _classes(examples, aspect)
            fitted[aspect] = _fit(vectors, classes), names
        return fitted


def labelled() -> list[dict[str, str]]:
    """The labelled remarks: ``text``, ``sentiment``, ``topic``."""
    text = (files("ism.feedback") / "texts.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def accuracy(encoder: TextEncoder, aspect: str) -> tuple[float, float, float]:
    """Share of held-out remarks that are read right: ten-fold cross-validation, mean of five shuffles.

    Args:
        encoder: as in `TextReader`.
        aspect: ``sentiment`` or ``topic``.

    Returns:
        The share and its 95 % interval (Wilson 1927) for as many remarks as there are.
    """
    examples = labelled()
    vectors = _with_bias(encoder.encode([row["text"] for row in examples]))
    _, classes = _classes(examples, aspect)
    right = 0
    for seed in range(_REPEATS):
        fold = np.random.default_rng(seed).permutation(len(classes)) % _FOLDS
        for held in range(_FOLDS):
            out = fold == held
            weights = _fit(vectors[~out], classes[~out])
            right += int((np.argmax(vectors[out] @ weights, axis=1) == classes[out]).sum())
    return _wilson(right / (_REPEATS * len(classes)), len(classes))


def text_digest(text: str) -> str | None:
    """A digest that ignores case, accents' encoding, punctuation and spaces; None for a text too short to be a copy."""
    plain = "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest() if len(plain) >= _SHORTEST else None


def _fit(vectors: Floats, classes: Ints) -> Floats:
    target = 2.0 * np.eye(int(classes.max()) + 1)[classes] - 1.0
    left = vectors.T @ vectors + _RIDGE * np.eye(vectors.shape[1])
    return np.asarray(np.linalg.solve(left, vectors.T @ target), np.float64)


def _with_bias(vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> Floats:
    return np.column_stack([vectors.astype(np.float64), np.ones(len(vectors))])


def _classes(examples: list[dict[str, str]], aspect: str) -> tuple[list[str], Ints]:
    names = sorted({row[aspect] for row in examples})
    return names, np.asarray([names.index(row[aspect]) for row in examples], np.intp)


def _best(vectors: Floats, weights: Floats, names: list[str]) -> list[str]:
    return [names[place] for place in np.argmax(vectors @ weights, axis=1)]


def _wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float, float]:
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return share, float(centre - half), float(centre + half)


if __name__ == "__main__":
    model = SentenceModel()
    for name in ASPECTS:
        share, low, high = accuracy(model, name)
        kinds = len({row[name] for row in labelled()})
        print(  # noqa: T201 - this is the command's output
            f"{name}: {share:.3f} of {len(labelled())} held-out remarks read right "
            f"(95 % interval {low:.3f} to {high:.3f}; {kinds} classes of equal size, chance {1 / kinds:.3f})"
        )
