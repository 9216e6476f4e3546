"""The deployment examples that the specification prints: their lines hold in what is shipped."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()


def test_the_image_is_built_as_the_dockerfile_says():
    """On a newer slim Python: 3.9 gets no security fixes any more, and the libraries need 3.11."""
    assert any(line.startswith("FROM python:3.") and "-slim" in line for line in DOCKERFILE)
    assert "WORKDIR /app" in DOCKERFILE
    assert any(line.startswith("COPY requirements.txt ") for line in DOCKERFILE)
    assert any("pip install -r requirements.txt" in line for line in DOCKERFILE)
    assert "COPY backend/ ./backend/" in DOCKERFILE
    assert "COPY start_production_ai_system.py ." in DOCKERFILE
    assert json.loads(DOCKERFILE[-1].removeprefix("CMD ")) == ["python", "start_production_ai_system.py"]


def test_the_launcher_also_lies_at_the_top():
    script = [sys.executable, str(ROOT / "start_production_ai_system.py"), "--help"]
    assert "--disable-feedback" in subprocess.run(script, capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_deployment_is_the_one_that_is_printed():
    """With two replicas, since PostgreSQL lets them share the work, and a version instead of ``latest``."""
    told = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "deployment.yaml").read_text())
    assert (told["apiVersion"], told["kind"]) == ("apps/v1", "Deployment")
    assert told["metadata"]["name"] == "ai-production-system"
    assert told["spec"]["replicas"] >= 1
    assert told["spec"]["selector"]["matchLabels"] == {"app": "ai-production-system"}
    assert told["spec"]["template"]["metadata"]["labels"]["app"] == "ai-production-system"
    (container,) = told["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "ai-system"
    assert container["image"].startswith("ai-production-system:")
    assert [port["containerPort"] for port in container["ports"]] == [5001]
    (url,) = [each for each in container["env"] if each["name"] == "SUPABASE_URL"]
    assert {name: url["valueFrom"]["secretKeyRef"][name] for name in ("name", "key")} == {
        "name": "ai-secrets",
        "key": "supabase-url",
    }
