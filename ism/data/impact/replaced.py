"""What the replaced material would have cost and emitted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ism.data.impact import tables
from ism.data.impact.intervals import negative, span, times, total
from ism.data.impact.parts import Part
from ism.data.impact.tables import Substitution
from ism.domain.match import Factor, Interval

# "mined gypsum in plasterboard": what stands behind these words tells the use, not the material.
_USE = re.compile(r"\b(?:for|in|of|as|to|by|from|with|at|on|under|through)\b|\(")
_OR = re.compile(r"\band\b|\bor\b|[/,;]")
# Words that do not make another material of the one behind them; "lightweight aggregate" is another material.
_NEUTRAL = frozenset(
    tables.normalised(
        """agricultural boiler burner coarse commercial dedicated fine food fossil fresh ground imported industrial kiln
        merchant milled mined natural new ordinary other own pit purchased portland prime primary pure quarried quarry
        rail railway raw refined river round site some synthesis synthetic thermal trench virgin"""
    ).split()
)
# Words of the factor table that mean several materials when they stand alone.
_AMBIGUOUS = frozenset({"binder", "feed", "alcohol", "vinyl", "carbon source", "board"})
_NO_MATERIAL = frozenset({"landfill", "disposal", "incineration", "waste to energy fuel", "sewer discharge"})


@dataclass(frozen=True, slots=True)
class _Alternative:
    """One material that may be replaced, net of the treatment that belongs to the replacement."""

    cost: Interval | None
    co2e: Interval | None
    factors: tuple[Factor, ...]
    missing: tuple[str, ...]


def avoided_material(text: str, replaces: str | None, ewc: str | None, function: str | None) -> Part:
    """The part of an estimate that comes from not making and not buying the replaced material.

    Args:
        text: the residue's text, as made by `tables.normalised`.
        replaces: what it replaces, in people's words.
        ewc: canonical code of the residue.
        function: what it does for the receiver.
    """
    if not replaces or not replaces.strip():
        return Part(missing=("The replaced material is not known, so its purchase and emissions are left out.",))
    phrases = list(_phrases(replaces)) or [replaces]
    groups: list[str] = []
    for phrase in phrases:
        if phrase in _NO_MATERIAL:
            return Part(
                missing=(f"What is replaced ({replaces}) is disposal, which is counted as such and not twice.",)
            )
        group = _group(phrase)
        if group is None:
            return Part(missing=(f"No factor fits the replaced material ({replaces}), so it is left out.",))
        groups.append(group)
    alternatives = []
    for group in dict.fromkeys(groups):
        row = _fitting(group, text, ewc, function)
        if row.ratio is None:
            return Part(missing=(f"The replaced material ({replaces}) is left out: {row.note}.",))
        alternatives.append(_alternative(row, row.ratio))
    return _combined(alternatives)


def _phrases(replaces: str) -> Iterator[str]:
    head = _USE.split(replaces.lower(), maxsplit=1)[0]
    for phrase in _OR.split(head):
        words = tables.normalised(phrase).strip()
        if words:
            yield words


def _group(phrase: str) -> str | None:
    """The group whose keyword, the longest first, ends the phrase and has only neutral words before it."""
    words, known = phrase.split(), tables.keywords()
    for start in range(len(words)):
        name = " ".join(words[start:])
        if name in known and name not in _AMBIGUOUS:
            return known[name]
        if words[start] not in _NEUTRAL:
            return None
    return None


def _fitting(group: str, text: str, ewc: str | None, function: str | None) -> Substitution:
    return next(row for row in tables.substitutions()[group] if row.fits(text, ewc, function))


def _alternative(row: Substitution, tonnes: Interval) -> _Alternative:
    co2e, price = tables.factor("avoided_material", row.group), tables.factor("price_avoided_material", row.group)
    treatment = tables.factor("processing", row.treatment) if row.treatment else None
    name = tables.readable(row.group)
    ratio = Factor(f"Tonnes of {name} replaced by a tonne", tonnes, "t/t", tables.source(row.source), row.note)
    missing = [
        f"No figure for the {what} of {name} is at hand."
        for what, one in (("emissions", co2e), ("price", price))
        if one is None
    ]
    if treatment is not None:
        missing.append(f"The cost of treatment ({tables.readable(row.treatment)}) is not known, so it is left out.")
    else:
        missing.append("Treatment before use, such as drying or grinding, is left out.")
    emitted = [negative(times(co2e.value, tonnes))] if co2e else []
    if emitted and treatment is not None:
        emitted.append(treatment.value)
    return _Alternative(
        cost=negative(times(price.value, tonnes)) if price else None,
        co2e=total(emitted),
        factors=tuple(one for one in (co2e, price, ratio, treatment) if one is not None),
        missing=tuple(missing),
    )


def _combined(found: list[_Alternative]) -> Part:
    costs = [one.cost for one in found if one.cost is not None]
    carbon = [one.co2e for one in found if one.co2e is not None]
    factors = dict.fromkeys(factor for one in found for factor in one.factors)
    missing = dict.fromkeys(text for one in found for text in one.missing)
    return Part(
        # An alternative without a figure would make the span too narrow, so that part is then left out as a whole.
        cost=span(costs) if len(costs) == len(found) else None,
        co2e=span(carbon) if len(carbon) == len(found) else None,
        factors=tuple(factors),
        missing=tuple(missing),
    )
