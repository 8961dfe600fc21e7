"""Which night a page opens on: what the address says, and what happens when it says nonsense."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from app.state.session import choose

AT = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)  # 01:45 in New York, so the night is still the 29th's
TONIGHT = date(2025, 12, 29)


def first_night(_wanted: date) -> date | None:
    return date(2025, 12, 16)


def nobody_knows(_wanted: date) -> date | None:
    return None


def test_a_stored_night_is_opened_as_asked():
    chosen = choose("2025-12-20", AT, first_night)
    assert (chosen.game_date, chosen.notice) == (date(2025, 12, 20), "")


def test_today_may_be_opened_before_its_run():
    assert choose("2025-12-30", AT, first_night).game_date == date(2025, 12, 30)


@pytest.mark.parametrize(
    "asked", ["", "yesterday", "2025-13-01", "29.12.2025", "2025-12-29; DROP TABLE x", "٢٠٢٥-١٢-٢٩"]
)
def test_a_malformed_date_falls_back_to_tonight_and_says_so(asked):
    chosen = choose(asked, AT, first_night)
    assert chosen.game_date == TONIGHT
    assert "not written as 2025-12-29" in chosen.notice
    assert asked == "" or asked not in chosen.notice


def test_a_future_date_falls_back_and_names_it():
    chosen = choose("2025-12-31", AT, first_night)
    assert chosen.game_date == TONIGHT
    assert chosen.notice == "Wed 31 Dec 2025 has not come yet. Showing Mon 29 Dec 2025 instead."


def test_a_date_before_the_first_stored_night_falls_back_and_names_both():
    chosen = choose("2019-01-01", AT, first_night)
    assert chosen.game_date == TONIGHT
    assert "Nothing is stored for Tue 1 Jan 2019: the first night is Tue 16 Dec 2025" in chosen.notice


def test_an_old_date_is_opened_when_nobody_can_say_what_is_stored():
    assert choose("2019-01-01", AT, nobody_knows).game_date == date(2019, 1, 1)
