"""Who a night's players are: one is requested per lookup key, and whoever shares it is counted and says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.core.tables import PREDICTIONS_TABLE
from services.nights.balance import balance
from services.nights.missing_players import LossReason, list_missing_players
from services.nights.player_stages import read_night
from services.nights.players import find_left_games, merge_context_and_odds, newest_context, newest_tip_offs
from services.pipeline.coordinator.run_request import plan_run
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, in_memory, memory_clients
from tests.support.memory_rows import GAME, NIGHT, context_row, prediction_row

CONTEXT, ODDS = "nba_analytics.upcoming_player_game_context", "nba_raw.odds_api_player_points_props"
OTHER_GAME = "20251229_LAL_OKC"
LATER = datetime(2025, 12, 29, 13, tzinfo=UTC)
NEWER = {"game_id": OTHER_GAME, "team_abbr": "OKC", "opponent_team_abbr": "LAL", "created_at": LATER}
TIP_OFF = datetime(2025, 12, 30, 0, tzinfo=UTC)


@pytest.fixture
def project():
    clock = SimulatedClock()
    project = MemoryProject(clock)
    with in_memory(clock, {}):
        yield project
    project.close()


@pytest.fixture
def clients(project):
    return memory_clients(project)


def odds_row(player: str, **changes: Any) -> Any:
    row: dict[str, Any] = {
        "player_lookup": player,
        "player_name": player.title(),
        "game_id": "league-1",
        "game_date": NIGHT,
        "away_team_abbr": "NYK",
        "home_team_abbr": "NOP",
        "points_line": 20.5,
        "bookmaker": "book",
        "game_start_time": TIP_OFF,
        "snapshot_timestamp": LATER,
    }
    return {**row, **changes}


def test_of_two_players_with_one_lookup_key_the_newest_is_requested_and_the_other_is_counted(project, clients):
    project.insert(CONTEXT, [context_row("jwill"), context_row("jwill", **NEWER), context_row("ann")])
    run = plan_run(clients, NIGHT)
    assert run is not None
    assert [(p["player_lookup"], p["game_id"]) for p in run.players] == [("ann", GAME), ("jwill", OTHER_GAME)]
    project.insert(
        PREDICTIONS_TABLE, [prediction_row("ann"), prediction_row("jwill", game_id=OTHER_GAME, prediction_id="j")]
    )
    night = read_night(clients, NIGHT)
    totals = balance(night)
    assert (totals.expected, totals.active, totals.classified) == (3, 2, ((LossReason.SHARES_LOOKUP, 1),))
    assert totals.is_balanced
    [missing] = list_missing_players(night)
    assert (missing.player.team, missing.evidence) == (
        "NOP",
        f"Not requested: shares its lookup key with jwill (OKC, {OTHER_GAME})",
    )


def test_rows_in_the_game_of_a_player_who_shares_a_lookup_key_are_his(project, clients):
    project.insert(CONTEXT, [context_row("jwill"), context_row("jwill", **NEWER)])
    project.insert(
        PREDICTIONS_TABLE, [prediction_row("jwill"), prediction_row("jwill", prediction_id="2", system_id="x")]
    )
    players = {player.team: player for player in read_night(clients, NIGHT).players}
    assert (players["NOP"].active_rows, players["OKC"].active_rows) == (2, 0)
    assert (players["NOP"].requested, players["NOP"].generated_rows) == (True, 2)


def test_an_older_context_row_of_the_same_game_and_team_is_the_same_player():
    older: Any = context_row("ann", player_status="OUT", created_at=LATER - timedelta(hours=3))
    newest: Any = context_row("ann", created_at=LATER)
    for rows in ([older, newest], [newest, older]):
        assert newest_context(rows) == {"ann": (newest,)}
        assert [row["status"] for row in merge_context_and_odds(rows, (), {})] == ["active"]


def test_whether_a_player_who_shares_a_lookup_key_has_odds_is_not_known():
    context: Any = [context_row("jwill"), context_row("jwill", **NEWER)]
    rows = merge_context_and_odds(context, [odds_row("jwill")], {})
    assert [(row["team"], row["has_odds"], bool(row["shares_lookup_with"])) for row in rows] == [
        ("OKC", True, False),
        ("NOP", None, True),
    ]


def test_the_tip_off_of_a_game_is_that_of_its_newest_odds():
    moved = odds_row("ann", game_start_time=TIP_OFF + timedelta(hours=1), snapshot_timestamp=LATER + timedelta(hours=1))
    other = odds_row("bob", home_team_abbr="OKC", away_team_abbr="LAL", game_start_time=TIP_OFF - timedelta(hours=1))
    unknown = odds_row("cid", home_team_abbr="MIA", game_start_time=None, snapshot_timestamp=None)
    assert newest_tip_offs([moved, odds_row("ann"), other, unknown]) == (
        TIP_OFF - timedelta(hours=1),
        TIP_OFF + timedelta(hours=1),
    )


def test_a_requested_player_has_the_tip_off_of_his_game(project, clients):
    project.insert(CONTEXT, [context_row("ann"), context_row("zoe", team_abbr="MIA", game_id="another")])
    moved = odds_row("bob", game_start_time=TIP_OFF + timedelta(hours=1), snapshot_timestamp=LATER + timedelta(hours=1))
    project.insert(ODDS, [moved, odds_row("bob"), odds_row("ann", game_start_time=None)])
    run = plan_run(clients, NIGHT)
    assert run is not None
    assert {p["player_lookup"]: p["tip_off"] for p in run.players} == {"ann": TIP_OFF + timedelta(hours=1), "zoe": None}


def test_active_rows_under_a_game_whose_context_no_longer_has_the_player_are_found():
    written: Any = [
        prediction_row("ann", game_id="left"),
        prediction_row("ann", game_id="left", system_id="x"),
        prediction_row("ann", game_id="left", system_id="y", is_active=False),
        prediction_row("ann"),
        prediction_row("bob", game_id=OTHER_GAME),
        prediction_row("nobody in context", game_id="left"),
    ]
    context: Any = [context_row("ann"), context_row("bob"), context_row("bob", **NEWER)]
    assert [(g.player_lookup, g.game_id, g.active_rows) for g in find_left_games(context, written)] == [
        ("ann", "left", 2)
    ]
