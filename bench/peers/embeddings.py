"""PyKEEN: ComplEx on a graph of tokens and receivers.

Trouillon et al. 2016, "Complex embeddings for simple link prediction", with the training of Lacroix et al. 2018,
"Canonical tensor decomposition for knowledge base completion": every receiver competes in a softmax, and the third
power of the embeddings' lengths (N3) is kept small. The triples are (token, kind of token, receiver). An offer's score
is the sum over its tokens, by their shares, of the log probability that the token's link ends at the receiver.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from bench.peers.profiles import FIELDS, Profiles
from bench.peers.tuning import Configuration, Peer
from ism.engines.metrics import Values

_EPOCHS = 16
_BATCH = 256  # tokens
_LEARNING_RATE = 0.1  # of Adagrad, as in the paper


def complex_scores(profiles: Profiles, offers: sparse.csr_matrix, configuration: Configuration, seed: int) -> Values:
    """``[q, n]``; on one thread, so that a seed gives the same scores everywhere."""
    import torch  # noqa: PLC0415 - a large library: only where it is run

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        used = np.unique(offers.indices)
        told = _log_probabilities(_fitted(profiles, configuration, seed), profiles, used)
    finally:
        torch.set_num_threads(before)
    return np.asarray(offers[:, used] @ told, dtype=np.float64)


def _fitted(profiles: Profiles, configuration: Configuration, seed: int) -> Any:
    import torch  # noqa: PLC0415 - a large library: only where it is run

    model = _model(profiles, configuration, seed)
    links, taken = _links(profiles), profiles.taken
    receivers = torch.arange(taken.shape[1])
    optimizer = torch.optim.Adagrad(model.parameters(), lr=_LEARNING_RATE)
    rng = np.random.default_rng(seed)
    for _ in range(_EPOCHS):
        for batch in np.array_split(rng.permutation(len(links)), max(1, len(links) // _BATCH)):
            asked = links[torch.as_tensor(batch)]
            counts = torch.as_tensor(taken[batch].toarray())
            total = counts.sum(dim=1)
            weight = total.sqrt()  # between once a token and once an exchange
            told = torch.log_softmax(model.score_t(asked, tails=receivers), dim=1)
            loss = -((counts * told).sum(dim=1) / total * weight).sum() / weight.sum()
            loss = loss + configuration["n3"] * _third_powers(model, asked, receivers)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def _model(profiles: Profiles, configuration: Configuration, seed: int) -> Any:
    import torch  # noqa: PLC0415 - a large library: only where it is run
    from pykeen.models import ComplEx  # noqa: PLC0415 - a development dependency: only where it is run
    from pykeen.triples import CoreTriplesFactory  # noqa: PLC0415 - the same

    pairs, receivers = profiles.taken.tocoo(), profiles.taken.shape[1]
    links = _links(profiles)[torch.as_tensor(pairs.row, dtype=torch.long)]
    triples = CoreTriplesFactory(
        torch.column_stack([links, torch.as_tensor(pairs.col, dtype=torch.long)]),
        num_entities=receivers + len(profiles.tokens),
        num_relations=len(FIELDS),
    )
    return ComplEx(
        triples_factory=triples,
        embedding_dim=int(configuration["dimension"]),
        entity_initializer="xavier_normal_",
        relation_initializer="xavier_normal_",
        regularizer=None,
        random_seed=seed,
    )


def _links(profiles: Profiles) -> Any:
    """``[tokens, 2]`` entity and relation of each token; receivers are the first entities."""
    import torch  # noqa: PLC0415 - a large library: only where it is run

    entities = np.arange(len(profiles.tokens)) + profiles.taken.shape[1]
    fields = np.asarray([token[0] for token in profiles.tokens], dtype=np.int64)
    return torch.as_tensor(np.column_stack([entities, fields]), dtype=torch.long)


def _third_powers(model: Any, asked: Any, receivers: Any) -> Any:
    embedded = model.entity_representations[0]
    return sum((embedded(rows).abs() ** 3).sum(dim=-1).mean() for rows in (asked[:, 0], receivers))


def _log_probabilities(model: Any, profiles: Profiles, tokens: Any) -> Values:
    """``[len(tokens), n]`` log probability that a token's link ends at each receiver."""
    import torch  # noqa: PLC0415 - a large library: only where it is run

    links, receivers = _links(profiles)[torch.as_tensor(tokens)], torch.arange(profiles.taken.shape[1])
    model.eval()
    with torch.no_grad():
        told = [torch.log_softmax(model.score_t(part, tails=receivers), dim=1) for part in links.split(512)]
    return np.concatenate([part.numpy() for part in told]) if told else np.zeros((0, len(receivers)))


PYKEEN = Peer(
    [{"dimension": dimension, "n3": n3} for dimension in (64, 32) for n3 in (0.01, 0.03, 0.1)],
    complex_scores,
)
