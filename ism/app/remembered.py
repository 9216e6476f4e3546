"""Answers that are given again while what gave them is the same: people open one list many times."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """The answers of one source, at most so many; the one asked for longest ago goes first. Threads may share it.

    Args:
        most: how many; 0 keeps none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._source: object = None
        self._answers: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, source: object, question: Hashable) -> T | None:
        """What this very source answered; None where it was not asked, or that is forgotten."""
        with self._lock:
            if source is not self._source or question not in self._answers:
                return None
            self._answers.move_to_end(question)
            return self._answers[question]

    def keep(self, source: object, question: Hashable, answer: T) -> None:
        """Remember an answer; those of another source are forgotten."""
        with self._lock:
            if source is not self._source:
                self._source = source
                self._answers.clear()
            self._answers[question] = answer
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
