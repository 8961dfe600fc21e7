"""A run requests the eligible players of a date, or those of them that were named; or it says why it cannot start."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.batches.ledger import BatchRecord
from services.batches.state import BatchState
from services.core.errors import InvalidInput
from services.pipeline.coordinator import run_request
from services.pipeline.coordinator.run_request import NoEligiblePlayers, Run, initial_record, plan_run
from services.policy.eligibility import INELIGIBLE_STATUSES, MIN_AVERAGE_MINUTES
from tests.support.memory_clients import SimulatedClock
from tests.support.memory_rows import NIGHT

CLIENTS = cast(Any, SimulatedClock())


def eligible(*names: str, line_method: str | None = None) -> tuple[Any, ...]:
    return tuple({"player_lookup": name, "line_method": line_method} for name in names)


def planned(*args: Any, **options: Any) -> Run:
    """The run of a date that has one."""
    run = plan_run(*args, **options)
    assert run is not None
    return run


class Tables:
    """What the queries answer; `asked` has the names and the parameters of those that were run."""

    def __init__(self) -> None:
        self.games: tuple[Any, ...] = ({"game_id": "g1"}, {"game_id": "g2"})
        self.players = eligible("ann", "bob", "cid")
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def run_query(self, clients: object, name: str, **params: Any) -> SimpleNamespace:
        assert clients is CLIENTS
        self.asked.append((name, params))
        return SimpleNamespace(rows={"pipeline.games": self.games, "pipeline.eligible_players": self.players}[name])


@pytest.fixture
def tables(monkeypatch):
    tables = Tables()
    monkeypatch.setattr(run_request, "query_catalog", tables)
    return tables


def test_a_run_requests_every_eligible_player_of_its_date(tables):
    run = planned(CLIENTS, NIGHT, started_by="ada")
    batch_id = f"batch_{NIGHT}_{int(CLIENTS.now().timestamp() * 1000)}"
    assert run == Run(batch_id, NIGHT, 2, 3, tables.players, "ada", MIN_AVERAGE_MINUTES)
    needed = {"minutes_needed": MIN_AVERAGE_MINUTES, "ineligible_statuses": INELIGIBLE_STATUSES}
    assert tables.asked == [
        ("pipeline.games", {"game_date": NIGHT}),
        ("pipeline.eligible_players", {"game_date": NIGHT, **needed}),
    ]
    assert planned(CLIENTS, NIGHT).started_by == ""


def test_a_run_may_ask_for_other_minutes(tables):
    run = planned(CLIENTS, NIGHT, min_minutes=5)
    assert (run.min_minutes, tables.asked[1][1]["minutes_needed"]) == (5, 5.0)


def test_of_named_players_only_they_are_requested_and_all_are_counted_eligible(tables):
    run = planned(CLIENTS, NIGHT, players=("cid", "ann"))
    assert [row["player_lookup"] for row in run.players] == ["ann", "cid"]
    assert run.eligible == 3


@pytest.mark.parametrize(
    ("named", "listed"),
    [
        (["zoe", "ann", "dan"], "dan, zoe"),
        (["e", "d", "c", "b", "a"], "a, b, c, d, e"),
        (["f", "e", "d", "c", "b", "a"], "a, b, c, d, e …"),
    ],
)
def test_a_named_player_who_is_not_eligible_is_named_and_nothing_starts(tables, named, listed):
    with pytest.raises(InvalidInput) as refusal:
        planned(CLIENTS, NIGHT, players=named)
    assert refusal.value.message == f"Not eligible on {NIGHT}: {listed}."
    assert refusal.value.hint == "Nothing was started."


def test_a_date_without_games_has_no_run_and_its_players_are_not_read(tables):
    tables.games = ()
    assert plan_run(CLIENTS, NIGHT, players=("nobody",)) is None
    assert [name for name, _ in tables.asked] == ["pipeline.games"]


def test_a_date_without_eligible_players_says_how_many_games_it_has(tables):
    tables.players = ()
    with pytest.raises(NoEligiblePlayers, match=f"No player of {NIGHT} is eligible: 2 games"):
        planned(CLIENTS, NIGHT, players=("ann",))


def test_lines_that_were_found_through_an_alias_are_counted_and_ten_named(tables, caplog):
    caplog.set_level(logging.INFO, "coordinator")
    aliased = [f"p{number:02}" for number in range(12)]
    tables.players = eligible("ann", line_method="exact") + eligible(*aliased, line_method="through an alias")
    batch_id = planned(CLIENTS, NIGHT).batch_id
    names = ", ".join(aliased[:10])
    assert caplog.messages == [f"Lines through an alias of the odds: 12 ({names}) (batch={batch_id})"]
    caplog.clear()
    planned(CLIENTS, NIGHT, players=("ann",))
    assert caplog.messages == [], "only those of the players who are requested"


def test_the_first_record_of_a_batch_has_what_a_resume_needs(tables):
    run = planned(CLIENTS, NIGHT, min_minutes=5, players=("cid", "ann"), started_by="ada")
    assert initial_record(run, "coordinator-a") == BatchRecord(
        run.batch_id,
        NIGHT,
        BatchState.REQUESTED,
        1,
        "coordinator-a",
        started_by="ada",
        eligible=3,
        requested=2,
        details={"players": ["ann", "cid"], "min_minutes": 5, "activation": 1},
    )


def test_two_runs_of_a_date_have_ids_of_their_own(tables, monkeypatch):
    first = planned(CLIENTS, NIGHT)
    monkeypatch.setattr(CLIENTS, "at", CLIENTS.at + timedelta(milliseconds=1))
    assert planned(CLIENTS, NIGHT).batch_id != first.batch_id
