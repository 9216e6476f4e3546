"""Small runs of the three protocols on made-up rows, whose right answers can be told by eye."""

import numpy as np
import polars as pl
import pytest
from bench_fakes import ContraryEngine, CountingEngine, WordEncoder

from bench import baselines, calrecycle, maestri, transfers, tri
from bench.protocol import Methods, joined, split_ranks
from bench.setup import Options
from ism.data.public import maestri as reader

COUNTED = {"popularity": baselines.popularity}


def methods(shown=None, without_rules=None):
    engines = {"matching": lambda: CountingEngine(shown), "knowledge_graph": ContraryEngine}
    return Methods(engines, without_rules or {}, COUNTED, ["popularity"])


# group, donor, waste code, text, receivers
CASES = [
    (0, "35.11", "10 01 02", "fly ash", "23.51"),
    (0, "35.11", "10 01 02", "fly ash", "23.61"),
    (0, "10.51", "02 05 01", "whey", "10.91;10.92"),
    (1, "35.11", "10 01 02", "fly ash", "23.51;23.1"),
    (1, "35.11;35.3", "10 01 02;10 01 01", "bottom ash", "42.11"),
    (2, "24.1", "10 02 02", "slag", "23.51"),
]


@pytest.fixture
def cases():
    rows = [(group, f"u{i}", *rest) for i, (group, *rest) in enumerate(CASES)]
    return maestri.read_cases(pl.DataFrame(rows, schema=reader.CASES_SCHEMA, orient="row"), WordEncoder())


def codes(cases, rows):
    return {cases.market.receivers.ids[row] for row in rows}


def test_candidates_are_all_classes_and_the_coarse_codes_in_use(cases):
    ids = cases.market.receivers.ids
    assert len(ids) == len(set(ids)) == 616
    assert ids[-1] == "23.1"
    assert cases.market.receivers.nace[-1].tolist() == [23, 231, -1]
    assert cases.market.receivers.need_texts[ids.index("23.51")] == "Manufacture of cement"


def test_other_true_receivers_of_the_same_question_are_hidden(cases):
    assert codes(cases, cases.takers[0]) == {"23.51"}
    assert codes(cases, cases.hidden[0]) == {"23.51", "23.61", "23.1"}
    assert codes(cases, cases.hidden[4]) == {"42.11"}


def test_every_receiver_of_a_case_is_a_precedent_sorted_by_receiver(cases):
    past = cases.market.precedents
    assert len(past) == 8
    assert (np.diff(past.receiver) >= 0).all()
    whey = [row for row, text in enumerate(past.texts) if text == "whey"]
    assert codes(cases, past.receiver[whey]) == {"10.91", "10.92"}
    assert past.ewc[whey].tolist() == [[2, 205, 20501]] * 2
    assert past.donor_nace[whey].tolist() == [[10, 105, 1051]] * 2
    assert cases.precedent_groups[whey].tolist() == [0, 0]


@pytest.mark.parametrize("group", [0, 1, 2])
def test_nothing_of_the_left_out_group_is_in_the_training_market(cases, group):
    split = cases.split(group)
    assert group not in split.snapshot.groups
    assert len(split.snapshot.market.precedents) == (cases.precedent_groups != group).sum()
    assert split.asked.texts == [text for number, _, _, text, _ in CASES if number == group]
    assert len(split.takers) == len(split.hidden) == len(split.asked)


def test_engines_never_see_the_left_out_group(cases):
    shown = []
    split_ranks(cases.split(0), methods(shown))
    assert shown
    for snapshot in shown:
        assert 0 not in snapshot.groups
        assert "whey" not in snapshot.market.precedents.texts


def test_ranks_of_popularity_left_out_by_hand(cases):
    """Without group 0, cement (23.51) took two wastes, glass (23.1) and roads (42.11) one, the other 613 none."""
    ranks = split_ranks(cases.split(0), methods())
    assert ranks["baselines/popularity"].tolist() == [
        1.0,
        1 + 1 + 612 / 2,  # cement and glass are right answers to the same question and do not compete; roads does
        1 + 3 + 611 / 2,  # its two receivers do not stand in each other's way
    ]
    assert ranks["fused"].shape == (3,)


def test_seen_cases_have_a_receiver_in_another_group(cases):
    assert maestri.seen(cases).tolist() == [True, False, False, True, False, True]


def test_joined_keeps_the_order_of_the_parts(cases):
    parts = [split_ranks(cases.split(group), methods()) for group in (0, 1, 2)]
    whole = joined(parts)
    assert whole["fused"].tolist() == np.concatenate([part["fused"] for part in parts]).tolist()


def test_each_engine_alone_and_the_fusion_without_it(cases):
    ranks = split_ranks(cases.split(0), methods())
    assert ranks["without/matching"].tolist() == ranks["engines/knowledge_graph"].tolist()
    assert ranks["without/knowledge_graph"].tolist() == ranks["engines/matching"].tolist()
    assert ranks["engines/matching"][0] < ranks["engines/knowledge_graph"][0]


def test_the_run_without_rules_swaps_the_one_engine(cases):
    same = {"knowledge_graph": ContraryEngine}
    other = {"knowledge_graph": CountingEngine}
    split = cases.split(0)
    plain = split_ranks(split, methods())["fused"].tolist()
    assert split_ranks(split, methods(without_rules=same))["without/rules"].tolist() == plain
    swapped = split_ranks(split, methods(without_rules=other))["without/rules"]
    assert swapped.tolist() == split_ranks(split, methods())["engines/matching"].tolist()


def test_maestri_run_covers_every_case_whatever_the_order_of_groups(monkeypatch, tmp_path, cases):
    (tmp_path / reader.FILE).parent.mkdir(parents=True)
    (tmp_path / reader.FILE).touch()
    monkeypatch.setattr(maestri, "_prepared", lambda path, fast: (cases, methods()))
    told = maestri.run(Options(tmp_path))
    assert (told["n"], told["groups"], told["candidates"]) == (6, 3, 616)
    assert (told["seen"]["n"], told["unseen"]["n"]) == (3, 3)
    assert told["unseen"]["baselines"]["popularity"]["recall@10"] == 0.0
    assert told["seen"]["baselines"]["popularity"]["recall@1"] > 0


def shipment(donor, material, receiver, **more):
    told = {"donor_naics": "325998", "donor_latitude": 40.0, "donor_longitude": -80.0}
    home = {"receiver_latitude": 41.0, "receiver_longitude": -80.0}
    return {"donor": donor, "material": material, "receiver": receiver, **told, **home, **more}


def test_naics_take_the_place_of_the_donors_code():
    levels = transfers.naics_levels(["325998", "3259", "32", None, " 325998 ", "n/a"])
    assert levels.tolist() == [[325, 3259, 325998], [325, 3259, -1], [-1] * 3, [-1] * 3, [325, 3259, 325998], [-1] * 3]


def test_a_question_lists_all_its_receivers_once():
    frame = pl.DataFrame([shipment("a", "lead", r) for r in ("x", "y", "x")] + [shipment("b", "lead", "x")])
    asked = transfers.questions(frame)
    assert asked.select("donor", "material", "receivers").rows() == [("a", "lead", ["x", "y"]), ("b", "lead", ["x"])]


def test_training_counts_a_repeated_shipment_once():
    frame = pl.DataFrame([shipment("a", "lead", "y"), shipment("a", "lead", "x"), shipment("a", "lead", "y")])
    trained = transfers.training(frame, WordEncoder())
    assert trained.row_of == {"x": 0, "y": 1}
    assert trained.snapshot.market.precedents.receiver.tolist() == [0, 1]
    assert trained.snapshot.groups.tolist() == [0, 0]


def tri_frame():
    """Ten senders, one big plant. Of the two test senders one also recovers at a small plant, one uses a new plant."""
    senders = [f"s{i}" for i in range(10)]
    held = tri.held_out_senders(senders)
    rows = [shipment(sender, "lead", "big", recovery=False) for sender in senders if sender != held[1]]
    known = next(sender for sender in senders if sender not in held)
    rows += [shipment(known, "zinc", "small", recovery=True), shipment(held[0], "lead", "small", recovery=True)]
    return held, pl.DataFrame([*rows, shipment(held[1], "lead", "new", recovery=False)])


def test_tri_senders_are_on_one_side_only():
    held, frame = tri_frame()
    shown = []
    tri.evaluated(frame, methods(shown), WordEncoder(), 0.0)
    assert max(len(np.unique(snapshot.groups)) for snapshot in shown) == 8
    assert sorted(held) == sorted(tri.held_out_senders([f"s{i}" for i in reversed(range(10))]))
    assert len(held) == 2


def test_tri_by_hand():
    _, frame = tri_frame()
    told = tri.evaluated(frame, methods(), WordEncoder(), 0.0)
    assert (told["n"], told["candidates"]) == (2, 2)
    assert told["reachable"] == 0.5
    assert told["baselines"]["popularity"]["mrr"] == pytest.approx(0.5)  # big is first; the plant nobody knew is a miss
    recovered = told["recovery_only"]
    assert recovered["n"] == 1
    assert (
        recovered["baselines"]["popularity"]["mrr"] == 1.0
    )  # small is right; big is right otherwise and does not compete


def test_calrecycle_by_hand():
    """Popular x, then y, then z. The known generator shipped to x and now to z; the unseen one ships to y."""
    before = [("k", "x"), ("a", "x"), ("b", "x"), ("a", "y"), ("b", "y"), ("c", "z")]
    after = [("k", "x"), ("k", "z"), ("u", "y"), ("v", "w")]
    frame = pl.DataFrame(
        [shipment(donor, "oil", receiver, year=2001) for donor, receiver in before]
        + [shipment(donor, "oil", receiver, year=2002) for donor, receiver in after]
    )
    shown = []
    told = calrecycle.evaluated(frame, methods(shown), WordEncoder(), 0.0)
    assert told["year"] == 2002
    assert (told["n"], told["candidates"], told["precedents"]) == (3, 3, 6)
    assert (told["known_generators"]["n"], told["unseen_generators"]["n"]) == (1, 2)
    assert told["known_generators"]["baselines"]["popularity"]["mrr"] == pytest.approx(
        1 / 2
    )  # x is masked, y is above z
    assert told["unseen_generators"]["baselines"]["popularity"]["mrr"] == pytest.approx((1 / 2 + 0) / 2)
    assert all(len(snapshot.market.precedents) <= 6 for snapshot in shown)


@pytest.mark.parametrize(("module", "rename"), [(tri, "sender"), (calrecycle, "generator")])
def test_labels_of_the_outcome_are_never_an_input(module, rename):
    columns = {name.replace("donor", rename): [None] for name in transfers.COLUMNS if name.startswith("donor")}
    receiver = {name: [None] for name in transfers.COLUMNS if name.startswith("receiver")}
    labels = {"_label_treatment": ["T"], "_label_kg": [1.0], "_label_recovery": [True], "_label_method": ["M"]}
    more = {"chemical": ["lead"]} if module is tri else {"waste_text": ["oil"], "waste_code": ["223"], "year": [2007]}
    frame = module.shipments(pl.DataFrame({**columns, **receiver, **labels, **more}))
    assert set(frame.columns) == {*transfers.COLUMNS, "recovery" if module is tri else "year"}
    assert frame["material"].to_list() == ["lead" if module is tri else "oil"]
