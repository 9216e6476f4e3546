"""``python -m bench RUN``: measure, print, and put the table in docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from bench.report import provenance, write_section
from bench.setup import REPOSITORY, Options, data_folder, versions
from ism.domain.errors import IsmError

RUNS = (
    "maestri",
    "tri",
    "calrecycle",
    "fusion",
    "latency",
    "graph",
    "federated",
    "ingest",
    "tuning",
    "retraining",
    "start",
    "simulation",
    "pages",
    "monitoring",
    "backup",
    "load",
)
PAGE = REPOSITORY / "docs" / "benchmarks.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark; 0 when it ran, 2 when it could not be run as asked."""
    given = _parser().parse_args(arguments)
    module = import_module(f"bench.{given.run}")
    try:
        data = data_folder(given.data) if module.NEEDS_DATA else None
        found = module.run(
            Options(data, given.fast, given.jobs, not given.fast if given.peers is None else given.peers)
        )
        found |= {"fast": given.fast, "versions": versions()}
        typed = sys.argv[1:] if arguments is None else arguments
        about = provenance(f"python -m bench {shlex.join(typed)}", found["versions"], found["seconds"])
        section = module.section(found, about)
        print(json.dumps(found) if given.json else section, flush=True)
        page = given.out or (None if given.fast else PAGE)
        if page is not None:
            write_section(page, given.run, section)
    except (IsmError, OSError) as error:
        print(f"bench {given.run}: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("run", choices=RUNS)
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object instead of the table")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder of the public data sets")
    parser.add_argument("--fast", action="store_true", help="a small part only; written to a page only with --out")
    parser.add_argument("--out", type=Path, metavar="PAGE", help="page whose section is replaced (docs/benchmarks.md)")
    cores = max(1, min(4, os.cpu_count() or 1))
    parser.add_argument("--jobs", type=int, default=cores, metavar="N", help=f"processes to share the work ({cores})")
    peers = "compare with implicit and PyKEEN as well (yes; with --fast: no)"
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, help=peers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
