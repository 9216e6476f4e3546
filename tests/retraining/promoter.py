"""A process that promotes and returns to one version after another, and tells each generation, until it is killed."""

from multiprocessing.connection import Connection
from pathlib import Path

from killing import open_place

import ism.storage.sql_store  # noqa: F401 - loaded before the fork, so that each process starts quickly
from ism.retraining.registry import Registry
from ism.storage import Store
from ism.storage.artifacts import LocalBlobs


def registry_on(store: Store, folder: Path) -> Registry:
    """Versions whose files lie in a folder."""
    return Registry(store.retraining, LocalBlobs(folder / "files"), folder / "versions")


def promote_forever(place: str, folder: str, told: Connection) -> None:
    """Make each version the champion in turn, now and then by way of a canary."""
    with open_place(place) as store:
        registry = registry_on(store, Path(folder))
        versions = registry.versions("matching")
        told.send("ready")
        while True:
            seen = registry.deployment("matching")
            version = versions[(seen.generation + 1) % len(versions)]
            if seen.challenger is not None:  # the canary of a process that was killed is carried on
                version = registry.find("matching", seen.challenger)
            elif seen.generation % 3 == 0:
                registry.canary(version, 0.1, "test", "tried")
            told.send(str(registry.promote(version, "test", f"promotion {seen.generation}").generation))
