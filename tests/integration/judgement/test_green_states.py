"""What was green on the December nights and wrong: each done by DML to one sandbox, and read back over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from services.core.result import Health, Result
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients
from services.judgement.facts import NightFacts, nights_before
from services.judgement.inputs import judge_inputs
from services.judgement.judge import judge_night
from services.judgement.lines import judge_lines
from services.judgement.rows import judge_rows
from services.judgement.statement import Repair, Statement, Subject
from services.nights.coverage import read_history
from services.nights.player_stages import read_night
from services.runs.plan import plan_start
from tests.support.sandbox import as_developer

CONTEXT_TABLE, ODDS_TABLE = "nba_analytics.upcoming_player_game_context", "nba_raw.odds_api_player_points_props"


@pytest.fixture
def read_facts(module_clients: Clients) -> Callable[[date], NightFacts]:
    """What is judged of a date, read just now; its batches, writes and ledger are not read."""

    def read(game_date: date) -> NightFacts:
        return NightFacts(
            game_date=game_date,
            now=module_clients.now(),
            night=Result(read_night(module_clients, game_date)),
            batches=Result(None),
            writes=Result(None),
            usual=Result(read_history(module_clients, *nights_before(game_date))),
            record=Result(None),
        )

    return read


@pytest.fixture
def judge(module_clients: Clients, read_facts: Callable[[date], NightFacts]) -> Callable[[date], Statement]:
    """The statement about the rows of a date."""
    return lambda game_date: judge_rows(read_facts(game_date), module_clients.settings)


def change(clients: Clients, sql: str) -> None:
    as_developer(clients).bigquery.query(sql).result()


def test_all_rows_of_four_of_five_systems_deleted(judge, module_clients, open_page):
    night = date(2025, 12, 26)
    change(
        module_clients, f"DELETE FROM {PREDICTIONS_TABLE} WHERE game_date = '{night}' AND system_id != 'ensemble_v1'"
    )
    statement = judge(night)
    assert (statement.health, statement.part, statement.whole) == (Health.CRITICAL, 640, 3200)
    assert statement.text.startswith("moving_average: 0 of 128 players, and 3 more systems short; 2,560 of 3,200 rows")
    systems = open_page("coverage", f"{night}").app.table[0].value.set_index("system").to_dict("index")
    assert {
        name.replace("\\", ""): row["rows missing"] for name, row in systems.items() if row["rows missing"]
    } == dict.fromkeys(("moving_average", "similarity_balanced_v1", "xgboost_v1", "zone_matchup_v1"), 640)
    planned = plan_start(module_clients, {"game_date": f"{night}"})
    assert sum(c.before.startswith("incomplete: 5 of 25 rows active; none of moving") for c in planned.changes) == 128
    [rows] = [figure for figure in planned.figures if figure.label == "Active rows"]
    assert (rows.before, rows.after) == ("640", "3,200")


def test_one_row_left_for_each_player(judge, module_clients, open_page):
    night = date(2025, 12, 22)
    change(
        module_clients,
        f"DELETE FROM {PREDICTIONS_TABLE} WHERE game_date = '{night}' AND prediction_id NOT IN"
        f" (SELECT MIN(prediction_id) FROM {PREDICTIONS_TABLE} WHERE game_date = '{night}' GROUP BY player_lookup)",
    )
    statement = judge(night)
    assert (statement.health, statement.part, statement.whole) == (Health.CRITICAL, 130, 3250)
    page = open_page("missing_players", f"{night}")
    assert "0 of 130 eligible players are missing; 130 are incomplete (3,120 of 3,250 rows missing)" in page.verdict
    [group] = [body for body in page.html_bodies if "130 players: incomplete" in body]
    assert group.count("1 of 25 rows active; none of") == 130
    assert [button.label for button in page.app.button if "130 incomplete players" in button.label]
    assert statement.repair is Repair.RERUN_PLAYERS


def test_every_row_doubled(judge, module_clients):
    night = date(2025, 12, 23)
    change(
        module_clients,
        f"INSERT INTO {PREDICTIONS_TABLE} SELECT * FROM {PREDICTIONS_TABLE} WHERE game_date = '{night}'",
    )
    statement = judge(night)
    assert (statement.health, statement.text) == (Health.CRITICAL, "4,300 duplicate keys")
    assert statement.repair is Repair.REMOVE_DUPLICATES


def test_three_quarters_of_the_context_marked_not_ready(read_facts, module_clients):
    night = date(2025, 12, 27)
    change(
        module_clients,
        f"UPDATE {CONTEXT_TABLE} SET is_production_ready = FALSE WHERE game_date = '{night}'"
        " AND MOD(LENGTH(player_lookup), 4) > 0",
    )
    facts = read_facts(night)
    statement = judge_inputs(facts, module_clients.settings)
    eligible = len(facts.night.value.eligible_players)
    assert (statement.health, statement.part, statement.whole) == (Health.CRITICAL, eligible, 115)
    assert statement.text == f"{eligible} eligible in 8 games: {eligible / 8:.0f} a game, usually 14"
    judgement = judge_night(facts, module_clients.settings)
    assert judgement.get(Subject.PLAYERS).text == f"All {eligible} eligible players have active predictions"
    assert (judgement.health, judgement.headline) == (Health.CRITICAL, f"Inputs: {statement.text}")


def test_the_odds_moved_on_after_the_run(read_facts, module_clients):
    night = date(2025, 12, 28)
    change(
        module_clients,
        f"UPDATE {ODDS_TABLE} SET points_line = points_line + 1 WHERE game_date = '{night}' AND snapshot_tag = 'snap-1600'"
        " AND home_team_abbr = (SELECT MIN(home_team_abbr) FROM"
        f" {ODDS_TABLE} WHERE game_date = '{night}')",
    )
    facts = read_facts(night)
    statement = judge_lines(facts)
    moved = [player for player in facts.night.value.lines if player.has_moved]
    assert (statement.health, statement.part, statement.whole) == (Health.WARNING, 84 - len(moved), 84)
    assert 0 < len(moved) < 30
    assert statement.text.startswith(
        f"{len(moved)} of 84 players are predicted for another line than the newest odds ("
    )
    assert statement.repair is None  # the games have ended
