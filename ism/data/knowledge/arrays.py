"""The knowledge base as column arrays, and how strongly each rule speaks to an offer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ism.data import knowledge
from ism.data.knowledge import Rule
from ism.data.market import Floats, Ints, OfferArrays, Rows, ewc_levels, nace_levels
from ism.data.text import TextEncoder

# How well a rule's code covers an offer's, by the length of the rule's prefix (2, 4, 6 digits); and how much is left
# when only the subchapter or the chapter of a full code agrees.
_COVERS = (0.3, 0.7, 1.0)
_SAME_SUBCHAPTER, _SAME_CHAPTER = 0.35, 0.08
_SAME_DIVISION = 0.5  # a donor of the same NACE division as a rule's typical donor


@dataclass(frozen=True)
class RuleArrays:
    """Rules as columns; length ``r``.

    Attributes:
        rules: the rules themselves.
        material: ``[r]`` row of the rule's material in the material columns below.
        vectors, vector_owner: unit vectors of every name of each material, and the material's row, ascending.
        ewc, ewc_owner: ``[k, 3]`` codes and the material's row.
        donors, donor_owner: ``[k, 3]`` typical donors and the material's row.
        receiver: ``[r, 3]`` receiving sector.
        strength: ``[r]`` in 0..1.
    """

    rules: tuple[Rule, ...]
    material: Rows
    vectors: Floats
    vector_owner: Rows
    ewc: Ints
    ewc_owner: Rows
    donors: Ints
    donor_owner: Rows
    receiver: Ints
    strength: Floats

    @property
    def materials(self) -> int:
        """Number of distinct materials."""
        return int(self.material.max()) + 1 if len(self.material) else 0


@dataclass(frozen=True)
class RuleSupport:
    """How an offer meets each material of the rules: ``[q, materials]``.

    Attributes:
        cosine: with the closest of the material's names.
        ewc: 0..1, 1 where the material's code is the offer's.
        donor: 0..1, 1 where the offering sector is a typical donor.
    """

    cosine: Floats
    ewc: Floats
    donor: Floats


def rule_arrays(rules: Sequence[Rule], encoder: TextEncoder) -> RuleArrays:
    """Columns of the rules; materials that share names, codes and donors are held once."""
    keys = [(rule.material, rule.synonyms, rule.ewc, rule.donor_nace) for rule in rules]
    distinct = list(dict.fromkeys(keys))
    place = {key: row for row, key in enumerate(distinct)}
    names = [(row, name) for row, key in enumerate(distinct) for name in (key[0], *key[1])]
    codes = [(row, code) for row, key in enumerate(distinct) for code in key[2]]
    donors = [(row, code) for row, key in enumerate(distinct) for code in key[3]]
    return RuleArrays(
        rules=tuple(rules),
        material=np.asarray([place[key] for key in keys], dtype=np.intp),
        vectors=encoder.encode([name for _, name in names]),
        vector_owner=np.asarray([row for row, _ in names], dtype=np.intp),
        ewc=ewc_levels([code for _, code in codes]),
        ewc_owner=np.asarray([row for row, _ in codes], dtype=np.intp),
        donors=nace_levels([code for _, code in donors]),
        donor_owner=np.asarray([row for row, _ in donors], dtype=np.intp),
        receiver=nace_levels([rule.receiver_nace for rule in rules]),
        strength=np.asarray([rule.strength / 3 for rule in rules], dtype=np.float32),
    )


_known: dict[tuple[str, int], RuleArrays] = {}  # one for each sentence model in use: there are few


def curated_arrays(encoder: TextEncoder) -> RuleArrays:
    """Columns of the whole knowledge base; engines with the same sentence model share them."""
    key = (encoder.name, encoder.dimension)
    if key not in _known:
        _known[key] = rule_arrays(knowledge.rules(), encoder)
    return _known[key]


_last = threading.local()  # an offer is proposed for and then scored: each thread keeps its last answer


def rule_support(arrays: RuleArrays, offers: OfferArrays) -> RuleSupport:
    """How each offer meets the rules' materials."""
    asked = (offers.vectors.tobytes(), offers.ewc.tobytes(), offers.nace.tobytes())
    last: tuple[RuleArrays, tuple[bytes, ...], RuleSupport] | None = getattr(_last, "answer", None)
    if last is not None and last[0] is arrays and last[1] == asked:
        return last[2]
    support = _support(arrays, offers)
    _last.answer = (arrays, asked, support)
    return support


def _support(arrays: RuleArrays, offers: OfferArrays) -> RuleSupport:
    shape = (len(offers), arrays.materials)
    cosine = np.zeros(shape, dtype=np.float32)
    if len(arrays.vector_owner):
        owners, starts = np.unique(arrays.vector_owner, return_index=True)
        cosine[:, owners] = np.maximum.reduceat(offers.vectors @ arrays.vectors.T, starts, axis=1)
    ewc, donor = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    for q in range(len(offers)):
        _best(ewc[q], arrays.ewc_owner, _code_match(arrays.ewc, offers.ewc[q]))
        _best(donor[q], arrays.donor_owner, _donor_match(arrays.donors, offers.nace[q]))
    for column in (cosine, ewc, donor):
        column.flags.writeable = False
    return RuleSupport(cosine, ewc, donor)


def _best(out: Floats, owner: Rows, values: Floats) -> None:
    """The largest value of each owner; owners ascend."""
    if len(owner):
        starts = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
        out[owner[starts]] = np.maximum.reduceat(values, starts)


def _code_match(codes: Ints, own: Ints) -> Floats:
    same = (codes == own) & (own >= 0)
    depth = (codes >= 0).sum(axis=1) - 1
    covered = same[np.arange(len(codes)), depth] if len(codes) else np.zeros(0, dtype=bool)
    rest = np.where(same[:, 1], _SAME_SUBCHAPTER, np.where(same[:, 0], _SAME_CHAPTER, 0.0))
    return np.asarray(np.where(covered, np.take(_COVERS, depth), rest), dtype=np.float32)


def _donor_match(codes: Ints, own: Ints) -> Floats:
    same = (codes == own) & (own >= 0)
    depth = (codes >= 0).sum(axis=1) - 1
    covered = same[np.arange(len(codes)), depth] if len(codes) else np.zeros(0, dtype=bool)
    return np.asarray(np.where(covered, 1.0, np.where(same[:, 0], _SAME_DIVISION, 0.0)), dtype=np.float32)
