"""`ProductionConfig`: what may be changed while the system runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self, get_args

from ism.domain.errors import InvalidInputError
from ism.settings import MOST_INTERVAL_S, LogLevel

if TYPE_CHECKING:
    from ism.settings import Settings

LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
_SETTING = {  # where a setting has another name than the field
    "auto_deploy": "retraining_auto_deploy",
    "health_check_interval": "health_check_interval_s",
    "backup_interval": "backup_interval_s",
}


@dataclass(frozen=True, slots=True)
class ProductionConfig:
    """Which parts run, and how.

    Attributes:
        feedback_enabled: feedback is taken in and judged.
        fusion_enabled: all engines answer together; else the engine ``matching`` answers alone.
        optimization_enabled: searches for better parameters may run.
        retraining_enabled: models are retrained.
        monitoring_enabled: the system measures itself and tells alerts.
        auto_deploy: what passed the gate goes on by itself.
        health_check_interval: between two checks of a part that works, in seconds.
        backup_interval: between two backups, in seconds.
        log_level: least severe level that is logged.

    Raises:
        InvalidInputError: a value cannot be used; names field, value and remedy.
    """

    feedback_enabled: bool = True
    fusion_enabled: bool = True
    optimization_enabled: bool = True
    retraining_enabled: bool = True
    monitoring_enabled: bool = True
    auto_deploy: bool = True
    health_check_interval: int = 60
    backup_interval: int = 3600
    log_level: LogLevel = "INFO"

    def __post_init__(self) -> None:
        for item in fields(self):
            _CHECKS[str(item.type)](item.name, getattr(self, item.name))

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What settings say."""
        return cls(**{item.name: getattr(settings, _setting(item.name)) for item in fields(cls)})

    def into(self, settings: Settings) -> Settings:
        """The same settings with the values of this config."""
        return settings.model_copy(update={_setting(name): value for name, value in asdict(self).items()})

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """A copy with other values.

        Raises:
            InvalidInputError: a name is unknown, or a value cannot be used.
        """
        known = [item.name for item in fields(self)]
        if not isinstance(changes, Mapping):
            raise InvalidInputError("config", changes, "Give a mapping of fields to values.")
        for name in changes:
            if name not in known:
                raise InvalidInputError(str(name), changes[name], f"Known fields: {', '.join(known)}.")
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def fields_of(settings: Collection[str]) -> frozenset[str]:
    """The fields that settings of these names set."""
    return frozenset(item.name for item in fields(ProductionConfig) if _setting(item.name) in settings)


def _setting(field: str) -> str:
    return _SETTING.get(field, field)


def _switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidInputError(name, value, "Give true or false.")


def _seconds(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_INTERVAL_S:
        raise InvalidInputError(name, value, f"Give a whole number of seconds from 1 to {MOST_INTERVAL_S:,}.")


def _level(name: str, value: object) -> None:
    if value not in LEVELS:
        raise InvalidInputError(name, value, f"Choose one of {', '.join(LEVELS)}.")


_CHECKS = {"bool": _switch, "int": _seconds, "LogLevel": _level}
