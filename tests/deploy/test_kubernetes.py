"""The manifests: valid for Kubernetes, under its strictest rules for pods, and sized by what was measured."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
FILES = sorted(set(FOLDER.glob("*.yaml")) - {FOLDER / "kustomization.yaml"})
OBJECTS = [each for path in FILES for each in yaml.safe_load_all(path.read_text())]


def one(kind: str, name: str = "ai-production-system") -> dict[str, Any]:
    """The object of a kind and name."""
    (found,) = [each for each in OBJECTS if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


@pytest.fixture
def pod() -> dict[str, Any]:
    """The pod of the deployment."""
    return one("Deployment")["spec"]["template"]["spec"]


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    """Its one container."""
    (only,) = pod["containers"]
    return only


@pytest.mark.parametrize("version", ["1.32", "1.37"])
@pytest.mark.parametrize("each", OBJECTS, ids=lambda it: f"{it['kind']}-{it['metadata']['name']}")
def test_each_object_is_valid(each: dict[str, Any], version: str):
    kubernetes_validate.validate(each, version, strict=True)


def test_a_misspelt_field_is_found():
    broken = {**one("Service"), "spec": {"prots": []}}
    with pytest.raises(kubernetes_validate.ValidationError, match="prots"):
        kubernetes_validate.validate(broken, "1.32", strict=True)


def test_kustomization_names_every_file():
    told = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert sorted(told["resources"]) == [path.name for path in FILES]
    assert all(each["metadata"].get("namespace", "ism") == "ism" for each in OBJECTS)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_builds_it():
    done = subprocess.run(["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=True, timeout=60)
    built = list(yaml.safe_load_all(done.stdout))
    assert len(built) == len(OBJECTS)
    for each in built:
        kubernetes_validate.validate(each, "1.32", strict=True)


def test_the_namespace_enforces_the_restricted_standard():
    labels = one("Namespace", "ism")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_pod_keeps_the_restricted_standard(pod: dict[str, Any], container: dict[str, Any]):
    """Pod Security Standards, profile restricted, and a root file system that cannot be written."""
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"} & set(pod)
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} == {
        "persistentVolumeClaim",
        "emptyDir",
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert one("ServiceAccount")["automountServiceAccountToken"] is False
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}


def test_probes_ask_what_they_are_for(container: dict[str, Any]):
    asked = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert asked == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    assert {container[f"{name}Probe"]["httpGet"]["port"] for name in asked} == {container["ports"][0]["name"]}


def test_secrets_are_referred_to_and_never_kept(container: dict[str, Any]):
    assert not [each for each in OBJECTS if each["kind"] == "Secret"]
    secret = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|DATABASE_URL")
    named = [each for each in container["env"] if secret.search(each["name"])]
    assert {each["name"] for each in named} == {
        "DATABASE_URL", "ISM_ADMIN_KEY", "SUPABASE_SERVICE_ROLE_KEY", "GNN_API_KEY", "DEEPSEEK_API_KEY",
    }  # fmt: skip
    assert all(each["valueFrom"]["secretKeyRef"]["name"] == "ai-secrets" for each in named)


def test_every_variable_is_one_that_is_read(container: dict[str, Any]):
    known = set(re.findall(r"^# ([A-Z][A-Z_0-9]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert {each["name"] for each in container["env"]} - {"SUPABASE_SERVICE_ROLE_KEY"} <= known


def test_a_drain_leaves_one_replica():
    deployment, budget = one("Deployment")["spec"], one("PodDisruptionBudget")["spec"]
    assert budget["minAvailable"] < deployment["replicas"]
    selected = deployment["selector"]["matchLabels"]
    assert budget["selector"]["matchLabels"] == selected
    assert one("Service")["spec"]["selector"] == selected
    assert selected.items() <= deployment["template"]["metadata"]["labels"].items()


def test_nothing_goes_in_or_out_unless_it_is_named():
    everything = one("NetworkPolicy", "default-deny")["spec"]
    assert everything == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    allowed = one("NetworkPolicy")["spec"]
    assert {port["port"] for rule in allowed["ingress"] for port in rule["ports"]} == {5001}
    assert {port["port"] for rule in allowed["egress"] for port in rule["ports"]} == {53, 443, 587, 5432}


def test_requests_are_what_was_measured(container: dict[str, Any]):
    """Serving when idle and a training beside it; the limit takes the largest graph that was tried."""
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    idle = _number(r"\| memory when idle, MiB \| ([\d.]+)", text)
    peaks = [float(peak) for peak in re.findall(r"^\| [\d,]{5,} \| .* \| (\d+) \|$", text, re.MULTILINE)]
    training = float(_setting(container, "ISM_RETRAINING_TRAINING_MEMORY_MIB"))
    assert len(peaks) >= 5
    assert _mib(container["resources"]["requests"]["memory"]) >= idle + peaks[0]
    assert training >= max(peaks)
    assert training == float(_setting(container, "ISM_TUNING_TRIAL_MEMORY_MIB"))
    assert _mib(container["resources"]["limits"]["memory"]) >= idle + training


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, pattern
    return float(found[1])


def _setting(container: dict[str, Any], name: str) -> str:
    (value,) = [each["value"] for each in container["env"] if each["name"] == name]
    return value


def _mib(told: str) -> float:
    return float(told[:-2]) * {"Mi": 1, "Gi": 1024}[told[-2:]]
