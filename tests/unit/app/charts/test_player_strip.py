"""The strip of a player's last dates: a cell for each, judged by what the player should have reached, leading to the date."""

from __future__ import annotations

import re
from datetime import date

import pytest

from app.charts import player_strip
from app.state import session
from services.nights.player_history import PlayerDay
from services.nights.player_stages import Stage
from tests.support.factories import NIGHT


@pytest.fixture(autouse=True)
def chosen_night(monkeypatch):
    monkeypatch.setattr(session, "game_date", lambda: NIGHT)


def titles(*days: PlayerDay, pending: str = "") -> list[str]:
    strip = player_strip.to_html(days, "herb", {NIGHT: pending})
    icons = re.findall(r'role="img" aria-label="([^"]*)"', strip)
    return [f"{title} ({icon})" for title, icon in zip(re.findall(r'title="([^"]*)"', strip), icons, strict=True)]


def test_each_date_says_how_far_the_player_came_and_is_red_only_where_a_row_is_missing():
    assert titles(
        PlayerDay(date(2025, 12, 25), None, 0, False),
        PlayerDay(date(2025, 12, 26), Stage.IN_CONTEXT, 0, False),
        PlayerDay(date(2025, 12, 27), Stage.WRITTEN, 0, True),
        PlayerDay(date(2025, 12, 28), Stage.ACTIVE, 25, True),
        PlayerDay(NIGHT, Stage.ELIGIBLE, 0, True),
    ) == [
        "Thu 25 Dec 2025: not in context (none expected)",
        "Fri 26 Dec 2025: ineligible (none expected)",
        "Sat 27 Dec 2025: written, not active (critical)",
        "Sun 28 Dec 2025: active, 25 rows (ok)",
        "Mon 29 Dec 2025: eligible, not written (critical)",
    ]


def test_what_may_still_come_is_unknown():
    day = PlayerDay(NIGHT, Stage.ELIGIBLE, 0, True)
    assert titles(day, pending="not run yet") == ["Mon 29 Dec 2025: not run yet (unknown)"]
    written = PlayerDay(NIGHT, Stage.WRITTEN, 0, True)
    assert titles(written, pending="running") == ["Mon 29 Dec 2025: running (unknown)"]
    active = PlayerDay(NIGHT, Stage.ACTIVE, 1, True)
    assert titles(active, pending="running") == ["Mon 29 Dec 2025: active, 1 row (ok)"]


def test_an_ineligible_player_whose_rows_are_not_active_is_no_loss():
    day = PlayerDay(NIGHT, Stage.WRITTEN, 0, False)
    for pending in ("", "running"):
        assert titles(day, pending=pending) == ["Mon 29 Dec 2025: written, not active (none expected)"]


def test_a_cell_leads_to_the_player_on_its_date_and_the_chosen_one_is_marked():
    days = [PlayerDay(date(2025, 12, 28), Stage.ACTIVE, 1, True), PlayerDay(NIGHT, Stage.ACTIVE, 1, True)]
    strip = player_strip.to_html(days, "o'neal&co", {})
    assert "/player?date=2025-12-28&amp;player=o%27neal%26co" in strip
    assert strip.count("aria-current") == 1
    assert 'aria-label="Last 2 game dates"' in strip
