"""checkov over everything in deploy/, from an environment of its own, since it pins what the project uses newer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def checkov(folder: Path) -> list[dict]:
    """Its reports about a folder, without asking anybody on the network."""
    from own import CannotInstallError, own

    try:
        program = own("checkov") / "checkov"
    except CannotInstallError as error:
        pytest.skip(f"checkov needs a package index the first time. {error}")
    frameworks = ["dockerfile", "kubernetes", "kustomize", "secrets"]
    command = [program, "--skip-download", "-o", "json", "--framework", *frameworks, "-d", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    told = json.loads(done.stdout)
    return told if isinstance(told, list) else [told]


@pytest.mark.slow
def test_no_check_fails_and_each_skipped_one_says_why():
    reports = checkov(ROOT / "deploy")
    passed = {report["check_type"]: report["summary"]["passed"] for report in reports}
    failed = [check for report in reports for check in report["results"]["failed_checks"]]
    skipped = [check for report in reports for check in report["results"]["skipped_checks"]]
    assert [f"{check['check_id']} {check['resource']}" for check in failed] == []
    assert passed["dockerfile"] > 0
    assert passed["kubernetes"] > 0
    assert {check["check_id"] for check in skipped} == {"CKV_K8S_35", "CKV_K8S_43"}
    assert all(check["check_result"]["suppress_comment"] for check in skipped)


@pytest.mark.slow
def test_what_is_wrong_is_found(tmp_path: Path):
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nCMD python\n")
    failed = {check["check_id"] for report in checkov(tmp_path) for check in report["results"]["failed_checks"]}
    assert {"CKV_DOCKER_2", "CKV_DOCKER_3", "CKV_DOCKER_7"} <= failed


def test_its_environment_is_pinned_and_apart():
    lines = (ROOT / "tools" / "pins" / "checkov.txt").read_text().splitlines()
    assert all("==" in line for line in lines)
    assert any(line.startswith("checkov==") for line in lines)
    assert "checkov" not in (ROOT / "pyproject.toml").read_text()
    assert sys.modules.get("checkov") is None
