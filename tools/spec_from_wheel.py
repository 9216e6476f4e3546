"""Runs the tests of the specification on an installed wheel: ``python tools/spec_from_wheel.py`` (``make test-wheel``).

The wheel is built, installed in a clean environment, and tested from a folder that holds nothing of the repository but the tests,
the deployment files and the pinned versions; the documented doors there are the wheel's own. ``--programs`` names an environment in
which a wheel is installed already; further arguments go to pytest.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from own import ROOT
from release import build, install

_TESTS = ("tests/conftest.py", "tests/spec", "tests/orchestrator/failing_launcher.py")
_BESIDE = ("pyproject.toml", "requirements.txt", "constraints.txt", "start_production_ai_system.py", "deploy")
_NEEDED = ("pytest>=8.3", "pytest-xdist>=3.6", "pyyaml>=6")
HOME = ROOT / ".own" / "spec"


def where(programs: Path, name: str, folder: Path) -> Path:
    """Folder of an installed package, as somebody in another folder finds it."""
    script = f"import {name}, pathlib; print(pathlib.Path({name}.__file__).parent)"
    command = [str(programs / "python"), "-I", "-c", script]
    return Path(subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip())


def stage(programs: Path, folder: Path) -> None:
    """Put into a folder what the tests need beside an installed wheel.

    Raises:
        SystemExit: what is installed there is the repository, not a wheel.
    """
    for name in ("ism", "backend"):
        found = where(programs, name, folder)
        if ROOT in found.parents and "site-packages" not in found.parts:
            raise SystemExit(f"{name} comes from {found}, which is no installed wheel.")
    for name in (*_TESTS, *_BESIDE):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    shutil.copytree(
        where(programs, "backend", folder), folder / "backend", ignore=shutil.ignore_patterns("__pycache__")
    )


def main() -> int:
    """Install, stage, test; pytest's exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=Path, help="programs of an environment with an installed wheel and pytest")
    given, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="ism-spec-") as made:
        folder = Path(made)
        programs = given.programs
        if programs is None:
            wheel, _ = build(folder / "dist")
            programs = install(wheel, *_NEEDED, home=HOME)
        (folder / "at").mkdir()
        stage(programs, folder / "at")
        command = [str(programs / "python"), "-m", "pytest", "-p", "no:cacheprovider", "tests/spec", *more]
        return subprocess.run(command, cwd=folder / "at", check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
