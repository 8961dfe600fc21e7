"""When a run would be done, against the first tip-off: across midnight ET and both clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.batches.state import BatchState
from services.core.clock import ET
from services.runs.finish import describe_finish, estimate_duration
from tests.support.alert_factories import make_batch

MINUTE = timedelta(minutes=1)


def eastern(year: int, month: int, day: int, hour: int, minute: int, fold: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=ET, fold=fold)


@pytest.mark.parametrize("zone", [ET, UTC])
@pytest.mark.parametrize(
    ("now", "minutes", "tip_off", "expected"),
    [
        (eastern(2025, 12, 29, 18, 50), 2, eastern(2025, 12, 29, 19, 30), "done 18:52 ET, 38 min before first tip-off"),
        (eastern(2025, 12, 29, 19, 29), 2, eastern(2025, 12, 29, 19, 30), "done 19:31 ET, 1 min after first tip-off"),
        (
            eastern(2025, 12, 29, 13, 0),
            1,
            eastern(2025, 12, 29, 19, 30),
            "done 13:01 ET, 6 h 29 min before first tip-off",
        ),
        # across midnight ET: the day is named, and a game of yesterday stays one of yesterday
        (
            eastern(2025, 12, 29, 23, 59),
            4,
            eastern(2025, 12, 29, 19, 0),
            "done Tue 30 Dec 00:03 ET, 5 h 3 min after first tip-off",
        ),
        (
            eastern(2025, 12, 29, 23, 59),
            4,
            eastern(2025, 12, 30, 0, 30),
            "done Tue 30 Dec 00:03 ET, 27 min before first tip-off",
        ),
        # 9 March 2025: from 01:59 EST to 03:00 EDT
        (eastern(2025, 3, 9, 1, 58), 4, eastern(2025, 3, 9, 13, 0), "done 03:02 EDT, 9 h 58 min before first tip-off"),
        (
            eastern(2025, 3, 8, 23, 30),
            1,
            eastern(2025, 3, 9, 13, 0),
            "done 23:31 EST, 12 h 29 min before first tip-off",
        ),
        # 2 November 2025: the hour from 01:00 comes twice
        (
            eastern(2025, 11, 2, 1, 58),
            4,
            eastern(2025, 11, 2, 13, 0),
            "done 01:02 EST, 11 h 58 min before first tip-off",
        ),
        (
            eastern(2025, 11, 1, 23, 30),
            1,
            eastern(2025, 11, 2, 13, 0),
            "done 23:31 EDT, 14 h 29 min before first tip-off",
        ),
    ],
)
def test_the_finish_is_measured_to_tip_off_in_real_time(zone, now, minutes, tip_off, expected):
    text = describe_finish(now.astimezone(zone), minutes * MINUTE, [tip_off.astimezone(zone)], games=1)
    assert text == f"about {minutes} min, {expected}"


def test_what_is_unknown_is_said():
    now = eastern(2025, 12, 29, 18, 50)
    assert describe_finish(now, None, [now], games=1) == "duration unknown"
    assert describe_finish(now, MINUTE, [], games=2) == "about 1 min, done 18:51 ET, first tip-off unknown"
    assert describe_finish(now, MINUTE, [now + 11 * MINUTE], games=2).endswith("10 min before first known tip-off")


def test_the_duration_is_at_the_rate_of_the_newest_batch_that_ended():
    started = eastern(2025, 12, 29, 14, 47).astimezone(UTC)
    ended = make_batch(
        state=BatchState.CONSOLIDATED, requested=158, started=started, ended=started + timedelta(seconds=158)
    )
    failed = make_batch(state=BatchState.STALLED, requested=10, started=started, ended=started + timedelta(hours=1))
    assert estimate_duration([failed, ended], 90) == timedelta(seconds=90)
    assert estimate_duration([failed, ended], 1) == timedelta(seconds=30), "the MERGE takes its time"
    assert estimate_duration([failed], 90) is None
    assert estimate_duration([], 90) is None
