"""What was green on the December nights and wrong: each done by DML to one sandbox, and read back over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from services.core.result import Health, Result
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients
from services.judgement.facts import NightFacts, nights_before
from services.judgement.rows import judge_rows
from services.judgement.statement import Repair, Statement
from services.nights.coverage import read_history
from services.nights.player_stages import read_night
from services.runs.plan import plan_start
from tests.support.sandbox import as_developer

NIGHTS = [date(2025, 12, day) for day in range(16, 31)]


@pytest.fixture
def judge(module_clients: Clients) -> Callable[[date], Statement]:
    """The statement about the rows of a date, from what is read just now."""

    def judge_date(game_date: date) -> Statement:
        facts = NightFacts(
            game_date=game_date,
            now=module_clients.now(),
            night=Result(read_night(module_clients, game_date)),
            batches=Result(None),
            writes=Result(None),
            usual=Result(read_history(module_clients, *nights_before(game_date))),
            record=Result(None),
        )
        return judge_rows(facts, module_clients.settings)

    return judge_date


def change(clients: Clients, sql: str) -> None:
    as_developer(clients).bigquery.query(sql).result()


def test_no_december_night_is_falsely_reported(judge):
    reported = {day: judge(day) for day in NIGHTS}
    assert {day.day: s.text for day, s in reported.items() if not s.is_proven} == {}


def test_all_rows_of_four_of_five_systems_deleted(judge, module_clients):
    night = date(2025, 12, 26)
    change(
        module_clients, f"DELETE FROM {PREDICTIONS_TABLE} WHERE game_date = '{night}' AND system_id != 'ensemble_v1'"
    )
    statement = judge(night)
    assert (statement.health, statement.part, statement.whole) == (Health.CRITICAL, 640, 3200)
    assert statement.text.startswith("moving_average: 0 of 128 players, and 3 more systems short; 2,560 of 3,200 rows")
    planned = plan_start(module_clients, {"game_date": f"{night}"})
    assert sum(c.before.startswith("incomplete: 5 of 25 rows active; none of moving") for c in planned.changes) == 128
    assert next(c.after for c in planned.changes if c.what == "rows added") == "+2,560 (as generated before)"


def test_one_row_left_for_each_player(judge, module_clients):
    night = date(2025, 12, 22)
    change(
        module_clients,
        f"DELETE FROM {PREDICTIONS_TABLE} WHERE game_date = '{night}' AND prediction_id NOT IN"
        f" (SELECT MIN(prediction_id) FROM {PREDICTIONS_TABLE} WHERE game_date = '{night}' GROUP BY player_lookup)",
    )
    statement = judge(night)
    assert (statement.health, statement.part, statement.whole) == (Health.CRITICAL, 130, 3250)
    assert statement.repair is Repair.RERUN_PLAYERS


def test_every_row_doubled(judge, module_clients):
    night = date(2025, 12, 23)
    change(
        module_clients,
        f"INSERT INTO {PREDICTIONS_TABLE} SELECT * FROM {PREDICTIONS_TABLE} WHERE game_date = '{night}'",
    )
    statement = judge(night)
    assert (statement.health, statement.text) == (Health.CRITICAL, "4,300 keys doubled")
    assert statement.repair is Repair.REMOVE_DUPLICATES
