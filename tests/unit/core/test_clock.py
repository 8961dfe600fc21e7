"""New York's clocks on the nights on which they are changed: no hour twice under one name, and the true length of a night."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.clock import format_eastern, night_window, to_game_date

BACK, FORWARD = date(2025, 11, 1), date(2026, 3, 7)  # the clocks change at 02:00 in these nights
CHANGE_NIGHTS = (BACK, FORWARD)


def instants_of(game_date: date) -> st.SearchStrategy[datetime]:
    """Instants of a night and of the hours after it."""
    start, end = (at.replace(tzinfo=None) for at in night_window(game_date))
    return st.datetimes(start, end + timedelta(hours=12)).map(lambda at: at.replace(tzinfo=UTC))


@pytest.mark.parametrize(("game_date", "hours"), [(BACK, 25), (FORWARD, 23), (date(2025, 12, 29), 24)])
def test_a_night_has_the_hours_that_the_clocks_give_it(game_date, hours):
    start, end = night_window(game_date)
    assert end - start == timedelta(hours=hours)
    assert night_window(game_date + timedelta(days=1))[0] == end


@pytest.mark.parametrize("game_date", CHANGE_NIGHTS)
@given(data=st.data())
def test_an_instant_belongs_to_the_night_whose_window_has_it(game_date, data):
    at = data.draw(instants_of(game_date))
    start, end = night_window(to_game_date(at))
    assert start <= at < end


@pytest.mark.parametrize("game_date", CHANGE_NIGHTS)
@given(data=st.data())
def test_two_instants_never_have_the_same_words(game_date, data):
    one, other = (data.draw(instants_of(game_date)).replace(microsecond=0) for _ in range(2))
    words = [format_eastern(at, "%Y-%m-%d %H:%M:%S") for at in (one, other)]
    assert (words[0] == words[1]) == (one == other)


@pytest.mark.parametrize("game_date", CHANGE_NIGHTS)
@given(data=st.data())
def test_words_say_the_instant_they_were_made_of(game_date, data):
    at = data.draw(instants_of(game_date)).replace(microsecond=0)
    wall, _, zone = format_eastern(at, "%Y-%m-%dT%H:%M:%S").partition(" ")
    offset = {"EDT": "-04:00", "EST": "-05:00"}[zone]
    assert datetime.fromisoformat(wall + offset) == at


def test_the_hour_that_comes_twice_is_told_apart_by_its_zone():
    first = datetime(2025, 11, 2, 5, 30, tzinfo=UTC)
    assert [format_eastern(first + timedelta(hours=h)) for h in (0, 1)] == ["01:30 EDT", "01:30 EST"]
    assert format_eastern(datetime(2026, 3, 8, 7, 0, tzinfo=UTC)) == "03:00 EDT"


def test_other_nights_say_et():
    assert format_eastern(datetime(2025, 12, 29, 19, 47, tzinfo=UTC)) == "14:47 ET"
    assert format_eastern(datetime(2025, 11, 4, 5, 30, tzinfo=UTC)) == "00:30 ET"
