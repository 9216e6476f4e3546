"""The audit of libraries, with the real pip-audit (slow) against a stand-in for the database of advisories."""

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from audit import ACCEPTED, Audit, audit, judge

DAY = date(2026, 11, 26)
FOUND = {"id": "PYSEC-0000-1", "fix_versions": ["2.0"], "aliases": ["CVE-0000-1"], "description": "made up for a test"}
SAFE = {"name": "safe", "version": "1.0", "vulns": []}
BAD = {"name": "bad", "version": "1.0", "vulns": [FOUND]}
SKIPPED = {"name": "unknown", "skip_reason": "not found"}


def test_clean_is_only_what_was_asked_about_whole():
    assert judge({"dependencies": [SAFE]}, {}, DAY).code == 0
    assert judge({"dependencies": []}, {}, DAY).code == 3
    assert judge({"dependencies": [SKIPPED]}, {}, DAY).code == 3
    partly = judge({"dependencies": [SAFE, SKIPPED]}, {}, DAY)
    assert (partly.code, partly.left) == (3, ("unknown",))
    assert judge({"dependencies": [BAD, SKIPPED]}, {}, DAY).code == 1


def test_an_advisory_is_told_with_what_mends_it():
    found = judge({"dependencies": [SAFE, BAD]}, {}, DAY)
    assert found.code == 1
    assert found.vulnerable == ("bad 1.0: PYSEC-0000-1, mended in 2.0",)


@pytest.mark.parametrize(("until", "code"), [("2026-11-26", 0), ("2026-11-25", 1)])
@pytest.mark.parametrize("name", ["PYSEC-0000-1", "CVE-0000-1"])
def test_an_accepted_advisory_counts_again_after_its_day(name: str, until: str, code: int):
    accepted = {name: {"reason": "not reached by us", "until": until}}
    assert judge({"dependencies": [BAD]}, accepted, DAY).code == code


def test_each_accepted_advisory_has_a_reason_and_a_day():
    for entry in json.loads(ACCEPTED.read_text()).values():
        assert entry["reason"]
        date.fromisoformat(entry["until"])


def test_trouble_is_never_a_clean_result():
    told = Audit(trouble="nobody answers")
    assert told.code == 3
    assert told.lines() == ["NOT AUDITED: nobody answers"]


class _Osv(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        events = [{"introduced": "0"}, {"fixed": "2.0"}]
        known = {
            "id": "PYSEC-0000-1",
            "summary": "made up for a test",
            "affected": [{"package": asked["package"], "ranges": [{"type": "ECOSYSTEM", "events": events}]}],
        }
        answer = {"vulns": [known]} if asked["package"]["name"] == "idna" else {}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def osv() -> Iterator[str]:
    """Address of a database that knows one advisory, about idna."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Osv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_the_real_tool_finds_it_and_says_when_nobody_answers(osv: str, tmp_path: Path):
    from own import CannotInstallError, own

    try:
        own("release")
    except CannotInstallError as error:
        pytest.skip(f"pip-audit needs a package index the first time. {error}")
    pins = tmp_path / "pins.txt"
    pins.write_text("idna==1.0\nsix==1.17.0\n")
    found = audit(pins, osv)
    assert (found.code, found.asked) == (1, 2)
    assert found.vulnerable == ("idna 1.0: PYSEC-0000-1, mended in 2.0",)
    pins.write_text("six==1.17.0\n")
    assert audit(pins, osv).code == 0
    nobody = audit(pins, "http://127.0.0.1:9/v1/query")
    assert nobody.code == 3
    assert "http://127.0.0.1:9/v1/query cannot be asked" in nobody.trouble
