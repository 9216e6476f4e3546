"""The unit for systemd: known to it line by line, and closed as far as a server can be."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = (Path(__file__).parents[2] / "deploy" / "ism.service").read_text()
MOST_EXPOSED = 20  # tenths; systemd-analyze goes from 0 to 100 of them


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_knows_every_line(tmp_path: Path):
    unit = tmp_path / "ism.service"
    unit.write_text(UNIT.replace("/opt/ism/bin/ism", str(shutil.which("true"))))
    verify = ["systemd-analyze", "verify", unit]
    verified = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=60)
    assert verified.returncode == 0
    assert "ism.service" not in verified.stderr
    closed = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit]
    assert subprocess.run(closed, capture_output=True, check=False, timeout=60).returncode == 0


def test_it_starts_the_documented_command_and_gives_it_time_to_end():
    assert "ExecStart=/opt/ism/bin/ism serve\n" in UNIT
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)[0]) > 10
    assert "ISM_DATA_DIR=/var/lib/ism" in UNIT
    assert "StateDirectory=ism\n" in UNIT
