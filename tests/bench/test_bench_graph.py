"""The report of the graph benchmark; the runs themselves are made by ``python -m bench graph``."""

from bench import graph

FOUND = {
    "training": [
        {"edges": 1000, "precedents": 80, "receivers": 655, "epochs": 3, "seconds": 1.25, "peak_mib": 700.4},
        {"edges": 2000, "precedents": 160, "receivers": 695, "epochs": 0, "seconds": 2.5, "peak_mib": 710.0},
    ],
}


def test_the_section_tells_every_size():
    told = graph.section(FOUND, "`command`")
    assert "| 1,000 | 80 | 655 | 3 | 1.2 | 700 |" in told
    assert "| 2,000 | 160 | 695 | 0 | 2.5 | 710 |" in told
    assert graph.CHART.name in told


def test_a_quick_run_shows_no_chart_that_it_did_not_draw():
    assert graph.CHART.name not in graph.section({**FOUND, "fast": True}, "`command`")


def test_the_chart_is_the_same_for_the_same_figures(tmp_path):
    for name in ("first.svg", "second.svg"):
        graph.draw(FOUND, tmp_path / name)
    first = (tmp_path / "first.svg").read_bytes()
    assert first.startswith(b"<?xml")
    assert first == (tmp_path / "second.svg").read_bytes()
