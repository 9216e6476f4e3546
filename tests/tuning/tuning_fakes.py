"""Objectives that are quick, and some that misbehave; run in processes of their own."""

import os
import time
from pathlib import Path

from ism.engines.base import Param
from ism.tuning.objective import Objective

SPACE = {"x": Param(0.9, 0.0, 1.0), "n": Param(3, 1, 9), "kind": Param("a", choices=("a", "b"))}


def parabola(params, seed, report, seconds=0.0, marks=None):
    """Best at x = 0.3, n = 5, kind b: 1.0."""
    if marks is not None:
        with Path(marks).open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {params['x']!r}\n")
    time.sleep(seconds)
    miss = (params["x"] - 0.3) ** 2 + 0.01 * (params["n"] - 5) ** 2 + (0.1 if params["kind"] == "a" else 0.0)
    return {"score": 1.0 - miss, "training_seconds": seconds}


def in_steps(params, seed, report, steps=3, seconds=0.0):
    """Reports the value of x as its score, step by step."""
    for _ in range(steps):
        report({"fitting": True})
        time.sleep(seconds)
        report({"fitting": False})
        report({"score": params["x"], "training_seconds": seconds})
    return {"score": params["x"], "training_seconds": seconds}


def hungry(params, seed, report, mib=400):
    """Takes memory in proportion to x."""
    held = bytearray(int(mib * params["x"]) * 1024 * 1024)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(0.15)
    return {"score": params["x"]}


def failing(params, seed, report):
    """Never gives a score."""
    raise ValueError("no data for this")


def not_a_number(params, seed, report):
    """Gives a score that is none."""
    return {"score": float("nan")}


def job(report, **values):
    """Whatever a test of processes needs."""
    import sys

    for number in range(values.get("reports", 0)):
        report({"number": number})
    if "take_mib" in values:
        held = bytearray(values["take_mib"] * 1024 * 1024)
        held[::4096] = b"x" * len(held[::4096])
    if "print" in values:
        sys.stdout.write(values["print"])
        os.write(1, values["print"].encode())
    if "child" in values:
        import subprocess

        process = subprocess.Popen(["sleep", "600"])
        Path(values["child"]).write_text(f"{os.getpid()} {process.pid}", encoding="utf-8")
    time.sleep(values.get("sleep", 0.0))
    if "exit" in values:
        os._exit(values["exit"])
    if values.get("memory_error"):
        raise MemoryError
    if "signal" in values:
        os.kill(os.getpid(), values["signal"])
    return {"pid": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS")}


def objective(name="parabola", **arguments):
    return Objective(f"tests.tuning.tuning_fakes:{name}", arguments, SPACE)


def audited(record, within, report, **arguments):
    """The objective of an engine, with a record of every file below a folder that it opens."""
    import sys

    from ism.tuning.objective import score_engine

    opened = []

    def hook(event, details):
        if event == "open" and isinstance(details[0], str | bytes | os.PathLike):
            opened.append(os.fsdecode(details[0]))

    sys.addaudithook(hook)
    result = score_engine(**arguments, report=report)
    inside = sorted({path for path in opened if path.startswith(within)})
    Path(record).write_text("\n".join(inside), encoding="utf-8")
    return result
