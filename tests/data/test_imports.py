"""Importing tables: all or nothing, every bad cell named, hostile files refused."""

import csv
import dataclasses
import io
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ism.data.imports import cells, export
from ism.data.imports.importer import import_file
from ism.data.imports.limits import Limits
from ism.data.imports.table import kind_of, read_table
from ism.data.imports.templates import TEMPLATES, template
from ism.domain.errors import ImportRefusedError, InvalidInputError
from ism.domain.market import Company, Exchange, Listing
from ism.settings import Settings

KINDS = ("companies", "listings", "exchanges")


def read(text, **options):
    return list(read_table(text if isinstance(text, bytes) else text.encode(), **options))


def problems(text, **options):
    with pytest.raises(ImportRefusedError) as caught:
        read(text, **options)
    return [tuple(problem) for problem in caught.value.problems]


def workbook(*rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


# ---- templates


@pytest.mark.parametrize("kind", KINDS)
def test_template_columns_are_the_fields_of_the_domain(kind):
    chosen = template(kind)
    assert [column.name for column in chosen.columns] == [field.name for field in dataclasses.fields(chosen.make)]
    no_default = [field.name for field in dataclasses.fields(chosen.make) if field.default is dataclasses.MISSING]
    assert list(chosen.required) == no_default
    assert all(column.description for column in chosen.columns)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file_format", export.FORMATS)
def test_a_written_template_reads_back(kind, file_format):
    (value,) = read(export.write_template(kind, file_format))
    assert type(value) is template(kind).make
    assert read(export.write_template(kind, file_format, example=False)) == []


def test_template_in_another_format():
    with pytest.raises(InvalidInputError, match="csv, xlsx"):
        export.write_template("companies", "ods")


# ---- reading what is right


def test_values_are_those_of_the_file():
    text = (
        "company_id,name,nace,country,latitude,longitude,description,source\n"
        'a,"Kiln, Ltd",C23.51,de,51.5,-7.25,"two\nlines",register\n'
        "\n"
        "b,=HYPERLINK(1),,,,,,\n"
    )
    assert read(text) == [
        Company("a", "Kiln, Ltd", "23.51", "DE", 51.5, -7.25, "two\nlines", "register"),
        Company("b", "=HYPERLINK(1)"),
    ]


def test_listing_and_exchange():
    listing = (
        "listing_id;company_id;kind;material;ewc;quantity_t_per_year;price_eur_per_t;hazardous;valid_from;valid_until\n"
    )
    listing += "l;a;Offer;fly ash;10.01.02*;50000,5;-3,25;no;2026-01-31;1.2.2026\n"
    assert read(listing) == [
        Listing(
            "l", "a", "offer", "fly ash", "", "10 01 02", 50000.5, -3.25, False, date(2026, 1, 31), date(2026, 2, 1)
        )
    ]
    exchange = "Exchange ID\tFrom-Company\tto_company\tmaterial\tewc\tyear_start\tstatus\n"
    exchange += "e\ta\tb\tslag\t1002\t1999\tOperating\n"
    assert read(exchange) == [Exchange("e", "a", "b", "slag", ewc="10 02", year_start=1999, status="operating")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings(encoding, newline):
    text = newline.join(["company_id,name", "ä1,Zürich Größe 株式会社", ""])
    data = b"\xff\xfe" + text.encode("utf-16-le") if encoding == "utf-16-le-bom" else text.encode(encoding)
    assert read(data) == [Company("ä1", "Zürich Größe 株式会社")]


def test_announced_separator_and_row_numbers():
    assert read("sep=;\ncompany_id;name\na;b\n") == [Company("a", "b")]
    assert problems("sep=;\ncompany_id;name\na;\n")[0][:2] == (3, "name")


@pytest.mark.parametrize("kind", KINDS)
def test_kind_is_told_by_the_header(kind):
    assert kind_of([column.name.upper() for column in template(kind).columns]) == kind


def test_kind_that_cannot_be_told():
    with pytest.raises(InvalidInputError, match="companies: company_id, name"):
        read("foo,bar\n1,2\n")
    assert problems("foo,name\n1,2\n", kind="companies")[-1][1:] == (
        "company_id",
        "None",
        "This column is missing; companies need it.",
    )


# ---- numbers


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1234.5", 1234.5),
        ("1234,5", 1234.5),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("1,234,567", 1234567),
        ("1.234.567", 1234567),
        ("50 000", 50000),
        ("50\u00a0000,25", 50000.25),
        ("50'000", 50000),
        ("0,125", 0.125),
        ("1e3", 1000),
        ("+7", 7),
        (".5", 0.5),
        (12, 12),
        (12.5, 12.5),
    ],
)
def test_numbers_as_written(written, meant):
    assert cells.number(0, 1e10, "t")(written, False) == meant


@pytest.mark.parametrize("written", ["1,234", "12,500"])
def test_a_comma_that_could_mean_two_things_is_refused(written):
    with pytest.raises(InvalidInputError, match="could mean"):
        cells.number(0, 1e10, "t")(written, False)


def test_a_mark_is_unambiguous_where_the_range_allows_one_reading_only():
    assert cells.number(-90, 90, "degrees")("52,123", True) == 52.123
    assert cells.number(-90, 90, "degrees")("52.123", True) == 52.123


def test_a_dot_is_decimal_unless_the_file_uses_semicolons():
    assert cells.number(0, 1e10, "t")("1.234", False) == 1.234
    with pytest.raises(InvalidInputError, match=r"could mean 1\.234 or 1234"):
        cells.number(0, 1e10, "t")("1.234", True)


@pytest.mark.parametrize(
    "written",
    [
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "1e999",
        "-1",
        "-0.001",
        "5 t",
        "1,2,3",
        "0x10",
        "1_000",
        "١٢",
        "",
        "--1",
        True,
        10**400,
        float("nan"),
    ],
)
def test_numbers_that_are_refused(written):
    with pytest.raises(InvalidInputError):
        cells.number(0, 1e10, "t")(written, False)


@given(st.floats(-1e9, 1e9, allow_nan=False), st.booleans())
def test_every_number_survives_its_own_writing(value, comma):
    read_cell = cells.number(-1e10, 1e10, "t")
    written = f"{value:.6f}"
    assert read_cell(written.replace(".", ",") if comma else written, comma) == float(written)


# ---- every bad cell is named


def test_every_problem_of_every_row_is_reported_in_order():
    text = (
        "company_id,name,nace,country,latitude,longitude\n"
        "a,A,23.51,DE,51,7\n"
        "b,,99.99,XX,91,7\n"
        "a,C,,,NaN,inf\n"
        "d,D,,,1,\n"
        "e,E,,,1,2,surplus\n"
    )
    found = problems(text)
    assert [problem[:2] for problem in found] == [
        (3, "nace"),
        (3, "country"),
        (3, "latitude"),
        (3, "name"),
        (4, "latitude"),
        (4, "longitude"),
        (4, "company_id"),
        (5, "longitude"),
        (6, ""),
    ]
    assert "between -90 and 90" in found[2][3]
    assert found[0][2] == "'99.99'"
    assert "Row 2 has the same" in found[6][3]


@pytest.mark.parametrize(
    ("column", "written", "told"),
    [
        ("quantity_t_per_year", "-5", "between 0"),
        ("quantity_t_per_year", "NaN", "finite"),
        ("valid_from", "31/12/2026", "YYYY-MM-DD"),
        ("valid_from", "2026-02-30", "YYYY-MM-DD"),
        ("valid_from", "20260131", "YYYY-MM-DD"),
        ("hazardous", "maybe", "yes or no"),
        ("kind", "gift", "offer or need"),
        ("ewc", "10 01 98", "no such code"),
        ("ewc", "10102", "leading zero"),
        ("material", "x" * 501, "501 characters"),
        ("description", "x" * 10_001, "10,001 characters"),
        ("material", "fly\x00ash", "U+0000"),
        ("listing_id", "a\x1bb", "U+001B"),
    ],
)
def test_bad_cells_of_a_listing(column, written, told):
    row = {"listing_id": "l", "company_id": "c", "kind": "offer", "material": "ash", column: written}
    out = io.StringIO()
    writer = csv.DictWriter(out, list(row))
    writer.writeheader()
    writer.writerow(row)
    ((number, name, _, reason),) = problems(out.getvalue())
    assert (number, name) == (2, column)
    assert told in reason


def test_a_listing_that_ends_before_it_begins():
    text = "listing_id,company_id,kind,material,valid_from,valid_until\nl,c,need,lime,2026-02-01,2026-01-31\n"
    assert problems(text)[0][:2] == (2, "valid_until")


def test_headers():
    found = problems("company_id,name,lattitude,zzz,\na,b,1,2,\n")
    assert found[0][:2] == (1, "lattitude")
    assert "did you mean latitude?" in found[0][3]
    assert "known are company_id" in found[1][3]
    assert problems("company_id,name,NAME\na,b,c\n")[0][1:] == (
        "name",
        "'name'",
        "This column appears twice; keep one.",
    )


def test_problems_are_cut_but_counted():
    text = "company_id,name\n" + ",\n" + "a,\n" * 30
    with pytest.raises(ImportRefusedError) as caught:
        read(text, limits=Limits(max_problems=5))
    assert len(caught.value.problems) == 5
    assert (
        caught.value.total == 30 + 29
    )  # thirty without a name, of which 29 repeat the identifier; the blank row counts as none


def test_references_are_checked_in_bulk():
    asked = []

    def known(ids):
        asked.append(set(ids))
        return {"a", "b"}

    text = "exchange_id,from_company,to_company,material\n1,a,b,x\n2,a,c,x\n3,d,d,x\n"
    found = problems(text, known_company=known)
    assert [problem[:3] for problem in found] == [
        (3, "to_company", "'c'"),
        (4, "from_company", "'d'"),
        (4, "to_company", "'d'"),
    ]
    assert asked == [{"a", "b", "c", "d"}]


# ---- broken files


def test_broken_utf8_names_row_and_byte():
    data = b"company_id,name\na,ok\nb,M\xfcller\n"
    ((row, _, value, reason),) = problems(data)
    assert row == 3
    assert f"byte {data.index(0xFC) + 1} of the file (byte 4 of its line)" in reason
    assert "xfc" in value


def test_broken_utf8_after_a_cell_of_several_lines():
    assert problems(b'company_id,name\na,"x\ny"\nb,\xff\n')[0][0] == 3


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ('company_id,name\na,"open\n', "quoting"),
        ('company_id,name\na,"x"y\n', "quoting"),
        ("company_id,name\na," + "x" * 200_000 + "\n", "too long"),
        ("company_id,name\na," + "x" * 2_000_000 + "\n", "longer than"),
        ("company_id,name\na" + "," * 300 + "x\n", "more than 256 cells"),
        ("company_id,name\na,b\n".encode("utf-16-le"), "NUL"),
        (b"\xff\xfe" + "company_id,name\na,b\n".encode("utf-16-le") + b"\x00\xd8", "Broken UTF-16"),
        ("\x00" * 100, "NUL"),
    ],
)
def test_damaged_csv(data, told):
    assert told in problems(data)[0][3]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file(data):
    with pytest.raises(InvalidInputError, match="header"):
        read(data)


def test_too_large_and_absent_files(tmp_path):
    with pytest.raises(InvalidInputError, match="at most 2,000 are accepted"):
        read(b"x" * 2001, limits=Limits(max_file_bytes=2000))
    with pytest.raises(InvalidInputError, match="no such file"):
        list(read_table(tmp_path / "absent.csv"))


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_no_bytes_cause_anything_but_a_refusal(data):
    for content in (data, b"company_id,name\n" + data, b"PK\x03\x04" + data, b"\xff\xfe" + data):
        try:
            values = read(content)
        except (ImportRefusedError, InvalidInputError):
            continue
        assert all(isinstance(value, Company) and value.company_id and value.name for value in values)


# ---- workbooks


def test_workbook_values():
    header = ["listing_id", "company_id", "kind", "material", "quantity_t_per_year", "hazardous", "valid_from", "ewc"]
    data = workbook(
        header, [17, "c", "offer", "ash", 12.5, True, date(2026, 1, 31), 100102], [None] * 8, ["m", "c", "need", "lime"]
    )
    assert read(data) == [
        Listing("17", "c", "offer", "ash", "", "10 01 02", 12.5, None, True, date(2026, 1, 31)),
        Listing("m", "c", "need", "lime"),
    ]


def test_formulas_and_spreadsheet_errors_are_named_by_cell():
    data = workbook(["company_id", "name", "latitude", "longitude"], ["a", "=1+1", 1, 2], ["b", "B", "#N/A", 2])
    found = problems(data)
    assert [problem[:2] for problem in found] == [(2, "name"), (3, "latitude")]
    assert "Cell B2 holds a formula" in found[0][3]
    assert "=1+1" in found[0][2]
    assert "Cell C3 holds a spreadsheet error" in found[1][3]


def test_a_code_that_became_a_date_is_explained():
    header = ["listing_id", "company_id", "kind", "material", "ewc"]
    assert (
        "turned this code into a date" in problems(workbook(header, ["l", "c", "need", "m", date(2002, 1, 10)]))[0][3]
    )


def test_hidden_sheets_are_not_read():
    book = openpyxl.Workbook()
    book.active.append(["company_id", "name"])
    book.active.append(["hidden", "h"])
    book.active.sheet_state = "hidden"
    shown = book.create_sheet("shown")
    shown.append(["company_id", "name"])
    shown.append(["a", "b"])
    book.active = 1
    out = io.BytesIO()
    book.save(out)
    assert read(out.getvalue()) == [Company("a", "b")]


def repacked(data, part, content):
    """A workbook with one part replaced or added."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in {*old.namelist(), part}:
            new.writestr(name, content if name == part else old.read(name))
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def test_a_zip_bomb_is_refused_before_it_is_unpacked():
    bomb = repacked(workbook(["company_id", "name"]), SHEET, b"0" * 60_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(InvalidInputError, match="times its size"):
        read(bomb)
    with pytest.raises(InvalidInputError, match="at most 1,000,000 are accepted"):
        read(bomb, limits=Limits(max_unpacked_bytes=1_000_000))


def test_too_many_shared_texts_are_refused():
    data = repacked(
        workbook(["company_id", "name"]), "xl/sharedStrings.xml", b"<x>" + bytes(range(65, 91)) * 10_000 + b"</x>"
    )
    with pytest.raises(InvalidInputError, match="texts take"):
        read(data, limits=Limits(max_unpacked_bytes=1_000_000))


def xml_sheet(rows):
    return f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>'.encode()


def inline(place, text):
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


HEADER = "<row r='1'>" + inline("A1", "company_id") + inline("B1", "name") + "</row>"


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>" + xml_sheet("<row><c t='str'><v>&b;</v></c></row>"),
        b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>" + xml_sheet("<row><c t='str'><v>&a;</v></c></row>"),
        xml_sheet(HEADER + "<row r='2'><c r='A2' t='s'><v>99999</v></c></row>"),
        xml_sheet(HEADER + "<row r='2'><c r='A2'><v>twelve</v></c></row>"),
        xml_sheet(HEADER + "<row r='x'></row>"),
        b"<worksheet>",
        b"",
    ],
)
def test_damaged_workbooks(content):
    with pytest.raises(InvalidInputError, match="damaged"):
        read(repacked(workbook(["company_id", "name"]), SHEET, content))


def test_a_row_number_beyond_the_format_does_not_hang():
    rows = HEADER + "<row r='99999999999'>" + inline("A99999999999", "a") + "</row>"
    assert read(repacked(workbook(["company_id", "name"]), SHEET, xml_sheet(rows))) == []


def test_cells_far_to_the_right_are_refused():
    rows = HEADER + "<row r='2'>" + inline("A2", "a") + inline("XFD2", "far") + "</row>"
    assert "beyond column 256" in problems(repacked(workbook(["company_id", "name"]), SHEET, xml_sheet(rows)))[0][3]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"\x00" * 600, "old .xls workbook or is protected"),
        (b"PK\x03\x04 not really", "damaged"),
    ],
)
def test_files_that_are_no_workbooks(data, told):
    with pytest.raises(InvalidInputError, match=told):
        read(data)


def test_other_archives_and_misnamed_files(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InvalidInputError, match="no XLSX workbook"):
        read(out.getvalue())
    misnamed = tmp_path / "table.xlsx"
    misnamed.write_text("company_id,name\na,b\n")
    with pytest.raises(InvalidInputError, match="whatever its name says"):
        list(read_table(misnamed))
    renamed = tmp_path / "table.csv"
    renamed.write_bytes(workbook(["company_id", "name"], ["a", "b"]))
    assert list(read_table(renamed)) == [Company("a", "b")]


# ---- export


TEXTS = (
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)
    .map(str.strip)
    .filter(bool)
)
FORMULAS = st.sampled_from(["=1+1", "+a", "-b", "@sum", "'=x", "''-y", "'plain"])


@given(
    st.lists(
        st.builds(Company, TEXTS, TEXTS | FORMULAS, description=TEXTS | FORMULAS | st.just("")),
        max_size=5,
        unique_by=lambda c: c.company_id,
    )
)
@settings(max_examples=50, deadline=None)
def test_export_reads_back_unchanged(companies):
    assert read(export.write_values("companies", companies, "csv")) == companies


@pytest.mark.parametrize("file_format", export.FORMATS)
def test_every_type_survives_an_export(file_format):
    listings = [
        Listing("l", "c", "need", "=cmd|x", "-", "10 01", 0.5, -3.0, True, date(2026, 1, 1), date(2026, 1, 2)),
        Listing("m", "c", "offer", "x"),
    ]
    assert read(export.write_values("listings", listings, file_format)) == listings


def test_exported_formulas_are_text():
    data = export.write_values(
        "companies", [Company("a", "=1+1"), Company("b", "+cmd"), Company("c", "@x"), Company("d", "a=b")]
    )
    assert [row[1] for row in csv.reader(io.StringIO(data.decode("utf-8-sig")))] == [
        "name",
        "'=1+1",
        "'+cmd",
        "'@x",
        "a=b",
    ]
    book = openpyxl.load_workbook(io.BytesIO(export.write_values("companies", [Company("a", "=1+1")], "xlsx")))
    assert (book["companies"]["B2"].value, book["companies"]["B2"].data_type) == ("'=1+1", "s")
    # numbers keep their sign: they are no text
    assert b",-3.0," in export.write_values("listings", [Listing("l", "c", "need", "x", price_eur_per_t=-3.0)])


# ---- the door


def test_nothing_reaches_the_store_when_one_row_of_many_is_bad():
    calls = []
    text = "company_id,name\n" + "".join(f"c{n},name\n" for n in range(5000)) + "last,\n"
    with pytest.raises(ImportRefusedError) as caught:
        import_file(text.encode(), lambda batches: calls.append(list(batches)))
    assert caught.value.problems[0][:2] == (5002, "name")
    assert calls == []


def test_batches_progress_and_report(tmp_path):
    path = tmp_path / "companies.csv"
    path.write_text("company_id,name\n" + "".join(f"c{n},name\n" for n in range(2500)))
    seen, stored = [], []
    report = import_file(path, stored.extend, progress=lambda *step: seen.append(step))
    assert [len(batch) for batch in stored] == [1000, 1000, 500]
    assert (report.companies, report.listings, report.exchanges, report.stored, report.source) == (2500, 0, 0, True, "")
    assert seen == [(1000, None), (2000, None), (2500, None), (1000, 2500), (2000, 2500), (2500, 2500)]


def test_a_file_that_changes_while_it_is_stored_is_noticed(tmp_path):
    """Long files are read again for storing; the store then sees the error and undoes what it began."""
    path = tmp_path / "companies.csv"
    rows = "company_id,name\n" + "".join(f"c{n},name\n" for n in range(25_000))
    path.write_text(rows)

    def store(batches):
        next(batches)
        path.write_text(rows.replace("c24999,name", "c24998,name"))
        with pytest.raises(ImportRefusedError):
            list(batches)
        raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        import_file(path, store)


def test_dry_run():
    assert import_file(b"company_id,name\na,b\n", None).stored is False
    with pytest.raises(ImportRefusedError):
        import_file(b"company_id,name\na,\n", None)


def test_upload_limits_come_from_the_settings():
    limits = Limits.for_upload(Settings(max_upload_bytes=5000, max_unpacked_bytes=9000))
    assert (limits.max_file_bytes, limits.max_unpacked_bytes) == (5000, 9000)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_a_large_file_needs_little_memory(tmp_path):
    """Of a hundred thousand rows only the identifiers are kept, so that a million stay far below 512 MB."""
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write("exchange_id,from_company,to_company,material,ewc,quantity_t_per_year\n")
        file.writelines(
            f"exchange-{n},company-{n % 999},company-{n % 77},coal fly ash {n},10 01 02,{n / 7:.2f}\n"
            for n in range(100_000)
        )
    probe = (
        "import sys\nfrom pathlib import Path\nfrom ism.data.imports.importer import import_file\n"
        "def peak(): return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
        "before, count = peak(), []\n"
        "import_file(Path(sys.argv[1]), lambda batches: count.append(sum(map(len, batches))))\n"
        "print(count[0], peak() - before)\n"
    )
    command = [sys.executable, "-c", probe, str(path)]
    count, grown_kib = map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert count == 100_000
    assert grown_kib < 40 * 1024  # holding the values would take 68


def test_an_unknown_kind():
    with pytest.raises(InvalidInputError, match="companies, listings, exchanges"):
        template("wastes")


def test_templates_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        TEMPLATES["companies"] = TEMPLATES["listings"]
