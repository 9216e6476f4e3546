"""Ports for servers that a test or a benchmark starts."""

from __future__ import annotations

import random
import socket

# Below what systems give to outgoing connections (32768 and up on Linux, 49152 elsewhere): of those, one may be taken
# by somebody's connection in the seconds that a server needs to start.
_PORTS = range(20_000, 32_768)
_chance = random.SystemRandom()


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, and that no outgoing connection will take."""
    while True:
        port = _chance.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
