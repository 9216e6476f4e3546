"""Training of the network: a softmax over receivers for every offer, stopped early on a fold of groups kept aside.

It runs on one thread, so that the numbers are the same on a machine with any number of cores. On a GPU they are the
same each time, too, and others than on a CPU: sums are added up in another order, and training may stop at another
epoch.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from ism.data.market import Floats, Market, Rows
from ism.domain.errors import ConfigurationError
from ism.engines.base import ParamValue
from ism.engines.gnn.lessons import BATCH, Lesson
from ism.engines.gnn.network import GraphNetwork, graph_tensors, offer_tensors

_KEPT_PAIRS = 1_500_000  # pairs of a lesson whose columns are kept from epoch to epoch
_GAIN = 1e-4  # of the loss; less is no gain
_LONGEST_STEP = 5.0  # of the gradient
_TEXTS = 4000  # that show in which directions texts differ
_TEXT_SCALE = 3.0
_KNOWN_BEFOREHAND = {"paths", "popular", "distances", "rules", "text_gain"}  # have priors, which decay would wear away

_log = logging.getLogger("ism")


def learn(
    market: Market, lessons: list[Lesson], values: Mapping[str, ParamValue], seed: int, device: str
) -> tuple[dict[str, Floats], dict[str, float]]:
    """Train a network.

    Args:
        market: everything that is known; tells in which directions texts differ.
        lessons: the last one is kept aside for stopping; with fewer than two the network stays as it begins.
        values: of the engine's parameters.
        seed: of everything random.
        device: ``auto``, ``cpu`` or ``cuda``.

    Returns:
        the weights, and ``epochs`` and ``loss`` (nats an offer, on the fold kept aside) of the best epoch.

    Raises:
        ConfigurationError: the device is not there.
    """
    chosen = chosen_device(device)
    with _one_thread(), _repeatable(chosen), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = GraphNetwork(market.precedents.vectors.shape[1], int(values["width"]), float(values["dropout"]))
        _start_texts(network, market)
        network.to(chosen)
        if len(lessons) < 2:
            return network.weights(), {"epochs": 0}
        report = _Course(network, lessons, values, seed).run()
        return network.weights(), report


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Let sums on a GPU be added up in the same order each time; on a CPU they are."""
    if device.type == "cpu":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it, before it is first used
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def chosen_device(device: str) -> torch.device:
    """The device to train on.

    Raises:
        ConfigurationError: CUDA was asked for and is not there.
    """
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise ConfigurationError(
            "device: 'cuda' was asked for, but no GPU can be used here. Set ISM_DEVICE=auto or cpu."
        )
    return torch.device("cuda" if there and device != "cpu" else "cpu")


class _Course:
    """One training: lessons in random order, epoch after epoch, until the last lesson is answered no better."""

    def __init__(
        self, network: GraphNetwork, lessons: list[Lesson], values: Mapping[str, ParamValue], seed: int
    ) -> None:
        device = next(network.parameters()).device
        self._network, self._rng = network, np.random.default_rng(seed)
        *self._taught, self._aside = (_Desk(lesson, device) for lesson in lessons)
        self._test = [
            (rows, self._aside.lesson.pool(rows, self._rng)) for rows in _batches(np.arange(len(lessons[-1])))
        ]
        self._epochs, self._patience = int(values["epochs"]), int(values["patience"])
        decayed = [value for name, value in network.named_parameters() if name not in _KNOWN_BEFOREHAND]
        kept = [value for name, value in network.named_parameters() if name in _KNOWN_BEFOREHAND]
        groups = [
            {"params": decayed, "weight_decay": float(values["weight_decay"])},
            {"params": kept, "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW(groups, lr=float(values["learning_rate"]))

    def run(self) -> dict[str, float]:
        best, best_loss, best_epoch = self._state(), self._loss_aside(), 0
        for epoch in range(1, self._epochs + 1):
            self._teach()
            loss = self._loss_aside()
            _log.debug("gnn: epoch %d, loss %.4f", epoch, loss)
            if loss < best_loss - _GAIN:
                best, best_loss, best_epoch = self._state(), loss, epoch
            elif epoch - best_epoch >= self._patience:
                break
        self._network.load_state_dict(best)
        with torch.no_grad():
            self._network.get_buffer("offset").fill_(self._usual_utility())
        return {"epochs": best_epoch, "loss": best_loss}

    def _teach(self) -> None:
        self._network.train()
        for number in self._rng.permutation(len(self._taught)):
            desk = self._taught[number]
            for batch in _batches(self._rng.permutation(len(desk.lesson))):
                pool = desk.lesson.pool(batch, self._rng)
                self._optimiser.zero_grad()
                loss = desk.loss(self._network, batch, pool)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self._network.parameters(), _LONGEST_STEP)
                self._optimiser.step()

    @torch.no_grad()
    def _loss_aside(self) -> float:
        self._network.eval()
        whole = [float(self._aside.loss(self._network, *batch)) * len(batch[0]) for batch in self._test]
        return sum(whole) / len(self._aside.lesson)

    @torch.no_grad()
    def _usual_utility(self) -> float:
        """Mean utility of the right receivers of the fold kept aside."""
        self._network.eval()
        found = []
        for batch, pool in self._test:
            utility = self._aside.utilities(self._network, batch, pool).cpu().numpy()
            for right in self._aside.lesson.right:
                rows, columns = right[batch][:, pool].nonzero()
                found.append(utility[rows, columns])
        return float(np.concatenate(found).mean())

    def _state(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self._network.state_dict().items()}


class _Desk:
    """A lesson on the device."""

    def __init__(self, lesson: Lesson, device: torch.device) -> None:
        self.lesson, self._device = lesson, device
        self._graph = graph_tensors(lesson.graph, lesson.edges, device)
        self._offers = offer_tensors(lesson.joined, device)
        self._popular = torch.from_numpy(lesson.index.popular).to(device)
        rules = lesson.rules
        self._led = None if rules is None else torch.from_numpy(rules.columns(lesson.offers)).to(device)
        self._kept: tuple[Tensor, Tensor] | None = None
        if lesson.pools_everybody and len(lesson) * len(lesson.everybody) <= _KEPT_PAIRS:
            self._kept = self._columns(np.arange(len(lesson), dtype=np.intp), lesson.everybody)

    def utilities(self, network: GraphNetwork, batch: Rows, pool: Rows) -> Tensor:
        """``[q, n]`` of a batch of offers with the receivers of a pool."""
        nodes = network.nodes(self._graph)
        product, weight, bias = network.receivers(self._graph, nodes)
        own, own_weight = network.offers(self._offers, nodes)
        kept = self._kept
        paths, away = (kept[0][batch], kept[1][batch]) if kept is not None else self._columns(batch, pool)
        popular = self._popular[pool] @ network.popular
        out = own[batch] @ product[pool].T + bias[pool] + popular + paths @ network.paths[self._live]
        if self._led is not None and self.lesson.rules is not None:
            out = out + (self._led[batch] @ network.rules)[:, self.lesson.rules.group_of[pool]]
        out = out + torch.einsum("qkn,nk->qn", away, weight[pool])
        return out + torch.einsum("qkn,qk->qn", away, own_weight[batch] + network.distances)

    def loss(self, network: GraphNetwork, batch: Rows, pool: Rows) -> Tensor:
        """Mean negative log-likelihood of the right receivers among the others of their kind, nats an offer."""
        utility, whole = self.utilities(network, batch, pool), torch.zeros((), device=self._device)
        for right, rows in zip(self.lesson.right, self.lesson.pools, strict=True):
            shares = right[batch][:, pool].tocoo()
            if not shares.nnz:
                continue
            other = torch.from_numpy(~np.isin(pool, rows)).to(self._device)
            likelihood = torch.log_softmax(utility.masked_fill(other, -torch.inf), dim=1)
            weight = torch.from_numpy(shares.data).to(self._device)
            whole = whole - (likelihood[shares.row, shares.col] * weight).sum()
        return whole / len(batch)

    @property
    def _live(self) -> Rows:
        return self.lesson.live

    def _columns(self, batch: Rows, pool: Rows) -> tuple[Tensor, Tensor]:
        paths, away = self.lesson.pair_columns(batch, pool)
        return torch.from_numpy(paths).to(self._device), torch.from_numpy(away).to(self._device)


def _batches(rows: Rows) -> list[Rows]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def _start_texts(network: GraphNetwork, market: Market) -> None:
    """Begin with the directions in which the market's texts differ most, so that alike texts begin alike."""
    texts = np.concatenate([market.precedents.vectors, market.receivers.needs])
    texts = texts[:: max(len(texts) // _TEXTS, 1)].astype(np.float64)
    width = len(network.text.weight)
    if len(texts) <= width:
        return  # a random projection keeps what few texts have in common
    _, directions = np.linalg.eigh(texts.T @ texts)  # ascending
    start = directions.T[::-1][:width]
    start = start * np.sign(start[np.arange(len(start)), np.abs(start).argmax(axis=1)])[:, None]
    with torch.no_grad():
        network.text.weight[: len(start)] = torch.from_numpy((_TEXT_SCALE * start).astype(np.float32))


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
