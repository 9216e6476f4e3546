"""A small market and an encoder without a model, for checks and tests that must be quick and the same everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ism.data.build import BuiltMarket, build_market
from ism.data.market import OfferArrays, offer_arrays
from ism.data.text import TextEncoder, Vectors
from ism.domain.market import Company, Exchange, Listing, Offer
from ism.engines.base import Snapshot

# Material, List-of-Waste code, sector that has it, sectors that take it.
TRADES = (
    ("coal fly ash", "10 01 02", "35.11", ("23.51", "23.63")),
    ("granulated blast furnace slag", "10 02 01", "24.10", ("23.51", "42.11")),
    ("brewer's spent grain", "02 07 04", "11.05", ("10.91", "35.21")),
    ("whey from cheese", "02 05 02", "10.51", ("10.91", "35.21")),
    ("sawdust and wood shavings", "03 01 05", "16.10", ("16.21", "35.30")),
    ("deinking paper sludge", "03 03 05", "17.12", ("23.32", "23.51")),
    ("gypsum from flue gas desulphurisation", "10 01 05", "35.11", ("23.62", "23.51")),
    ("spent solvent mixture", "14 06 03", "20.42", ("38.22", "20.59")),
)
SECTORS = (*dict.fromkeys(code for trade in TRADES for code in trade[3]), "01.61", "62.01")
DONORS = 5  # of each material


class WordEncoder:
    """Vectors from words and their parts: texts that share words are alike. Deterministic, without weights.

    Args:
        dimension: length of a vector.
    """

    def __init__(self, dimension: int = 96) -> None:
        self._dimension = dimension

    @property
    def name(self) -> str:
        """Identifies the encoder."""
        return f"words-{self._dimension}"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def encode(self, texts: Sequence[str]) -> Vectors:
        """``[len(texts), dimension]`` unit vectors; zeros for a blank text."""
        out = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for part, weight in _parts(text):
                digest = hashlib.blake2b(part.encode("utf-8", "replace"), digest_size=8).digest()
                place, sign = int.from_bytes(digest[:7], "big") % self._dimension, 1 - 2 * (digest[7] & 1)
                out[row, place] += sign * weight
        length = np.linalg.norm(out, axis=1, keepdims=True)
        return np.asarray(out / np.where(length > 0, length, 1.0), dtype=np.float32)


def _parts(text: str) -> Iterator[tuple[str, float]]:
    for word in text.casefold().split():
        yield word, 1.0
        padded = f"<{word}>"
        for start in range(len(padded) - 2):
            yield padded[start : start + 3], 0.3


@dataclass(frozen=True)
class Sample:
    """A market, what an engine may learn from it, and offers of every kind.

    Attributes:
        obvious: an offer that `best` took before, asks for, and that curated rules lead to.
        offers: ordinary ones, then ones of which little or nothing is known.
        best: row of the receiver that is the evident answer to ``obvious``.
    """

    built: BuiltMarket
    obvious: OfferArrays
    offers: OfferArrays
    best: int

    @property
    def snapshot(self) -> Snapshot:
        """The market and the groups of its precedents."""
        return Snapshot(self.built.market, self.built.groups)


def sample(encoder: TextEncoder, *, exchanges: bool = True, needs: bool = True, places: bool = True) -> Sample:
    """The sample market: 40 donors, 32 takers, ten sectors.

    Args:
        encoder: turns texts into vectors.
        exchanges: whether anything was exchanged.
        needs: whether companies ask for anything (a company without sector and need asks for nothing).
        places: whether it is known where companies are.
    """
    firms, past, asked = _donors(places), _exchanges() if exchanges else [], _needs() if needs else []
    takers = _takers(places, with_sector=needs)
    built = build_market([*firms, *takers], asked, past, encoder, classes=SECTORS if needs else ())
    return Sample(built, offer_arrays([_OBVIOUS], encoder), offer_arrays(_OFFERS, encoder), built.row_of["taker-0-0"])


def _donors(places: bool) -> list[Company]:
    rng = np.random.default_rng(1)
    where = rng.uniform((44.0, 2.0), (56.0, 20.0), (len(TRADES) * DONORS, 2)).round(3).tolist()
    return [
        Company(
            f"donor-{kind}-{number}",
            f"Works {kind}.{number}",
            trade[2] if number else None,
            "DE",
            *(where[kind * DONORS + number] if places and number != 1 else (None, None)),
        )
        for kind, trade in enumerate(TRADES)
        for number in range(DONORS)
    ]


def _takers(places: bool, with_sector: bool) -> list[Company]:
    rng = np.random.default_rng(2)
    where = rng.uniform((44.0, 2.0), (56.0, 20.0), (len(TRADES) * 4, 2)).round(3).tolist()
    return [
        Company(
            f"taker-{kind}-{number}",
            f"Plant {kind}.{number}",
            trade[3][number // 2] if with_sector and (kind, number) != (7, 3) else None,
            "FR",
            *(where[kind * 4 + number] if places and number != 1 else (None, None)),
        )
        for kind, trade in enumerate(TRADES)
        for number in range(4)
    ]


def _needs() -> list[Listing]:
    """Each first taker asks for its material: a third in open terms, the others with terms that few offers meet."""
    terms: tuple[tuple[float | None, float | None, bool | None], ...] = (
        (None, None, None),
        (500.0, None, True),
        (20_000.0, -5.0, False),
    )
    return [
        Listing(f"need-{kind}-{number}", f"taker-{kind}-0", "need", text, "", None, *terms[(kind + number) % 3])
        for kind, (material, *_) in enumerate(TRADES)
        for number, text in enumerate((material, f"{material} or the like")[: 1 + kind % 2])
    ]


def _exchanges() -> list[Exchange]:
    """Each donor's material went to the first taker, and that of some also to another."""
    return [
        Exchange(
            f"exchange-{kind}-{donor}-{taker}",
            f"donor-{kind}-{donor}",
            f"taker-{kind}-{taker}",
            f"{material} of works {donor}" if donor > 2 else material,
            ewc=ewc if donor else None,
            status="operating",
            source="sample",
        )
        for kind, (material, ewc, *_) in enumerate(TRADES)
        for donor in range(DONORS)
        for taker in sorted({0, donor % 4})
    ]


_OBVIOUS = Offer(
    "coal fly ash", ewc="10 01 02", nace="35.11", quantity_t_per_year=50_000.0, latitude=50.0, longitude=8.0
)
_OFFERS = (
    _OBVIOUS,
    *(
        Offer(material, "dry", ewc, 100.0, nace=nace, latitude=52.5, longitude=13.4)
        for material, ewc, nace, _ in TRADES
    ),
    Offer("coal fly ash"),
    Offer("coal fly ash", ewc="10 01", nace="35"),
    Offer(
        "zirconium turnings of a kind never seen \u2603", ewc="12 01 03", nace="25.62", latitude=-89.9, longitude=179.9
    ),
    Offer("spent solvent mixture", quantity_t_per_year=0.0, price_eur_per_t=80.0, hazardous=True),
    Offer(" "),
    Offer("", ewc="20", nace="99", price_eur_per_t=-3.0),
)
