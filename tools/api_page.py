"""Writes the table of routes in docs/api.md anew from the OpenAPI document: ``python tools/api_page.py``."""

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from ism.app.http.app import create_app
from ism.app.wiring import open_application
from ism.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
_TABLE = re.compile(r"(<!-- begin routes -->\n).*(<!-- end routes -->)", re.DOTALL)
_METHODS = ("get", "post", "put", "patch", "delete")


def openapi() -> dict[str, Any]:
    """The document that a server shows at /openapi.json."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(_env_file=None, data_dir=Path(folder), demo_market=False)
        with open_application(settings, warm=False) as application:
            return create_app(application).openapi()


def table(document: dict[str, Any]) -> str:
    """A row for each route, under a heading for each group."""
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method in filter(methods.__contains__, _METHODS):
            told = methods[method]
            about = " ".join(told.get("description", "").split()).replace("|", "\\|")
            group = told.get("tags", ["other"])[0].capitalize()
            groups.setdefault(group, []).append(f"| `{method.upper()} {path}` | {told['summary']}. {about} |\n")
    head = "| route | what it does |\n|---|---|\n"
    return "\n".join(f"### {group}\n\n{head}{''.join(rows)}" for group, rows in groups.items())


def written(page: str, document: dict[str, Any]) -> str:
    """The page with the present routes."""
    return _TABLE.sub(lambda found: f"{found[1]}\n{table(document)}\n{found[2]}", page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(), openapi()))
    sys.stdout.write(f"Wrote {PAGE}.\n")
