"""The dashboard on a dataset like the customer's live one: the figures of the declared one, and every gap reported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from app.state import background_cache
from services.actions.executor import execute
from services.actions.log_reader import ActionState, read_action_log
from services.auth.roles import Actor, Role
from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.nights.balance import balance
from services.nights.player_stages import read_night
from services.runs.actions import START_RUN
from services.sandbox.server import Sandbox
from tests.integration.pages.helpers import INCIDENT, PAGES
from tests.support import customer_dataset
from tests.support.coordinators import coordinator_server

NORA = Actor("nora@example.com", Role.OPERATOR)
ALL_PAGES = (*PAGES, "pipeline", "runs", "alerts", "explore", "logs", "action_log", "system_health", "shift_handoff")


@pytest.fixture(scope="module")
def customer_sandbox() -> Iterator[Sandbox]:
    with customer_dataset.customer_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(customer_sandbox: Sandbox) -> Iterator[Sandbox]:
    """What `open_page` opens: their cloud instead of the declared one."""
    customer_sandbox.state.reset_limits()
    yield customer_sandbox
    customer_sandbox.state.reset_limits()
    background_cache.clear()


@pytest.fixture
def customer_clients(sandbox: Sandbox) -> Clients:
    return connect(Settings.from_env({"SANDBOX_URL": sandbox.url}))


@pytest.mark.parametrize("page", ALL_PAGES)
def test_every_page_opens_without_an_unavailable_source(open_page, page):
    assert "unavailable since" not in open_page(page).text


def test_the_overview_shows_the_same_figures_as_on_the_declared_tables(open_page):
    """All but one: a player whom no run requested has a row."""
    screen = open_page()
    assert "90 of 158 players are missing" in screen.verdict
    assert screen.figure_of("Coverage")[0] == "43.0%"
    assert {"3,951 rows", "1,700 rows"} <= set(re.findall(r"[\d,]+ rows", screen.text))


def test_the_history_counts_the_same_as_the_night(open_page, customer_clients):
    rows = {str(row["game date"])[:10]: row for row in open_page("coverage").table()}
    assert (rows[INCIDENT]["eligible"], rows[INCIDENT]["active"], rows[INCIDENT]["games"]) == (158, 68, 11)
    assert read_night(customer_clients, date.fromisoformat(INCIDENT)).games == 11, (
        "the league's game ids in the odds are not games more"
    )


def test_every_missing_player_is_classified_and_the_balance_holds(customer_clients):
    totals = balance(read_night(customer_clients, date.fromisoformat(INCIDENT)))
    assert (totals.is_balanced, totals.expected, totals.active, totals.unexplained) == (True, 158, 68, 0)


def test_rows_without_a_player_or_a_system_are_shown_and_count_for_no_player(open_page, customer_clients):
    night = read_night(customer_clients, date.fromisoformat(INCIDENT))
    assert all(player.player_lookup for player in night.players)
    assert "no system" in {system.system_id for system in night.systems}


def test_incomplete_alias_and_registry_rows_break_nothing(open_page):
    screen = open_page("player_names")
    tables = [table.value for table in screen.app.dataframe if "lookup key" in table.value]
    rows = {row["lookup key"]: row for table in tables for row in table.to_dict("records")}
    assert (rows["herbjones"]["status"], rows["herbjones"]["maps to"]) == ("alias exists, not applied", "herbertjones")
    assert "onlyodds" in screen.text


def test_the_night_is_repaired_and_columns_of_the_customer_stay_unchanged(customer_clients, sandbox, monkeypatch):
    monkeypatch.setattr("services.runs.actions.POLL_INTERVAL_S", 0.1)
    count_sql = (
        f"SELECT COUNTIF(filter_reason = 'none') AS kept, COUNT(*) AS total FROM {customer_dataset.PREDICTIONS_TABLE}"
    )
    before = next(iter(customer_clients.bigquery.query(count_sql).result()))
    with coordinator_server(sandbox) as url:
        clients_with_coordinator = replace(
            customer_clients, settings=customer_clients.settings.model_copy(update={"coordinator_url": url})
        )
        plan = START_RUN.plan(clients_with_coordinator, {"game_date": INCIDENT})
        assert plan.title.startswith("Re-run 90 players")
        plan = START_RUN.plan(
            clients_with_coordinator, {"game_date": INCIDENT, "players": sorted(plan.preconditions["lost"])[:6]}
        )
        execute(clients_with_coordinator, NORA, START_RUN, plan, "customer", plan.confirmation_text)
    (recorded_action,) = read_action_log(
        customer_clients, customer_clients.now().replace(day=28), customer_clients.now().replace(day=31)
    ).actions
    assert recorded_action.state is ActionState.DONE, recorded_action.message
    after = next(iter(customer_clients.bigquery.query(count_sql).result()))
    assert (after.kept, after.total) == (before.kept, before.total + 6 * 25)
    assert balance(read_night(customer_clients, date.fromisoformat(INCIDENT))).active == 68 + 6


@pytest.fixture
def without_optional_tables(customer_clients: Clients) -> None:
    """Their dataset with optional tables gone, for good: these tests come last."""
    for table in (customer_dataset.RUNS, "nba_reference.nba_players_registry", "nba_reference.unresolved_player_names"):
        customer_clients.bigquery.delete_table(table, not_found_ok=True)


def test_without_the_optional_tables_the_pages_name_them_and_show_the_rest(open_page, without_optional_tables):
    screen = open_page(date="2025-12-28")
    assert "8 of 102 players are missing" in screen.verdict
    assert "worker runs: not recorded in this installation" in screen.text
    assert "Table nba-props-platform.nba_predictions.prediction_worker_runs was not found" in screen.text
    text = open_page("system_health").text
    assert "why a player was not generated is then known from the logs alone" in text
    assert "an alias cannot be checked against the registry" in text
    assert "unavailable since" in open_page("player_names").text
