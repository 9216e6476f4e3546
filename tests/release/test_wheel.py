"""The wheel holds all that runs and nothing that tests; it is made here with the very backend that a release uses."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from release import ROOT, problems, source_problems

BUILD = "import setuptools.build_meta as b, sys; print(getattr(b, sys.argv[1])(sys.argv[2]))"


def built(kind: str, folder: Path) -> Path:
    """A wheel or sdist of the working tree, without a network; its scratch files go to the folder."""
    copy = folder / "sources"
    if not copy.exists():
        names = ("ism", "backend", "deploy", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md")
        more = ("constraints.txt", "requirements.txt", "start_production_ai_system.py", ".env.example", "tests")
        copy.mkdir()
        subprocess.run(["cp", "-r", *(str(ROOT / name) for name in (*names, *more)), str(copy)], check=True)
    command = [sys.executable, "-c", BUILD, f"build_{kind}", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=copy, timeout=120)
    return folder / done.stdout.strip().rpartition("\n")[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the working tree."""
    return built("wheel", tmp_path_factory.mktemp("wheel"))


def test_everything_that_runs_is_in_it_and_nothing_that_tests(wheel: Path):
    assert problems(wheel) == []


@pytest.mark.parametrize(
    "name",
    [
        "ism/py.typed",
        "ism/app/web/templates/base.html",
        "ism/app/web/templates/parts/panel.html",
        "ism/app/web/static/app.css",
        "ism/app/web/static/vendor/LICENSES.txt",
        "ism/data/knowledge/rules/10_iron_steel.csv",
        "ism/data/demo/exchanges.csv",
        "ism/data/bundled.safetensors",
        "ism/storage/migrations/versions/0001_market.py",
        "backend/start_production_ai_system.py",
    ],
)
def test_what_would_be_missed_is_in_it(wheel: Path, name: str):
    with zipfile.ZipFile(wheel) as opened:
        assert opened.getinfo(name).file_size >= 0


def test_what_is_missing_or_strange_is_named(wheel: Path, tmp_path: Path):
    worse = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as good, zipfile.ZipFile(worse, "w") as bad:
        for each in good.infolist():
            if each.filename != "ism/py.typed":
                bad.writestr(each, good.read(each))
        bad.writestr("tests/test_x.py", "")
    assert problems(worse) == ["ism/py.typed is missing", "tests/test_x.py does not belong there"]


def test_its_metadata_say_what_it_is(wheel: Path):
    with zipfile.ZipFile(wheel) as opened:
        (name,) = [each for each in opened.namelist() if each.endswith(".dist-info/METADATA")]
        text = opened.read(name).decode()
        licence = opened.read(name.replace("METADATA", "licenses/LICENSE")).decode()
    assert "License-Expression: Apache-2.0" in text
    assert "Classifier: Typing :: Typed" in text
    assert "Requires-Python: >=3.11" in text
    assert "Apache License" in licence


def test_the_source_distribution_can_be_built_from(wheel: Path, tmp_path: Path):
    assert source_problems(built("sdist", tmp_path)) == []


def test_terms_of_every_vendored_part_are_beside_it():
    told = json.loads((ROOT / "tools" / "vendor.json").read_text())
    licences = (ROOT / "ism/app/web/static/vendor/LICENSES.txt").read_text()
    for path, each in told.items():
        if path.startswith("ism/") and each["licence"]:
            name = each["from"].split()[0]
            assert name.lower().removesuffix(".org") in licences.lower(), name


def test_every_library_that_is_asked_for_is_pinned():
    told = (ROOT / "pyproject.toml").read_text()
    asked = set(re.findall(r'^  "([A-Za-z0-9_.-]+)(?:\[[a-z]+\])?[><=]', told, re.MULTILINE))
    pinned = {normal(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert len(asked) > 30
    assert {name for name in asked if normal(name) not in pinned} == set()


def normal(name: str) -> str:
    """A name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
