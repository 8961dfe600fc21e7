"""What a page asks of Google: how many calls one after the other it waits for, and what it asks again after an action."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests

from app.state import background_cache, reads
from app.state.reads import CachedRead
from services.actions.action_type import ActionType
from services.alerts.actions import ACKNOWLEDGE
from services.aliases.save import EDIT_ALIASES
from services.core import sources
from services.core.clock import night_window
from services.core.freshness import VERSION_TTL_S
from services.gcp.clients import Clients
from services.gcp.read_cache import ReadCache
from services.judgement.facts import nights_before
from services.runs.actions import START_RUN
from services.staging.drop import DROP_MERGED
from tests.support.call_rounds import count_rounds
from tests.support.fake_monotonic import FakeMonotonic

FIRST_NIGHT, OTHER_NIGHT = date(2025, 12, 26), date(2025, 12, 27)
RUN_NIGHT = date(2025, 12, 29)
_SOURCE_BY_PATH = {
    r"/datasets/(\w+)/tables/_staging\w+": lambda _: sources.STAGING_TABLES,
    r"/datasets/(\w+)/tables/(\w+)": lambda match: f"{match[1]}.{match[2]}",
    r"/datasets/nba_predictions/tables$": lambda _: sources.STAGING_TABLES,
    r"/projects/\w[\w-]*/jobs$": lambda _: sources.JOBS,
    r"/entries:list$": lambda _: sources.LOG,
    r"/v2/projects/.*/services/": lambda _: sources.CLOUD_RUN,
}


@pytest.fixture
def fake_monotonic() -> FakeMonotonic:
    """By which the versions of tables expire."""
    return FakeMonotonic()


@pytest.fixture
def viewer(clients: Clients, fake_monotonic: FakeMonotonic, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """Clients with a cache, as the dashboard has them, in which no reading ends early."""
    monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", 60.0)
    background_cache.clear()
    yield replace(clients, cache=ReadCache(fake_monotonic, since=clients.now()))
    background_cache.clear()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of Google's APIs from now on, as method and path."""
    made: list[str] = []
    request = requests.Session.request

    def recorded_request(session: requests.Session, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        made.append(f"{method} {unquote(urlsplit(url).path)}")
        return request(session, method, url, *args, **kwargs)

    monkeypatch.setattr(requests.Session, "request", recorded_request)
    return made


def asked_sources(calls: list[str]) -> set[str]:
    """The sources that these calls ask; a query is known by the metadata that are read before it."""
    found = set()
    for call in calls:
        matches = ((re.search(pattern, call), name) for pattern, name in _SOURCE_BY_PATH.items())
        found |= {name(match) for match, name in [pair for pair in matches if pair[0]][:1]}
    return found


def test_another_night_takes_at_most_three_calls_one_after_the_other(
    viewer: Clients, fake_monotonic: FakeMonotonic, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads.read_overview(viewer, FIRST_NIGHT)
    fake_monotonic.seconds += VERSION_TTL_S + 1
    with count_rounds(monkeypatch) as rounds:
        facts, platform = reads.read_overview(viewer, OTHER_NIGHT)
    assert not any(reading.problem for reading in (facts.night, facts.writes, facts.usual, platform.staging))
    assert len(rounds) <= 3, rounds


def test_every_reading_names_the_sources_that_it_asks(viewer: Clients, calls: list[str]) -> None:
    """An action changes sources by these names: a reading that left one out would stay as it was."""
    start, end = night_window(RUN_NIGHT)
    arguments: dict[CachedRead[Any], tuple[Any, ...]] = {
        reads.night: (RUN_NIGHT,),
        reads.history: nights_before(RUN_NIGHT),
        reads.newest_record: (RUN_NIGHT,),
        reads.writes: (RUN_NIGHT,),
        reads.staging: (),
        reads.service_capacities: (),
        reads.deploys: (),
        reads.first_night: (),
        reads.batches: (RUN_NIGHT,),
        reads.worker_capacity: (),
        reads.names: (RUN_NIGHT, RUN_NIGHT),
        reads.alerts: (),
        reads.log_lines: (RUN_NIGHT, "error"),
        reads.action_log: (start - timedelta(days=7), end),
    }
    for reading, args in arguments.items():
        calls.clear()
        cold = replace(viewer, cache=ReadCache(since=viewer.now()))
        assert reading(cold, *args).problem is None
        # Batches read the action log only for consolidations, which change their other sources too.
        own_log = frozenset() if reading is reads.action_log else {sources.ACTIONS}
        assert asked_sources(calls) - own_log <= reading.sources, reading.source


def test_after_an_action_only_the_sources_that_it_changes_are_asked_again(
    viewer: Clients, fake_monotonic: FakeMonotonic, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of the others in the same readings the two lists that have no version by which they could be kept; both are free."""
    monkeypatch.setattr(background_cache, "monotonic", fake_monotonic)  # nothing is asked again for its age

    def look() -> set[str]:
        calls.clear()
        reads.read_overview(viewer, RUN_NIGHT)
        return asked_sources(calls)

    look()
    assert not look()
    asked_again: dict[ActionType, set[str]] = {
        ACKNOWLEDGE: {sources.ALERTS},
        EDIT_ALIASES: {sources.ALIASES, sources.STAGING_TABLES},
        DROP_MERGED: {sources.STAGING_TABLES, sources.JOBS},
        START_RUN: {*sources.RUN} - {sources.COORDINATOR},
    }
    for action_type, asked in asked_again.items():
        reads.forget(viewer, action_type.changes)
        assert look() == asked, (action_type.label, calls)
