"""What is read again after an action: what it changes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from threading import Event
from types import SimpleNamespace
from typing import cast

import pytest

from app.state import background_cache, reads
from app.state.reads import CachedRead
from services.action_registry import ACTION_TYPES
from services.actions.action_type import ActionType
from services.actions.log_reader import Action
from services.alerts.actions import ACKNOWLEDGE
from services.aliases.save import EDIT_ALIASES
from services.core.result import Result
from services.gcp.clients import Clients
from services.gcp.read_cache import ReadCache
from services.phases.reader import NightPhases
from services.runs.actions import START_RUN
from services.scaling.actions import SCALE_DOWN
from services.staging.drop import DROP_MERGED
from services.staging.remove_duplicates import REMOVE_DUPLICATES
from tests.support.clock import FixedClock
from tests.support.factories import make_night, player_without_rows
from tests.support.fake_monotonic import FakeMonotonic
from tests.support.night_facts import make_facts
from tests.support.phase_facts import make_phases

READS = {name: read for name, read in vars(reads).items() if isinstance(read, CachedRead)}
NIGHTS = {"night", "history", "usual_nights", "explore"}
PREDICTIONS = {"phases", "player_history"}  # that no alias changes
RUNS = {"batches", "newest_record", "run_verification", "writes", "log_lines"}


@pytest.fixture
def clients() -> Iterator[Clients]:
    background_cache.clear()
    reads._forgotten_after.clear()
    yield cast(
        Clients,
        SimpleNamespace(
            settings="settings",
            now=FixedClock(datetime(2025, 12, 30, tzinfo=UTC)).now,
            cache=ReadCache(FakeMonotonic()),
        ),
    )
    background_cache.clear()


@pytest.fixture
def look(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Callable[[], set[str]]:
    """Looks at everything, and returns the names of what was read for it."""
    asked: set[str] = set()
    for name, cached in READS.items():
        monkeypatch.setattr(cached, "read", lambda _, name=name: asked.add(name))
        monkeypatch.setattr(cached, "ttl_s", 60.0)

    def look_at_everything() -> set[str]:
        asked.clear()
        for cached in READS.values():
            cached(clients)
        return set(asked)

    return look_at_everything


@pytest.mark.parametrize(
    ("action_type", "touched"),
    [
        (ACKNOWLEDGE, {"alerts"}),
        (SCALE_DOWN, {"service_capacities", "deploys", "service_states", "worker_capacity", "run_progress"}),
        (EDIT_ALIASES, {*NIGHTS, "names", "run_verification", "batch_details"}),
        (DROP_MERGED, {*RUNS, "night", "staging", "batch_details"}),
        (REMOVE_DUPLICATES, {*NIGHTS, *PREDICTIONS, "staging", "writes", "run_verification", "batch_details"}),
        (START_RUN, {*NIGHTS, *PREDICTIONS, *RUNS, "own_log", "log_tail", "staging", "run_progress", "batch_details"}),
    ],
)
def test_after_an_action_only_what_it_changes_is_read_again(
    clients: Clients, look: Callable[[], set[str]], action_type: ActionType, touched: set[str]
) -> None:
    assert look() == READS.keys()
    assert look() == set()
    reads.forget(clients, action_type.changes)
    assert look() == touched | {"action_log"}


def ended(action_id: str, name: str) -> Action:
    return cast(Action, SimpleNamespace(action_id=action_id, action_name=name))


def test_an_action_that_another_process_ended_is_noticed_once_for_all_sessions(
    clients: Clients, look: Callable[[], set[str]]
) -> None:
    look()
    reads.forget_after(clients, ended("1", ACKNOWLEDGE.name))
    assert look() == {"alerts", "action_log"}
    reads.forget_after(clients, ended("1", ACKNOWLEDGE.name))
    assert look() == {"action_log"}
    reads.forget_after(clients, ended("1", ACKNOWLEDGE.name), ended("2", SCALE_DOWN.name))
    assert "service_capacities" in look()


def test_after_an_action_of_a_newer_version_everything_that_any_action_changes_is_read_again(
    clients: Clients, look: Callable[[], set[str]]
) -> None:
    look()
    reads.forget_after(clients, ended("1", "future.action"))
    changeable = {name for name, read in READS.items() if any(read.sources & t.changes for t in ACTION_TYPES.values())}
    assert changeable | {"first_night", "action_log"} == look()


def test_the_steps_are_read_on_for_a_night_that_lacks_players_and_never_waited_for(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, asked = Event(), []

    def read(_: Clients, game_date: date) -> NightPhases:
        asked.append(game_date)
        release.wait(5)
        return make_phases()

    monkeypatch.setattr(reads.phases, "read", read)
    whole = make_facts()
    lacking = replace(whole, night=Result(make_night(player_without_rows())))
    assert reads._with_steps(clients, whole) is whole
    assert reads._with_steps(clients, lacking).phases is None
    release.set()
    reads.phases(clients, lacking.game_date)
    assert reads._with_steps(clients, lacking).phases == make_phases()
    assert asked == [lacking.game_date]
