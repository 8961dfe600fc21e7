"""A run's plan says which games have begun, who is not requested, and which rows the run will supersede."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from services.batches.reader import Batches
from services.core.errors import OnCallError
from services.core.result import Problem
from services.core.thresholds import Thresholds
from services.nights.line_counts import PlayerLines
from services.nights.players import LeftGame
from services.nights.row_counts import count_rows
from services.runs import plan as run_plan
from services.runs.coordinator_client import CoordinatorInfo
from services.runs.run_context import RunContext, list_repairable
from tests.support.factories import NIGHT, NOW, make_night, make_player, make_write_error, player_without_rows
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, memory_clients

NO_BATCHES = Batches((), ())
EARLIER, LATER = NOW - timedelta(hours=3), NOW + timedelta(hours=3)


def rejected_player(**changes):
    return player_without_rows(write_error=make_write_error(), **changes)


@pytest.fixture
def plan(monkeypatch):
    """Plans a run of a night that is given."""
    project = MemoryProject(SimulatedClock(NOW))

    def plan_night(night, scope="lost", batches=NO_BATCHES, unreadable=None):
        context = RunContext(
            night=night,
            repairable=list_repairable(night, count_rows(night, None, Thresholds()), NOW),
            batches=batches,
            staging_tables=(),
            coordinator=CoordinatorInfo("http://coordinator", "coordinator", frozenset({"players", "resume"})),
            worker_capacity=1,
            unreadable=unreadable or {},
        )
        monkeypatch.setattr(run_plan, "load_run_context", lambda *_: context)
        return run_plan.plan_start(memory_clients(project), {"game_date": NIGHT.isoformat(), "scope": scope})

    yield plan_night
    project.close()


def test_games_that_have_begun_are_a_warning_with_what_it_means(plan):
    night = make_night(rejected_player(), tip_offs=(EARLIER, NOW, LATER), games=3)
    assert plan(night).warnings == ("2 of 3 games have begun: rows of their players are marked as made after tip-off.",)


def test_games_whose_tip_off_is_not_known_are_not_taken_for_games_to_come(plan):
    night = make_night(rejected_player(), tip_offs=(LATER,), games=3)
    assert plan(night).warnings == ("Tip-off of 2 of 3 games is unknown: their rows may be made after it.",)


def test_before_every_tip_off_there_is_no_warning(plan):
    assert plan(make_night(rejected_player(), tip_offs=(LATER,), games=1)).warnings == ()


def test_a_player_who_shares_a_lookup_key_is_not_requested_and_named(plan):
    sharing = rejected_player(player_lookup="jwill", team="NOP", shares_lookup_with="Jalen Will (OKC, g)")
    planned = plan(make_night(rejected_player(), sharing, tip_offs=(LATER,), games=1))
    assert planned.warnings == ("jwill of NOP is not requested: shares its lookup key with Jalen Will (OKC, g).",)
    assert list(planned.preconditions["lost"]) == ["herbertjones"]


@pytest.mark.parametrize(("scope", "named"), [("lost", ["ann"]), ("date", ["ann", "bob"])])
def test_rows_of_a_game_that_a_requested_player_has_left_are_listed(plan, scope, named):
    night = make_night(
        rejected_player(player_lookup="ann"),
        make_player(player_lookup="bob"),
        tip_offs=(LATER,),
        games=1,
        left_games=(LeftGame("ann", "old", 25), LeftGame("bob", "old", 1), LeftGame("cid", "old", 25)),
    )
    listed = [change for change in plan(night, scope).changes if ", game " in change.what]
    assert [change.what for change in listed] == [f"{player}, game old" for player in named]
    assert listed[0].before == "25 active rows"
    assert listed[0].after == "superseded: the context has the player in another game now"


def figures_of(planned):
    return [(figure.label, figure.before, figure.after, figure.note) for figure in planned.figures]


def guard(planned):
    return next(guard for guard in planned.guards if guard.name == "no running batch")


def test_whether_a_batch_runs_is_unknown_while_the_ledger_cannot_be_read(plan):
    night = make_night(rejected_player())
    problem = Problem("batch ledger", NOW, "BigQuery did not answer")
    assert guard(plan(night)).ok is True
    assert guard(plan(night, batches=Batches((), (), (problem,)))).ok is None
    unread = plan(night, batches=None, unreadable={"batches": str(OnCallError("No record of batches can be read."))})
    assert guard(unread).ok is None
    assert "No record of batches can be read." in guard(unread).message


def test_players_who_are_only_partly_there_are_chosen_and_their_rows_are_named(plan):
    partly = make_player(player_lookup="ann", player_name="Ann", active_rows=1, written_rows=1)
    planned = plan(make_night(partly, make_player(player_lookup="bob"), tip_offs=(LATER,), games=1))
    assert planned.title == "Re-run 1 incomplete player · Mon 29 Dec 2025"
    assert planned.preconditions["lost"] == {"ann": "incomplete"}
    assert planned.preconditions["body"]["players"] == ["ann"]
    changes = {change.what: (change.before, change.after) for change in planned.changes}
    assert figures_of(planned) == [
        ("Active players", "2", "2", "+0, of 2 eligible"),
        ("Active rows", "26", "50", "+24 as generated before; 1 row of 1 player updated where values differ"),
        ("Coverage", "100.0%", "100.0%", "duration unknown"),
    ]
    assert changes["Ann"] == ("incomplete: 1 of 25 rows active", "re-requested")


def test_lost_and_incomplete_players_are_counted_apart(plan):
    partly = make_player(player_lookup="ann", active_rows=1, written_rows=1)
    planned = plan(make_night(partly, rejected_player(player_lookup="bob"), tip_offs=(LATER,), games=1))
    assert planned.title == "Re-run 1 missing and 1 incomplete player · Mon 29 Dec 2025"
    assert figures_of(planned)[0] == ("Active players", "1", "2", "+1, of 2 eligible")


def test_running_everybody_again_names_the_rows_players_and_systems_that_are_overwritten(plan):
    players = [make_player(player_lookup="ann"), make_player(player_lookup="bob"), rejected_player()]
    night = make_night(*players, tip_offs=(LATER,), games=1)
    [warning] = [text for text in plan(night, scope="date").warnings if "overwritten" in text]
    by_system = ", ".join(f"{system.system_id} {system.active}" for system in night.systems)
    assert sum(system.active for system in night.systems) == night.active_rows == 50
    assert warning == (
        f"Existing rows are overwritten: 50 active rows of 2 players, where their values differ ({by_system})."
    )
    assert not [text for text in plan(night).warnings if "overwritten" in text], "the lost players alone"


def make_lines(player: str, base: int, tip_off=LATER) -> PlayerLines:
    """Rows around 20.5, and odds for another line."""
    predicted = tuple(Decimal("20.5") + offset for offset in (-2, -1, 0, 1, 2))
    return PlayerLines(player, predicted, (Decimal(base),), Decimal(base), tip_off, 0)


def test_players_with_an_old_line_are_chosen_before_tip_off_and_their_rows_are_replaced(plan):
    ann, bob = make_player(player_lookup="ann", player_name="Ann"), make_player(player_lookup="bob")
    lines = (make_lines("ann", 22), make_lines("bob", 22, EARLIER))
    planned = plan(make_night(ann, bob, tip_offs=(LATER,), games=1, lines=lines))
    assert planned.title == "Re-run 1 player with an old line · Mon 29 Dec 2025"
    assert planned.preconditions["body"]["players"] == ["ann"]
    changes = {change.what: (change.before, change.after) for change in planned.changes}
    assert figures_of(planned)[1][3].endswith("; 25 rows of 1 player updated where values differ")
    assert changes["Ann"] == ("line moved: Predicted for 18.5–22.5, odds 22", "re-requested")


def test_lost_and_old_line_players_are_counted_apart_and_an_incomplete_one_once(plan):
    partly = make_player(player_lookup="ann", active_rows=1, written_rows=1)
    moved, lost = make_player(player_lookup="cid"), rejected_player(player_lookup="bob")
    lines = (make_lines("ann", 22), make_lines("cid", 22))
    planned = plan(make_night(partly, lost, moved, tip_offs=(LATER,), games=1, lines=lines))
    assert planned.title == "Re-run 1 missing and 1 incomplete player, 1 player with an old line · Mon 29 Dec 2025"
