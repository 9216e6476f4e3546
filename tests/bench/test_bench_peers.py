"""Peers on markets so plain that the right receiver can be told by eye."""

import subprocess
import sys

import numpy as np
import pytest
from bench_fakes import ContraryEngine, CountingEngine, market, offers

from bench.baselines import Asked, popularity
from bench.peers import BUDGET, PEERS, Peer, peer_scores
from bench.peers.profiles import FIELDS, Profiles
from bench.protocol import Methods, Questions, Split, result, split_ranks
from bench.report import ranking_section
from ism.data.market import Market
from ism.engines.base import Snapshot

UNKNOWN = [-1, -1, -1]
NAMES = ["ash works", "whey dairy", "slag mill", "nobody"]
PAST = [(0, "fly ash", UNKNOWN)] * 6 + [(1, "sour whey", UNKNOWN)] * 6 + [(2, "steel slag", UNKNOWN)] * 6


@pytest.fixture
def snapshot():
    return Snapshot(market(NAMES, PAST), np.arange(len(PAST), dtype=np.int32) % 6)


def placed(names, homes, past, donors):
    """A market whose receivers and donors have places."""
    there = market(names, past, homes)
    columns = {column: getattr(there.precedents, column) for column in there.precedents.__slots__}
    columns |= {"latitude": np.float32(donors)[:, 0], "longitude": np.float32(donors)[:, 1]}
    return Market(there.receivers, type(there.precedents)(**columns))


def told(profiles, shares, field):
    number = FIELDS.index(field)
    row = shares.toarray()[0]
    return {token[1:]: row[place] for place, token in enumerate(profiles.tokens) if token[0] == number and row[place]}


def test_a_token_counts_how_often_each_receiver_took_it(snapshot):
    profiles = Profiles(snapshot.market)
    token = (FIELDS.index(("material",)), 1)
    assert profiles.taken[profiles.tokens.index(token)].toarray().tolist() == [[0, 6, 0, 0]]
    anything = profiles.tokens.index((FIELDS.index(("any",)), 0))
    assert profiles.taken[anything].toarray().tolist() == [[6, 6, 6, 0]]


def test_a_material_never_offered_before_is_spread_over_the_closest(snapshot):
    profiles = Profiles(snapshot.market)
    known = told(profiles, profiles.of(offers(["fly ash"])), ("material",))
    assert known[(0,)] > 0.99
    new = told(profiles, profiles.of(offers(["coal ash"])), ("material",))
    assert max(new, key=new.get) == (0,)
    assert sum(new.values()) == pytest.approx(1.0, abs=0.05)


def test_unknown_codes_and_places_make_no_tokens(snapshot):
    profiles = Profiles(snapshot.market)
    assert {FIELDS[token[0]] for token in profiles.tokens} == {("any",), ("material",)}
    assert profiles.of(offers(["x"], places=[(48.0, 9.0)])).shape == (1, len(profiles.tokens))


def test_codes_are_tokens_at_each_level():
    profiles = Profiles(market(["works"], [(0, "ash", [10, 1001, 100102])]))
    shares = profiles.of(offers(["ash"], ewc=[[10, 1001, 100199]]))
    assert told(profiles, shares, ("ewc_subchapter",)) == {(1001,): 1.0}
    assert told(profiles, shares, ("ewc_code",)) == {}


def test_a_place_shares_in_the_cells_around_it_and_in_the_homes_there():
    there = placed(["near", "far"], [(48.2, 9.2), (60.2, 20.2)], PAST[:2], [(48.9, 9.5), (60.1, 20.1)])
    profiles = Profiles(there)
    shares = profiles.of(offers(["fly ash"], places=[(49.1, 9.5)]))  # a cell in which nothing was offered
    for field in (("cell_1",), ("home_1",), ("cell_3",)):
        mine = told(profiles, shares, field)
        best = profiles.tokens.index((FIELDS.index(field), *max(mine, key=mine.get)))
        receivers = profiles.taken[best].toarray()[0]
        assert receivers[0] > 0
        assert sum(mine.values()) <= 1.0 + 1e-6


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_finds_the_right_receiver_for_senders_it_never_saw(name, snapshot):
    asked = offers(["fly ash", "sour whey", "steel slag", "blast furnace slag"])
    scores, chosen = peer_scores({name: PEERS[name]}, snapshot, asked)[name]
    assert scores.argmax(axis=1).tolist() == [0, 1, 2, 2]
    assert scores.argmin(axis=1).tolist() == [3, 3, 3, 3]
    assert chosen in PEERS[name].configurations
    again, _ = peer_scores({name: PEERS[name]}, snapshot, asked)[name]
    assert again.tolist() == scores.tolist()


def test_every_peer_has_the_same_budget():
    for peer in PEERS.values():
        assert len({tuple(tried.items()) for tried in peer.configurations}) == len(peer.configurations) == BUDGET


def test_the_choice_sees_training_groups_only_and_keeps_them_apart(snapshot):
    fitted = []

    def scores(profiles, shares, configuration, seed):
        fitted.append((configuration["quality"], profiles.taken.sum(), shares.shape[0]))
        return configuration["quality"] * (shares @ profiles.taken).toarray()

    peer = Peer([{"quality": -1.0}, {"quality": 1.0}], scores)
    _, chosen = peer_scores({"fake": peer}, snapshot, offers(["fly ash"]))["fake"]
    assert chosen == {"quality": 1.0}
    everything = Profiles(snapshot.market).taken.sum()
    assert [quality for quality, _, _ in fitted] == [-1.0, 1.0, 1.0]
    assert [total < everything for _, total, _ in fitted] == [True, True, False]
    assert [count for _, _, count in fitted] == [6, 6, 1]  # two of six groups, three materials each; then the question


def test_one_group_leaves_nothing_to_choose_by(snapshot):
    alone = Snapshot(snapshot.market, np.zeros_like(snapshot.groups))
    first = PEERS["implicit"].configurations[0]
    assert peer_scores({"implicit": PEERS["implicit"]}, alone, offers(["fly ash"]))["implicit"][1] == first


def test_the_report_tells_peers_and_the_paired_difference(snapshot):
    asked = Asked(offers(["fly ash", "sour whey"]), ["fly ash", "sour whey"])
    rows = [np.asarray([0], dtype=np.intp), np.asarray([1], dtype=np.intp)]
    methods = Methods(
        {"matching": CountingEngine, "knowledge_graph": ContraryEngine},
        {},
        {"popularity": popularity},
        ["popularity"],
        {"implicit": PEERS["implicit"]},
    )
    ranks = split_ranks(Split(snapshot, asked, rows, rows), methods)
    assert ranks["peers/implicit"].tolist() == [1.0, 1.0]
    found = result("tri", ranks, Questions(np.asarray(["a", "b"]), {}), "mrr", candidates=4)
    assert found["peers"]["implicit"]["mrr"] == 1.0
    gap = found["peer_difference"]["implicit"]["mrr"]
    assert gap["mean"] == pytest.approx(found["fused"]["mrr"] - 1.0)
    text = ranking_section(found, "T", "N", "how")
    assert "| peer `implicit` | 1.000" in text
    assert f"Fused less peer `implicit`, MRR: {gap['mean']:+.3f} (95 % interval" in text
    assert f"Each tries {BUDGET} configurations" in text


def test_peers_load_their_libraries_only_when_they_run():
    heavy = "torch", "pykeen", "implicit"
    code = f"import sys, bench.maestri, bench.peers; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout.strip() == "[]"
