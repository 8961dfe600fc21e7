"""The desk on a dataset like the customer's live one: the same figures as on the declared one, and every gap told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from app.state import reads
from services.actions.executor import run_action
from services.actions.log_reader import State, read_log
from services.auth.roles import Actor, Role
from services.core.settings import Settings
from services.gcp.clients import Cloud, connect
from services.nights.missing_players import account
from services.nights.player_stages import read_night
from services.runs.actions import START
from services.sandbox.server import Sandbox
from tests import customer
from tests.actions.pipeline import own_coordinator
from tests.pages.desk import INCIDENT, PAGES

NORA = Actor("nora@example.com", Role.OPERATOR)
THERE = (*PAGES, "runs", "alerts", "logs", "action_log", "doctor", "handoff_note")


@pytest.fixture(scope="module")
def theirs() -> Iterator[Sandbox]:
    with customer.customers_cloud() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(theirs: Sandbox) -> Iterator[Sandbox]:
    """What `open_page` opens: their cloud instead of the declared one."""
    theirs.world.reset_limits()
    yield theirs
    theirs.world.reset_limits()
    reads.forget()


@pytest.fixture
def desk(sandbox: Sandbox) -> Cloud:
    return connect(Settings.from_env({"SANDBOX_URL": sandbox.address}))


@pytest.mark.parametrize("page", THERE)
def test_every_page_opens_and_nothing_on_it_is_unknown(open_page, page):
    assert "unknown since" not in open_page(page).words


def test_the_overview_tells_the_same_figures_as_on_the_declared_tables(open_page):
    """But for one row: somebody whom no run asked for has one."""
    screen = open_page()
    assert "90 of 158 players are missing: generated, but BigQuery rejected the write" in screen.verdict
    assert screen.figure("Coverage") == ("43.0 %", "68 of 158 eligible")
    assert screen.figure("Rows active") == ("1,700", "of 3,951 generated")


def test_the_history_counts_the_same_as_the_night(open_page, desk):
    rows = {str(row["game date"])[:10]: row for row in open_page("coverage").table()}
    assert (rows[INCIDENT]["eligible"], rows[INCIDENT]["active"], rows[INCIDENT]["games"]) == (158, 68, 11)
    assert read_night(desk, date.fromisoformat(INCIDENT)).games == 11, (
        "the league's game ids in the odds are not games more"
    )


def test_every_missing_player_is_classified_and_the_sum_holds(desk):
    told = account(read_night(desk, date.fromisoformat(INCIDENT)))
    assert (told.balanced, told.expected, told.active, told.unexplained) == (True, 158, 68, 0)


def test_rows_without_a_player_or_a_system_are_shown_and_are_nobody(open_page, desk):
    night = read_night(desk, date.fromisoformat(INCIDENT))
    assert all(player.player_lookup for player in night.players)
    assert "no system" in {system for system, _, _ in night.systems}


def test_names_that_are_half_there_in_the_aliases_and_the_registry_take_nothing_with_them(open_page):
    screen = open_page("aliases")
    rows = {row["in the odds as"]: row for row in screen.table()}
    assert rows["herbjones"]["comes down to"] == "an alias leads to herbertjones; the odds do not use it"
    assert "onlyodds" in rows


def test_the_night_is_repaired_into_their_table_and_what_only_they_fill_stays_as_it_was(desk, sandbox, monkeypatch):
    monkeypatch.setattr("services.runs.actions.LOOK_EVERY_S", 0.1)
    count = f"SELECT COUNTIF(filter_reason = 'none') AS kept, COUNT(*) AS total FROM {customer.PREDICTIONS}"
    before = next(iter(desk.bigquery.query(count).result()))
    with own_coordinator(sandbox) as url:
        at = replace(desk, settings=replace(desk.settings, coordinator_url=url))
        plan = START.plan(at, {"game_date": INCIDENT})
        assert plan.title.startswith("Re-run 90 lost players")
        plan = START.plan(at, {"game_date": INCIDENT, "players": sorted(plan.observed["lost"])[:6]})
        run_action(at, NORA, START, plan, "customer", plan.typed)
    (done,) = read_log(desk, desk.now().replace(day=28), desk.now().replace(day=31)).actions
    assert done.state is State.DONE, done.sentence
    after = next(iter(desk.bigquery.query(count).result()))
    assert (after.kept, after.total) == (before.kept, before.total + 6 * 25)
    assert account(read_night(desk, date.fromisoformat(INCIDENT))).active == 68 + 6


@pytest.fixture
def without(desk: Cloud) -> Iterator[Any]:
    """Their dataset with optional tables gone, for good: these tests come last."""
    for table in (customer.RUNS, "nba_reference.nba_players_registry", "nba_reference.unresolved_player_names"):
        desk.bigquery.delete_table(table, not_found_ok=True)


def test_without_the_optional_tables_the_pages_say_what_is_missing_and_show_the_rest(open_page, without):
    screen = open_page(date="2025-12-28")
    assert "8 of 102 players are missing" in screen.verdict
    assert "worker runs: unknown since" in screen.words
    assert "Table nba-props-platform.nba_predictions.prediction_worker_runs was not found" in screen.words
    assert "whether a batch ran is unknown" in open_page("runs", date="2025-12-28").verdict
    found = open_page("doctor").words
    assert "why a player was not generated is then known from the logs alone" in found
    assert "an alias cannot be checked against the registry" in found
    assert "unknown since" in open_page("aliases").words
