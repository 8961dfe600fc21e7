"""Which night a page opens on, by its URL, also by an invalid one; when it turns to
the next; and which clients share a cache."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest
from pydantic_settings import EnvSettingsSource
from streamlit.testing.v1 import AppTest

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
    choice = parse_night(["2025-12-20"], NOW, first_night)
    assert (choice.game_date, choice.notice) == (date(2025, 12, 20), "")


def test_today_may_be_opened_before_its_run():
    assert parse_night(["2025-12-30"], NOW, first_night).game_date == date(2025, 12, 30)


@pytest.mark.parametrize(
    "requested",
    ["", "yesterday", "2025-13-01", "29.12.2025", "2025-12-29; DROP TABLE x", "٢٠٢٥-١٢-٢٩", "2025-W01-1", "20251229"],
)
def test_a_malformed_date_falls_back_to_tonight_and_says_so(requested):
    choice = parse_night([requested], NOW, first_night)
    assert choice.game_date == TONIGHT
    assert choice.notice == ("Invalid date in the URL (expected YYYY-MM-DD). Showing Mon 29 Dec 2025."), (
        "it does not repeat what the address says"
    )


def test_an_address_with_two_dates_shows_neither():
    choice = parse_night(["2025-12-20", "2025-12-21"], NOW, first_night)
    assert (choice.game_date, choice.notice) == (TONIGHT, "The URL names 2 dates. Showing Mon 29 Dec 2025.")


def test_a_future_date_falls_back_and_names_it():
    choice = parse_night(["2025-12-31"], NOW, first_night)
    assert choice.game_date == TONIGHT
    assert choice.notice == "Wed 31 Dec 2025 is in the future. Showing Mon 29 Dec 2025."


def test_a_date_before_the_first_stored_night_falls_back_and_names_both():
    choice = parse_night(["2019-01-01"], NOW, first_night)
    assert choice.game_date == TONIGHT
    assert "No data for Tue 1 Jan 2019; the earliest game date is Tue 16 Dec 2025. " in choice.notice


def test_an_old_date_is_opened_when_the_first_night_is_unknown():
    assert parse_night(["2019-01-01"], NOW, no_first_night).game_date == date(2019, 1, 1)


@pytest.fixture
def no_answer(monkeypatch):
    """Nothing answers at the sandbox's address, and that is found out at once."""
    monkeypatch.setattr("services.gcp.clients.LOCATION_TIMEOUT_S", 0.01)
    monkeypatch.setattr("services.gcp.clients._sandbox_clock", lambda _url: FixedClock(NOW))


def test_plans_and_actions_reuse_no_answer_but_know_the_same_tables(monkeypatch, no_answer):
    monkeypatch.setenv("SANDBOX_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ACTING_ACCOUNT", "operator@example.iam.gserviceaccount.com")
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


def test_clients_reuse_no_answer_unless_asked_to(no_answer):
    assert not connect(Settings.from_env({"SANDBOX_URL": "http://127.0.0.1:9"})).cache.reuse_answers


def test_a_page_parses_its_settings_and_looks_up_its_secrets_once(monkeypatch):
    monkeypatch.setenv("SANDBOX_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("services.gcp.clients._sandbox_clock", lambda _url: FixedClock(NOW))
    parsed, looked_up = Counter[str](), Counter[bool]()
    monkeypatch.setattr(
        "services.core.env_settings.EnvSettingsSource",
        lambda settings_class: parsed.update(["parsed"]) or EnvSettingsSource(settings_class),
    )
    monkeypatch.setenv("TEST_RUN", str(uuid4()))  # an environment that has not been parsed yet
    monkeypatch.setattr("streamlit.secrets.load_if_toml_exists", lambda: looked_up.update([False]))
    session._connect_once.clear()
    session.oidc_configured.cache_clear()
    for _ in range(20):
        assert session.cached_clients().settings.in_sandbox
        assert not session.oidc_configured()
    session.uncached_clients(), session.operator_clients()
    assert (parsed.total(), looked_up.total()) == (1, 1)
    monkeypatch.setenv("SANDBOX_URL", "http://127.0.0.1:10")
    assert session.cached_clients().settings.sandbox_url == "http://127.0.0.1:10", "another environment, other settings"
    session._connect_once.clear()


def _night_of_tab() -> None:
    """A page that shows which night app/main.py would choose."""
    from datetime import timedelta

    import streamlit as st

    from app.state import session

    chosen = session.resolve_night(lambda _requested: None, hold=st.session_state.get("dialog open", False))
    st.text(f"{chosen.game_date}")
    st.text(f"{chosen.changed_from}")
    st.text(chosen.notice)
    st.button("Previous game date", on_click=session.set_night, args=(chosen.game_date - timedelta(days=1),))
    st.button("Dismiss", on_click=session.dismiss_night_change)
    st.button("Next game date", on_click=session.set_night, args=(chosen.game_date + timedelta(days=1),))


@pytest.fixture
def clock(monkeypatch):
    """Monday 29 December, 20:00 in New York."""
    fixed = FixedClock(datetime(2025, 12, 30, 1, 0, tzinfo=UTC))
    monkeypatch.setattr(session, "now", fixed.now)
    return fixed


def _open_tab(date_in_url: str | None = None) -> AppTest:
    tab = AppTest.from_function(_night_of_tab)
    if date_in_url:
        tab.query_params["date"] = date_in_url
    return tab.run()


def _shown(tab: AppTest) -> tuple[str, str]:
    assert not tab.exception, tab.exception
    return tab.text[0].value, tab.text[1].value


@pytest.mark.parametrize("date_in_url", [None, "2025-12-29"])
def test_a_tab_left_open_on_tonight_turns_to_the_new_night_until_dismissed(clock, date_in_url):
    tab = _open_tab(date_in_url)
    clock.advance(9 * 3600)  # 05:00 on Tuesday: still Monday's night
    assert _shown(tab.run()) == ("2025-12-29", "None")
    clock.advance(2 * 3600)
    assert _shown(tab.run()) == ("2025-12-30", "2025-12-29")
    assert tab.query_params["date"] == "2025-12-30"
    assert _shown(tab.run()) == ("2025-12-30", "2025-12-29"), "the notice waits for a person"
    assert _shown(tab.button[1].click().run()) == ("2025-12-30", "None")


def test_a_tab_left_open_for_two_nights_shows_the_newest(clock):
    tab = _open_tab()
    clock.advance(48 * 3600)
    assert _shown(tab.run()) == ("2025-12-31", "2025-12-29")


def test_a_date_chosen_by_the_user_stays_when_the_night_changes(clock):
    from_address = _open_tab("2025-12-26")
    picked = _open_tab()
    picked.button[0].click().run()
    clock.advance(24 * 3600)
    assert _shown(from_address.run()) == ("2025-12-26", "None")
    assert _shown(picked.run()) == ("2025-12-28", "None")


def test_the_night_before_chosen_after_the_change_stays(clock):
    tab = _open_tab()
    clock.advance(12 * 3600)
    tab.run()
    assert _shown(tab.button[0].click().run()) == ("2025-12-29", "None")
    assert _shown(tab.run()) == ("2025-12-29", "None")


def test_a_date_chosen_in_the_same_run_as_the_change_stays(clock):
    tab = _open_tab()
    clock.advance(12 * 3600)
    assert _shown(tab.button[0].click().run()) == ("2025-12-28", "None")
    tab.button[2].click().run()
    clock.advance(24 * 3600)
    was_tonight_until_now = tab.button[2].click().run()
    assert _shown(was_tonight_until_now) == ("2025-12-30", "None")


@pytest.mark.parametrize("requested", ["yesterday", "2025-W01-1", "2026-12-29"])
def test_an_invalid_date_leaves_the_address_at_once_and_its_notice_stays_until_another_date_is_chosen(clock, requested):
    tab = _open_tab(requested)
    assert tab.query_params["date"] == "2025-12-29"
    assert tab.run().text[2].value.endswith("Showing Mon 29 Dec 2025."), "a refresh moves nothing"
    assert tab.button[0].click().run().text[2].value == ""
    assert tab.button[2].click().run().text[2].value == ""


def test_a_url_with_two_dates_is_left_with_the_one_that_is_shown(clock):
    tab = AppTest.from_function(_night_of_tab)
    tab.query_params["date"] = ["2025-12-20", "2025-12-21"]
    tab.run()
    assert tab.query_params["date"] in ("2025-12-29", ["2025-12-29"])
    assert tab.text[2].value == "The URL names 2 dates. Showing Mon 29 Dec 2025."


@pytest.mark.parametrize("key", ["dialog open", session.PAUSED_KEY])
def test_an_open_dialog_and_a_paused_page_keep_their_night(clock, key):
    tab = _open_tab()
    tab.session_state[key] = True
    tab.session_state["paused since"] = clock.now()
    clock.advance(12 * 3600)
    assert _shown(tab.run()) == ("2025-12-29", "None")
    tab.session_state[key] = False
    assert _shown(tab.run()) == ("2025-12-30", "2025-12-29")


@pytest.mark.parametrize(
    ("env", "location", "url"),
    [
        ({"SANDBOX_URL": "http://127.0.0.1:8090"}, "US", ""),
        ({}, None, ""),
        (
            {"GOOGLE_CLOUD_PROJECT": "nba"},
            "US",
            "https://console.cloud.google.com/bigquery?j=bq%3AUS%3Aj1&page=queryresults&project=nba",
        ),
    ],
)
def test_a_job_has_an_address_in_the_console_where_its_location_is_known(monkeypatch, env, location, url):
    clients = SimpleNamespace(settings=Settings.from_env(env), bigquery=SimpleNamespace(location=location))
    monkeypatch.setattr(session, "cached_clients", lambda: clients)
    assert session.job_url("j1") == url
