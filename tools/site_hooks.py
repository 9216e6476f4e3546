"""What the site needs beyond mkdocs: a page that the navigation does not name is found under "More"."""

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Add the pages that are not named."""
    folder = Path(config.docs_dir)
    pages = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}
    if more := sorted(pages - named(config.nav)):
        config.nav.append({"More": more})
    return config


def named(entry: Any) -> set[str]:
    """Every page in a navigation, however deep."""
    if isinstance(entry, str):
        return {entry}
    parts = entry.values() if isinstance(entry, dict) else entry
    return set().union(*map(named, parts))
