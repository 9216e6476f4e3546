"""A Dockerfile as instructions, so that its steps can be run where there is no Docker."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """From one FROM to the next.

    Attributes:
        base: image that it starts from.
        name: that others copy from; empty without one.
        steps: (instruction, rest of its line, with continued lines joined).
    """

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """What follows an instruction, each time it is given."""
        return [rest for given, rest in self.steps if given == instruction]

    def one(self, instruction: str) -> str:
        """What follows an instruction that is given once."""
        (rest,) = self.all(instruction)
        return rest

    def environment(self) -> dict[str, str]:
        """Every variable of ENV, and of ARG with a default."""
        pairs = [pair for rest in (*self.all("ARG"), *self.all("ENV")) for pair in shlex.split(rest)]
        return dict(pair.split("=", 1) for pair in pairs)

    def command(self, instruction: str = "CMD") -> list[str]:
        """A command in its JSON form."""
        return [str(part) for part in json.loads(self.one(instruction))]

    def health_check(self) -> list[str]:
        """The command of HEALTHCHECK."""
        return [str(part) for part in json.loads(self.one("HEALTHCHECK").partition(" CMD ")[2])]


def stages(path: Path) -> list[Stage]:
    """The stages of a Dockerfile."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE))
    found: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction, rest = line.split(maxsplit=1)
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        else:
            found[-1].steps.append((instruction, rest.strip()))
    return found
