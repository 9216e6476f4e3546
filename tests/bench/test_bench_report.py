import numpy as np
import pytest

from bench.protocol import Questions, result
from bench.report import provenance, ranking_section, write_section
from ism.domain.errors import InvalidInputError

PAGE = """# Title

Before.

<!-- begin tri -->
old
<!-- end tri -->

Between.

<!-- begin maestri -->
kept
<!-- end maestri -->
After.
"""


def test_only_the_own_section_changes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    write_section(page, "tri", "new\n\nlines\n")
    assert page.read_text(encoding="utf-8") == PAGE.replace("\nold\n", "\nnew\n\nlines\n")


def test_writing_twice_is_writing_once(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    write_section(page, "latency", "| a |")
    once = page.read_text(encoding="utf-8")
    write_section(page, "latency", "| a |")
    assert page.read_text(encoding="utf-8") == once
    assert once.startswith(PAGE.rstrip())
    assert once.endswith("<!-- begin latency -->\n| a |\n<!-- end latency -->\n")


def test_a_missing_page_is_made(tmp_path):
    page = tmp_path / "docs" / "page.md"
    write_section(page, "tri", "x")
    assert "<!-- begin tri -->\nx\n<!-- end tri -->" in page.read_text(encoding="utf-8")
    assert list(page.parent.iterdir()) == [page]


def test_text_is_taken_literally(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    write_section(page, "tri", r"\1 \g<0> C:\new – “quoted”")
    assert r"\1 \g<0> C:\new – “quoted”" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("broken", ["<!-- begin tri -->\nopen", "shut <!-- end tri -->", PAGE + PAGE])
def test_unbalanced_markers_are_refused_and_the_page_is_kept(tmp_path, broken):
    page = tmp_path / "page.md"
    page.write_text(broken, encoding="utf-8")
    with pytest.raises(InvalidInputError, match="begin tri"):
        write_section(page, "tri", "x")
    assert page.read_text(encoding="utf-8") == broken


def ranks():
    return {
        "fused": np.asarray([1.0, 2.0, 11.0, np.inf]),
        "engines/matching": np.asarray([1.0, 1.0, 1.0, np.inf]),
        "engines/knowledge_graph": np.asarray([3.0, 3.0, 3.0, np.inf]),
        "without/matching": np.asarray([3.0, 3.0, 3.0, np.inf]),
        "without/knowledge_graph": np.asarray([1.0, 1.0, 1.0, np.inf]),
        "without/rules": np.asarray([9.0, 9.0, 9.0, np.inf]),
        "baselines/popularity": np.asarray([5.0, 5.0, 30.0, np.inf]),
        "baselines/rrf": np.asarray([4.0, 8.0, 8.0, np.inf]),
    }


def found():
    known = np.asarray([True, True, False, False])
    return result(
        "maestri",
        ranks(),
        Questions(np.asarray(["a", "a", "b", "b"]), {"seen": known, "unseen": ~known, "empty": known & ~known}),
        "recall@10",
        candidates=4,
        seconds=1.0,
    )


def test_result_has_what_was_promised():
    told = found()
    assert told["protocol"] == "maestri"
    assert (told["n"], told["groups"]) == (4, 2)
    assert told["reachable"] == 0.75
    assert (told["recall@1"], told["recall@5"], told["recall@10"]) == (0.25, 0.5, 0.5)
    assert told["mrr"] == told["fused"]["mrr"] == pytest.approx((1 + 0.5 + 1 / 11) / 4)
    assert set(told["engines"]) == set(told["without_engine"]) == {"matching", "knowledge_graph"}
    assert told["without_rules"]["mrr"] == pytest.approx(1 / 12)
    assert told["best_baseline"] == "rrf"
    assert told["difference"]["recall@10"]["baseline"] == "rrf"
    assert told["difference"]["recall@10"]["mean"] == pytest.approx(-0.25)
    assert told["seen"]["n"] == 2
    assert told["seen"]["fused"]["recall@5"] == 1.0
    assert told["unseen"]["fused"]["recall@10"] == 0.0
    assert told["empty"] == {"n": 0, "groups": 0}


def test_the_table_shows_every_method_once_and_the_numbers():
    text = ranking_section(found(), "A. Test", "Notes.", "how")
    head = text.split("*Seen*")[0]
    assert "| **fused** | .250 <sub>.000–.500</sub> | .500" in head
    for name in ("engine `matching` alone", "without the curated rules", "baseline `popularity`", "baseline `rrf`"):
        assert head.count(name) == 1
    assert "fused, without `matching`" not in head  # with two engines that is the other engine alone
    assert "4 questions in 2 groups, 25.0% of them with no true receiver among the candidates; 4 candidates." in head
    assert "Fused less the best baseline, R@10: -0.250" in head
    assert "*Unseen*: 2 questions in 1 groups" in text
    assert "*Empty*: 0 questions" in text


def test_provenance_names_command_and_versions():
    line = provenance("python -m bench tri", {"python": "3.11.7", "numpy": "2.4.0"}, 12.4)
    assert line.startswith("`python -m bench tri`, 20")
    assert "12 s on" in line
    assert "numpy 2.4.0" in line
