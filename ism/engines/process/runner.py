"""The parent's side: runs jobs in a worker's processes and watches their time and memory."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import psutil

from ism.domain.errors import EngineError, InvalidInputError

Status = Literal["done", "failed", "out_of_memory", "over_time", "stopped"]
OnReport = Callable[[dict[str, Any]], bool]
_WATCH = 0.05  # seconds between two looks at a job's memory
_FAMILY = 1.0  # seconds between two looks at what a job started: that goes through all processes
_END = 10.0  # seconds that a worker has to end once its input is closed
_MIB = 1024 * 1024
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job may use; None is no limit.

    Attributes:
        seconds: wall-clock time, in seconds.
        memory_mib: resident memory of its process and what it starts, in MiB; looked at every 0.05 s, new children
            once a second.
    """

    seconds: float | None = None
    memory_mib: float | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "memory_mib"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InvalidInputError(f"limits.{name}", value, "Give a number above 0, or leave it out.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    Attributes:
        status: ``done``, ``failed``, ``out_of_memory``, ``over_time``, or ``stopped`` because it was asked to.
        result: what the function returned; None unless done.
        reason: why it is not done, for people; empty when it is.
        seconds: how long it ran.
        peak_memory_mib: largest resident memory of its process, in MiB; NaN where it ended before it was looked at.
    """

    status: Status
    result: Any
    reason: str
    seconds: float
    peak_memory_mib: float


@dataclass(slots=True)
class _Watch:
    """What is known of the running job."""

    limits: Limits
    started: float
    process: psutil.Process | None = None
    family: list[psutil.Process] = field(default_factory=list)
    family_seen: float = 0.0
    peak: float = float("nan")
    answer: dict[str, Any] | None = None
    ended: Status | None = None
    reason: str = ""
    exit_code: int | None = None
    stop_requested: bool = field(default=False)

    def saw(self, mib: float) -> None:
        if mib > self.peak or math.isnan(self.peak):
            self.peak = mib


class Worker:
    """A child process that forks a process for each job; jobs run one after another. Close it, best by ``with``.

    Args:
        threads: of numerical libraries in a job. One keeps results the same on every machine.
        log: file that gets what jobs print; this process's standard error when None.
        ahead: whether the worker imports, while a job runs, what the job reports to have imported: for those who will
            run several. For one job it would be in vain.
    """

    def __init__(self, threads: int = 1, log: Path | None = None, ahead: bool = False) -> None:
        self._threads, self._log, self._ahead = threads, log, ahead
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._modules: list[str] = []
        self._busy = threading.Lock()

    def run(
        self,
        call: str,
        arguments: Mapping[str, Any],
        limits: Limits | None = None,
        on_report: OnReport | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Outcome:
        """Run a function in a process of its own and wait for it.

        Args:
            call: ``module:function``; the function also gets ``report``, to which it may give JSON values.
            arguments: JSON values.
            limits: of this job.
            on_report: gets each report; answering False ends the job as ``stopped``.
            stop: asked every 0.05 s; answering True ends the job as ``stopped``.

        Raises:
            EngineError: another job runs in this worker.
        """
        if not self._busy.acquire(blocking=False):
            raise EngineError("This worker runs another job. Wait for it, or make another worker.")
        try:
            return self._run(call, arguments, limits or Limits(), on_report, stop)
        finally:
            self._busy.release()

    def close(self) -> None:
        """End the worker and what runs in it; calling it again does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        try:
            process.wait(_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_END)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(
        self,
        call: str,
        arguments: Mapping[str, Any],
        limits: Limits,
        on_report: OnReport | None,
        stop: Callable[[], bool] | None,
    ) -> Outcome:
        process = self._alive()
        job: dict[str, Any] = {"call": call, "arguments": dict(arguments), "modules": self._modules}
        if limits.seconds is not None:  # a backstop in case this process hangs; wall-clock time is watched below
            job["cpu_seconds"] = int(2 * limits.seconds * max(self._threads, os.cpu_count() or 1)) + 10
        watch = _Watch(limits, time.monotonic())
        try:
            self._tell(process, job)
            while watch.exit_code is None:
                self._look(process, watch, on_report)
                if watch.ended is None:
                    _judge(watch, stop)
                if watch.ended is not None and not watch.stop_requested:
                    watch.stop_requested = True
                    self._tell(process, {"stop": True})
        except (OSError, EOFError):
            self.close()  # the next job gets a new worker
            return _outcome(watch, "failed", "The worker process ended unexpectedly; its log may say why.")
        except BaseException:
            self.close()
            raise
        self._modules = (watch.answer or {}).get("modules", []) or []
        return _concluded(watch)

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._buffer, self._modules = b"", []
            environment = {**os.environ, **dict.fromkeys(_THREADS, str(self._threads))}
            log: IO[bytes] | None = self._log.open("ab") if self._log is not None else None
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", "from ism.engines.process.worker import main; main()"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    bufsize=0,
                    env=environment,
                )
            finally:
                if log is not None:
                    log.close()
        return self._process

    @staticmethod
    def _tell(process: subprocess.Popen[bytes], message: Mapping[str, Any]) -> None:
        assert process.stdin is not None
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[process.stdin.write(data) :]

    def _look(self, process: subprocess.Popen[bytes], watch: _Watch, on_report: OnReport | None) -> None:
        """Wait a moment for messages and take them in."""
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], _WATCH)
        if not ready:
            return
        data = os.read(process.stdout.fileno(), 65_536)
        if not data:
            raise EOFError
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if self._ahead and "report" in message and message["modules"]:
                self._tell(process, {"modules": message["modules"]})
            _take(message, watch, on_report)


def _take(message: dict[str, Any], watch: _Watch, on_report: OnReport | None) -> None:
    if "peak_memory_mib" in message:
        watch.saw(message["peak_memory_mib"])
    if "started" in message:
        with suppress(psutil.NoSuchProcess):
            watch.process = psutil.Process(message["started"])
    elif "exit" in message:
        watch.exit_code = message["exit"]
    elif "report" in message:
        if on_report is not None and watch.ended is None and not on_report(message["report"]):
            watch.ended, watch.reason = "stopped", "It was stopped after a report."
    else:
        watch.answer = message


def _judge(watch: _Watch, stop: Callable[[], bool] | None) -> None:
    """End a job that is over a limit or no longer wanted."""
    seconds, memory = watch.limits.seconds, watch.limits.memory_mib
    if stop is not None and stop():
        watch.ended, watch.reason = "stopped", "It was stopped on request."
    elif seconds is not None and time.monotonic() - watch.started > seconds:
        watch.ended, watch.reason = "over_time", f"It ran longer than {seconds:g} s and was ended."
    else:
        watch.saw(_resident_mib(watch))
        if memory is not None and watch.peak > memory:
            watch.ended = "out_of_memory"
            watch.reason = f"It used {watch.peak:.0f} MiB; {memory:g} MiB are allowed, so it was ended."


def _resident_mib(watch: _Watch) -> float:
    """Resident memory of a job and what it started, in MiB; NaN where it is not there."""
    if watch.process is None:
        return float("nan")
    try:
        if time.monotonic() - watch.family_seen > _FAMILY:
            watch.family, watch.family_seen = watch.process.children(recursive=True), time.monotonic()
        whole = watch.process.memory_info().rss
    except psutil.Error:
        return float("nan")
    for child in watch.family:
        with suppress(psutil.Error):  # it has ended
            whole += child.memory_info().rss
    return float(whole) / _MIB


def _concluded(watch: _Watch) -> Outcome:
    answer, memory = watch.answer, watch.limits.memory_mib
    if watch.ended is not None and (answer is None or watch.ended != "stopped"):
        return _outcome(watch, watch.ended, watch.reason)
    if answer is not None and memory is not None and watch.peak > memory:
        reason = f"It used {watch.peak:.0f} MiB at its peak; {memory:g} MiB are allowed."
        return _outcome(watch, "out_of_memory", reason)
    if answer is None:
        return _died(watch)
    if "error" in answer:
        return _outcome(watch, answer["kind"], answer["error"])
    return Outcome("done", answer["result"], "", time.monotonic() - watch.started, watch.peak)


def _died(watch: _Watch) -> Outcome:
    """The process ended without an answer, and not because it was told to."""
    if watch.exit_code == -signal.SIGKILL:
        reason = "The operating system killed it, most likely for want of memory."
        return _outcome(watch, "out_of_memory", reason)
    if watch.exit_code == -signal.SIGXCPU:
        return _outcome(watch, "over_time", "It used more processor time than its limit allows.")
    return _outcome(watch, "failed", f"Its process ended with {_exit_name(watch.exit_code)}; its log may say why.")


def _exit_name(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def _outcome(watch: _Watch, status: Status, reason: str) -> Outcome:
    return Outcome(status, None, reason, time.monotonic() - watch.started, watch.peak)
