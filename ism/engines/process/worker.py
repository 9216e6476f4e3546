"""The child's side: `main` reads jobs and forks a process for each.

A job is a line of JSON on standard input, ``{"call": "module:function", "arguments": {...}}``; answers are lines of
JSON on standard output: ``started``, any number of ``report``, ``result`` or ``error``, and ``exit`` at the end. The
line ``{"stop": true}`` kills the running job, and ``{"modules": [...]}`` names what to import. At the end of its input
the worker kills what runs and ends, so that nothing outlives whoever started it.

The worker itself computes nothing and has no threads of its own, which keeps forking safe. It imports what the job
before had to import, so that the next one finds it there: only the first job of a worker waits for its libraries. Where
it is told to do so while that job runs, a stop is obeyed after the import.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from ism.domain.errors import IsmError

Report = Callable[[Mapping[str, Any]], None]
_MIB = 1024 if sys.platform != "darwin" else 1024 * 1024  # units of ru_maxrss in a MiB
_READ = 65_536


def main() -> None:
    """Serve jobs until the input ends."""
    channel = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # only its wake-up is wanted
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's business
    signal.set_wakeup_fd(waker)
    buffer, job = b"", 0
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, _READ)
            job = _reaped(job, channel)
        if 0 not in ready:
            continue
        data = os.read(0, _READ)
        if not data:
            _kill(job)
            return
        buffer += data
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            told = json.loads(line)
            if told.get("stop"):
                _kill(job)
            elif "call" in told:
                job = _start(told, channel)
            else:
                _import(told["modules"])


def _start(told: dict[str, Any], channel: int) -> int:
    _import(told.get("modules", ()))
    known = set(sys.modules)
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        _settle(parent, told)
        _send(channel, {"started": os.getpid()})
        _run(told, channel, known)
        status = 0
    finally:
        os._exit(status)


def _import(modules: Iterable[str]) -> None:
    for name in modules:
        with suppress(Exception):  # a module that cannot be imported twice is the job's business, not ours
            import_module(name)


def _run(told: dict[str, Any], channel: int, known: set[str]) -> None:
    told_of = set(known)

    def report(values: Mapping[str, Any]) -> None:
        fresh = sorted(name for name in set(sys.modules) - told_of if _again(name))
        told_of.update(sys.modules)
        _send(channel, {"report": dict(values), "peak_memory_mib": _peak(), "modules": fresh})

    try:
        module, _, name = told["call"].partition(":")
        result = getattr(import_module(module), name)(**told["arguments"], report=report)
        answer = {"result": result}
    except MemoryError:
        answer = {"error": "The process could not get the memory that it asked for.", "kind": "out_of_memory"}
    except IsmError as error:
        answer = {"error": str(error), "kind": "failed"}
    except Exception as error:  # noqa: BLE001 - the edge of the process: the trace goes to its log, the rest to the parent
        traceback.print_exc()
        answer = {"error": f"{type(error).__name__}: {error}", "kind": "failed"}
    imported = sorted(name for name in set(sys.modules) - known if _again(name))
    _send(channel, {**answer, "peak_memory_mib": _peak(), "modules": imported})
    sys.stdout.flush()
    sys.stderr.flush()


def _again(name: str) -> bool:
    """Whether importing the module by its name gives the same module."""
    spec = getattr(sys.modules[name], "__spec__", None)
    return spec is not None and spec.name == name


def _settle(parent: int, told: Mapping[str, Any]) -> None:
    """Give the job its own process group and limits, and let it die with the worker."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setpgid(0, 0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if told.get("cpu_seconds"):
        resource.setrlimit(resource.RLIMIT_CPU, (int(told["cpu_seconds"]), resource.RLIM_INFINITY))
    with suppress(OSError, ImportError, AttributeError):  # Linux only
        import ctypes  # noqa: PLC0415 - as the line says

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")  # the kernel should take this process before the one that serves
    if os.getppid() != parent:
        os._exit(1)


def _reaped(job: int, channel: int) -> int:
    """The running job, or 0 after telling how it ended."""
    if not job:
        return 0
    pid, status = os.waitpid(job, os.WNOHANG)
    if not pid:
        return job
    with suppress(OSError):
        os.killpg(job, signal.SIGKILL)  # what the job started and left behind
    _send(channel, {"exit": os.waitstatus_to_exitcode(status)})
    return 0


def _kill(job: int) -> None:
    if job:
        for kill in (os.killpg, os.kill):  # before it has its group it has only its pid
            with suppress(ProcessLookupError, PermissionError):
                kill(job, signal.SIGKILL)


def _send(channel: int, message: Mapping[str, Any]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(channel, data) :]


def _peak() -> float:
    """Largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB
