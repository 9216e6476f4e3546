"""``ism doctor``: what is wrong, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from ism.app.cli.common import FAILED, load_settings, out, print_json
from ism.app.doctor import examine

_SIGNS = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "failed": "[bold red]failed [/]"}


def doctor(given: dict[str, Any], as_json: bool) -> None:
    """Print every finding; exit code 1 where one failed, 2 where a setting cannot be used.

    Args:
        given: settings from options; None where none was given.
        as_json: whether scripts read it.
    """
    findings = examine(load_settings(**given))
    healthy = all(finding.verdict != "failed" for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        console = out()
        for finding in findings:
            console.print(f"{_SIGNS[finding.verdict]} [bold]{finding.name:<12}[/] ", end="")
            console.print(finding.detail, markup=False, soft_wrap=True)
            if finding.remedy:
                console.print(f"{'':21}{finding.remedy}", markup=False, soft_wrap=True)
    if not healthy:
        raise typer.Exit(FAILED)
