"""Lines: predictions around another line than the newest before tip-off, and rows made after it, are counted and named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import Health, Problem, Result
from services.core.tables import PREDICTIONS_TABLE
from services.judgement.lines import judge_lines
from services.judgement.statement import Repair
from services.nights.line_counts import PlayerLines
from services.nights.player_stages import read_night
from services.nights.rows import LINE_OF_ODDS, LINE_OF_ROW, TIME_OF_CHANGE, TIME_OF_ROW
from tests.support.alert_factories import make_batch
from tests.support.factories import make_night, make_player
from tests.support.memory_rows import NIGHT, context_row, prediction_row
from tests.support.seeded_nights import make_facts, seeded_project

CONTEXT, ODDS = "nba_analytics.upcoming_player_game_context", "nba_raw.odds_api_player_points_props"

TIP_OFF = datetime(2025, 12, 30, 0, tzinfo=UTC)
MADE = datetime(2025, 12, 29, 16, 30, tzinfo=UTC)


def odds_row(line: float, hours_before: float = 3, bookmaker: str = "draftkings", player: str = "ann"):
    return {
        "player_lookup": player,
        "player_name": player.title(),
        "game_id": "league-1",
        "game_date": NIGHT,
        "away_team_abbr": "NYK",
        "home_team_abbr": "NOP",
        "points_line": line,
        "bookmaker": bookmaker,
        "game_start_time": TIP_OFF,
        "snapshot_timestamp": TIP_OFF - timedelta(hours=hours_before),
    }


def prediction_rows(base: str, made: datetime = MADE, offsets=(-2, -1, 0, 1, 2), **changes: object):
    return [
        prediction_row("ann", system_id=system, current_points_line=Decimal(base) + offset, created_at=made, **changes)
        for system in ("ensemble_v1", "xgboost_v1")
        for offset in offsets
    ]


def read(odds, predictions, context_line: str | None = "20.5"):
    line = None if context_line is None else Decimal(context_line)
    with seeded_project({}) as (project, clients):
        project.insert(CONTEXT, [context_row("ann", current_points_line=line)])
        project.insert(ODDS, odds)
        project.insert(PREDICTIONS_TABLE, predictions)
        return read_night(clients, NIGHT)


def judge(night, now: datetime = TIP_OFF - timedelta(hours=1)):
    return judge_lines(make_facts(night, (), now))


def test_rows_around_the_newest_line_are_in_order():
    statement = judge(read([odds_row(19.5, 8), odds_row(20.5)], prediction_rows("20.5")))
    assert (statement.health, statement.part, statement.whole) == (Health.OK, 1, 1)


@pytest.mark.parametrize(
    ("predictions", "moved"),
    [
        (prediction_rows("20.5"), True),  # the odds went on to 21.5
        (prediction_rows("21.5"), False),
        (prediction_rows("21.5", offsets=(0,)), False),  # a system with one line
        (prediction_rows("20.5", offsets=(0,)), True),
        (prediction_rows("21.5", offsets=(-2, -1, 1)), False),  # rows are missing, which is another statement
        ([*prediction_rows("20.5"), *prediction_rows("21.5")], True),  # both sets are active
        ([*prediction_rows("20.5", is_active=False), *prediction_rows("21.5")], False),
    ],
)
def test_rows_around_another_line_than_the_newest_have_moved(predictions, moved):
    statement = judge(read([odds_row(20.5, 8), odds_row(21.5)], predictions))
    assert statement.health is (Health.WARNING if moved else Health.OK)


def test_a_line_of_the_odds_after_tip_off_does_not_count_and_any_bookmakers_newest_does():
    odds = [odds_row(20.5, 3), odds_row(25.5, -1), odds_row(21.5, 2, "fanduel")]
    assert judge(read(odds, prediction_rows("20.5"))).health is Health.OK
    assert judge(read(odds, prediction_rows("21.5"))).health is Health.OK
    assert judge(read(odds, prediction_rows("25.5"))).health is Health.WARNING


def test_the_odds_may_spell_the_player_as_an_alias_does():
    with seeded_project({}) as (project, clients):
        project.insert(CONTEXT, [context_row("ann", current_points_line=None)])
        project.insert(ODDS, [odds_row(22.5, player="annie")])
        alias = {"alias_lookup": "annie", "nba_canonical_lookup": "ann", "is_active": True, "created_by": "us"}
        project.insert("nba_reference.player_aliases", [alias])
        project.insert(PREDICTIONS_TABLE, prediction_rows("20.5"))
        (lines,) = read_night(clients, NIGHT).lines
    assert (lines.offered, lines.rerun_line, lines.has_moved) == ((Decimal("22.5"),), Decimal("22.5"), True)


def test_a_moved_line_is_repaired_by_a_re_run_before_tip_off_where_a_run_takes_the_new_one():
    odds = [odds_row(20.5, 8), odds_row(21.5, 3), odds_row(22.5, 3, "fanduel")]
    night = read(odds, prediction_rows("20.5"), context_line="21.5")
    statement = judge(night)
    assert (statement.health, statement.repair) == (Health.WARNING, Repair.RERUN_PLAYERS)
    assert (
        statement.text
        == "1 of 1 player is predicted for another line than the newest odds (ann 18.5–22.5, odds 21.5–22.5)"
    )
    assert judge(night, TIP_OFF).repair is None
    facts = make_facts(night, (), TIP_OFF - timedelta(hours=1))
    running = Batches((make_batch(state=BatchState.RUNNING),), ())
    assert judge_lines(replace(facts, batches=Result(running))).repair is None
    old_context = judge(read(odds, prediction_rows("20.5"), context_line="20.5"))
    assert (old_context.health, old_context.repair) == (Health.WARNING, None)
    assert old_context.text == f"{statement.text}; the context has the old line of 1 of them"
    assert judge(read(odds, prediction_rows("20.5"), context_line=None)).repair is Repair.RERUN_PLAYERS


def test_rows_changed_after_tip_off_are_counted_though_they_keep_the_time_when_they_were_made():
    """The customer's MERGE updates the row of a key and leaves its created_at."""
    rewritten = prediction_rows("20.5", offsets=(0, 1), updated_at=TIP_OFF)
    in_time = prediction_rows("20.5", offsets=(-2, -1), updated_at=TIP_OFF - timedelta(seconds=1))
    statement = judge(read([odds_row(20.5)], [*in_time, *rewritten]), TIP_OFF)
    assert (statement.health, statement.text) == (Health.WARNING, "4 rows of 1 player changed after tip-off (ann)")
    new = prediction_rows("20.5", made=TIP_OFF, offsets=(0,), updated_at=TIP_OFF)
    both = judge(read([odds_row(20.5)], [*in_time, *prediction_rows("20.5", offsets=(1,), updated_at=TIP_OFF), *new]))
    assert both.text == "2 rows of 1 player made after tip-off (ann); 2 rows of 1 player changed after tip-off (ann)"


def test_rows_made_after_tip_off_are_counted_and_named():
    late = prediction_rows("20.5", made=TIP_OFF, offsets=(0, 1))
    statement = judge(read([odds_row(20.5)], [*prediction_rows("20.5", offsets=(-2, -1)), *late]), TIP_OFF)
    assert (statement.health, statement.text) == (Health.WARNING, "4 rows of 1 player made after tip-off (ann)")
    assert statement.repair is None


def test_without_odds_or_rows_nothing_is_recorded_to_compare():
    for night in (read([], prediction_rows("20.5")), read([odds_row(20.5)], [])):
        statement = judge(night)
        assert (statement.health, statement.recorded) == (Health.NONE_EXPECTED, False)


def test_an_unread_or_outdated_night_is_unknown():
    down = Problem("BigQuery", TIP_OFF, "BigQuery does not answer")
    night = make_night(make_player(), lines=(PlayerLines("ann", (Decimal(20),), (Decimal(20),), Decimal(20), None, 0),))
    facts = make_facts(night, ())
    assert judge_lines(facts).health is Health.OK
    assert judge_lines(replace(facts, night=Result(night, outdated=down))).health is Health.UNKNOWN
    assert judge_lines(replace(facts, night=Result(None, down))).health is Health.UNKNOWN


def test_a_long_list_is_shortened():
    moved = tuple(PlayerLines(f"p{n}", (Decimal(20),), (Decimal(22),), Decimal(22), None, 0) for n in range(5))
    text = judge_lines(make_facts(make_night(lines=moved), ())).text
    assert text.endswith("(p0 20, odds 22; p1 20, odds 22; p2 20, odds 22 and 2 more)")


def make_lines(name: str = "ann", predicted: int = 20, offered: int = 20, **changes: Any) -> PlayerLines:
    line = Decimal(offered)
    return replace(PlayerLines(name, (Decimal(predicted),), (line,), line, TIP_OFF, 0), **changes)


def test_players_on_their_newest_line_are_counted_of_those_compared():
    night = make_night(lines=(make_lines("ann"), make_lines("bob"), make_lines("cat", offered=22)))
    statement = judge(night)
    assert (statement.part, statement.whole, statement.page) == (2, 3, "missing_players")
    assert statement.text.startswith("1 of 3 players are predicted for another line than the newest odds (cat 20, ")
    in_order = judge(make_night(lines=(make_lines("ann"), make_lines("bob"))))
    assert in_order.text == "all 2 players with odds are predicted for their newest line"


def test_a_line_is_kept_by_a_re_run_only_where_the_game_has_not_begun():
    kept = make_lines(offered=22, rerun_line=Decimal(20))
    assert "the context has the old line of 1 of them" in judge(make_night(lines=(kept,))).text
    assert "the context" not in judge(make_night(lines=(kept,)), TIP_OFF).text
    untimed = replace(kept, tip_off=None)
    assert "the context has the old line of 1 of them" in judge(make_night(lines=(untimed,)), TIP_OFF).text


@pytest.mark.parametrize(
    ("absent", "text"),
    [
        ({TIME_OF_ROW}, "; when rows were made is not recorded"),
        ({TIME_OF_CHANGE}, "; when rows were changed is not recorded"),
        (
            {TIME_OF_ROW, TIME_OF_CHANGE},
            "; when rows were made is not recorded; when rows were changed is not recorded",
        ),
    ],
)
def test_times_that_are_not_recorded_are_said_beside_the_lines(absent, text):
    night = make_night(lines=(make_lines("ann"), make_lines("bob")), absent_columns=frozenset(absent))
    assert judge(night).text == f"all 2 players with odds are predicted for their newest line{text}"


@pytest.mark.parametrize(
    ("players", "absent", "text"),
    [
        ([make_player()], {LINE_OF_ROW}, "the predictions have no column current_points_line"),
        ([make_player()], {LINE_OF_ODDS, TIME_OF_ROW}, "the odds have no column points_line"),
        ([make_player()], set(), "no player has both active rows and odds with a line"),
        ([], set(), "no active row yet"),
    ],
)
def test_why_nothing_is_compared_is_said(players, absent, text):
    statement = judge(make_night(*players, absent_columns=frozenset(absent)))
    assert (statement.text, statement.recorded) == (text, False)


def test_late_rows_of_players_without_a_line_to_compare_are_a_warning():
    late = make_lines(offered=20, late_rows=2)
    statement = judge(make_night(lines=(replace(late, offered=(), rerun_line=None),)))
    assert (statement.health, statement.text) == (Health.WARNING, "2 rows of 1 player made after tip-off (ann)")


def test_an_outdated_night_with_nothing_to_compare_is_unknown():
    facts = make_facts(make_night(), ())
    down = Problem("BigQuery", TIP_OFF, "BigQuery does not answer")
    assert judge_lines(replace(facts, night=replace(facts.night, outdated=down))).health is Health.UNKNOWN


def test_as_many_names_as_are_shown_are_not_shortened():
    moved = tuple(make_lines(f"p{n}", offered=22) for n in range(3))
    assert judge(make_night(lines=moved)).text.endswith("(p0 20, odds 22; p1 20, odds 22; p2 20, odds 22)")
