"""Parsing of EWC, NACE, ISIC and country codes: what people type is read, what is no code is refused."""

import re
import subprocess
import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ism.data.codes import country, ewc, isic, nace
from ism.domain.errors import InvalidCodeError

EWC_CODES = st.sampled_from(ewc.all_codes())
NACE_CODES = st.sampled_from(nace.all_codes())


@pytest.mark.parametrize(
    "typed",
    [
        "10 01 02",
        "100102",
        "10.01.02*",
        "10-01-02",
        "EWC 10 01 02",
        "ewc:100102",
        " 10\u00a001\u00a002 ",
        "100102 *",
        100102,
        100102.0,
    ],
)
def test_ewc_accepts_what_people_type(typed):
    assert ewc.parse_ewc(typed) == "10 01 02"


@pytest.mark.parametrize(
    ("typed", "canonical"), [("10", "10"), ("1001", "10 01"), ("10.01", "10 01"), ("EWC 03 01", "03 01")]
)
def test_ewc_prefixes_only_where_asked(typed, canonical):
    assert ewc.parse_ewc(typed, prefixes=True) == canonical
    with pytest.raises(InvalidCodeError, match="give all six digits"):
        ewc.parse_ewc(typed)


@pytest.mark.parametrize("typed", ["10102", 10102, "1 01 02", "1.01.02", "10102*"])
def test_ewc_offers_the_code_that_lost_its_leading_zero(typed):
    with pytest.raises(InvalidCodeError, match=r"leading zero.*01 01 02"):
        ewc.parse_ewc(typed)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "x",
        "10 01 0",
        "10/01/02",
        "10 01 02 03",
        "10 01 98",
        "99 99 99",
        "１００１０２",
        "10 01 02 **",
        True,
        "10 01 02\x00",
        "0x1001",
    ],
)
def test_ewc_refuses_what_is_no_code(typed):
    with pytest.raises(InvalidCodeError) as caught:
        ewc.parse_ewc(typed, prefixes=True)
    assert caught.value.value == typed


def test_ewc_names_the_nearest_real_codes_and_the_field():
    with pytest.raises(InvalidCodeError) as caught:
        ewc.parse_ewc("10 01 06", field="row 7, column ewc")
    assert str(caught.value).startswith("row 7, column ewc: '10 01 06'")
    named = re.findall(r"\d\d \d\d \d\d", caught.value.remedy)
    assert set(named) == {"10 01 05", "10 01 07", "10 01 04"}


@given(
    EWC_CODES,
    st.sampled_from(["", " ", ".", "-"]),
    st.sampled_from(["", "*", " *"]),
    st.sampled_from(["", "EWC ", "LoW: "]),
)
def test_ewc_round_trip(code, separator, star, prefix):
    assert ewc.parse_ewc(prefix + code.replace(" ", separator) + star) == code


@given(st.from_regex(r"[0-9]{6}", fullmatch=True))
@example("999999")
def test_ewc_accepts_six_digits_only_if_they_are_a_code(digits):
    spaced = f"{digits[:2]} {digits[2:4]} {digits[4:]}"
    if spaced in ewc.all_codes():
        assert ewc.parse_ewc(digits) == spaced
    else:
        with pytest.raises(InvalidCodeError):
            ewc.parse_ewc(digits)


@given(st.text(max_size=20) | st.integers() | st.floats())
def test_no_parser_ever_returns_what_is_no_code_or_fails_otherwise(typed):
    for parse, known in (
        (lambda x: ewc.parse_ewc(x, prefixes=True), ewc.is_ewc),
        (nace.parse_nace, nace.is_nace),
        (isic.parse_isic, isic.title),
        (country.parse_country, country.CODES.__contains__),
    ):
        try:
            result = parse(typed)
        except InvalidCodeError:
            continue
        assert known(result)
        # nothing but marks may have been dropped: the digits that came in are those that came out
        digits = re.sub(r"\.0$", "", str(typed)) if isinstance(typed, float) else str(typed)
        digits = re.sub(r"(?i)(rev\.? ?[24])", "", digits)
        assert re.sub(r"\D", "", digits) == re.sub(r"\D", "", result)


def test_list_of_waste_is_complete_and_its_hazard_is_readable():
    assert len(ewc.all_codes()) == 842
    assert ewc.hazard_status("10 01 02") == "AN"
    assert ewc.hazard_status("10 01 04") == "AH"
    assert ewc.hazard_status("01 03 05") == "MH"
    assert ewc.hazard_status("10 01") is None
    sentences = {ewc.hazard_sentence(code) for code in ("10 01 02", "10 01 04", "01 03 05", "01 03 06", "10 01")}
    assert len(sentences) == 5
    assert "ash" in ewc.title("10 01 02")
    with pytest.raises(InvalidCodeError):
        ewc.title("100102")


@pytest.mark.parametrize(
    ("codes", "shared"),
    [
        (["16 02 09", "16 02 10"], "16 02"),
        (["20 01 08", "20 01 08"], "20 01 08"),
        (["03 03 01", "15 01 03"], None),
        (["10 01", "10 01 02"], "10 01"),
        ([], None),
    ],
)
def test_ewc_common_prefix(codes, shared):
    assert ewc.common_prefix(codes) == shared


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("C23.51", "23.51"),
        ("2351", "23.51"),
        ("23.51", "23.51"),
        ("23.5", "23.5"),
        ("235", "23.5"),
        ("23", "23"),
        ("C", "C"),
        ("c", "C"),
        ("NACE 23.51", "23.51"),
        ("NACE Rev. 2: C 23.51", "23.51"),
        (2351, "23.51"),
        (2410.0, "24.10"),
        ("0111", "01.11"),
        ("A01.11", "01.11"),
    ],
)
def test_nace_accepts_what_people_type(typed, canonical):
    assert nace.parse_nace(typed) == canonical


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("B23.51", "belongs to section C"),
        ("1.11", "leading zero.*01.11"),
        (111, "leading zero.*01.11"),
        ("1", "leading zero.*01"),
        ("161", r"could mean 16\.1 .* or 01\.61"),
        ("99.99", "nearest are 99.00"),
        ("Z", "A to U"),
        ("23.510", "such as 23.51"),
        ("23.", "such as 23.51"),
        ("-23", "such as 23.51"),
        ("P3_S13", "such as 23.51"),
        ("10-12", "such as 23.51"),
        ("", "such as 23.51"),
        ("NACE", "such as 23.51"),
        (True, "such as 23.51"),
    ],
)
def test_nace_refuses_what_is_no_code(typed, told):
    with pytest.raises(InvalidCodeError, match=told):
        nace.parse_nace(typed)


def test_nace_sections_can_be_refused():
    with pytest.raises(InvalidCodeError, match="too coarse"):
        nace.parse_nace("C", sections=False)
    assert nace.parse_nace("C23", sections=False) == "23"


@given(NACE_CODES, st.booleans(), st.sampled_from(["", "NACE ", "nace rev 2 "]))
def test_nace_round_trip(code, with_section, prefix):
    section = nace.parents(code)[-1] if with_section and len(code) > 1 else ""
    assert nace.parse_nace(prefix + section + code) == code


@given(st.sampled_from(nace.all_classes()))
def test_nace_class_without_dot(code):
    assert nace.parse_nace(code.replace(".", "")) == code


def test_nace_tree():
    assert len(nace.all_classes()) == 615
    assert len(nace.all_codes()) == 21 + 88 + 272 + 615
    assert nace.title("23.51") == "Manufacture of cement"
    assert nace.parents("23.51") == ("23.5", "23", "C")
    # divisions whose published parent is an aggregate of national accounts ("10-12") still lead to their section
    assert nace.parents("10.81") == ("10.8", "10", "C")
    assert all(len(nace.parents(code)) == 3 for code in nace.all_classes())
    assert nace.common_parent(["01.1", "01.2"]) == "01"
    assert nace.common_parent(["01.1"]) == "01.1"
    assert nace.common_parent(["11.02", "01.26"]) is None
    assert nace.common_parent([]) is None


def test_isic():
    assert isic.parse_isic("ISIC 2394") == "2394"
    assert isic.to_nace("2394") == ("23.51", "23.52")
    assert isic.to_nace("C") == ("C",)
    assert all(isic.to_nace(code) for code in ("01", "011", "0111", "9900"))
    with pytest.raises(InvalidCodeError):
        isic.parse_isic("C10_12")


def test_country():
    assert country.parse_country(" gb ") == "GB"
    assert len(country.CODES) == 249
    with pytest.raises(InvalidCodeError, match="Did you mean GB"):
        country.parse_country("UK")


def test_trees_load_without_pandas_and_quickly():
    """In a fresh interpreter: the classification package must not be imported, since it would load pandas."""
    probe = (
        "import sys, time\n"
        "from ism.data.codes import ewc, nace\n"
        "start = time.perf_counter()\n"
        "nace.all_codes(); ewc.all_codes()\n"
        "print(time.perf_counter() - start, 'pandas' in sys.modules, 'classifications' in sys.modules)\n"
    )
    seconds, pandas, package = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    ).stdout.split()
    assert (pandas, package) == ("False", "False")
    assert float(seconds) < 0.5  # 0.03 s when measured alone; the margin is for a loaded machine


def test_repeated_parsing_is_a_look_up():
    nace.parse_nace("C23.51")
    ewc.parse_ewc("10.01.02*")
    start = time.perf_counter()
    for _ in range(10_000):
        nace.parse_nace("C23.51")
        ewc.parse_ewc("10.01.02*")
    assert time.perf_counter() - start < 0.5
