"""``ism import`` and ``ism template``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ism.app.cli.backend import connect
from ism.app.cli.common import err, load_settings, out, print_json
from ism.domain.errors import ConflictError, InvalidInputError

if TYPE_CHECKING:
    from ism.data.imports.templates import Kind


def import_table(file: Path, kind: Kind | None, dry_run: bool, data_dir: Path | None, as_json: bool) -> None:
    """Import a file with a progress bar, and tell what it held."""
    settings = load_settings(data_dir=data_dir)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=err(),
        transient=True,
    )
    with connect(settings) as backend, bar:
        task = bar.add_task("Checking", total=None)

        def progress(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total, description="Checking" if total is None else "Importing")

        report = backend.import_file(file, kind, dry_run, progress)
    if as_json:
        print_json(report)
        return
    words = {"companies": "company", "listings": "listing", "exchanges": "exchange"}
    held = [f"{report[name]:,} {one if report[name] == 1 else name}" for name, one in words.items() if report[name]]
    done = "Imported" if report["stored"] else "Nothing was stored; this would be imported:"
    source = f" from {report['source']}" if report["source"] else ""
    out().print(f"{done} {' and '.join(held) or 'no rows'}{source}.", markup=False)


def write(kind: Kind, xlsx: bool, output: Path | None, force: bool) -> None:
    """Write an empty table.

    Raises:
        InvalidInputError: XLSX would go to a terminal, or the file cannot be written.
        ConflictError: the file exists.
    """
    from ism.data.imports.export import write_template  # noqa: PLC0415 - its spreadsheet writer loads only when used

    as_xlsx = xlsx or (output is not None and output.suffix.lower() == ".xlsx")
    content = write_template(kind, "xlsx" if as_xlsx else "csv")
    if output is None:
        if as_xlsx and sys.stdout.isatty():
            raise InvalidInputError("--output", None, "Give a file: XLSX is not for a terminal.")
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    if output.exists() and not force:
        raise ConflictError(f"{output} exists already. Choose another name, or replace it with --force.")
    try:
        output.write_bytes(content)
    except OSError as error:
        raise InvalidInputError("--output", str(output), f"It cannot be written: {error.strerror}.") from error
    err().print(f"Wrote {output}.", markup=False)
