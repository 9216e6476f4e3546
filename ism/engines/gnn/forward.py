"""The network's forward pass in numpy: what serving runs, so that nothing of torch is loaded there.

Three rounds of messages: nodes tell precedents what they were about; precedents tell nodes what happened there; and
receivers and offers hear from the nodes that they are joined to. A round is a graph convolution of the kind of Morris
et al. 2019 ("Weisfeiler and Leman go neural"): ``W1 (weighted sum of neighbours) + b + W2 (own state)``. `network` is
the same in torch, for training; a test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ism.data.graph import CODE_WIDTH, KNOWN, PLACE_WIDTH, MarketGraph, Matrix, OfferNodes
from ism.data.market import Floats
from ism.engines.gnn.paths import DISTANCES, ENDS, KINDS
from ism.engines.rules import RULE_COLUMNS

Weights = Mapping[str, Floats]

NODES = (*KNOWN, "receiver")  # what precedents hear from, and tell
HOMES = ("sector", "place")  # what receivers hear from


def head_sizes(width: int) -> dict[str, int]:
    """Outputs of the last layer: of receivers (``home``) and of offers."""
    receiver = {"home_product": width, "home_bias": 1, "home_distance": len(DISTANCES)}
    return {**receiver, "offer_product": width, "offer_distance": len(DISTANCES)}


@dataclass(frozen=True, eq=False)
class Edges:
    """Weighted edges as ``[targets, sources]`` matrices.

    Attributes:
        gather: node type -> into precedents, mean of the nodes of that type.
        spread: node type -> from precedents, mean times the logarithm of their number; ``taken`` is into sectors from
            the precedents that their companies took.
        homes: node type -> into receivers, mean.
    """

    gather: dict[str, Matrix]
    spread: dict[str, Matrix]
    homes: dict[str, Matrix]

    def degree(self, kind: str) -> Floats:
        """``[nodes]`` how many precedents speak to each node."""
        return np.asarray(np.diff(self.spread[kind].indptr), dtype=np.float32)


def graph_edges(graph: MarketGraph) -> Edges:
    """Edges of a graph with the weights of their messages."""
    taken = graph.about["receiver"] @ graph.homes["sector"]
    spread = {**{kind: graph.about[kind] for kind in NODES}, "taken": sparse.csr_matrix(taken)}
    return Edges(
        gather={kind: mean_rows(graph.about[kind]) for kind in NODES},
        spread={kind: _told(sparse.csr_matrix(given.T)) for kind, given in spread.items()},
        homes={kind: mean_rows(graph.homes[kind]) for kind in HOMES},
    )


def offer_edges(offers: OfferNodes) -> dict[str, Matrix]:
    """Node type -> into offers; codes and places as a mean, materials by how alike they are."""
    return {kind: offers.about[kind] if kind == "material" else mean_rows(offers.about[kind]) for kind in KNOWN}


@dataclass(frozen=True, eq=False)
class Ends:
    """What the last layer says of receivers or offers.

    Attributes:
        product: ``[n, 2 * width]`` factors; the second half is what their own texts say.
        distance: ``[n, len(DISTANCES)]`` how much each measure of distance counts for them.
        bias: ``[n]``; of receivers only, since an offer's own would move all its receivers alike.
    """

    product: Floats
    distance: Floats
    bias: Floats


def check_weights(weights: dict[str, Floats]) -> dict[str, Floats]:
    """The weights, if the forward pass can use them.

    Raises:
        ValueError: one is missing, of another shape, or not finite.
    """
    texts, width = weights["text.weight"].shape[1], weights["text.weight"].shape[0]
    for name, shape in shapes(texts, width).items():
        if name not in weights or weights[name].shape != shape or not np.isfinite(weights[name]).all():
            raise ValueError(f"{name} is not what this version of the network expects")
    return weights


def shapes(texts: int, width: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all weights.

    Args:
        texts: length of a text vector.
        width: of a state.
    """
    linears = {"text": texts, "code_waste": CODE_WIDTH, "code_sector": CODE_WIDTH, "place": PLACE_WIDTH}
    found: dict[str, tuple[int, ...]] = {f"{name}.weight": (width, size) for name, size in linears.items()}
    rounds = {"gather": NODES, "spread": (*NODES, "taken"), "home": HOMES, "offer": KNOWN}
    for name in [f"{part}.{kind}" for part, kinds in rounds.items() for kind in kinds]:
        own = len(KNOWN) if name.startswith("gather") else width
        found |= {f"{name}.lin_rel.weight": (width, width), f"{name}.lin_rel.bias": (width,)}
        found[f"{name}.lin_root.weight"] = (width, own)
    for name, size in head_sizes(width).items():
        found |= {f"{name}.weight": (size, width), f"{name}.bias": (size,)}
    found |= {"text_gain": (1,), "offset": (1,), "distances": (len(DISTANCES),), "rules": (len(RULE_COLUMNS),)}
    return {**found, "paths": (len(KINDS) * len(ENDS),), "popular": (len(ENDS),)}


def first_states(weights: Weights, graph: MarketGraph, asked: Floats) -> dict[str, Floats]:
    """Node type -> ``[nodes, width]`` before any message; ``asked`` is from `asked_texts`."""
    return {
        "material": linear(weights, "text", graph.materials),
        "waste": linear(weights, "code_waste", graph.codes["waste"]),
        "sector": linear(weights, "code_sector", graph.codes["sector"]),
        "place": linear(weights, "place", graph.places),
        "receiver": asked + linear(weights, "place", graph.receiver_places),
    }


def asked_texts(weights: Weights, graph: MarketGraph) -> Floats:
    """``[n, width]`` what the texts of receivers say: the mean of what they ask for."""
    return np.asarray(graph.asked @ linear(weights, "text", graph.needs), dtype=np.float32)


def offer_states(weights: Weights, offers: OfferNodes, text: Floats) -> Floats:
    """``[q, width]`` of offers before any message; ``text`` is ``[q, width]`` what their texts say."""
    own = text + linear(weights, "place", offers.places)
    return (
        own
        + linear(weights, "code_waste", offers.codes["waste"])
        + linear(weights, "code_sector", offers.codes["sector"])
    )


def precedent_states(weights: Weights, known: Floats, heard: Mapping[str, Floats]) -> Floats:
    """``[p, width]`` of precedents that heard these messages, by node type."""
    return _relu(*(convolved(weights, f"gather.{kind}", heard[kind], known) for kind in NODES))


def node_states(weights: Weights, kind: str, own: Floats, heard: Floats, taken: Floats | None = None) -> Floats:
    """``[nodes, width]`` of nodes of a type that heard these messages from precedents."""
    also = () if taken is None else (convolved(weights, "spread.taken", taken, own),)
    return _relu(convolved(weights, f"spread.{kind}", heard, own), *also)


def end_states(weights: Weights, side: str, own: Floats, text: Floats, heard: Mapping[str, Floats]) -> Ends:
    """Last layer of receivers (``side`` is ``home``) or offers (``offer``) that heard these messages.

    Args:
        weights: of the network.
        side: whose layer.
        own: ``[n, width]`` their states.
        text: ``[n, width]`` what their texts say.
        heard: node type -> ``[n, width]`` messages.
    """
    hidden = _relu(*(convolved(weights, f"{side}.{kind}", told, own) for kind, told in heard.items()))
    product = np.concatenate([linear(weights, f"{side}_product", hidden), text * weights["text_gain"]], axis=1)
    bias = linear(weights, "home_bias", hidden)[:, 0] if side == "home" else np.zeros(len(own), np.float32)
    return Ends(product, linear(weights, f"{side}_distance", hidden), bias)


def linear(weights: Weights, name: str, x: Floats) -> Floats:
    """A linear layer, with a bias where it has one."""
    out = x @ weights[f"{name}.weight"].T
    bias = weights.get(f"{name}.bias")
    return np.asarray(out if bias is None else out + bias, dtype=np.float32)


def convolved(weights: Weights, name: str, heard: Floats, own: Floats) -> Floats:
    """A graph convolution whose messages are summed already."""
    return linear(weights, f"{name}.lin_rel", heard) + linear(weights, f"{name}.lin_root", own)


def mean_rows(matrix: Matrix) -> Matrix:
    """Rows that add up to 1, where there is anything."""
    count = np.maximum(np.diff(matrix.indptr), 1)
    return sparse.csr_matrix(
        (matrix.data / np.repeat(count, np.diff(matrix.indptr)), matrix.indices, matrix.indptr),
        matrix.shape,
        dtype=np.float32,
    )


def loudness(count: Floats) -> Floats:
    """Weight of each of ``count`` messages: they are averaged, and many speak louder than one."""
    return np.asarray(np.log1p(count) / np.maximum(count, 1), dtype=np.float32)


def _told(matrix: Matrix) -> Matrix:
    count = np.diff(matrix.indptr).astype(np.float32)
    return sparse.csr_matrix(
        (np.repeat(loudness(count), np.diff(matrix.indptr)), matrix.indices, matrix.indptr), matrix.shape
    )


def _relu(*parts: Floats) -> Floats:
    """Rectified sum."""
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return np.maximum(whole, np.float32(0.0))
