"""A release as a whole, from its tools' own environment to the tests of the specification on the installed wheel."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from own import CannotInstallError, own
from release import BILL, CLEAN, ROOT, bill_of_materials, build, install, problems, source_problems, sums, try_out
from release import again as put

SPEC = ROOT / "tools" / "spec_from_wheel.py"


@pytest.mark.parametrize("name", ["checkov", "release"])
def test_tools_apart_are_pinned(name: str):
    lines = (ROOT / "tools" / "pins" / f"{name}.txt").read_text().splitlines()
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==\S+", line) for line in lines)


def test_sums_are_those_of_sha256sum(tmp_path: Path):
    (tmp_path / "a.whl").write_bytes(b"one")
    sums(tmp_path)
    sums(tmp_path)  # does not count itself
    assert (tmp_path / "SHA256SUMS").read_text() == f"{hashlib.sha256(b'one').hexdigest()}  a.whl\n"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and source distribution."""
    try:
        own("release")
    except CannotInstallError as error:
        pytest.skip(f"The tools of a release need a package index the first time. {error}")
    folder = tmp_path_factory.mktemp("dist")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def programs(dist: Path) -> Path:
    """A clean environment in which the wheel is installed, with what its tests need."""
    (wheel,) = dist.glob("*.whl")
    return install(wheel, "pytest", "pyyaml", home=CLEAN.with_name("clean-in-test"))


@pytest.mark.slow
def test_both_distributions_hold_what_they_must_and_can_be_repeated(dist: Path, tmp_path: Path):
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    assert problems(wheel) == []
    assert source_problems(source) == []
    again, _ = build(tmp_path)
    assert again.read_bytes() == wheel.read_bytes()


@pytest.mark.slow
def test_both_work_in_a_clean_environment(dist: Path, programs: Path, tmp_path: Path):
    for kind in ("*.tar.gz", "*.whl"):
        (each,) = dist.glob(kind)
        put(programs, each)
        assert try_out(programs, tmp_path / kind.strip("*.")) == "0.1.0"


@pytest.mark.slow
def test_the_bill_of_materials_names_everything_with_its_terms(programs: Path, tmp_path: Path):
    path = tmp_path / BILL
    bill_of_materials(programs, path)
    told = json.loads(path.read_text())
    assert told["bomFormat"] == "CycloneDX"
    assert told["metadata"]["component"]["name"] == "ism-ai-platform"
    held = {each["name"]: each for each in told["components"]}
    command = [str(programs / "python"), "-m", "pip", "list", "--format", "json"]
    installed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    names = {each["name"].lower().replace("_", "-") for each in installed} - {"ism-ai-platform"}
    assert names <= {name.lower().replace("_", "-") for name in held}
    assert {"echarts", "htmx.org"} <= set(held)
    without = [name for name, each in held.items() if not each.get("licenses")]
    assert len(without) < len(held) / 10, without


@pytest.mark.slow
def test_the_specification_holds_for_the_installed_wheel(programs: Path):
    done = subprocess.run([sys.executable, str(SPEC), "--programs", str(programs), "-q"], check=False, timeout=900)
    assert done.returncode == 0


def test_the_repository_itself_is_no_installed_wheel():
    done = subprocess.run([sys.executable, str(SPEC), "--programs", str(Path(sys.executable).parent)], check=False,
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == 1
    assert "no installed wheel" in done.stderr
