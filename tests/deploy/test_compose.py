"""The compose file: valid by the Compose specification, hardened, and reachable on loopback alone."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]


def valid(path: Path) -> subprocess.CompletedProcess[str]:
    """What the schema of the Compose specification says, which a package of Python carries."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_it_keeps_the_compose_specification(tmp_path: Path):
    done = valid(FILE)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "compose.yaml"
    broken.write_text(FILE.read_text().replace("depends_on:", "depend_on:"))
    assert "depend_on" in valid(broken).stdout


def test_replicas_with_postgresql_and_prefect_as_a_profile():
    assert set(SERVICES) == {"database", "api", "prefect", "worker"}
    assert {name for name, each in SERVICES.items() if "profiles" in each} == {"prefect", "worker"}
    assert SERVICES["api"]["deploy"]["replicas"] == "${ISM_REPLICAS:-2}"
    assert SERVICES["api"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert SERVICES["worker"]["environment"]["DATABASE_URL"] == SERVICES["api"]["environment"]["DATABASE_URL"]


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_hardened(name: str):
    each = SERVICES[name]
    assert each["read_only"] is True
    assert each["cap_drop"] == ["ALL"]
    assert "cap_add" not in each
    assert "privileged" not in each
    assert each["security_opt"] == ["no-new-privileges:true"]
    assert not each["image"].endswith(":latest")
    assert ":" in each["image"]


def test_backups_find_a_pg_dump_as_new_as_the_server():
    client = re.search(r"postgresql-client-(\d+)", (ROOT / "deploy" / "Dockerfile").read_text())
    server = re.match(r"postgres:(\d+)", SERVICES["database"]["image"])
    assert client is not None
    assert server is not None
    assert int(client[1]) >= int(server[1])


@pytest.mark.parametrize("name", ["database", "api", "prefect"])
def test_each_server_tells_its_health(name: str):
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_it_is_reached_on_loopback_alone():
    ports = [port for each in SERVICES.values() for port in each.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert "ports" not in SERVICES["database"]
    assert SERVICES["database"]["networks"] == ["storage"]
    assert yaml.safe_load(FILE.read_text())["networks"]["storage"] == {"internal": True}


def test_no_secret_is_written_down():
    """Each comes from the environment; those that everything needs stop the start by name where they are missing."""
    secret = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|DATABASE_URL")
    for each in SERVICES.values():
        for name, value in each.get("environment", {}).items():
            if secret.search(name):
                assert re.search(r"\$\{[A-Z_]+:[-?]", value), name
                assert not re.search(r"\$\{[A-Z_]+:-[^}]", value), name
    text = FILE.read_text()
    assert text.count("${ISM_POSTGRES_PASSWORD:?") == 2
    assert text.count("${ISM_ADMIN_KEY:?") == 1


def test_every_variable_is_one_that_is_read():
    known = set(re.findall(r"^# ([A-Z][A-Z_0-9]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    ours = {name for name in SERVICES["api"]["environment"]} - {"SUPABASE_SERVICE_ROLE_KEY"}
    assert ours <= known
