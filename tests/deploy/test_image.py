"""The image: its Dockerfile line by line, and (slow) its very steps, run without Docker.

There the commands of the build stage run in a folder of their own, and what they made is started as the command of the
image under its user, without any capability, on a root file system that cannot be written.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from dockerfile import Stage, stages

from ism.testing.ports import free_port

ROOT = Path(__file__).parents[2]
BUILD, RUN = stages(ROOT / "deploy" / "Dockerfile")
KEY = "a-long-admin-key-for-tests"
USER = 10001


def copied(stage: Stage) -> Iterator[tuple[str, str]]:
    """(what, where to) of every COPY from the repository."""
    for rest in stage.all("COPY"):
        if not rest.startswith("--from="):
            *what, target = rest.split()
            yield from ((each, target) for each in what)


def test_it_is_small_and_never_the_latest():
    assert BUILD.base == RUN.base == "python:3.11-slim-trixie"
    assert BUILD.name == "build"
    assert RUN.all("COPY")[0] == "--from=build /opt/ism /opt/ism"


def test_no_compiler_is_installed():
    installed = re.findall(r"apt-get install (?:--\S+ )*([^&]+)", " ".join(BUILD.all("RUN") + RUN.all("RUN")))
    assert [each.split() for each in installed] == [["libgomp1", "postgresql-client-17"]]


def test_it_runs_as_a_numbered_user_with_one_volume():
    assert RUN.one("USER") == f"{USER}:{USER}"
    assert RUN.one("VOLUME") == "/data"
    assert RUN.environment()["ISM_DATA_DIR"] == "/data"
    assert RUN.one("EXPOSE") == "5001"
    assert RUN.steps[-1][0] == "CMD"


def test_no_secret_is_built_in():
    named = {**BUILD.environment(), **RUN.environment()}
    assert not [name for name in named if re.search(r"KEY|SECRET|PASSWORD|TOKEN|DATABASE_URL", name)]


def test_only_what_it_copies_is_sent_to_the_builder():
    """Everything is left out but what is named, and nothing is named in vain."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    needed = {what.rstrip("/") for stage in (BUILD, RUN) for what, _ in copied(stage)}
    assert {line[1:] for line in lines if line.startswith("!")} == needed
    assert all((ROOT / each).exists() for each in needed)


def test_its_health_is_whether_it_can_answer():
    assert "/readyz" in RUN.health_check()[2]
    compile(RUN.health_check()[2], "HEALTHCHECK", "exec")


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """A folder that holds what the image holds: ``opt/ism`` and ``app``."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("setpriv") is None:
        pytest.skip("The steps of the image need root, unshare and setpriv (Debian: util-linux).")
    with tempfile.TemporaryDirectory(prefix="ism-image-") as made:
        folder = Path(made)
        folder.chmod(0o755)  # for the image's user
        builder = folder / "builder"
        place(BUILD, builder)
        here = {"PATH": f"{folder}/opt/ism/bin:{os.environ['PATH']}", "TORCH_INDEX": "https://pypi.org/simple"}
        for command in BUILD.all("RUN"):
            subprocess.run(
                ["sh", "-ec", command.replace("/opt/ism", f"{folder}/opt/ism")],
                check=True, cwd=builder, env={**os.environ, **BUILD.environment(), **here},
            )  # fmt: skip
        shutil.rmtree(builder)
        place(RUN, folder / "app")
        yield folder


def place(stage: Stage, folder: Path) -> None:
    """Do the COPY steps of a stage into a folder."""
    folder.mkdir()
    for what, target in copied(stage):
        source, to = ROOT / what, folder / target
        if source.is_dir():
            shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to)


def opened(image: Path) -> str:
    """Commands that let the image's user reach this Python, where it lies in a folder that is closed to others."""
    python = Path(sys.base_prefix).resolve()
    closed = next((folder for folder in reversed(python.parents) if not folder.stat().st_mode & 0o001), None)
    if closed is None:
        return ""
    held = image / "python"
    held.mkdir(exist_ok=True)
    return (
        f"mount --bind {python} {held} && mount -t tmpfs -o mode=755 tmpfs {closed} && mkdir -p {python} && "
        f"mount --bind {held} {python} && umount {held} && "
    )


@contextmanager
def container(
    image: Path, command: list[str], said: str = "said.txt", **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A command of the image under its user and environment: only ``data`` and ``scratch`` can be written."""
    data, scratch = image / "data", image / "scratch"
    for folder in (data, scratch):
        folder.mkdir(exist_ok=True)
        os.chown(folder, USER, USER)
    script = (
        f"{opened(image)}mount --bind {data} {data} && mount -t tmpfs -o mode=1777 tmpfs {scratch} && "
        "mount -o remount,ro,bind / && "
        f"exec setpriv --reuid {USER} --regid {USER} --clear-groups --no-new-privs --bounding-set -all --inh-caps -all "
        '"$@"'
    )
    inside = RUN.environment() | {
        "PATH": f"{image}/opt/ism/bin:/usr/bin:/bin",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "ISM_DATA_DIR": str(data),
        "ISM_HOST": "127.0.0.1",  # nobody else on this machine's network is to reach a test
    }
    with (image / said).open("wb") as output:
        process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", *command],
            cwd=image / "app", env=inside | environment, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def healthy(image: Path, process: subprocess.Popen[bytes], command: list[str], limit_s: float, **env: str) -> None:
    """Run a health check until it is content."""
    ends = time.monotonic() + limit_s
    program = [str(image / "opt/ism/bin" / command[0]), *command[1:]]
    while subprocess.run(program, env={**os.environ, **env}, check=False, capture_output=True).returncode:
        assert process.poll() is None, (image / "said.txt").read_text()
        assert time.monotonic() < ends, (image / "said.txt").read_text()
        time.sleep(0.5)


@pytest.mark.slow
def test_its_steps_make_a_system_that_writes_to_its_volume_alone(image: Path):
    port = str(free_port())
    with container(image, RUN.command(), MONITORING_PORT=port, ISM_ADMIN_KEY=KEY) as process:
        healthy(image, process, RUN.health_check(), 240, MONITORING_PORT=port)
        url = f"http://127.0.0.1:{port}/api/matches"
        body = {"offer": {"material": "coal fly ash", "ewc": "10 01 02"}, "top": 3}
        answer = httpx.post(url, json=body, headers={"X-API-Key": KEY}, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        assert answer.json()["matches"][0]["reasons"]
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(rf"^Uid:\t{USER}\t{USER}\t", status, re.MULTILINE)
        assert re.search(r"^CapBnd:\t0+$", status, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
        process.terminate()
        assert process.wait(10) == 0
    assert (image / "data" / "ism.sqlite3").is_file()
    ours = {"opt", "app", "data", "scratch", "said.txt", "python"}
    assert {path.name for path in image.iterdir()} <= ours
    assert [path.name for path in (image / "app").iterdir()] == ["start_production_ai_system.py"]
    assert "Read-only file system" not in (image / "said.txt").read_text()


@pytest.mark.slow
def test_the_image_holds_the_platform_whole_and_no_pip(image: Path):
    python = str(image / "opt/ism/bin/python")
    script = "import ism, backend, prefect, apprise, importlib.util as u; print(ism.__file__, u.find_spec('pip'))"
    told = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True, cwd=image).stdout.split()
    assert told[0].startswith(f"{image}/opt/ism/lib/")
    assert told[1] == "None"


@pytest.mark.slow
def test_prefect_of_the_compose_file_needs_no_other_place(image: Path):
    """The server becomes healthy and shows its pages; the worker makes the deployment and polls for work."""
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    port = str(free_port())
    server, check = services["prefect"], services["prefect"]["healthcheck"]["test"][1:]
    command = [port if part == "4200" else "127.0.0.1" if part == "0.0.0.0" else part for part in server["command"]]
    with container(image, command, **moved(image, server["environment"])) as process:
        healthy(image, process, [part.replace("4200", port) for part in check], 180)
        pages = httpx.get(f"http://127.0.0.1:{port}/", timeout=30, trust_env=False, follow_redirects=True)
        assert pages.status_code == 200
        told = moved(image, services["worker"]["environment"]) | {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
        with container(image, services["worker"]["command"], said="worker.txt", **told) as worker:
            ends = time.monotonic() + 180
            while "started" not in (image / "worker.txt").read_text():
                assert worker.poll() is None, (image / "worker.txt").read_text()
                assert time.monotonic() < ends, (image / "worker.txt").read_text()
                time.sleep(0.5)
            worker.terminate()
            worker.wait(30)
        process.terminate()
        process.wait(30)
    assert "Read-only file system" not in (image / "worker.txt").read_text()


def moved(image: Path, environment: dict[str, str]) -> dict[str, str]:
    """An environment of the compose file with the two places as they lie here; without what is not set."""
    places = {"/data": str(image / "data"), "/tmp": str(image / "scratch")}
    found = {name: value for name, value in environment.items() if "${" not in value}
    return {name: re.sub(r"^/(data|tmp)(?=/|$)", lambda it: places[it[0]], value) for name, value in found.items()}
