import numpy as np
import pytest

from ism.data.build import build_market, sector_id
from ism.data.codes import nace
from ism.domain.market import Company, Exchange, Listing
from ism.testing.sample import WordEncoder

MILL = Company("mill", "Mill", "17.12", "DE", 48.0, 11.5)
KILN = Company("kiln", "Kiln", "23.51", "FR")
FARM = Company("farm", "Farm")
LISTINGS = [
    Listing("n1", "kiln", "need", "limestone", "fine"),
    Listing("n2", "kiln", "need", "fly ash"),
    Listing("n3", "kiln", "need", "fly ash"),
    Listing("o1", "kiln", "offer", "kiln dust"),
    Listing("n4", "nobody", "need", "gold"),
]
EXCHANGES = [
    Exchange("e3", "mill", "kiln", "paper ash", "x", "10 01 02", status="operating", year_start=2001, source="s3"),
    Exchange("e1", "farm", "mill", "straw", status="unknown", receiver_use="Pulping", source="s1"),
    Exchange("e2", "mill", "kiln", "sludge", status="discontinued", receiver_use="PVC filler", source="s2"),
    Exchange("e4", "mill", "farm", "compost", status="planned"),
    Exchange("e5", "mill", "elsewhere", "bark", status="operating"),
    Exchange("e6", "stranger", "farm", "lime", status="operating"),
]


@pytest.fixture(scope="module")
def built():
    return build_market([MILL, KILN, FARM], LISTINGS, EXCHANGES, WordEncoder(), 7)


def needs_of(built, key):
    home = built.market.receivers
    return [home.need_texts[k] for k in np.flatnonzero(home.need_owner == built.row_of[key])]


def test_receivers_are_companies_then_all_sectors(built):
    home, classes = built.market.receivers, nace.all_classes()
    assert home.ids == ["mill", "kiln", "farm", *(sector_id(code) for code in classes)]
    assert len(classes) > 600
    assert home.sector.tolist() == [False] * 3 + [True] * len(classes)
    assert home.names[:3] == ["Mill", "Kiln", "Farm"]
    row = built.row_of["nace:23.51"]
    assert (home.names[row], home.nace[row].tolist(), home.kinds[row]) == (
        nace.title("23.51"),
        [23, 235, 2351],
        "sector",
    )
    assert home.nace[:3].tolist() == [[17, 171, 1712], [23, 235, 2351], [-1, -1, -1]]
    assert home.countries[:3] == ["DE", "FR", ""]
    np.testing.assert_array_equal(home.latitude[:4], np.float32([48.0, np.nan, np.nan, np.nan]))
    assert built.companies[:4] == [MILL, KILN, FARM, None]
    assert len(built.companies) == len(home)
    assert built.market.generation == 7


def test_a_company_asks_for_its_needs_or_else_for_its_sectors_title(built):
    assert needs_of(built, "kiln") == ["fly ash", "limestone. fine"]  # once each, without its offer
    assert needs_of(built, "mill") == [nace.title("17.12")]
    assert needs_of(built, "farm") == []
    assert needs_of(built, "nace:23.51") == [nace.title("23.51")]
    home = built.market.receivers
    assert (np.diff(home.need_owner) >= 0).all()  # features count on it
    np.testing.assert_array_equal(home.needs, WordEncoder().encode(home.need_texts))
    assert "gold" not in home.need_texts


def test_precedents_are_what_happened(built):
    past = built.market.precedents
    assert [built.market.receivers.ids[row] for row in past.receiver] == ["mill", "kiln", "kiln", "farm"]
    assert past.texts == [
        "straw",
        "sludge",
        "paper ash",
        "lime",
    ]  # by receiver, then by exchange; planned ones left out
    assert past.sources == ["s1", "s2", "s3", ""]
    assert past.ewc[2].tolist() == [10, 1001, 100102]
    assert past.donor_nace.tolist() == [[-1] * 3, [17, 171, 1712], [17, 171, 1712], [-1] * 3]
    assert past.receiver_nace[1].tolist() == [23, 235, 2351]
    np.testing.assert_array_equal(past.latitude, np.float32([np.nan, 48.0, 48.0, np.nan]))
    np.testing.assert_array_equal(past.vectors, WordEncoder().encode(past.texts))


def test_groups_are_donors(built):
    straw, sludge, ash, lime = built.groups.tolist()
    assert sludge == ash
    assert len({straw, sludge, lime}) == 3
    assert built.past_partners == {"farm": {"mill"}, "mill": {"kiln"}, "stranger": {"farm"}}


def test_precedents_as_phrases(built):
    assert built.market.precedents.references == [
        "straw from Farm to Mill for pulping.",
        "sludge from Mill to Kiln for PVC filler, since ended.",
        "paper ash from Mill to Kiln, since 2001.",
        "lime from stranger to Farm.",
    ]


def test_order_of_what_is_stored_does_not_matter(built):
    again = build_market([MILL, KILN, FARM], LISTINGS[::-1], EXCHANGES[::-1], WordEncoder())
    assert again.market.precedents.texts == built.market.precedents.texts
    assert again.groups.tolist() == built.groups.tolist()
    assert again.market.receivers.need_texts == built.market.receivers.need_texts


def test_sectors_can_be_chosen_and_nothing_is_a_market_too():
    few = build_market([KILN], [], [], WordEncoder(), classes=["10.11"])
    assert few.market.receivers.ids == ["kiln", "nace:10.11"]
    none = build_market([], [], [], WordEncoder(), classes=[])
    assert (len(none.market.receivers), len(none.market.precedents), none.groups.tolist()) == (0, 0, [])
    assert none.market.receivers.nace.shape == (0, 3)
