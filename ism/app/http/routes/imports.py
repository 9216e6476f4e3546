"""Files that come in over the network."""

import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Annotated

from fastapi import File, Query, UploadFile
from pydantic import BaseModel, Field

from ism.app.http.access import MAY_WRITE, App, api_router
from ism.data.imports.limits import Limits
from ism.data.imports.templates import Kind

router = api_router("Import")


class ImportAnswer(BaseModel):
    """What an accepted file held."""

    companies: int
    listings: int
    exchanges: int
    stored: bool = Field(description="False for a dry run.")
    source: str = Field(description="Name of a recognised public data set, else empty.")


@router.post("/api/import", dependencies=MAY_WRITE, summary="Import a table")
def import_table(
    application: App,
    file: Annotated[UploadFile, File(description="CSV or XLSX; `ism template` writes empty ones.")],
    kind: Annotated[Kind | None, Query(description="What it holds; found out from its header where left out.")] = None,
    dry_run: Annotated[bool, Query(description="Check only, store nothing.")] = False,
) -> ImportAnswer:
    """Take in a whole file or nothing; what cannot be used is told with row, column, value and reason."""
    # The reader goes over the file twice and by name; the upload lies in an unnamed one.
    suffix = PurePath(file.filename or "").suffix.lower()
    descriptor, name = tempfile.mkstemp(suffix=suffix if suffix in {".csv", ".xlsx", ".xls"} else "")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as copy:
            shutil.copyfileobj(file.file, copy)
        report = application.import_file(path, kind, dry_run, Limits.for_upload(application.settings))
    finally:
        path.unlink(missing_ok=True)
    return ImportAnswer(**asdict(report))
