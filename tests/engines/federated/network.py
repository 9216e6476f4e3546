"""A real federation on loopback: SuperLink and SuperNodes as processes, TLS with certificates made on the spot."""

from __future__ import annotations

import datetime
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ism.testing.ports import free_port

APP = Path(__file__).resolve().parents[3] / "deploy" / "federation"


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Paths of an authority's certificate, and of a certificate and key for 127.0.0.1 that it signed."""
    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("federation authority", "federation authority", authority, authority, authority=True)
    leaf = _certificate("superlink", "federation authority", server, authority, authority=False)
    key = server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths = folder / "ca.crt", folder / "server.pem", folder / "server.key"
    for path, content in zip(
        paths,
        (root.public_bytes(serialization.Encoding.PEM), leaf.public_bytes(serialization.Encoding.PEM), key),
        strict=True,
    ):
        path.write_bytes(content)
    return paths


def _certificate(
    subject: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signer, hashes.SHA256())
    )


class Network:
    """Processes of one federation, with a folder for their logs; all are ended by `close`.

    Args:
        folder: for logs, certificates and Flower's own files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, self._certificate, self._key = certificates(folder)
        self.fleet, self.control, self.serverappio = free_port(), free_port(), free_port()
        self.environment = {
            **os.environ,
            "FLWR_HOME": str(folder / "flwr"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "PATH": f"{scripts()}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(APP.parents[1]),
        }
        self._seen: dict[int, psutil.Process] = {}
        self.started: list[subprocess.Popen[bytes]] = []

    def superlink(self) -> subprocess.Popen[bytes]:
        """Start the SuperLink."""
        tls = ["--ssl-ca-certfile", self.authority, "--ssl-certfile", self._certificate, "--ssl-keyfile", self._key]
        addresses = {"fleet": self.fleet, "control": self.control, "serverappio": self.serverappio}
        where = [part for api, port in addresses.items() for part in (f"--{api}-api-address", f"127.0.0.1:{port}")]
        return self._start("superlink", ["flower-superlink", "--disable-runtime-dependency-installation", *tls, *where])

    def supernode(self, number: int, settings: str) -> subprocess.Popen[bytes]:
        """Start a SuperNode with its node settings."""
        where = ["--superlink", f"127.0.0.1:{self.fleet}", "--clientappio-api-address", f"127.0.0.1:{free_port()}"]
        told = ["--root-certificates", self.authority, "--max-wait-time", "60", "--node-config", settings]
        return self._start(f"supernode-{number}", ["flower-supernode", *where, *told])

    def run(self, settings: str) -> subprocess.CompletedProcess[str]:
        """``flwr run``: hand in the app."""
        home = self.folder / "flwr"
        home.mkdir(exist_ok=True)
        (home / "config.toml").write_text(
            f'[superlink]\ndefault = "loopback"\n\n[superlink.loopback]\naddress = "127.0.0.1:{self.control}"\n'
            f'root-certificates = "{self.authority}"\n',
            encoding="utf-8",
        )
        return subprocess.run(
            ["flwr", "run", str(APP), "loopback", "--run-config", settings],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def listening(self, port: int, seconds: float = 30.0) -> None:
        """Wait until somebody listens there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with socket.socket() as probe:
                probe.settimeout(1.0)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise TimeoutError(f"Nobody listens on port {port} after {seconds} s.\n{self.logs()}")

    def wait_for(self, path: Path, seconds: float) -> None:
        """Wait for a file."""
        end = time.monotonic() + seconds
        while not path.is_file():
            self._remember()
            if time.monotonic() > end:
                raise TimeoutError(f"No {path.name} after {seconds} s.\n{self.logs()}")
            time.sleep(0.2)

    def logs(self) -> str:
        """The ends of all logs."""
        return "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.folder.glob("*.log")))

    def close(self) -> None:
        """End every process that was started here and every one that these started, also where those outlived them."""
        self._remember()
        for process in self.started:
            process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs([*self._seen.values()], timeout=5.0)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=5.0)
        for started in self.started:
            started.wait(timeout=5.0)

    def left(self) -> list[str]:
        """Processes of this federation that are still alive."""
        alive = [process for process in self._seen.values() if process.is_running()]
        return [" ".join(process.cmdline()) for process in alive if process.status() != psutil.STATUS_ZOMBIE]

    def _start(self, name: str, command: Sequence[object]) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{name}.log").open("wb")
        process = subprocess.Popen(
            [str(part) for part in command],
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
        )
        log.close()
        self.started.append(process)
        return process

    def _remember(self) -> None:
        for process in self.started:
            try:
                parent = psutil.Process(process.pid)
                for each in (parent, *parent.children(recursive=True)):
                    self._seen.setdefault(each.pid, each)
            except psutil.NoSuchProcess:
                continue


def scripts() -> Path:
    """Folder of Flower's commands: beside this Python, or beside Flower itself."""
    import flwr

    beside = [Path(sys.executable).parent, Path(flwr.__file__).parents[4] / "bin"]
    return next(folder for folder in beside if (folder / "flower-superlink").is_file())


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """A federation that is gone afterwards."""
    federation = Network(folder)
    try:
        yield federation
    finally:
        federation.close()
