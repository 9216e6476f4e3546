"""Exchanges with their yearly effects, and the places of a network."""

import numpy as np
import pytest

from ism.app.web.flows import Flows, flows_of, section, total
from ism.app.web.layout import placed
from ism.domain.market import Company, Exchange
from ism.domain.match import Interval
from ism.storage import open_sqlite

PLANT = Company("plant", "Power station", "35.11", "DK", 55.66, 11.08)
WORKS = Company("works", "Cement works", "23.51", "DK", 57.06, 9.98)
ASH = Exchange("ash", "plant", "works", "coal fly ash", ewc="10 01 02", quantity_t_per_year=1000.0, status="operating")


def test_a_flow_knows_chapter_sectors_distance_and_what_it_spares() -> None:
    (flow,) = flows_of([ASH], {"plant": PLANT, "works": WORKS})
    assert (flow.chapter, flow.giver, flow.taker, flow.tonnes) == ("10", "D", "C", 1000.0)
    assert flow.distance_km == pytest.approx(170, abs=5)
    assert flow.co2e is not None
    assert flow.co2e.low <= flow.co2e.central <= flow.co2e.high < 0  # t a year; the ash replaces Portland clinker


def test_without_a_quantity_nothing_is_made_up() -> None:
    bare = Exchange("bare", "plant", "works", "coal fly ash")
    (flow,) = flows_of([bare], {"plant": PLANT, "works": Company("works", "Somewhere")})
    assert (flow.tonnes, flow.cost, flow.co2e, flow.distance_km, flow.chapter, flow.taker) == (
        None,
        None,
        None,
        None,
        "",
        "",
    )


def test_sums_leave_out_what_is_not_known() -> None:
    assert total([None, None]) is None
    assert total([Interval(-2, -1, 0), None, Interval(1, 2, 3)]) == Interval(-1, 1, 3)


def test_sections_of_codes() -> None:
    assert [section(code) for code in ("23.51", "23", "C", "", None)] == ["C", "C", "C", "", ""]


def test_flows_follow_the_market(tmp_path: object) -> None:
    with open_sqlite(tmp_path) as store:  # type: ignore[arg-type]  # pytest's own path
        flows = Flows(store)
        assert flows.current().flows == []
        store.bulk_upsert([PLANT, WORKS, ASH])
        now = flows.current()
        assert [flow.exchange.exchange_id for flow in now.flows] == ["ash"]
        assert flows.current() is now


def test_a_network_has_the_same_places_each_time_and_partners_close() -> None:
    links = [(0, 1), (1, 2), (3, 4)]
    places = placed(6, links)
    assert np.array_equal(places, placed(6, links))
    assert np.abs(places).max() == pytest.approx(1.0)
    near = np.linalg.norm(places[0] - places[1])
    assert near < np.linalg.norm(places[0] - places[3])
    assert placed(1, []).tolist() == [[0.0, 0.0]]
    assert placed(0, []).shape == (0, 2)
