"""Which engines there are: name -> ``module:Class``.

Guests add theirs through the entry point group ``ism.engines``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from ism.data.bundled import BundledVectors
from ism.data.text import SentenceModel, TextEncoder
from ism.domain.errors import NotFoundError
from ism.engines.base import Engine, ParamValue

ENGINES = {
    "matching": "ism.engines.matching:MatchingEngine",
    "knowledge_graph": "ism.engines.knowledge_graph:KnowledgeGraphEngine",
    "gnn": "ism.engines.gnn:GnnEngine",
    "federated": "ism.engines.federated:FederatedEngine",
}


def names() -> list[str]:
    """Engines of this package, then guests."""
    return [*ENGINES, *sorted(point.name for point in entry_points(group="ism.engines") if point.name not in ENGINES)]


def engine_class(name: str) -> type[Engine]:
    """The class behind a name; only now is its module imported.

    Raises:
        NotFoundError: no engine has that name.
    """
    if name in ENGINES:
        module, _, attribute = ENGINES[name].partition(":")
        found: type[Engine] = getattr(import_module(module), attribute)
        return found
    for point in entry_points(group="ism.engines"):
        if point.name == name:
            guest: type[Engine] = point.load()
            return guest
    raise NotFoundError("engine", name)


def make(
    name: str, encoder: TextEncoder, device: str = "auto", policy: Mapping[str, ParamValue] | None = None
) -> Engine:
    """A new engine, with the encoder and the device of training where its constructor takes them.

    Args:
        name: of the engine.
        encoder: turns texts into vectors.
        device: what training runs on: ``auto``, ``cpu`` or ``cuda``.
        policy: parameters that people decide about; only for an engine whose constructor takes a ``policy``.
    """
    constructor = with_encoder(engine_class(name), encoder, device)
    return constructor(policy=policy) if policy else constructor()


def text_encoder(model: str | Path | None = None) -> TextEncoder:
    """The sentence model in a folder, the bundled one when None, as a process without a cache uses it."""
    return BundledVectors(SentenceModel(None if model is None else Path(model)))


def load(name: str, folder: Path, encoder: TextEncoder) -> Engine:
    """A saved engine, with the encoder where its `Engine.load` takes one.

    Raises:
        EngineError: a file is missing, damaged or of another version.
    """
    return with_encoder(engine_class(name).load, encoder)(folder)


def with_encoder(function: Callable[..., Engine], encoder: TextEncoder, device: str = "auto") -> Callable[..., Engine]:
    """A constructor or `Engine.load`, with the encoder and the device given where it takes them."""
    takes = inspect.signature(function).parameters
    offered = {"encoder": encoder, "device": device}
    given = {name: value for name, value in offered.items() if name in takes}
    return partial(function, **given) if given else function
