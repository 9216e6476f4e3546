"""Records of the production configuration: what was changed, by whom, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ConfigAction = Literal["update", "undo"]
ConfigValue = bool | int | str


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """One change of the configuration, as it is kept for good.

    Attributes:
        number: counts the versions from 1.
        action: ``update``, or ``undo`` of an earlier version.
        changes: field -> value before and value after.
        overrides: every field that was set while the system ran, with its value from then on; what is not in it is as
            settings and options say.
        undoes: number of the version that this one takes back; None for an update.
    """

    number: int
    made_at: datetime
    actor: str
    reason: str
    action: ConfigAction
    changes: Mapping[str, tuple[ConfigValue, ConfigValue]]
    overrides: Mapping[str, ConfigValue]
    undoes: int | None = None
