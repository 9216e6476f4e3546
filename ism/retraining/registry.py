"""Versions of models and what serves: register, stage, promote, roll back, retire.

Every change of what serves is one transaction of `ism.storage.RetrainingStore.deploy`: the pointer and its ledger row.
Before a pointer moves to a version, its files have been taken out and checked; so what it names can be loaded.
"""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ism.domain.errors import ArtifactError, ConflictError, NotFoundError
from ism.domain.retraining import Deployment, LedgerEntry, ModelVersion, RolloutMode
from ism.engines.files import folder_digest
from ism.storage import RetrainingStore
from ism.storage.artifacts import Blobs, artifact_digest, pack, unpack


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a version came from.

    Attributes:
        snapshot: SHA-256 of what it learnt from.
        code_version: of this package.
    """

    snapshot: str
    code_version: str
    params: Mapping[str, Any]
    seed: int
    parent: str | None = None
    job_id: str | None = None
    gate: str = "HOLD"
    metrics: Mapping[str, Any] = field(default_factory=dict)


class Registry:
    """Versions by name; threads may share it.

    Args:
        store: keeps versions, pointers and the ledger.
        blobs: keeps files.
        folder: gets the checked files of the versions in use; a cache, which may be deleted.
    """

    def __init__(self, store: RetrainingStore, blobs: Blobs, folder: Path) -> None:
        self._store, self._blobs, self._folder = store, blobs, folder
        self._unpacking = threading.Lock()

    def register(self, model_name: str, artifact: Path, lineage: Lineage) -> ModelVersion:
        """Keep a trained model as the next version of its name.

        Raises:
            ArtifactError: a file could run code when it is read.
        """
        files = pack(artifact, self._blobs)
        version = ModelVersion(
            version_id=uuid.uuid4().hex,
            model_name=model_name,
            number=0,
            artifact=artifact_digest(files),
            files=files,
            snapshot=lineage.snapshot,
            code_version=lineage.code_version,
            params=dict(lineage.params),
            seed=lineage.seed,
            parent=lineage.parent,
            job_id=lineage.job_id,
            gate=lineage.gate,
            metrics=dict(lineage.metrics),
            created_at=_now(),
        )
        return self._store.add_version(version)

    def find(self, model_name: str, wanted: str) -> ModelVersion:
        """A version by its number (``3``, ``v3``) or the beginning of its identifier (8 characters or more).

        Raises:
            NotFoundError: there is none.
        """
        number = wanted.removeprefix("v")
        for version in self._store.versions(model_name):
            by_number = number.isdecimal() and len(number) < 8 and version.number == int(number)
            if by_number or (len(wanted) >= 8 and version.version_id.startswith(wanted)):
                return version
        raise NotFoundError(f"version of {model_name!r}", wanted)

    def versions(self, model_name: str | None = None) -> list[ModelVersion]:
        """Versions, newest first."""
        return self._store.versions(model_name)

    def deployment(self, model_name: str) -> Deployment:
        """What serves."""
        return self._store.deployment(model_name)

    def ledger(self, model_name: str) -> list[LedgerEntry]:
        """Every change of what serves."""
        return self._store.ledger(model_name)

    def folder_of(self, version: ModelVersion) -> Path:
        """A folder with the version's files, each checked now.

        Raises:
            ArtifactError: a file is missing, changed or not safe; names its digest.
        """
        if version.retired_at is not None:
            raise ArtifactError(
                f"{version.artifact}: the files of version {version.number} were deleted to save space."
            )
        folder = self._folder / version.artifact
        with self._unpacking:
            if folder.is_dir():
                if folder_digest(folder) == version.artifact:
                    return folder
                shutil.rmtree(folder)  # a cache: what was kept decides
            unpack(version.files, version.artifact, self._blobs, folder)
        return folder

    def shadow(self, version: ModelVersion, actor: str, reason: str, generation: int | None = None) -> Deployment:
        """Let a version score beside the champion without being seen; ``generation`` as in `promote`."""
        return self._challenge(version, "shadow", 0.0, actor, reason, generation)

    def canary(
        self, version: ModelVersion, share: float, actor: str, reason: str, generation: int | None = None
    ) -> Deployment:
        """Let a version answer a share (0..1) of the companies; ``generation`` as in `promote`."""
        return self._challenge(version, "canary", share, actor, reason, generation)

    def withdraw(self, version: ModelVersion, actor: str, reason: str, generation: int | None = None) -> Deployment:
        """End a version's shadow or canary; the champion goes on alone. ``generation`` as in `promote`."""
        seen = self.deployment(version.model_name)
        if seen.challenger != version.version_id:
            return seen
        wanted = replace(seen, generation=_next(seen, generation), challenger=None, mode="none", share=0.0)
        return self._deploy("withdraw", version.version_id, seen.champion, actor, reason, wanted)

    def promote(self, version: ModelVersion, actor: str, reason: str, generation: int | None = None) -> Deployment:
        """Make a version the champion; does nothing where it is already.

        Args:
            version: that passed the gate.
            actor: who asks.
            reason: why.
            generation: what the caller saw; the present one when None.

        Raises:
            ConflictError: it has not passed the gate, or somebody else changed what serves.
            ArtifactError: its files cannot be trusted.
        """
        if version.gate != "PASS":
            raise ConflictError(
                f"version {version.number} of {version.model_name}: the gate said {version.gate}. "
                "Only what passed the gate can be promoted."
            )
        self.folder_of(version)
        seen = self.deployment(version.model_name)
        if seen.champion == version.version_id:
            return seen
        wanted = Deployment(version.model_name, _next(seen, generation), version.version_id, seen.champion)
        return self._deploy("promote", seen.champion, version.version_id, actor, reason, wanted)

    def rollback(
        self, model_name: str, actor: str, reason: str, to: ModelVersion | None = None, generation: int | None = None
    ) -> Deployment:
        """Return to the champion before, or to a version that was champion once; nothing is trained.

        Before the first champion served the engine that every start fits: returning from it returns to that engine.

        Raises:
            ConflictError: nothing was promoted, or somebody else changed what serves.
            ArtifactError: the files of that version cannot be trusted; the present champion stays.
        """
        seen = self.deployment(model_name)
        if to is None:
            if seen.champion is None and seen.previous is None:
                raise ConflictError(f"{model_name}: nothing was promoted. There is nothing to return from.")
            to = None if seen.previous is None else self._store.get_version(seen.previous)
        elif to.version_id not in {entry.to_version for entry in self.ledger(model_name) if entry.action == "promote"}:
            raise ConflictError(f"version {to.number} of {model_name} was never champion. Promote it instead.")
        if to is not None:
            self.folder_of(to)
        target = None if to is None else to.version_id
        if seen.champion == target:
            return seen
        wanted = Deployment(model_name, _next(seen, generation), target, seen.champion)
        return self._deploy("rollback", seen.champion, target, actor, reason, wanted)

    def retire(self, model_name: str, keep: int) -> list[ModelVersion]:
        """Delete the files of all but the newest ``keep`` versions; never of what serves or can be returned to.

        Rows stay: lineage is never forgotten. Files that another version shares stay, too.
        """
        kept = [version for version in self.versions(model_name) if version.retired_at is None]
        retired = []
        for version in kept[keep:]:
            try:
                retired.append(self._store.retire(version.version_id, _now()))
            except ConflictError:
                continue
        needed = {digest for v in self.versions() if v.retired_at is None for digest in v.files.values()}
        for version in retired:
            shutil.rmtree(self._folder / version.artifact, ignore_errors=True)
            for digest in set(version.files.values()) - needed:
                self._blobs.delete(digest)
        return retired

    def diff(self, one: ModelVersion, other: ModelVersion) -> dict[str, dict[str, Any]]:
        """Where two versions differ: name -> ``{"from", "to"}``; parameters and metrics entry by entry."""
        found = {
            name: {"from": getattr(one, name), "to": getattr(other, name)}
            for name in ("artifact", "snapshot", "code_version", "seed", "parent", "gate")
            if getattr(one, name) != getattr(other, name)
        }
        for name in ("params", "metrics", "files"):
            before, after = getattr(one, name), getattr(other, name)
            for key in sorted({*before, *after}):
                if before.get(key) != after.get(key):
                    found[f"{name}.{key}"] = {"from": before.get(key), "to": after.get(key)}
        return found

    def _challenge(
        self, version: ModelVersion, mode: RolloutMode, share: float, actor: str, reason: str, generation: int | None
    ) -> Deployment:
        self.folder_of(version)
        seen = self.deployment(version.model_name)
        if (seen.challenger, seen.mode, seen.share) == (version.version_id, mode, share):
            return seen
        if seen.challenger not in {None, version.version_id}:
            raise ConflictError(f"{version.model_name}: another version is in {seen.mode}. Wait for it to end.")
        wanted = replace(
            seen,
            generation=_next(seen, generation),
            challenger=version.version_id,
            mode=mode,
            share=share,
        )
        return self._deploy(mode, seen.champion, version.version_id, actor, reason, wanted)

    def _deploy(
        self, action: str, before: str | None, after: str | None, actor: str, reason: str, wanted: Deployment
    ) -> Deployment:
        entry = LedgerEntry(wanted.model_name, wanted.generation, action, before, after, actor, reason, _now())
        return self._store.deploy(entry, wanted)


def _next(seen: Deployment, generation: int | None) -> int:
    """The generation of a change by somebody who saw ``generation``; the store refuses all but the next one."""
    return (seen.generation if generation is None else generation) + 1


def _now() -> datetime:
    return datetime.now(UTC)
