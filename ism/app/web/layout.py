"""Places of the nodes of a network, the same each time for the same network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_TURNS = 50
_GRAVITY = 0.35  # pulls parts that are not connected back to the middle


def placed(nodes: int, links: Sequence[tuple[int, int]], seed: int = 0) -> npt.NDArray[np.float64]:
    """Positions in -1..1 by spring forces: Fruchterman and Reingold (1991), with a cooling step.

    Args:
        nodes: how many, ``n``.
        links: pairs of rows in 0..n-1.
        seed: of the first positions.

    Returns:
        ``[n, 2]``.

    >>> bool((placed(3, [(0, 1)]) == placed(3, [(0, 1)])).all())
    True
    """
    place = np.random.default_rng(seed).uniform(-1, 1, (nodes, 2))
    if nodes < 2:
        return np.zeros((nodes, 2))
    pairs = np.asarray(links, dtype=np.intp).reshape(-1, 2)
    natural = 2.0 / np.sqrt(nodes)
    for step in np.linspace(0.2, 0.005, _TURNS):
        place = place + _move(place, pairs, natural, step)
    spread = np.abs(place - place.mean(axis=0)).max()
    centred: npt.NDArray[np.float64] = (place - place.mean(axis=0)) / (spread or 1.0)
    return centred


def _move(
    place: npt.NDArray[np.float64], pairs: npt.NDArray[np.intp], natural: float, step: float
) -> npt.NDArray[np.float64]:
    apart = place[:, None, :] - place[None, :, :]
    squared = np.maximum((apart * apart).sum(axis=2), 1e-6)
    force = (apart * (natural**2 / squared)[:, :, None]).sum(axis=1) - _GRAVITY * place
    along = place[pairs[:, 0]] - place[pairs[:, 1]]
    pull = along * (np.sqrt((along * along).sum(axis=1, keepdims=True)) / natural)
    np.add.at(force, pairs[:, 0], -pull)
    np.add.at(force, pairs[:, 1], pull)
    length = np.maximum(np.sqrt((force * force).sum(axis=1, keepdims=True)), 1e-9)
    moved: npt.NDArray[np.float64] = force / length * np.minimum(length, step)
    return moved
