from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ism.domain.errors import ConfigurationError
from ism.feedback.limits import weekly_from
from ism.feedback.schedule import Weekly, zone_of

BERLIN = "Europe/Berlin"


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_monday_at_two_in_winter_and_in_summer():
    weekly = Weekly(zone=BERLIN)
    assert weekly.latest(utc(2026, 1, 5, 12)) == utc(2026, 1, 5, 1)
    assert weekly.latest(utc(2026, 7, 6, 12)) == utc(2026, 7, 6, 0)
    assert weekly.latest(utc(2026, 7, 5, 23, 59)) == utc(2026, 6, 29, 0)
    assert weekly.next(utc(2026, 3, 28)) == utc(2026, 3, 30, 0)  # the clocks go forward on the 29th


def test_a_time_that_the_clocks_jump_over_is_the_moment_of_the_jump():
    weekly = Weekly(weekday=6, at=time(2, 30), zone=BERLIN)
    assert weekly.latest(utc(2026, 3, 29, 12)) == utc(2026, 3, 29, 1)
    assert weekly.next(utc(2026, 3, 29, 12)) == utc(2026, 4, 5, 0, 30)


def test_a_time_that_comes_twice_counts_the_first_time():
    weekly = Weekly(weekday=6, at=time(2, 30), zone=BERLIN)
    assert weekly.latest(utc(2026, 10, 25, 0, 30)) == utc(2026, 10, 25, 0, 30)
    assert weekly.latest(utc(2026, 10, 25, 1, 30)) == utc(2026, 10, 25, 0, 30)
    assert weekly.next(utc(2026, 10, 25, 0, 30)) == utc(2026, 11, 1, 1, 30)


zones = st.sampled_from([BERLIN, "America/New_York", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Apia", "UTC"])
moments = st.datetimes(datetime(2010, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))


@given(zones, moments, st.integers(0, 6), times)
def test_moments_follow_each_other(zone, now, weekday, at):
    weekly = Weekly(weekday, at, zone)
    latest, following = weekly.latest(now), weekly.next(now)
    assert latest <= now < following
    assert timedelta(days=5, hours=22) <= following - latest <= timedelta(days=8, hours=2)
    assert weekly.latest(latest) == latest
    assert weekly.latest(following) == following
    assert weekly.latest(following - timedelta(seconds=1)) == latest


def test_settings_that_cannot_be_read_are_named():
    assert weekly_from("never", "") is None
    assert weekly_from("Friday 23:15", BERLIN) == Weekly(4, time(23, 15), BERLIN)
    for text, zone in (("moonday 02:00", ""), ("monday 25:00", ""), ("monday", ""), ("monday 02:00", "Berlin/Nowhere")):
        with pytest.raises(ConfigurationError, match="schedule_"):
            weekly_from(text, zone)
    assert zone_of("") is None


def test_the_machines_own_zone():
    weekly = Weekly()
    moment = weekly.latest(utc(2026, 5, 20, 12)).astimezone()
    assert (moment.weekday(), moment.hour, moment.minute) == (0, 2, 0)
