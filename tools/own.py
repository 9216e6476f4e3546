"""Runs a tool from an environment of its own: ``python tools/own.py checkov checkov --version``.

What pins a lot, or is needed for a release alone, would hold back the libraries of the project if it were installed beside
them. Each file ``tools/pins/NAME.txt`` is such an environment, to the version; it is made in ``.own/`` when it is first
needed, which takes a package index, and again when the file changes.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINS = ROOT / "tools" / "pins"


class CannotInstallError(Exception):
    """The environment could not be made, most often for want of a network."""


def own(name: str) -> Path:
    """Folder of the programs of an environment, which is made where it is missing.

    Raises:
        CannotInstallError: with what pip said last.
    """
    pins = PINS / f"{name}.txt"
    home = ROOT / ".own" / f"{name}-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    done = home / "complete"
    if not done.exists():
        for old in home.parent.glob(f"{name}-*"):
            shutil.rmtree(old)
        make(home, "--no-deps", "-r", str(pins))
        done.touch()
    return home / "bin"


def make(home: Path, *requirements: str) -> None:
    """A new virtual environment with what is asked for; nothing is left of one that failed.

    Raises:
        CannotInstallError: with what pip said last.
    """
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(home, ignore_errors=True)
        raise CannotInstallError(f"{home.name} cannot be installed: {done.stderr.strip()[-2000:]}")


def main(name: str, program: str, *arguments: str) -> int:
    """Run a program of an environment; its exit code, or 3 where it cannot be installed."""
    try:
        programs = own(name)
    except CannotInstallError as error:
        print(error, file=sys.stderr)
        return 3
    return subprocess.run([str(programs / program), *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
