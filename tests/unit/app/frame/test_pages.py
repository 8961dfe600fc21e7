"""Every page has one address, its former ones still open it, and the sidebar counts what is known to wait behind it."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from app.frame import sidebar
from app.frame.pages import ALTERNATIVE_URL_PATHS, DETAIL_PAGES, ENTRIES, NAVIGATION
from app.state import reads, session
from tests.support.factories import NIGHT, make_night, make_player
from tests.support.paths import ROOT


def test_every_page_is_in_the_navigation_or_led_to_by_rows():
    assert {entry.name for entry in ENTRIES.values()} == {page.stem for page in (ROOT / "pages").glob("*.py")}
    listed = [entry for entries in NAVIGATION.values() for entry in entries]
    assert len({*listed, *DETAIL_PAGES}) == len(ENTRIES)


@pytest.mark.parametrize(
    ("former", "name"),
    [
        ("overview", "overview"),
        ("tonight", "overview"),
        ("concurrency", "worker_capacity"),
        ("aliases", "player_names"),
        ("handoff_note", "shift_handoff"),
        ("connections", "system_health"),
        ("doctor", "system_health"),
    ],
)
def test_a_former_address_opens_the_page(former, name):
    assert ENTRIES[ALTERNATIVE_URL_PATHS[former]].name == name


def test_the_links_are_one_list_with_counts_and_the_current_page(monkeypatch):
    monkeypatch.setattr(session, "link_params", lambda: {"date": "2025-12-29"})
    html = sidebar.nav_html("Coverage", {"alerts": 2, "staging_tables": 0}.get)
    assert re.findall(r'<a href="([^"]*)" aria-current="page">', html) == ["/coverage?date=2025-12-29"]
    assert html.count("<a href=") == sum(map(len, NAVIGATION.values()))
    assert '<a href="/?date=2025-12-29">' in html, "a middle click opens the overview, not the page it was on"
    assert re.findall(r"<span>([^<]*)</span> <b class=\"(\w+)\">(\d+)</b>", html) == [("Alerts", "red", "2")]
    ids = re.findall(r'<p id="([^"]+)">', html)
    assert ids == re.findall(r'<ul aria-labelledby="([^"]+)">', html)
    assert len(set(ids)) == len(NAVIGATION) - 1


CLIENTS: Any = None  # nothing is read
PLAYERS = (
    make_player(),
    make_player(player_lookup="a", active_rows=0, written_rows=0),
    make_player(player_lookup="b", in_context=False, eligible=False, active_rows=0),
)


def known(read: reads.CachedRead[Any], value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "peek", lambda *_: value, raising=False)


def test_the_sidebar_counts_eligible_players_without_predictions_and_unmatched_names(monkeypatch):
    known(reads.night, make_night(*PLAYERS), monkeypatch)
    assert sidebar.count_missing_players(CLIENTS, NIGHT) == 1
    assert sidebar.count_unmatched_names(CLIENTS, NIGHT) == 1


def test_a_night_that_was_not_run_misses_nobody_yet(monkeypatch):
    known(reads.night, make_night(*PLAYERS, was_run=False), monkeypatch)
    assert sidebar.count_missing_players(CLIENTS, NIGHT) is None


def test_what_no_page_has_read_is_not_counted(monkeypatch):
    for read in (reads.night, reads.staging, reads.alerts):
        known(read, None, monkeypatch)
    assert [count(CLIENTS, NIGHT) for count, _ in sidebar.COUNTS.values()] == [None] * 4


def test_staging_tables_count_while_they_hold_rows_that_are_nowhere_else(monkeypatch):
    tables = [SimpleNamespace(unmerged_rows=rows, is_copy=copy) for rows, copy in ((25, False), (0, False), (25, True))]
    known(
        reads.staging,
        SimpleNamespace(tables=[*tables, SimpleNamespace(unmerged_rows=None, is_copy=False)]),
        monkeypatch,
    )
    assert sidebar.count_unmerged_tables(CLIENTS, NIGHT) == 1


def test_open_alerts_are_counted(monkeypatch):
    known(reads.alerts, SimpleNamespace(open=(1, 2)), monkeypatch)
    assert sidebar.count_open_alerts(CLIENTS, NIGHT) == 2
