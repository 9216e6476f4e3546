"""A simple guest engine passes every check; each way to break a promise is found by the check for it."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from ism.data.features import need_similarity
from ism.data.market import Floats, Market, OfferArrays, Rows
from ism.domain.engine import Reason
from ism.domain.errors import EngineError, NotFittedError
from ism.engines.base import Engine, Param, ParamValue, Snapshot
from ism.engines.files import numbers, read_about, write_about
from ism.engines.params import resolve
from ism.testing.engine_checks import ENGINE_CHECKS
from ism.testing.sample import WordEncoder

CHECKS = {check.__name__: check for check in ENGINE_CHECKS}


class Guest(Engine):
    """How much a receiver asks for what is offered."""

    name = "guest"

    def __init__(self) -> None:
        self.scale: float | None = None

    @classmethod
    def search_space(cls) -> dict[str, Param]:
        return {"scale": Param(0.9, 0.1, 1.0)}

    def fit(self, snapshot: Snapshot, params: Mapping[str, ParamValue] | None = None, seed: int = 0) -> None:
        self.scale = float(resolve(self.search_space(), params)["scale"]) / (1 + len(snapshot.market.precedents) / 7)

    def score(self, market: Market, offers: OfferArrays, rows: Rows | None = None) -> Floats:
        if self.scale is None:
            raise NotFittedError(self.name)
        return np.asarray(np.clip(need_similarity(market, offers, rows), 0, 1) * self.scale, dtype=np.float32)

    def explain(self, market: Market, offers: OfferArrays, offer: int, row: int) -> list[Reason]:
        one, rows = offers.take(np.asarray([offer])), np.asarray([row])
        strength = float(self.score(market, one, rows)[0, 0])
        close = Reason("It asks for this.", "similarity", engine=self.name, strength=strength)
        return [close, Reason("It is there.", "sector", engine=self.name, strength=-1.0)] if strength > 0 else []

    def save(self, folder: Path) -> None:
        if self.scale is None:
            raise NotFittedError(self.name)
        write_about(folder, self.name, 1, state={"scale": self.scale})

    @classmethod
    def load(cls, folder: Path) -> Engine:
        engine = cls()
        [engine.scale] = numbers(folder, read_about(folder, cls.name, 1), "state", ["scale"])
        return engine


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_an_honest_guest_passes(check):
    check(Guest, WordEncoder())


class ScoresUnfitted(Guest):
    def score(self, market, offers, rows=None):
        return need_similarity(market, offers, rows)


class Restless(Guest):
    def score(self, market, offers, rows=None):
        scores = super().score(market, offers, rows)
        return scores * np.float32(np.random.default_rng().uniform(0.9, 1.0))


class Remembers(Guest):
    fits = 0

    def fit(self, snapshot, params=None, seed=0):
        super().fit(snapshot, params, seed)
        self.fits += 1
        self.scale *= 0.9**self.fits


class Wide(Guest):
    def score(self, market, offers, rows=None):
        return super().score(market, offers, rows).astype(np.float64)


class TooSure(Guest):
    def score(self, market, offers, rows=None):
        return super().score(market, offers, rows) * 20


class LostOnBlankTexts(Guest):
    def score(self, market, offers, rows=None):
        length = np.linalg.norm(offers.vectors, axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            return (super().score(market, offers, rows) * length / length).astype(np.float32)


class NeedsSomebody(Guest):
    def score(self, market, offers, rows=None):
        scores = super().score(market, offers, rows)
        return scores - scores.min() * 0


class NeedsPrecedents(Guest):
    def fit(self, snapshot, params=None, seed=0):
        super().fit(snapshot, params, seed)
        assert not len(snapshot.market.receivers) or snapshot.market.precedents.receiver[0] >= 0


class ComparesRows(Guest):
    def score(self, market, offers, rows=None):
        scores = super().score(market, offers, rows)
        return scores / max(float(scores.max(initial=0.0)), 1e-6)


class ComparesOffers(Guest):
    def score(self, market, offers, rows=None):
        everything = super().score(market, offers)
        return super().score(market, offers, rows) / max(float(everything.max(initial=0.0)), 1e-6)


class KeepsByIdentity(Guest):
    kept = (None, None, None, None)

    def score(self, market, offers, rows=None):
        if rows is None or self.kept[:3] != (id(market), id(offers), id(rows)):
            self.kept = (id(market), id(offers), id(rows), super().score(market, offers, rows))
        return self.kept[3]


class SharesScratch(Guest):
    def score(self, market, offers, rows=None):
        self.market = market
        time.sleep(0.005)
        return super().score(self.market, offers, rows)


class ProposesTwice(Guest):
    def propose(self, market, offers, count):
        return np.repeat(np.arange(len(market.receivers)), 2)


class ProposesOthers(Guest):
    def propose(self, market, offers, count):
        return np.argsort(self.score(market, offers)[0])[:1]


class Contrary(Guest):
    def score(self, market, offers, rows=None):
        return np.float32(1) - super().score(market, offers, rows)


class WeakestFirst(Guest):
    def explain(self, market, offers, offer, row):
        return super().explain(market, offers, offer, row)[::-1]


class OtherKinds(Guest):
    def explain(self, market, offers, offer, row):
        return [Reason("Because.", "hunch", engine=self.name)]  # type: ignore[arg-type]  # wrong on purpose


class SharesThatDoNotAddUp(Guest):
    def contributions(self, market, offers, offer, row):
        return {"need": float(self.score(market, offers)[offer, row])}


class DefaultOutside(Guest):
    @classmethod
    def search_space(cls):
        return {"scale": Param(1.9, 0.1, 1.0)}


class TakesAnything(Guest):
    def fit(self, snapshot, params=None, seed=0):
        super().fit(snapshot, None, seed)


class RoundsOnSave(Guest):
    def save(self, folder):
        if self.scale is None:
            raise NotFittedError(self.name)
        write_about(folder, self.name, 1, state={"scale": round(self.scale, 3)})


class Pickles(Guest):
    def save(self, folder):
        super().save(folder)
        (folder / "state.txt").write_bytes(pickle.dumps(self.scale))


class BelievesFiles(Guest):
    @classmethod
    def load(cls, folder):
        engine = cls()
        try:
            engine.scale = float(json.loads((folder / "engine.json").read_bytes())["state"]["scale"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EngineError(f"{folder} cannot be read. Fit again.") from error
        return engine


class WritesIntoOffers(Guest):
    def score(self, market, offers, rows=None):
        offers.latitude[:] = np.nan_to_num(offers.latitude)
        return super().score(market, offers, rows)


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (ScoresUnfitted, "check_refuses_before_fit"),
        (Restless, "check_deterministic"),
        (Remembers, "check_deterministic"),
        (Wide, "check_total"),
        (TooSure, "check_total"),
        (LostOnBlankTexts, "check_total"),
        (NeedsSomebody, "check_empty"),
        (NeedsPrecedents, "check_thin_markets"),
        (ComparesRows, "check_rows"),
        (ComparesOffers, "check_batches"),
        (KeepsByIdentity, "check_rows_are_read_anew"),
        (SharesScratch, "check_threads"),
        (ProposesTwice, "check_proposals"),
        (ProposesOthers, "check_proposals"),
        (Contrary, "check_learns"),
        (WeakestFirst, "check_reasons"),
        (OtherKinds, "check_reasons"),
        (SharesThatDoNotAddUp, "check_contributions"),
        (DefaultOutside, "check_search_space"),
        (TakesAnything, "check_refuses_parameters"),
        (RoundsOnSave, "check_faithful"),
        (Pickles, "check_files_are_safe"),
        (BelievesFiles, "check_refuses_bad_files"),
        (WritesIntoOffers, "check_pure"),
    ],
)
def test_a_broken_promise_is_found(broken, check):
    with pytest.raises((AssertionError, ValueError, IndexError)):
        CHECKS[check](broken, WordEncoder())
