"""Makes a release in ``dist/`` and tries it: ``python tools/release.py`` (``make release``).

1. A source distribution, and a wheel made from it alone; both with the time of the last commit, so that they can be repeated.
2. Their content: everything that runs is in the wheel, nothing that only tests.
3. Both installed in a clean environment at the pinned versions, and tried there.
4. A bill of materials (CycloneDX) of that environment, and an audit of its libraries (``tools/audit.py``).
5. ``SHA256SUMS`` of what is in ``dist/``.

Exit codes: 0 all of it; 1 something is wrong; 3 only the audit could not be made (``--offline`` takes that as done).
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from audit import audit
from own import ROOT, CannotInstallError, make, own

DIST = ROOT / "dist"
CLEAN = ROOT / ".own" / "clean"
BILL = "ism-ai-platform.cdx.json"
_PACKAGES = ("ism", "backend")
_LICENCES = ("LICENSE", "ism/app/web/static/vendor/LICENSES.txt")
_TRIAL = """
import sys
from importlib.metadata import distribution
from pathlib import Path

import backend.ai_production_orchestrator, ism
from ism.app.http.app import create_app
from ism.data.demo import start_market
from ism.storage import open_sqlite

assert Path(sys.prefix) in Path(ism.__file__).parents, ism.__file__
start_market(open_sqlite(Path(sys.argv[1])))
print(distribution("ism-ai-platform").version)
"""
_VALID = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

wrong = JsonStrictValidator(SchemaVersion.from_version(sys.argv[2])).validate_str(open(sys.argv[1]).read())
sys.exit(str(wrong) if wrong else 0)
"""


def source_files() -> set[str]:
    """Every file that must be in the wheel, relative to the repository: all that git knows of the packages."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", *_PACKAGES]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name for name in listed if (ROOT / name).is_file()}


def problems(wheel: Path) -> list[str]:
    """What a wheel lacks, and what it should not have; empty where it is right."""
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if not name.endswith("/")}
    (info,) = {name.split("/")[0] for name in held if name.split("/")[0].endswith(".dist-info")}
    needed = source_files() | {f"{info}/METADATA", f"{info}/entry_points.txt"}
    needed |= {f"{info}/licenses/{name}" for name in _LICENCES}
    ours = {name for name in held if not name.startswith(f"{info}/")}
    missing = [f"{name} is missing" for name in sorted(needed - held)]
    strange = [f"{name} does not belong there" for name in sorted(ours - needed)]
    return missing + strange


def source_problems(source: Path) -> list[str]:
    """What a source distribution lacks, and what it should not have."""
    with tarfile.open(source) as opened:
        held = {member.name.partition("/")[2] for member in opened.getmembers() if member.isfile()}
    needed = source_files() | {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "constraints.txt"}
    missing = [f"{name} is missing" for name in sorted(needed - held)]
    return missing + [f"{name} does not belong there" for name in sorted(held) if name.startswith(("tests/", "bench/"))]


def build(folder: Path) -> tuple[Path, Path]:
    """Wheel and source distribution; the wheel is made from what the source distribution holds.

    Raises:
        CannotInstallError: the build tools cannot be installed.
        CalledProcessError: the build failed.
    """
    command = [str(own("release") / "python"), "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    last = subprocess.run(
        ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=True
    )
    subprocess.run(
        command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": last.stdout.strip()}, stdout=subprocess.DEVNULL
    )
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, source


def install(wheel: Path, *more: str, home: Path = CLEAN) -> Path:
    """A clean environment with a wheel at the pinned versions; its folder of programs.

    Raises:
        CannotInstallError: with what pip said last.
    """
    make(home, "-c", str(ROOT / "constraints.txt"), str(wheel), *more)
    subprocess.run([str(home / "bin" / "python"), "-m", "pip", "check"], check=True, stdout=subprocess.DEVNULL)
    return home / "bin"


def again(programs: Path, distribution: Path) -> None:
    """Put another distribution of the same version in place of the one that is installed."""
    command = [
        str(programs / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--force-reinstall",
        str(distribution),
    ]
    subprocess.run(command, check=True)


def try_out(programs: Path, folder: Path) -> str:
    """Use what is installed, in an empty folder, far from the repository; its version.

    Raises:
        CalledProcessError: something of it does not work.
    """
    folder.mkdir(parents=True)
    subprocess.run([str(programs / "ism"), "template", "companies"], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    command = [str(programs / "python"), "-I", "-c", _TRIAL, str(folder / "data")]
    return subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True).stdout.strip()


def bill_of_materials(programs: Path, path: Path) -> None:
    """Everything that is installed with the platform or vendored in it, versions and licences, as CycloneDX JSON."""
    tools = own("release")
    told = ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application", "--output-reproducible"]
    command = [str(tools / "cyclonedx-py"), "environment", *told, "--output-file", str(path)]
    subprocess.run([*command, str(programs / "python")], check=True)
    bill = json.loads(path.read_text())
    bill["components"] += vendored()
    path.write_text(json.dumps(bill, indent=2) + "\n")
    subprocess.run([str(tools / "python"), "-c", _VALID, str(path), bill["specVersion"]], check=True)


def vendored() -> list[dict[str, Any]]:
    """What the wheel carries of others, as components of a bill of materials."""
    found = []
    for path, part in json.loads((ROOT / "tools" / "vendor.json").read_text()).items():
        name, version, *_ = part["from"].split()
        terms = [each.strip() for each in part["licence"].split(";")]
        if path.startswith(_PACKAGES) and part["licence"]:
            if not version[0].isdigit():  # a data set, named in words, whose source says the version
                name, version = part["from"].split(" through ")[0], ""
            found.append(
                {
                    "type": "library",
                    "bom-ref": path,
                    "name": name,
                    **({"version": version} if version else {}),
                    "hashes": [{"alg": "SHA-256", "content": part["sha256"]}],
                    "licenses": [{"license": {"name" if " " in each else "id": each}} for each in terms],
                }
            )
    return found


def sums(folder: Path) -> None:
    """Write the SHA-256 of every file of a folder, as ``sha256sum -c`` reads them."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def release(folder: Path, offline: bool) -> int:
    """All steps; the exit code."""
    shutil.rmtree(folder, ignore_errors=True)
    wheel, source = build(folder)
    wrong = problems(wheel) + source_problems(source)
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        return 1
    programs = install(wheel)
    scratch = CLEAN / "trials"
    for number, each in enumerate((wheel, source)):
        again(programs, each)
        print(f"{each.name}: {try_out(programs, scratch / str(number))} works in a clean environment.")
    again(programs, wheel)
    bill_of_materials(programs, folder / BILL)
    sums(folder)
    print(f"{BILL} and SHA256SUMS are in {folder.name}/.")
    result = audit(ROOT / "constraints.txt")
    print(*result.lines(), sep="\n")
    return 0 if offline and result.code == 3 else result.code


def main() -> int:
    """Make a release and try it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--offline", action="store_true", help="end well although no advisories could be had")
    given = parser.parse_args()
    try:
        return release(DIST, given.offline)
    except (CannotInstallError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
