"""The files of others are what was built, and small enough."""

import json
from pathlib import Path

import vendor
from outline import outline

ROOT = Path(__file__).parents[2]


def test_vendored_files_are_what_was_built() -> None:
    assert vendor.differences() == []


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    for name in json.loads(vendor.LIST.read_text()):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    assert vendor.differences(tmp_path) == []
    changed = tmp_path / "ism/app/web/static/vendor/htmx.js"
    changed.write_bytes(changed.read_bytes() + b" ")
    (changed.parent / "more.js").write_text("")
    assert [line.split(":")[0].rsplit("/", 1)[-1] for line in vendor.differences(tmp_path)] == ["more.js", "htmx.js"]


def test_an_outline_is_simplified_and_cut_at_the_antimeridian() -> None:
    line = [[0, 0], [10, 0], [10, 0], [0, 10], [-20, 0], [0, -10]]  # a square with a point too many
    far = [[350, 0], [-340, 10], [340, 10], [-350, -20]]
    atlas = {
        "transform": {"scale": [1.0, 1.0], "translate": [-175.0, 0.0]},
        "arcs": [line, far],
        "objects": {"countries": {"geometries": [
            {"type": "Polygon", "arcs": [[0]], "properties": {"name": "Square"}},
            {"type": "MultiPolygon", "arcs": [[[1]]], "properties": {"name": "Far"}},
            {"type": "Polygon", "arcs": [[0]], "properties": {"name": "Antarctica"}},
        ]}},
    }  # fmt: skip
    square, *rest = outline(atlas)["features"]
    assert square["properties"] == {"name": "Square"}
    assert square["geometry"]["coordinates"] == [
        [[(-175.0, 0.0), (-155.0, 0.0), (-155.0, 10.0), (-175.0, 10.0), (-175.0, 0.0)]]
    ]
    for country in rest:
        for polygon in country["geometry"]["coordinates"]:
            assert len({point[0] >= 0 for point in polygon[0]}) == 1
