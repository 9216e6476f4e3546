"""The network in torch with PyTorch Geometric's convolutions; `forward` is the same in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.nn import GraphConv  # type: ignore[import-untyped]  # ships no types

from ism.data.graph import CODE_WIDTH, KNOWN, PLACE_WIDTH, MarketGraph, Matrix, OfferNodes
from ism.data.market import Floats
from ism.engines.gnn.forward import HOMES, NODES, Edges, head_sizes, offer_edges
from ism.engines.gnn.paths import KINDS
from ism.engines.rules import RULE_PRIOR

Messages = dict[str, tuple[Tensor, Tensor]]  # name -> edge index [2, edges] (source, target) and weights [edges]

_PATH_PRIOR = (0.2, 0.03, 0.03, 0.1)  # by end: what a path to the receiver or to its division, group, class is worth
_DISTANCE_PRIOR = (0.5, 0.5, 0.5, 0.5, -0.3, 0.0)
_TEXT_PRIOR = 0.5
_OFFSET = 4.0  # utility at which a score is one half, where nothing was learnt
_QUIET = 0.3  # what is learnt starts small beside what is known beforehand


class GraphNetwork(nn.Module):
    """Three rounds of messages and a decoder.

    Args:
        texts: width of a text vector.
        width: of a state.
        dropout: share of a state's numbers that are left out in training.
    """

    def __init__(self, texts: int, width: int, dropout: float) -> None:
        super().__init__()
        self.text = nn.Linear(texts, width, bias=False)
        self.code_waste = nn.Linear(CODE_WIDTH, width, bias=False)
        self.code_sector = nn.Linear(CODE_WIDTH, width, bias=False)
        self.place = nn.Linear(PLACE_WIDTH, width, bias=False)
        self.gather = _convolutions(NODES, width, len(KNOWN))
        self.spread = _convolutions((*NODES, "taken"), width, width)
        self.home = _convolutions(HOMES, width, width)
        self.offer = _convolutions(KNOWN, width, width)
        heads = {name: _head(width, size) for name, size in head_sizes(width).items()}
        self.home_product, self.home_distance = heads["home_product"], heads["home_distance"]
        self.offer_product, self.offer_distance = heads["offer_product"], heads["offer_distance"]
        self.home_bias = heads["home_bias"]
        self.text_gain = nn.Parameter(torch.full((1,), _TEXT_PRIOR))
        self.paths = nn.Parameter(torch.tensor(_PATH_PRIOR).repeat(len(KINDS)))
        self.popular = nn.Parameter(torch.tensor(_PATH_PRIOR))
        self.distances = nn.Parameter(torch.tensor(_DISTANCE_PRIOR))
        self.rules = nn.Parameter(torch.from_numpy(RULE_PRIOR.copy()))
        self.register_buffer("offset", torch.full((1,), _OFFSET))
        self.drop = nn.Dropout(dropout)

    def nodes(self, graph: GraphTensors) -> dict[str, Tensor]:
        """Node type -> states after precedents told what happened."""
        first = {
            "material": self.text(graph.features["material"]),
            "waste": self.code_waste(graph.features["waste"]),
            "sector": self.code_sector(graph.features["sector"]),
            "place": self.place(graph.features["place"]),
            "receiver": self.text(graph.features["receiver"]) + self.place(graph.features["receiver_place"]),
        }
        known = graph.features["known"]
        heard = [_told(self.gather[kind], first[kind], known, graph.gather[kind]) for kind in NODES]
        precedents = self.drop(torch.relu(torch.stack(heard).sum(dim=0)))
        told = {kind: _told(self.spread[kind], precedents, first[kind], graph.spread[kind]) for kind in NODES}
        told["sector"] = told["sector"] + _told(
            self.spread["taken"], precedents, first["sector"], graph.spread["taken"]
        )
        return {kind: self.drop(torch.relu(state)) for kind, state in told.items()}

    def receivers(self, graph: GraphTensors, nodes: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Products ``[n, 2 * width]``, distance weights ``[n, len(DISTANCES)]`` and biases ``[n]`` of all receivers."""
        heard = [_told(self.home[kind], nodes[kind], nodes["receiver"], graph.homes[kind]) for kind in HOMES]
        hidden = self.drop(torch.relu(torch.stack(heard).sum(dim=0)))
        product = torch.cat([self.home_product(hidden), self._said(graph.features["receiver"])], dim=1)
        return product, self.home_distance(hidden), self.home_bias(hidden)[:, 0]

    def offers(self, offers: OfferTensors, nodes: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Products ``[q, 2 * width]`` and distance weights ``[q, len(DISTANCES)]`` of offers."""
        own = self.text(offers.features["text"]) + self.place(offers.features["place"])
        own = own + self.code_waste(offers.features["waste"]) + self.code_sector(offers.features["sector"])
        heard = [_told(self.offer[kind], nodes[kind], own, offers.edges[kind]) for kind in KNOWN]
        hidden = self.drop(torch.relu(torch.stack(heard).sum(dim=0)))
        product = torch.cat([self.offer_product(hidden), self._said(offers.features["text"])], dim=1)
        return product, self.offer_distance(hidden)

    def weights(self) -> dict[str, Floats]:
        """All parameters as numpy arrays."""
        return {
            name: value.detach().cpu().numpy().astype(np.float32).copy() for name, value in self.state_dict().items()
        }

    def _said(self, texts: Tensor) -> Tensor:
        said: Tensor = self.text(texts) * self.text_gain
        return said


@dataclass(frozen=True)
class GraphTensors:
    """A graph on a device: features by node type, messages by kind."""

    features: dict[str, Tensor]
    gather: Messages
    spread: Messages
    homes: Messages


@dataclass(frozen=True)
class OfferTensors:
    """Offers on a device."""

    features: dict[str, Tensor]
    edges: Messages


def graph_tensors(graph: MarketGraph, edges: Edges, device: torch.device) -> GraphTensors:
    """A graph as tensors."""
    features = {
        "material": graph.materials,
        **graph.codes,
        "place": graph.places,
        "receiver": graph.asked @ graph.needs,
        "receiver_place": graph.receiver_places,
        "known": graph.known,
    }
    return GraphTensors(
        {name: _tensor(value, device) for name, value in features.items()},
        *(
            {name: _messages(value, device) for name, value in part.items()}
            for part in (edges.gather, edges.spread, edges.homes)
        ),
    )


def offer_tensors(offers: OfferNodes, device: torch.device) -> OfferTensors:
    """Offers as tensors."""
    features = {"text": offers.texts, **offers.codes, "place": offers.places}
    edges = {kind: _messages(matrix, device) for kind, matrix in offer_edges(offers).items()}
    return OfferTensors({name: _tensor(value, device) for name, value in features.items()}, edges)


def _head(width: int, size: int) -> nn.Linear:
    head = nn.Linear(width, size)
    with torch.no_grad():
        head.weight.mul_(_QUIET)
        head.bias.zero_()
    return head


def _convolutions(names: tuple[str, ...], width: int, target: int) -> nn.ModuleDict:
    return nn.ModuleDict({name: GraphConv((width, target), width) for name in names})


def _told(convolution: nn.Module, source: Tensor, target: Tensor, edges: tuple[Tensor, Tensor]) -> Tensor:
    index, weight = edges
    told: Tensor = convolution((source, target), index, weight, size=(len(source), len(target)))
    return told


def _tensor(values: Floats, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device)


def _messages(matrix: Matrix, device: torch.device) -> tuple[Tensor, Tensor]:
    coo = matrix.tocoo()
    index = np.stack([coo.col, coo.row]).astype(np.int64)
    return torch.from_numpy(index).to(device), _tensor(coo.data.astype(np.float32), device)
