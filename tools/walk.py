"""Walks a page of the documentation: ``python tools/walk.py docs/tutorials/maestri.md`` runs its commands and pastes what they print.

Commands are those of ```console blocks: a line ``$ ...``, continued by lines ``> ...``; what follows is their output. They run
one after another in one shell, in an empty folder. ``ism serve`` is started in the background and waited for until every
engine answers. A command must end with 0, or with the number that a comment ``# exit code 1`` at its end names.

Before the walk, ``FILE`` in ``--bring FILE`` is copied into that folder.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ism.testing.ports import free_port

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"# exit code (\d+)$")
_WIDTH = 100  # of the terminal
_LIMIT_S = 1800  # of one command, in seconds
_UNTIL_ALL_ANSWER = (
    "for i in $(seq 400); do sleep 1; [ -e $ISM_DATA_DIR/server.json ] && ism engines --json 2>/dev/null | python -c '"
    'import json, sys; sys.exit(any(each["state"] != "ok" for each in json.load(sys.stdin)["engines"]))'
    "' 2>/dev/null && break; done; [ $i -lt 400 ]"
)


@dataclass(frozen=True)
class Step:
    """A command, what it printed, and how it ended."""

    command: str
    output: str = ""
    code: int = 0

    @property
    def expected(self) -> int:
        """The exit code that the page promises."""
        found = _CODE.search(self.command)
        return int(found[1]) if found else 0

    def text(self) -> str:
        """As it stands on the page."""
        return "$ " + self.command.replace("\n", "\n> ") + "\n" + self.output


def steps(page: str) -> list[Step]:
    """The commands of a page with their outputs."""
    return [step for block in _BLOCK.findall(page) for step in _of_block(block)]


def _of_block(block: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        size = next((n for n, line in enumerate(lines[1:], 1) if not line.startswith(">")), len(lines))
        command = lines[0] + "".join(re.sub("^> ?", "", line) for line in lines[1:size])
        yield Step(command.rstrip("\n"), "".join(lines[size:]))


def pasted(page: str, walked: list[Step]) -> str:
    """The page with what was printed this time."""
    left = iter(walked)

    def again(found: re.Match[str]) -> str:
        return "```console\n" + "".join(next(left).text() for _ in _of_block(found[1])) + "```"

    return _BLOCK.sub(again, page)


def walk(todo: list[Step], programs: Path, bring: list[Path]) -> list[Step]:
    """Run the commands of a page; stops after the first one that does not end as promised.

    Args:
        todo: as `steps` found them.
        programs: folder with ``ism`` and ``python``.
        bring: files that the page takes for granted.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ism-walk-") as folder:
        for path in bring:
            shutil.copyfile(path, Path(folder) / path.name)
        with _shell(programs, Path(folder), port) as shell:
            walked = []
            for step in todo:
                output, code = _run(shell, step.command.replace(":5001", f":{port}"))
                plain = "\n".join(line.rstrip() for line in output.replace(f":{port}", ":5001").splitlines())
                plain = plain.replace(folder, "/home/me").strip("\n")
                walked.append(replace(step, output=plain + "\n" if plain else "", code=code))
                if code != step.expected:
                    break
            return walked


@contextmanager
def _shell(programs: Path, folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    kept = {name: value for name, value in os.environ.items() if not re.match("ISM_|DATABASE_URL|SUPABASE", name)}
    more = {
        "PATH": f"{programs}:{os.environ['PATH']}", "MONITORING_PORT": str(port), "COLUMNS": str(_WIDTH), "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
    }  # fmt: skip
    shell = subprocess.Popen(
        ["bash"], cwd=folder, env=kept | more, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield shell
    finally:
        os.killpg(shell.pid, signal.SIGKILL)  # the shell and what it left running, all started here
        shell.wait(10)


def _run(shell: subprocess.Popen[str], command: str) -> tuple[str, int]:
    """Output and exit code of a command."""
    assert shell.stdin is not None
    assert shell.stdout is not None
    mark = "<<ended>>"
    if command.startswith("ism serve"):
        command = f"ism serve >server.txt 2>&1 & {_UNTIL_ALL_ANSWER}"
    shell.stdin.write(f"{command}\nprintf '\\n{mark} %s\\n' $?\n")
    shell.stdin.flush()
    guard = threading.Timer(_LIMIT_S, os.killpg, (shell.pid, signal.SIGKILL))
    guard.start()
    lines: list[str] = []
    try:
        for line in shell.stdout:
            if line.startswith(mark):
                return "".join(lines), int(line.split()[1])
            lines.append(line)
    finally:
        guard.cancel()
    raise RuntimeError(f"The shell ended in: {command}\n{''.join(lines)}")


def main() -> int:
    """Walk pages and write them anew; 1 where a command did not end as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--programs", type=Path, default=Path(sys.executable).parent, help="folder of ism and python")
    parser.add_argument(
        "--bring", type=Path, action="append", default=[], help="a file that the page takes for granted"
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the shell is ended
    page = given.page.read_text()
    todo = steps(page)
    walked = walk(todo, given.programs.absolute(), given.bring)
    if len(walked) < len(todo) or walked[-1].code != walked[-1].expected:
        print(f"{given.page}: this ended with {walked[-1].code}:\n{walked[-1].text()}", file=sys.stderr)
        return 1
    given.page.write_text(pasted(page, walked))
    return 0


if __name__ == "__main__":
    sys.exit(main())
