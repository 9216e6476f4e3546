"""Interval arithmetic for estimates: ends are added with ends.

That is conservative: the parts are taken to be uncertain together, so a sum is never narrower than independent parts
would make it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ism.domain.match import Interval


def total(parts: Iterable[Interval]) -> Interval | None:
    """Sum of intervals; None where there are none."""
    found = list(parts)
    if not found:
        return None
    return Interval(
        sum(part.low for part in found), sum(part.central for part in found), sum(part.high for part in found)
    )


def negative(value: Interval) -> Interval:
    """What is saved, as a cost."""
    return Interval(-value.high, -value.central, -value.low)


def times(value: Interval, other: Interval) -> Interval:
    """Product of intervals; ``other`` is not below zero."""
    ends = [value.low * other.low, value.low * other.high, value.high * other.low, value.high * other.high]
    return Interval(min(ends), value.central * other.central, max(ends))


def span(values: Iterable[Interval]) -> Interval:
    """What holds all of several alternatives, with the mean of their centres."""
    found = list(values)
    centre = sum(value.central for value in found) / len(found)
    return Interval(min(value.low for value in found), centre, max(value.high for value in found))


def certain(value: float) -> Interval:
    """A figure taken as given."""
    return Interval(value, value, value)
