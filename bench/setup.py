"""What every run needs: where the data are, the sentence model, and the engines."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ism.data import public
from ism.data.text import CachedEncoder, SentenceModel, TextEncoder
from ism.domain.errors import ConfigurationError
from ism.engines.federated import FederatedEngine
from ism.engines.gnn import GnnEngine
from ism.engines.knowledge_graph import KnowledgeGraphEngine
from ism.engines.matching import MatchingEngine
from ism.fusion.evidence import EngineFactory

REPOSITORY = Path(__file__).resolve().parents[1]
_PACKAGES = (
    "ism-ai-platform",
    "numpy",
    "scipy",
    "lightgbm",
    "scikit-learn",
    "polars",
    "rank-bm25",
    "implicit",
    "pykeen",
)


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line.

    Attributes:
        data: folder of the public data sets; None where the run needs none.
        fast: whether to run on a small part only, to see that everything works.
        jobs: processes that may work at the same time.
        peers: whether the peers of `bench.peers` take part.
    """

    data: Path | None = None
    fast: bool = False
    jobs: int = 1
    peers: bool = False

    def folder(self) -> Path:
        """The folder of the public data sets.

        Raises:
            ConfigurationError: there is none.
        """
        if self.data is None:
            raise ConfigurationError("data: this run needs the folder of the public data sets. Give --data FOLDER.")
        return self.data


def data_folder(given: Path | None) -> Path:
    """``given``, else the folder that `ism.data.public.folder` finds.

    Raises:
        ConfigurationError: there is no such folder.
    """
    found = public.folder() if given is None else given
    if found is None or not found.is_dir():
        tried = given or os.environ.get(public.VARIABLE) or REPOSITORY.parent / "shared" / "data"
        raise ConfigurationError(
            f"data: {tried} is not a folder. Give --data FOLDER or set {public.VARIABLE} to the public data sets."
        )
    return found


def text_encoder() -> TextEncoder:
    """The bundled sentence model, with its vectors kept in the user's cache folder where that can be written."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        return CachedEncoder(SentenceModel(), home / "ism" / "bench-vectors.db")
    except (OSError, sqlite3.Error):
        return CachedEncoder(SentenceModel())


def engine_makers(encoder: TextEncoder, *, use_rules: bool = True) -> dict[str, EngineFactory]:
    """How to make each engine that takes part."""
    return {
        "matching": MatchingEngine,
        "knowledge_graph": lambda: KnowledgeGraphEngine(encoder, use_rules=use_rules),
        "gnn": lambda: GnnEngine(encoder=encoder, use_rules=use_rules),
        "federated": lambda: FederatedEngine(encoder=encoder, use_rules=use_rules),
    }


def versions(packages: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """What the figures were made with."""
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
