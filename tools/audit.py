"""Asks whether a known vulnerability lies in a pinned library: ``python tools/audit.py`` (exit codes 0, 1, 3).

- 0: every library was asked about, and none is known to be vulnerable, or the advisory is accepted.
- 1: some are; each is told with its advisory and with the versions that mend it.
- 3: nothing can be said, since advisories could not be had (no network), or not for every library. That is never taken for
  a clean result, though pip-audit itself ends with 0 where an index knows no advisories.

An advisory is accepted in ``accepted_advisories.json``: ``{"GHSA-...": {"reason": "...", "until": "2027-01-31"}}``. After that
day it counts again. Names and versions of the libraries, and nothing else, go to the advisory database (OSV).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from own import ROOT, CannotInstallError, own

ACCEPTED = ROOT / "tools" / "accepted_advisories.json"
OSV = "https://api.osv.dev/v1/query"
_LIMIT_S = 900  # of the whole audit


@dataclass(frozen=True)
class Audit:
    """What came of it.

    Attributes:
        asked: libraries that were asked about.
        left: names of those that were not.
        vulnerable: a line for each advisory that is not accepted.
        accepted: a line for each that is.
        trouble: why nothing can be said; empty where it can.
    """

    asked: int = 0
    left: tuple[str, ...] = ()
    vulnerable: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def code(self) -> int:
        """The exit code; a vulnerability counts also where not everything could be asked about."""
        if self.vulnerable:
            return 1
        return 3 if self.trouble or self.left or not self.asked else 0

    def lines(self) -> list[str]:
        """For people."""
        found = [f"vulnerable: {line}" for line in self.vulnerable] + [f"accepted: {line}" for line in self.accepted]
        if self.left:
            found.append(f"not asked about: {', '.join(self.left)}")
        if self.trouble:
            found.append(f"NOT AUDITED: {self.trouble}")
        else:
            found.append(f"{self.asked} libraries audited, {len(self.vulnerable)} advisories to act on.")
        return found


def audit(pins: Path, osv: str = OSV, accepted: Path = ACCEPTED, today: date | None = None) -> Audit:
    """Ask about every library of a file of pinned versions.

    Args:
        pins: lines ``name==version``.
        osv: address of the advisory database.
        accepted: advisories that somebody has looked at.
        today: in UTC; the present day when None.
    """
    try:
        program = own("release") / "pip-audit"
    except CannotInstallError as error:
        return Audit(trouble=str(error))
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        told = ["-r", str(pins), "--no-deps", "--disable-pip"]
        answers = ["--progress-spinner=off", "-f", "json", "-o", str(answer)]
        service = ["-s", "osv", "--osv-url", osv, "--timeout", "20", "--cache-dir", folder]
        try:
            done = subprocess.run(
                [str(program), *told, *answers, *service], capture_output=True, text=True, check=False, timeout=_LIMIT_S
            )
        except subprocess.TimeoutExpired:
            return Audit(trouble=f"{osv} did not answer within {_LIMIT_S} s.")
        if not answer.is_file():
            last = done.stderr.strip().rpartition("\n")[2] or f"pip-audit ended with {done.returncode}"
            return Audit(trouble=f"{osv} cannot be asked. {last}")
        return judge(
            json.loads(answer.read_text()), json.loads(accepted.read_text()), today or datetime.now(UTC).date()
        )


def judge(told: dict[str, Any], accepted: dict[str, dict[str, str]], today: date) -> Audit:
    """What pip-audit's answer means, given what was accepted until when."""
    asked = [each for each in told["dependencies"] if "skip_reason" not in each]
    vulnerable, known = [], []
    for each in asked:
        for found in each["vulns"]:
            mended = ", ".join(found["fix_versions"]) or "no version yet"
            line = f"{each['name']} {each['version']}: {found['id']}, mended in {mended}"
            names = (found["id"], *found.get("aliases", ()))
            entry = next((accepted[name] for name in names if name in accepted), None)
            if entry is not None and today <= date.fromisoformat(entry["until"]):
                known.append(f"{line}; until {entry['until']}: {entry['reason']}")
            else:
                vulnerable.append(line)
    left = tuple(each["name"] for each in told["dependencies"] if "skip_reason" in each)
    return Audit(len(asked), left, tuple(vulnerable), tuple(known))


def main() -> int:
    """Audit, tell, and say by the exit code what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pins", type=Path, default=ROOT / "constraints.txt", help="file of pinned versions")
    parser.add_argument("--osv-url", default=OSV, help="address of the advisory database")
    given = parser.parse_args()
    result = audit(given.pins, given.osv_url)
    print(*result.lines(), sep="\n")
    return result.code


if __name__ == "__main__":
    sys.exit(main())
