"""Every number that feedback is judged by, in one value made from the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ism.domain.errors import ConfigurationError
from ism.feedback.quarantine import QuarantineRules
from ism.feedback.schedule import WEEKDAYS, Weekly, zone_of
from ism.feedback.triggers import TriggerRules
from ism.feedback.trust import TrustRules
from ism.settings import Settings


@dataclass(frozen=True)
class FeedbackRules:
    """Limits and horizons.

    Attributes:
        horizon: from being shown to "nothing came of it".
        window: how far back statements count for trust.
        actor_share: most of all label weight that one actor may hold.
        company_share: most that one company may hold, or companies that share errors.
        trust_every: new statements after which trust is estimated again.
        trust_age: time after which it is estimated again if there is any new statement.
        trigger_actor_share: most of a trigger's volume and ratings that one known actor may make up.
        min_ratings: ratings below which neither share nor trend is looked at.
    """

    horizon: timedelta = timedelta(days=60)
    window: timedelta = timedelta(days=180)
    actor_share: float = 0.05
    company_share: float = 0.10
    trust_every: int = 200
    trust_age: timedelta = timedelta(hours=1)
    trigger_actor_share: float = 0.20
    min_ratings: int = 20
    trust: TrustRules = field(default_factory=TrustRules)
    quarantine: QuarantineRules = field(default_factory=QuarantineRules)
    triggers: TriggerRules = field(default_factory=TriggerRules)


def rules_from(settings: Settings) -> FeedbackRules:
    """The rules that the settings ask for.

    Raises:
        ConfigurationError: the schedule cannot be read, or a threshold to leave lies above the one to enter.
    """
    for name in ("trigger_negative_share", "trigger_fall"):
        enter, leave = getattr(settings, name), getattr(settings, f"{name}_leave")
        if leave > enter:
            raise ConfigurationError(f"{name}_leave: {leave:g} lies above {name}, {enter:g}. Give at most that.")
    return FeedbackRules(
        horizon=timedelta(days=settings.label_horizon_days),
        window=timedelta(days=settings.trust_window_days),
        actor_share=settings.label_actor_share,
        company_share=settings.label_company_share,
        trigger_actor_share=settings.trigger_actor_share,
        min_ratings=settings.trigger_min_ratings,
        quarantine=QuarantineRules(
            burst=settings.burst_statements,
            burst_window=60.0 * settings.burst_minutes,
            copies=settings.text_copies,
            copies_window=86_400.0 * settings.text_copies_days,
        ),
        triggers=TriggerRules(
            volume=settings.trigger_volume_events,
            negative_share=settings.trigger_negative_share,
            negative_share_leave=settings.trigger_negative_share_leave,
            ratings=settings.trigger_ratings,
            fall=settings.trigger_fall,
            fall_leave=settings.trigger_fall_leave,
            cool_down=timedelta(hours=settings.trigger_cool_down_hours),
            weekly_budget=settings.trigger_weekly_budget,
            run_limit=timedelta(hours=settings.trigger_run_limit_hours),
            weekly=weekly_from(settings.schedule_weekly, settings.schedule_zone),
        ),
    )


def weekly_from(text: str, zone: str) -> Weekly | None:
    """A weekly moment such as ``monday 02:00``; None for ``never``.

    Raises:
        ConfigurationError: it cannot be read, or there is no such zone.
    """
    if text.strip().casefold() == "never":
        return None
    day, _, at = text.strip().casefold().partition(" ")
    try:
        moment = datetime.strptime(at.strip(), "%H:%M").time()
        weekday = WEEKDAYS.index(day)
    except ValueError as error:
        raise ConfigurationError(
            f"schedule_weekly: {text!r} cannot be read. Give a day and a time such as 'monday 02:00', or 'never'."
        ) from error
    zone_of(zone)
    return Weekly(weekday, moment, zone)
