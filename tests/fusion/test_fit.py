import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ism.data.build import build_market
from ism.data.market import OfferArrays
from ism.domain.errors import EngineError
from ism.domain.market import Company
from ism.engines import catalog
from ism.engines.base import Snapshot
from ism.fusion.calibration import Calibration
from ism.fusion.fit import FittedFusion, calibrate, fit_fusion, open_world
from ism.fusion.retrieve import retrieve
from ism.fusion.store import load_fusion, save_fusion, versions
from ism.testing.sample import WordEncoder, sample

ENCODER = WordEncoder()
MAKERS = {name: partial(catalog.make, name, ENCODER) for name in ("matching", "knowledge_graph")}
LOADERS = {name: partial(catalog.load, name, encoder=ENCODER) for name in MAKERS}


@pytest.fixture(scope="module")
def case():
    return sample(ENCODER)


@pytest.fixture(scope="module")
def fusion(case):
    return fit_fusion(case.snapshot, MAKERS)


@pytest.fixture
def saved(fusion, tmp_path: Path) -> Path:
    save_fusion(fusion, tmp_path / "serving")
    return tmp_path / "serving"


class Known:
    """An engine whose scores are given: one row for all offers, or by the market it was fitted on."""

    name = "known"

    def __init__(self, by_row=None) -> None:
        self.by_row = by_row
        self.fitted_on: list[int] = []

    def fit(self, snapshot, params=None, seed=0) -> None:
        self.fitted_on = snapshot.groups.tolist()

    def score(self, market, offers, rows=None):
        values = np.float32(self.by_row if self.by_row is not None else np.full(len(market.receivers), 0.5))
        return np.tile(values if rows is None else values[rows], (len(offers), 1))


def offers(count: int) -> OfferArrays:
    return sample(ENCODER).offers.take(np.zeros(count, dtype=np.intp))


# --- open world -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_classes():
    """A kiln (23.51), a dairy (10.51), a firm without class, one whose class is no receiver; sectors 10.51, 23.51."""
    codes = {"kiln": "23.51", "dairy": "10.51", "somebody": None, "bank": "64.19"}
    firms = [Company(key, key, code) for key, code in codes.items()]
    return build_market(firms, [], [], ENCODER, classes=["10.51", "23.51"]).market


def test_a_company_must_stand_out_and_its_sector_too(two_classes):
    """Shares of companies .1 .2 .3 .4, of sectors .25 .75: geometric means, the weakest sector where none is known."""
    odds = np.float64([0.1, 0.2, 0.3, 0.4, 0.25, 0.75])
    scores = (odds / (1 + odds)).astype(np.float32)[None, :]
    found = open_world(two_classes, scores, None, Calibration())
    expected = [np.sqrt(0.1 * 0.75), np.sqrt(0.2 * 0.25), np.sqrt(0.3 * 0.25), np.sqrt(0.4 * 0.25), 0.25, 0.75]
    np.testing.assert_allclose(found, [expected], rtol=1e-4)


def test_one_kind_alone_keeps_its_own_probability(two_classes):
    scores = np.float32([[0.2, 0.5, 0.5, 0.8]])
    calibration = Calibration(1.2, 0.5, 100)
    firms = np.arange(4)
    np.testing.assert_array_equal(open_world(two_classes, scores, firms, calibration), calibration(scores))
    sectors = np.asarray([4, 5])
    np.testing.assert_array_equal(
        open_world(two_classes, scores[:, :2], sectors, calibration), calibration(scores[:, :2])
    )
    assert open_world(two_classes, scores[:, :0], firms[:0], calibration).shape == (1, 0)


def test_rows_in_any_order(two_classes):
    scores = np.random.default_rng(0).uniform(0.1, 0.9, (3, 6)).astype(np.float32)
    rows = np.asarray([5, 0, 3, 4, 2, 1])
    there = open_world(two_classes, scores, None, Calibration(0.8, 0.1, 50))
    back = open_world(two_classes, scores[:, rows], rows, Calibration(0.8, 0.1, 50))
    np.testing.assert_allclose(back, there[:, rows], rtol=1e-5)


# --- fitting --------------------------------------------------------------------------------------


def test_fused_scores_add_up(case, fusion):
    fused = fusion.score(case.built.market, case.offers)
    shape = (len(case.offers), len(case.built.market.receivers))
    assert set(fused.contributions) == set(fused.probabilities) == set(MAKERS)
    for values in (fused.final, fused.confidence, *fused.contributions.values(), *fused.probabilities.values()):
        assert values.shape == shape
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert ((values >= 0) & (values <= 1)).all()
    np.testing.assert_allclose(sum(fused.contributions.values()), fused.final, atol=1e-6)
    said = fused.probabilities
    expected = (0.25 * said["knowledge_graph"] + 0.20 * said["matching"]) / 0.45
    np.testing.assert_allclose(fused.final, expected, atol=1e-6)


def test_the_evident_receiver_comes_first(case, fusion):
    fused = fusion.score(case.built.market, case.obvious)
    firms = np.flatnonzero(~case.built.market.receivers.sector)
    assert int(firms[np.argmax(fused.final[0, firms])]) == case.best
    assert fused.final[0, case.best] > 0.4


def test_calibration_is_out_of_fold(case):
    """A twin that is asked about an offer has not seen its group; together the twins are asked about all groups."""
    asked: list[set[int]] = []
    latitude = case.built.market.precedents.latitude
    groups_at = {}
    for row, group in enumerate(case.built.groups.tolist()):
        groups_at.setdefault(str(latitude[row]), set()).add(group)

    class Watching(Known):
        def score(self, market, offers, rows=None):
            mine = groups_at[str(offers.latitude[0])]
            if len(mine) == 1:  # places that are not known do not tell the group
                assert not mine & set(self.fitted_on)
                asked.append(mine)
            return super().score(market, offers, rows)

    calibrate(case.snapshot, Watching)
    assert len(set().union(*asked)) == sum(len(groups) == 1 for groups in groups_at.values()) > 10


def test_nothing_to_learn_from_calibrates_nothing(case):
    none = np.zeros(0, dtype=np.intp)
    empty = Snapshot(case.built.market.keeping(none), case.built.groups[none])
    fitted = fit_fusion(empty, MAKERS)
    assert fitted.calibrations == dict.fromkeys(MAKERS, Calibration())
    assert np.isfinite(fitted.score(case.built.market, case.offers).final).all()


def test_an_empty_market_gives_no_scores(case, fusion):
    nobody = build_market([], [], [], ENCODER, classes=[]).market
    assert fusion.score(nobody, case.offers).final.shape == (len(case.offers), 0)


def test_fitting_is_deterministic_and_learning_a_fusion_model_changes_no_engine(case, fusion):
    again = fit_fusion(case.snapshot, MAKERS, models=False)
    assert fusion.models
    assert not again.models
    assert again.calibrations == fusion.calibrations
    assert all(calibration.cases > 100 for calibration in fusion.calibrations.values())
    np.testing.assert_array_equal(
        again.score(case.built.market, case.offers).final, fusion.score(case.built.market, case.offers).final
    )


# --- on disk --------------------------------------------------------------------------------------


def test_a_saved_fusion_scores_the_same(case, fusion, saved):
    loaded = load_fusion(saved, LOADERS)
    assert (loaded.weights, loaded.calibrations) == (fusion.weights, fusion.calibrations)
    before, after = (each.score(case.built.market, case.offers) for each in (fusion, loaded))
    np.testing.assert_array_equal(after.final, before.final)
    np.testing.assert_array_equal(after.confidence, before.confidence)


def test_saving_again_replaces_the_folder_as_a_whole(fusion, saved):
    first = versions(saved)
    (saved / "left over").write_text("x")
    save_fusion(fusion, saved)
    assert sorted(path.name for path in saved.iterdir()) == ["fusion.json", "knowledge_graph", "matching"]
    assert [path.name for path in saved.parent.iterdir()] == ["serving"]
    assert versions(saved) == first
    assert set(first) == {"fusion", "knowledge_graph", "matching"}
    assert all(len(version) == 12 for version in first.values())


def test_versions_tell_what_changed(fusion, saved):
    first = versions(saved)
    save_fusion(FittedFusion(fusion.engines, fusion.calibrations, {"matching": 1.0, "knowledge_graph": 2.0}), saved)
    second = versions(saved)
    assert {name for name in first if first[name] != second[name]} == {"fusion"}


def test_an_engine_without_calibration_is_kept_and_one_without_loader_is_left_out(case, fusion, tmp_path):
    save_fusion(FittedFusion(fusion.engines), tmp_path / "raw")
    loaded = load_fusion(tmp_path / "raw", LOADERS)
    assert set(loaded.engines) == set(MAKERS)
    assert loaded.calibrations == {}
    alone = load_fusion(tmp_path / "raw", {"matching": LOADERS["matching"]})
    assert list(alone.engines) == ["matching"]
    assert np.isfinite(alone.score(case.built.market, case.offers).final).all()


def tampered(about, path, value):
    about = json.loads(json.dumps(about))
    place = about
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return about


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["format"], 4),
        (["models"], [{}]),
        (["conformal"], {"default_weighted_sum": {}}),
        (["format"], KeyError),
        (["weights", "gnn"], -1.0),
        (["weights", "gnn"], float("nan")),
        (["weights", "gnn"], "0.3"),
        (["weights"], [0.3]),
        (["weights"], KeyError),
        (["engines"], KeyError),
        (["engines"], 7),
        (["calibrations", "matching", "slope"], -2.0),
        (["calibrations", "matching", "slope"], float("inf")),
        (["calibrations", "matching", "intercept"], float("nan")),
        (["calibrations", "matching", "intercept"], "1"),
        (["calibrations", "matching", "cases"], -1),
        (["calibrations", "matching", "bias"], 1.0),
        (["calibrations", "matching"], None),
        (["calibrations"], []),
    ],
)
def test_a_tampered_file_is_refused(saved, path, value):
    file = saved / "fusion.json"
    file.write_text(json.dumps(tampered(json.loads(file.read_text()), path, value)))
    with pytest.raises(EngineError, match=r"fusion\.json"):
        load_fusion(saved, LOADERS)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": 1}'])
def test_a_damaged_file_is_refused(saved, content):
    (saved / "fusion.json").write_bytes(content)
    with pytest.raises(EngineError, match=r"fusion\.json"):
        load_fusion(saved, LOADERS)


def test_a_missing_engine_or_folder_is_refused(saved, tmp_path):
    shutil.rmtree(saved / "matching")
    with pytest.raises(EngineError, match="matching"):
        load_fusion(saved, LOADERS)
    with pytest.raises(EngineError, match=r"fusion\.json"):
        load_fusion(tmp_path / "nowhere", LOADERS)


# --- retrieval ------------------------------------------------------------------------------------


def test_small_markets_are_scored_as_a_whole(case, fusion):
    found = retrieve(case.built.market, case.obvious, fusion.engines.values())
    assert found.tolist() == list(range(len(case.built.market.receivers)))


def test_large_markets_are_searched(case, fusion):
    market = case.built.market
    found = retrieve(market, case.obvious, fusion.engines.values(), count=2)
    assert found.tolist() == sorted(set(found.tolist()))
    assert len(found) < len(market.receivers)
    assert case.best in found
    firms = found[~market.receivers.sector[found]]
    classes = set(market.receivers.nace[firms, 2].tolist()) - {-1}
    sectors = set(market.receivers.nace[found[market.receivers.sector[found]], 2].tolist())
    listed = set(market.receivers.nace[market.receivers.sector, 2].tolist())
    assert classes & listed <= sectors  # a company is compared with its sector beside it
    assert retrieve(market, case.obvious, [], count=2).tolist() == []
