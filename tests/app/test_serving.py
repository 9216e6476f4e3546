"""A real server on a real socket, and the command line that talks to it."""

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from app_fakes import ADMIN_KEY
from typer.testing import CliRunner

from ism.app.cli.root import app as cli
from ism.app.http.app import create_app
from ism.app.record import FILE, ServerRecord, local_url, read_record, remove_record, write_record
from ism.app.wiring import Application
from ism.testing.ports import free_port

KEY = {"X-API-Key": ADMIN_KEY}


@pytest.fixture
def server(application: Application) -> Iterator[str]:
    """A server with its record in the data folder."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = local_url("127.0.0.1", listener.getsockname()[1])
    folder = application.settings.data_dir
    write_record(folder, ServerRecord(url, application.auth.local_token, 1))
    running = uvicorn.Server(uvicorn.Config(create_app(application), log_config=None))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield url
    running.should_exit = True
    thread.join(10)
    remove_record(folder, application.auth.local_token)
    assert read_record(folder) is None


def ism(application: Application, *arguments: str) -> str:
    """Standard output of a command on the server's folder."""
    result = CliRunner().invoke(cli, [*arguments, "--data-dir", str(application.settings.data_dir)])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("announced", [True, False])
def test_a_200_mb_upload_is_refused_in_little_memory(server: str, announced: bool) -> None:
    block, count = b"a" * 1_000_000, 200
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'

    def stream() -> Iterator[bytes]:
        yield head
        for _ in range(count):
            yield block

    headers = {**KEY, "content-type": "multipart/form-data; boundary=b"}
    if announced:
        headers["content-length"] = str(len(head) + len(block) * count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    response = httpx.post(f"{server}/api/import", content=stream(), headers=headers, timeout=60)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert grown < 64 * 1024, f"{grown} KiB"
    assert httpx.get(f"{server}/healthz").status_code == 200


def test_the_record_is_private(server: str, application: Application) -> None:
    path = application.settings.data_dir / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "token" not in repr(read_record(application.settings.data_dir))


def test_commands_reach_the_server(server: str, application: Application, tmp_path: Path) -> None:
    """The folder is locked by the server, so each command below can only have asked it."""
    table = tmp_path / "companies.csv"
    ism_template = CliRunner().invoke(cli, ["template", "companies", "-o", str(table)])
    assert ism_template.exit_code == 0
    assert json.loads(ism(application, "import", str(table), "--json"))["companies"] == 1
    assert "Aalborg" in ism(application, "match", "--material", "coal fly ash", "--ewc", "10 01 02")
    assert [row["name"] for row in json.loads(ism(application, "engines", "--json"))["engines"]] == ["matching", "gnn"]
    made = ism(application, "keys", "create", "robot").strip()
    assert httpx.get(f"{server}/api/companies", headers={"X-API-Key": made}).status_code == 200
    ism(application, "keys", "revoke", made.split("_")[1])
    assert httpx.get(f"{server}/api/companies", headers={"X-API-Key": made}).status_code == 401
    assert "robot" in ism(application, "keys", "list")


def test_refusals_of_the_server_read_like_those_of_the_folder(
    server: str, application: Application, tmp_path: Path
) -> None:
    folder = ["--data-dir", str(application.settings.data_dir)]
    bad = tmp_path / "bad.csv"
    bad.write_text("company_id,name,nace\na,A,99.99\n", encoding="utf-8")
    refused = CliRunner().invoke(cli, ["import", str(bad), *folder])
    assert refused.exit_code == 1
    assert "1 cell cannot be used" in refused.stderr
    assert "'99.99'" in refused.stderr
    wrong = CliRunner().invoke(cli, ["match", "--material", "ash", "--ewc", "10 99 99", *folder])
    assert wrong.exit_code == 1
    assert "offer.ewc" in wrong.stderr


def test_a_record_left_behind_is_no_server(application: Application) -> None:
    folder = application.settings.data_dir
    write_record(folder, ServerRecord("http://127.0.0.1:9", "x", 1))
    application.close()
    assert "no key yet" in ism(application, "keys", "list") or "environment-1" in ism(application, "keys", "list")


def test_only_ones_own_record_is_removed(tmp_path: Path) -> None:
    write_record(tmp_path, ServerRecord("http://127.0.0.1:9", "mine", 1))
    remove_record(tmp_path, "other")
    assert read_record(tmp_path) is not None
    remove_record(tmp_path, "mine")
    assert read_record(tmp_path) is None
    (tmp_path / FILE).write_text("{broken")
    assert read_record(tmp_path) is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:5001"),
        ("0.0.0.0", "http://127.0.0.1:5001"),
        ("::", "http://[::1]:5001"),
        ("::1", "http://[::1]:5001"),
        ("localhost", "http://localhost:5001"),
    ],
)
def test_how_this_machine_reaches_a_host(host: str, url: str) -> None:
    assert local_url(host, 5001) == url


def test_a_server_starts_tells_its_key_once_and_stops_cleanly(tmp_path: Path) -> None:
    port = free_port()
    folder = tmp_path / "data"
    command = [sys.executable, "-m", "ism.app.cli", "serve", "--port", str(port), "--data-dir", str(folder)]
    settings = {name: value for name, value in os.environ.items() if not name.startswith("ISM_")}

    def start_and_stop() -> str:
        """Standard error of a server that is stopped while its engines start."""
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=settings)
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code in {200, 503}:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        assert read_record(folder) is not None
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[1]
        assert process.returncode == 0, said
        assert read_record(folder) is None
        assert "Traceback" not in said
        return said

    first, second = start_and_stop(), start_and_stop()
    assert first.count("  ism_") == 1
    assert "  ism_" not in second
    assert first.count("/sign-in?token=") == 1
