"""Tables as files: formulas harmless, units told, times in ISO 8601."""

from datetime import UTC, datetime

from ism.app.web.panel import ACTIONS, Action, Column, Empty, Panel, as_csv, as_json

ROW = {"name": "=1+1", "tonnes": 2.5, "at": datetime(2026, 3, 1, tzinfo=UTC), ACTIONS: [Action("Do", "/act")]}
COLUMNS = (Column("name", "Name"), Column("tonnes", "Quantity", "number", "t"), Column("at", "When", "time"))


def panel(rows: list[dict[str, object]]) -> Panel:
    return Panel("A title", COLUMNS, rows, Empty("Nothing yet.", "Wait."), note="Told by hand.")


def test_a_table_as_csv_has_units_in_its_head_and_no_formula() -> None:
    text = as_csv(panel([ROW])).decode("utf-8-sig")
    assert text.splitlines() == ["name,tonnes [t],at", "'=1+1,2.5,2026-03-01T00:00:00+00:00"]


def test_a_table_as_json_says_units_and_definitions_and_leaves_actions_out() -> None:
    assert as_json(panel([ROW])) == {
        "title": "A title",
        "note": "Told by hand.",
        "units": {"tonnes": "t"},
        "rows": [{"name": "=1+1", "tonnes": 2.5, "at": "2026-03-01T00:00:00+00:00"}],
        "empty": None,
    }


def test_an_empty_table_says_why() -> None:
    assert as_json(panel([]))["empty"] == "Nothing yet."
