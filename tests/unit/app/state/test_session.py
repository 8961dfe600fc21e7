"""Which night a page opens on, by its URL, also by an invalid one; and which clients share a cache."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from app.state import session
from app.state.session import parse_night
from services.core.settings import Settings
from services.gcp.clients import connect
from tests.support.clock import FixedClock

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)  # 01:45 in New York, so the night is still the 29th's
TONIGHT = date(2025, 12, 29)


def first_night(_requested: date) -> date | None:
    return date(2025, 12, 16)


def no_first_night(_requested: date) -> date | None:
    return None


def test_a_stored_night_is_opened_as_requested():
    choice = parse_night("2025-12-20", NOW, first_night)
    assert (choice.game_date, choice.notice) == (date(2025, 12, 20), "")


def test_today_may_be_opened_before_its_run():
    assert parse_night("2025-12-30", NOW, first_night).game_date == date(2025, 12, 30)


@pytest.mark.parametrize(
    "requested", ["", "yesterday", "2025-13-01", "29.12.2025", "2025-12-29; DROP TABLE x", "٢٠٢٥-١٢-٢٩"]
)
def test_a_malformed_date_falls_back_to_tonight_and_says_so(requested):
    choice = parse_night(requested, NOW, first_night)
    assert choice.game_date == TONIGHT
    assert choice.notice == (
        "The date in the address is not written as 2025-12-29. Showing Mon 29 Dec 2025 instead."
    ), "it does not repeat what the address says"


def test_a_future_date_falls_back_and_names_it():
    choice = parse_night("2025-12-31", NOW, first_night)
    assert choice.game_date == TONIGHT
    assert choice.notice == "Wed 31 Dec 2025 has not come yet. Showing Mon 29 Dec 2025 instead."


def test_a_date_before_the_first_stored_night_falls_back_and_names_both():
    choice = parse_night("2019-01-01", NOW, first_night)
    assert choice.game_date == TONIGHT
    assert "Nothing is stored for Tue 1 Jan 2019: the first night is Tue 16 Dec 2025" in choice.notice


def test_an_old_date_is_opened_when_the_first_night_is_unknown():
    assert parse_night("2019-01-01", NOW, no_first_night).game_date == date(2019, 1, 1)


def test_plans_and_actions_reuse_no_answer_but_know_the_same_tables(monkeypatch):
    monkeypatch.setenv("SANDBOX_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ACTING_ACCOUNT", "operator@example.iam.gserviceaccount.com")
    monkeypatch.setattr("services.gcp.clients._sandbox_clock", lambda _url: FixedClock(NOW))
    session._connect_once.clear()
    cached, uncached, operator = session.cached_clients(), session.uncached_clients(), session.operator_clients()
    assert (cached.cache.reuse_answers, uncached.cache.reuse_answers, operator.cache.reuse_answers) == (
        True,
        False,
        False,
    )
    assert uncached.cache.tables is operator.cache.tables is cached.cache.tables
    assert operator.bigquery is not cached.bigquery
    assert session.cached_clients().cache is cached.cache
    session._connect_once.clear()


def test_clients_reuse_no_answer_unless_asked_to(monkeypatch):
    monkeypatch.setattr("services.gcp.clients._sandbox_clock", lambda _url: FixedClock(NOW))
    assert not connect(Settings.from_env({"SANDBOX_URL": "http://127.0.0.1:9"})).cache.reuse_answers
