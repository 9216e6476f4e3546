"""SIGKILL while models are promoted: one whole version serves, and nothing acknowledged is taken back."""

import random
from pathlib import Path

import promoter
import pytest
from killing import killed, open_place

from ism.retraining.registry import Lineage


def prepare(place: str, folder: Path, number: int = 4) -> None:
    with open_place(place) as store:
        for each in range(number):
            trained = folder / f"trained-{each}"
            trained.mkdir(parents=True)
            (trained / "engine.json").write_text(f'{{"model": {each}}}')
            lineage = Lineage("c" * 64, "0.1.0", {"n": each}, 0, gate="PASS")
            promoter.registry_on(store, folder).register("matching", trained, lineage)


def check(place: str, folder: Path, acknowledged: int) -> int:
    """The generation that serves, after it was found to be whole."""
    with open_place(place) as store:
        registry = promoter.registry_on(store, folder)
        serving, ledger = registry.deployment("matching"), registry.ledger("matching")
        assert [entry.generation for entry in ledger] == list(range(1, len(ledger) + 1))  # none lost, none doubled
        assert serving.generation == len(ledger) >= acknowledged
        last = next((entry for entry in reversed(ledger) if entry.action == "promote"), None)
        assert serving.champion == (last.to_version if last else None)
        if serving.champion is not None:
            registry.folder_of(store.retraining.get_version(serving.champion))  # every file, checked
        newest = store.audit.entries(limit=1)
        assert [entry.details["generation"] for entry in newest] == ([len(ledger)] if ledger else [])
        return serving.generation


@pytest.mark.parametrize("kills", [3, pytest.param(300, marks=pytest.mark.slow)])
def test_kill_9_leaves_no_half_promotion(place_again: str, tmp_path: Path, kills: int) -> None:
    folder, when, generations = tmp_path / "models", random.Random(kills), [0]
    prepare(place_again, folder)
    for _ in range(kills):
        told = killed(promoter.promote_forever, (place_again, str(folder)), when.uniform(0.0, 0.1))
        generations.append(check(place_again, folder, max(map(int, told), default=generations[-1])))
    assert generations == sorted(generations)
    assert generations[-1] > kills
