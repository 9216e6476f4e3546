"""The bundled List of Waste: complete, well formed, and the same codes and statuses as the published one."""

import csv
from collections import Counter
from importlib.resources import files
from typing import get_args

import pytest

from ism.data import public
from ism.data.codes.ewc import HazardStatus
from ism.data.public import list_of_waste

with files("ism.data.codes").joinpath("low.csv").open(encoding="utf-8") as _handle:
    ROWS = list(csv.DictReader(_handle))
BY_CODE = {row["code"]: row for row in ROWS}
FOLDER = public.folder()


def test_there_are_20_chapters_111_subchapters_and_842_codes():
    assert Counter(row["level"] for row in ROWS) == {"2": 20, "4": 111, "6": 842}
    assert len(BY_CODE) == len(ROWS) == 973


def test_chapters_run_from_01_to_20():
    assert [row["code"] for row in ROWS if row["level"] == "2"] == [f"{number:02d}" for number in range(1, 21)]


def test_levels_agree_with_the_codes_and_every_code_has_its_parents():
    for row in ROWS:
        parts = row["code"].split(" ")
        assert all(len(part) == 2 and part.isdigit() for part in parts), row
        assert int(row["level"]) == 2 * len(parts), row
        assert len(parts) == 1 or " ".join(parts[:-1]) in BY_CODE, row


def test_it_is_in_ascending_order():
    assert [row["code"] for row in ROWS] == sorted(BY_CODE)


def test_codes_have_a_status_and_headings_have_none():
    known = set(get_args(HazardStatus))
    for row in ROWS:
        assert row["status"] in known if row["level"] == "6" else row["status"] == "", row
    assert {row["status"] for row in ROWS if row["level"] == "6"} == known


def test_titles_are_there_and_tell_the_codes_of_a_subchapter_apart():
    seen: set[tuple[str, str]] = set()
    for row in ROWS:
        assert row["title"] == row["title"].strip() != "", row
        key = (row["code"].rpartition(" ")[0], row["title"].lower())
        assert key not in seen, row
        seen.add(key)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("10 01 04", "AH"),  # oil fly ash
        ("10 01 05", "AN"),  # flue-gas gypsum
        ("17 01 07", "MN"),
        ("17 01 06", "MH"),
        ("01 03 10", "MH"),  # added by Decision 2014/955/EU
        ("16 03 07", "AH"),  # metallic mercury, added by the same
        ("19 03 08", "AH"),
    ],
)
def test_some_statuses_by_heart(code: str, status: str):
    assert BY_CODE[code]["status"] == status


@pytest.mark.public_data
@pytest.mark.skipif(FOLDER is None, reason="the public data sets are absent; set ISM_PUBLIC_DATA to their folder")
def test_codes_and_statuses_agree_with_the_published_list():
    assert FOLDER is not None
    published = {entry.code: entry.status for entry in list_of_waste.read(FOLDER / list_of_waste.FILE)}
    ours = {row["code"]: row["status"] for row in ROWS if row["level"] == "6"}
    assert ours.keys() == published.keys()
    assert {code: (ours[code], published[code]) for code in ours if ours[code] != published[code]} == {}
