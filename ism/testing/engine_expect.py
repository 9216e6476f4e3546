"""What the checks of an engine have in common."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from ism.data.market import Floats, Market, OfferArrays, nace_levels
from ism.data.text import TextEncoder
from ism.domain.engine import Reason, ReasonKind
from ism.domain.errors import EngineError
from ism.engines.base import Engine, Snapshot
from ism.engines.catalog import with_encoder
from ism.testing.sample import Sample
from ism.testing.store_checks import expect

MakeEngine = Callable[[], Engine]
ROUNDING = 1e-5  # products of matrices of other shapes add up in another order


def fitted(make: MakeEngine, case: Sample) -> Engine:
    """A new engine that has learnt from the sample."""
    engine = make()
    engine.fit(case.snapshot, None, 0)
    return engine


def loaded_again(engine: Engine, folder: Path, encoder: TextEncoder) -> Engine:
    """What the engine saved, with the encoder where its `Engine.load` takes one."""
    return with_encoder(type(engine).load, encoder)(folder)


def all_scores(engine: Engine, case: Sample) -> Floats:
    """Scores of all the sample's offers with all its receivers."""
    return engine.score(case.built.market, case.offers)


@contextmanager
def new_folder() -> Iterator[Path]:
    """An empty folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="ism-engine-") as name:
        yield Path(name)


def one_class(case: Sample) -> Snapshot:
    """The sample with everybody in one sector."""
    market = case.built.market
    homes = replace(market.receivers, nace=nace_levels(["23.51"] * len(market.receivers)))
    past = replace(market.precedents, receiver_nace=homes.nace[market.precedents.receiver])
    return Snapshot(Market(homes, past), case.built.groups)


def expect_sound(engine: Engine, market: Market, offers: OfferArrays, where: str) -> None:
    """Shape, type and range of all scores."""
    scores = engine.score(market, offers)
    shape = (len(offers), len(market.receivers))
    expect(f"in {where}: scores have the shape {shape}, not {scores.shape}", scores.shape == shape)
    expect(f"in {where}: scores are float32, not {scores.dtype}", scores.dtype == np.float32)
    expect(f"in {where}: scores are finite", bool(np.isfinite(scores).all()))
    expect(f"in {where}: scores are in 0..1", bool(((scores >= 0) & (scores <= 1)).all()))


def expect_close(given: Floats, expected: Floats, promise: str) -> None:
    """Equal but for rounding."""
    expect(promise, given.shape == expected.shape and bool((np.abs(given - expected) <= ROUNDING).all()))


def expect_proposes(engine: Engine, market: Market, offers: OfferArrays) -> None:
    """Proposals for each offer alone are distinct rows of the market."""
    for number in range(len(offers)):
        rows = engine.propose(market, offers.take(np.asarray([number], dtype=np.intp)), 4)
        expect("proposals are rows", rows.ndim == 1 and np.issubdtype(rows.dtype, np.integer))
        expect("proposals are distinct", len(np.unique(rows)) == len(rows))
        expect("proposals are receivers", bool(((rows >= 0) & (rows < len(market.receivers))).all()))


def expect_explains(engine: Engine, market: Market, offers: OfferArrays, rows: range) -> None:
    """Reasons of each offer with the rows are well formed and in order."""
    for offer in range(len(offers)):
        for row in rows:
            reasons = engine.explain(market, offers, offer, row)
            strengths = [reason.strength for reason in reasons]
            expect("reasons have a finite strength", bool(np.isfinite(strengths).all()))
            expect("the strongest reason comes first", strengths == sorted(strengths, reverse=True))
            for reason in reasons:
                expect(f"{reason.kind!r} is a known kind", reason.kind in get_args(ReasonKind))
                expect(
                    "a reason is a sentence of this engine", reason.text.strip() != "" and reason.engine == engine.name
                )


def expect_same_reasons(given: Sequence[list[Reason]], expected: Sequence[list[Reason]], promise: str) -> None:
    """The same reasons in the same order, equal but for rounding."""
    expect(promise, [len(reasons) for reasons in given] == [len(reasons) for reasons in expected])
    for one, other in zip(chain.from_iterable(given), chain.from_iterable(expected), strict=True):
        same = (one.kind, one.source) == (other.kind, other.source)
        expect(promise, same and abs(one.strength - other.strength) <= ROUNDING)


def damages(content: bytes) -> Iterator[tuple[str, bytes | None]]:
    """What may happen to a file; None for one that is gone."""
    yield "missing", None
    yield "empty", b""
    yield "cut", content[: len(content) // 2]
    yield "garbage", b"\xff\xfe\x00" * 50
    for place in range(7, len(content), max(len(content) // 20, 1)):
        yield f"byte {place} changed", content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def other_versions(about: object) -> Iterator[object]:
    """What a JSON file of another engine or version would hold."""
    yield []
    yield {}
    if isinstance(about, dict):
        for name in ("engine", "format"):
            if name in about:
                yield {**about, name: "another"}
                yield {key: value for key, value in about.items() if key != name}


def expect_refused_or_equal(engine: Engine, folder: Path, case: Sample, encoder: TextEncoder, damage: str) -> None:
    """A damaged model is refused, or scores as if it were whole."""
    try:
        loaded = loaded_again(engine, folder, encoder)
    except EngineError:
        return
    expect(f"{damage}: refused, or without effect", np.array_equal(all_scores(loaded, case), all_scores(engine, case)))


def same(now: object, before: object) -> bool:
    """Equal values of equal type."""
    if isinstance(now, np.ndarray):
        other: npt.NDArray[np.generic] = np.asarray(before)
        return now.dtype == other.dtype and np.array_equal(now, other, equal_nan=now.dtype.kind == "f")
    return now == before
