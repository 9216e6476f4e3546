"""What commands share: settings, errors, and how things are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer
from rich.console import Console
from typer.core import TyperGroup

from ism.domain.errors import ImportRefusedError, IsmError

if TYPE_CHECKING:
    from rich.table import Table

    from ism.settings import Settings

FAILED, USAGE = 1, 2
_SHOWN_PROBLEMS = 20

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the data; ISM_DATA_DIR by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


class Group(TyperGroup):
    """Commands whose errors end in one readable line and an exit code: 1 refused or failed, 2 wrong usage."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ImportRefusedError as error:
            tell_problems(error.problems, error.total)
        except IsmError as error:
            fail(str(error))
        raise typer.Exit(FAILED)


class OptimizeGroup(Group):
    """Takes what is no command of its own for the name of a model to tune."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was meant."""
        known = self.get_command(ctx, args[0]) is not None or args[0].startswith("-")
        return super().resolve_command(ctx, args if known else ["run", *args])


def out() -> Console:
    """Where answers go."""
    return Console(highlight=False)


def err() -> Console:
    """Where everything else goes: notes, progress, errors."""
    return Console(stderr=True, highlight=False)


def fail(message: str) -> None:
    """Say what went wrong."""
    err().print("[bold red]Error:[/] ", end="")
    err().print(message, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """A value for scripts."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def tell_problems(problems: list[Any], total: int) -> None:
    """A refused import: one line for each bad cell, the first of them."""
    table = plain_table("row", "column", "value", "reason")
    for row, column, value, reason in problems[:_SHOWN_PROBLEMS]:
        table.add_row(*map(_literal, (str(row), column, value, reason)))
    fail(f"Nothing was imported: {total} {'cell' if total == 1 else 'cells'} cannot be used.")
    err().print(table)
    if total > _SHOWN_PROBLEMS:
        err().print(f"… and {total - _SHOWN_PROBLEMS} more.")


def plain_table(*columns: str, whole: Collection[str] = ()) -> Table:
    """A table without frames; long texts fold, but in the columns that stay whole."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - only where a table is printed
    from rich.table import Table  # noqa: PLC0415 - as above

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    return table


def load_settings(**given: Any) -> Settings:
    """Settings from options, the environment and ``.env``, in this order; a bad one ends the command."""
    from pydantic import ValidationError  # noqa: PLC0415 - not for `--help`

    from ism.settings import Settings  # noqa: PLC0415 - as above

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            fail(f"setting {'.'.join(map(str, problem['loc']))}: {problem['msg']}.")
        raise typer.Exit(USAGE) from error


def _literal(text: str) -> str:
    from rich.markup import escape  # noqa: PLC0415 - only where a table is printed

    return escape(text)
