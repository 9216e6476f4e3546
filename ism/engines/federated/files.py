"""The two files of a real federation: the public profile that everybody has, and the exchanges that stay at a site."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ism.data.market import Market, Precedents, Receivers, Rows
from ism.domain.errors import EngineError
from ism.engines.base import Snapshot
from ism.engines.federated.sites import Site
from ism.engines.rules import RuleBook

_RULES = "rule_vectors"
Arrays = dict[str, npt.NDArray[np.generic]]


def save_profile(market: Market, path: Path, rules: RuleBook | None = None) -> None:
    """Write what the marketplace shows to all.

    That is of its receivers identifier, kind, sector, place, and what they ask for; and, where the federation uses the
    curated rules, the vectors of their names, so that no site needs a sentence model.
    """
    home = market.receivers
    columns = ("nace", "latitude", "longitude", "needs", "need_owner")
    arrays = {name: getattr(home, name) for name in columns}
    if rules is not None:
        arrays[_RULES] = rules.vectors
    _write(path, arrays, ids=home.ids, kinds=home.kinds)


def load_profile(path: Path) -> Market:
    """The receivers of a profile, as a market without precedents.

    Raises:
        EngineError: the file is missing or damaged.
    """
    arrays, about = _read(path)
    arrays.pop(_RULES, None)
    count = len(about["ids"])
    receivers = Receivers(
        ids=about["ids"],
        names=[""] * count,
        kinds=about["kinds"],
        countries=[""] * count,
        need_texts=[""] * len(arrays["needs"]),
        **arrays,
    )
    return Market(receivers, _no_precedents(receivers))


def load_rules(path: Path) -> RuleBook | None:
    """The curated rules of a profile; None where the federation uses none.

    Raises:
        EngineError: the file is missing or damaged, or its rules are those of another version of this package.
    """
    arrays, _ = _read(path)
    if _RULES not in arrays:
        return None
    try:
        return RuleBook.of_vectors(arrays[_RULES])
    except ValueError as error:
        raise EngineError(f"{path}: {error}. Use one version of ism-ai-platform everywhere.") from error


def save_site(name: str, snapshot: Snapshot, path: Path) -> None:
    """Write a site's exchanges; receivers are named by their identifiers."""
    past, ids = snapshot.market.precedents, snapshot.market.receivers.ids
    columns = ("vectors", "ewc", "donor_nace", "latitude", "longitude")
    arrays = {column: getattr(past, column) for column in columns} | {"groups": snapshot.groups}
    _write(path, arrays, name=name, receivers=[ids[row] for row in past.receiver], texts=past.texts)


def load_site(path: Path, profile: Market) -> Site:
    """A site's exchanges with the receivers of the profile; those with others are left out.

    Raises:
        EngineError: the file is missing or damaged.
    """
    arrays, about = _read(path)
    row_of = {identifier: row for row, identifier in enumerate(profile.receivers.ids)}
    found = np.asarray([row_of.get(identifier, -1) for identifier in about["receivers"]], dtype=np.intp)
    kept = np.flatnonzero(found >= 0)
    order = kept[np.argsort(found[kept], kind="stable")]
    groups = arrays.pop("groups")[order].astype(np.int32)
    market = Market(profile.receivers, _precedents(profile.receivers, found[order], about["texts"], arrays, order))
    return Site(str(about["name"]), Snapshot(market, groups))


def _precedents(receivers: Receivers, receiver: Rows, texts: list[str], arrays: Arrays, order: Rows) -> Precedents:
    columns: dict[str, Any] = {name: array[order] for name, array in arrays.items()}
    return Precedents(
        receiver=receiver,
        receiver_nace=receivers.nace[receiver],
        texts=[texts[row] for row in order],
        references=[""] * len(order),
        sources=[""] * len(order),
        **columns,
    )


def _no_precedents(receivers: Receivers) -> Precedents:
    nothing, codes = np.zeros(0, dtype=np.float32), np.zeros((0, 3), dtype=np.int32)
    arrays: Arrays = {
        "vectors": np.zeros((0, receivers.needs.shape[1]), dtype=np.float32),
        "ewc": codes,
        "donor_nace": codes,
        "latitude": nothing,
        "longitude": nothing,
    }
    return _precedents(receivers, np.zeros(0, dtype=np.intp), [], arrays, np.zeros(0, dtype=np.intp))


def _write(path: Path, arrays: Arrays, **about: object) -> None:
    from safetensors.numpy import save_file  # noqa: PLC0415 - only where something is stored

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path, {"about": json.dumps(about)})


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from safetensors import safe_open  # noqa: PLC0415 - only where something is stored

    try:
        with safe_open(path, framework="np") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return arrays, json.loads(file.metadata()["about"])
    except Exception as error:  # safetensors has errors of its own, without a common root
        raise EngineError(f"{path} cannot be read: {error}. Write it again (docs/federated.md).") from error
