"""The documentation: it builds without a warning, loads nothing from elsewhere, and its tutorials are walked (slow)."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from api_page import openapi, written
from site_hooks import named
from walk import Step, pasted, steps, walk

from ism.data import public
from ism.data.public import maestri

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TUTORIALS = sorted(DOCS.glob("tutorials/*.md"))
PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_built_and_found_from_the_first(site: Path):
    first = (site / "index.html").read_text()
    for page in DOCS.rglob("*.md"):
        target = page.relative_to(DOCS).with_suffix(".html").as_posix()
        assert (site / target).is_file()
        assert f'href="{target}"' in first or target == "index.html"


def test_nothing_is_loaded_from_elsewhere(site: Path):
    loads = re.compile(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"(https?:)?//|<link[^>]*\shref=\"(https?:)?//")
    assert [page.name for page in site.rglob("*.html") if loads.search(page.read_text())] == []
    assert [
        sheet.name for sheet in site.rglob("*.css") if re.search(r"url\(['\"]?(https?:)?//", sheet.read_text())
    ] == []


def test_the_navigation_is_read_at_any_depth():
    assert named([{"A": "a.md"}, {"B": [{"C": "c.md"}, "d.md"]}]) == {"a.md", "c.md", "d.md"}


def test_the_page_of_routes_is_what_the_server_has():
    """Else: ``python tools/api_page.py``."""
    page = (DOCS / "api.md").read_text()
    assert written(page, openapi()) == page


def test_a_page_is_taken_apart_and_put_together():
    page = "# A\n\n```console\n$ one \\\n>   more\nout\n\nput\n$ two # exit code 1\n```\n\n```\n$ not this\n```\n"
    first, second = steps(page)
    assert first == Step("one \\\n  more", "out\n\nput\n")
    assert (second.command, second.expected) == ("two # exit code 1", 1)
    assert pasted(page, [first, second]) == page.replace(">   more", ">   more")


def test_a_walk_stops_where_a_command_fails(tmp_path: Path):
    todo = [Step("export A=seen"), Step("echo $A"), Step("false # exit code 1"), Step("false"), Step("echo never")]
    walked = walk(todo, PROGRAMS, [])
    assert [each.output for each in walked] == ["", "seen\n", "", ""]
    assert [each.code for each in walked] == [0, 0, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_can_be_walked(page: Path):
    """Every command ends as the page promises, and begins its output with the words that stand there."""
    bring = []
    if page.stem == "maestri":
        folder = public.folder()
        if folder is None:
            pytest.skip("the public data sets are absent; set ISM_PUBLIC_DATA to their folder")
        bring.append(folder / maestri.FILE)
    todo = steps(page.read_text())
    walked = walk(todo, PROGRAMS, bring)
    assert [each.code for each in walked] == [each.expected for each in todo]
    for told, seen in zip(todo, walked, strict=True):
        assert bool(told.output.strip()) == bool(seen.output.strip()), told.command
        assert words(seen.output)[:3] == words(told.output)[:3], told.command


def words(output: str) -> list[str]:
    """Words of an output's first line that are the same each time: no digits in them."""
    return [word for word in output.strip().partition("\n")[0].split() if not re.search(r"\d", word)]
