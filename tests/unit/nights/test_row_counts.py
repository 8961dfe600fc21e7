"""Rows expected, missing and doubled: known from what was generated and from the nights before, and no false alarm."""

from __future__ import annotations

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.core.settings import Settings
from services.nights.coverage import CoverageHistory, NightCoverage
from services.nights.player_stages import NightStatus
from services.nights.row_counts import RowCounts, count_rows, find_usual_rows
from services.nights.written_rows import SystemRows, WrittenRows, count_rows_by_player, count_rows_by_system
from tests.support.factories import NIGHT, NOW, make_history, make_night, make_player

SYSTEMS = ("ensemble_v1", "moving_average", "similarity_balanced_v1", "xgboost_v1", "zone_matchup_v1")
WHOLE_NIGHT = dict.fromkeys(SYSTEMS, (114, 570))


def count(night: NightStatus, history: CoverageHistory | None, **variables: str) -> RowCounts:
    return count_rows(night, history, Settings.from_env(variables))


def make_players(count: int, keys: dict[str, int], **changes: Any) -> list[Any]:
    rows = sum(keys.values())
    return [
        make_player(
            player_lookup=f"p{n}", active_rows=rows, written_rows=rows, keys=tuple(sorted(keys.items())), **changes
        )
        for n in range(count)
    ]


def whole(rows: int = 5) -> dict[str, int]:
    return dict.fromkeys(SYSTEMS, rows)


def prediction(**changes: Any) -> Any:
    return {
        "player_lookup": "ann",
        "system_id": "xgboost_v1",
        "game_id": "g",
        "current_points_line": Decimal("20.5"),
        "is_active": True,
        "superseded": False,
        "created_at": None,
        **changes,
    }


def test_a_whole_night_lacks_nothing():
    counts = count(make_night(*make_players(114, whole())), make_history(WHOLE_NIGHT, WHOLE_NIGHT, WHOLE_NIGHT))
    assert (counts.missing, counts.doubled, counts.incomplete, counts.short_systems) == (0, 0, (), ())
    assert {(s.players_expected, s.rows_expected) for s in counts.systems} == {(114, 570)}


def test_systems_that_are_absent_are_found_by_the_nights_before_where_nothing_was_recorded():
    players = make_players(114, {"ensemble_v1": 5}, recorded_rows=None)
    counts = count(make_night(*players), make_history(WHOLE_NIGHT, WHOLE_NIGHT))
    assert (counts.missing, counts.expected) == (2280, 2850)
    assert [(s.system_id, s.found.players, s.players_expected) for s in counts.short_systems] == [
        (system, 0, 114) for system in SYSTEMS[1:]
    ]
    assert all(system.is_absent for system in counts.short_systems)
    assert [(p.rows, p.missing, p.absent) for p in counts.incomplete] == [(5, 20, SYSTEMS[1:])] * 114


def test_systems_that_the_workers_did_not_generate_either_are_missing():
    players = make_players(114, dict.fromkeys(SYSTEMS[:4], 5), generated_rows=20)
    counts = count(make_night(*players), make_history(WHOLE_NIGHT, WHOLE_NIGHT))
    assert (counts.missing, [s.system_id for s in counts.short_systems]) == (570, ["zone_matchup_v1"])
    assert {p.absent for p in counts.incomplete} == {("zone_matchup_v1",)}


def test_one_row_left_for_each_player_is_found_by_what_was_generated_without_any_history():
    counts = count(make_night(*make_players(130, {"ensemble_v1": 1})), None)
    assert (counts.keys, counts.missing, counts.expected, len(counts.incomplete)) == (130, 3120, 3250, 130)


def test_one_player_with_a_row_missing_is_incomplete_though_no_system_is_short():
    players = [*make_players(113, whole()), make_player(player_lookup="ann", keys=(("ensemble_v1", 24),))]
    counts = count(make_night(*players), make_history(WHOLE_NIGHT, WHOLE_NIGHT))
    assert [(p.player.player_lookup, p.rows, p.missing) for p in counts.incomplete] == [("ann", 24, 1)]
    assert (counts.missing, counts.short_systems) == (1, ())


def test_a_player_without_a_record_is_compared_with_the_rows_that_every_player_has():
    short = {**whole(), "xgboost_v1": 3}
    players = [
        *make_players(113, whole()),
        make_player(player_lookup="a", keys=tuple(short.items()), recorded_rows=None),
    ]
    counts = count(make_night(*players), make_history(WHOLE_NIGHT, WHOLE_NIGHT))
    assert [(p.player.player_lookup, p.missing) for p in counts.incomplete] == [("a", 2)]


def test_fewer_rows_than_usual_are_complete_for_a_player_of_whom_no_more_were_generated():
    players = [*make_players(113, whole()), make_player(generated_rows=20, keys=tuple(whole(4).items()))]
    counts = count(make_night(*players), make_history(WHOLE_NIGHT, WHOLE_NIGHT))
    assert (counts.missing, counts.incomplete) == (0, ())


def test_a_player_who_is_not_eligible_or_has_no_row_is_not_incomplete():
    out, missing = make_player(eligible=False, active_rows=1), make_player(active_rows=0)
    assert count(make_night(out, missing), None).incomplete == ()


def test_doubled_rows_are_counted_by_key_and_are_nothing_missing():
    once = [prediction(player_lookup=f"p{n}", current_points_line=Decimal(n % 5)) for n in range(10)]
    [system] = count_rows_by_system([*once, *once])
    assert system == SystemRows("xgboost_v1", players=10, keys=10, active=20, doubled=10, superseded=0)


@pytest.mark.parametrize(
    ("changes", "doubled"),
    [
        ({}, 1),
        ({"current_points_line": 20.5}, 1),
        ({"current_points_line": Decimal("20.50")}, 1),
        ({"current_points_line": Decimal(20)}, 0),
        ({"current_points_line": None}, 0),
        ({"game_id": "other"}, 0),
        ({"game_id": None}, 0),
        ({"player_lookup": "bob"}, 0),
        ({"system_id": "ensemble_v1"}, 0),
        ({"is_active": False, "superseded": True}, 0),
    ],
)
def test_a_key_is_doubled_where_game_player_system_and_decimal_line_are_the_same(changes, doubled):
    rows = [prediction(), prediction(**changes)]
    assert sum(system.doubled for system in count_rows_by_system(rows)) == doubled


def test_the_keys_of_a_player_are_counted_by_system():
    rows = [prediction(), prediction(), prediction(current_points_line=None), prediction(system_id="a")]
    assert count_rows_by_player(rows)["ann"] == WrittenRows(4, 4, 0, (("a", 1), ("xgboost_v1", 2)))


def test_a_players_first_row_is_the_earliest_that_is_or_was_active():
    times = [NOW - timedelta(minutes=minutes) for minutes in (1, 5, 9)]
    rows = [
        prediction(created_at=times[0]),
        prediction(is_active=False, superseded=True, created_at=times[1]),
        prediction(is_active=False, created_at=times[2]),  # was never active
        prediction(created_at=None),
    ]
    assert count_rows_by_player(rows)["ann"].first_made_at == times[1]
    assert count_rows_by_player([prediction(created_at=None)])["ann"].first_made_at is None


def test_two_rows_without_a_line_share_a_key():
    [system] = count_rows_by_system([prediction(current_points_line=None)] * 2)
    assert (system.keys, system.doubled) == (1, 1)


def test_superseded_rows_are_counted_and_are_no_active_key():
    [system] = count_rows_by_system([prediction(), prediction(is_active=False, superseded=True)])
    assert (system.active, system.keys, system.superseded) == (1, 1, 1)


def test_a_system_that_is_new_tonight_is_not_expected():
    players = make_players(114, {**whole(), "catboost_v9": 5}, generated_rows=30)
    counts = count(make_night(*players), make_history(WHOLE_NIGHT, WHOLE_NIGHT))
    assert counts.missing == 0
    [new] = [system for system in counts.systems if system.system_id == "catboost_v9"]
    assert (new.players_expected, new.rows_expected) == (None, None)


def test_a_system_is_expected_that_ran_on_two_of_the_last_three_played_nights():
    without = {system: WHOLE_NIGHT[system] for system in SYSTEMS[1:]}
    night = make_night(*make_players(114, dict.fromkeys(SYSTEMS[1:], 5), generated_rows=20))
    for nights, expected in (
        ((WHOLE_NIGHT, without, WHOLE_NIGHT), True),
        ((WHOLE_NIGHT, {}, without, {}, WHOLE_NIGHT), True),
        ((WHOLE_NIGHT, WHOLE_NIGHT, without, without), False),
        ((WHOLE_NIGHT,), False),
    ):
        assert [s.system_id for s in count(night, make_history(*nights)).short_systems] == ["ensemble_v1"] * expected


def test_the_night_itself_and_later_nights_are_not_its_past():
    history = make_history(WHOLE_NIGHT, WHOLE_NIGHT, before=NIGHT + timedelta(days=2))
    assert find_usual_rows(history, NIGHT) == {}


def test_one_damaged_night_does_not_lower_what_is_usual():
    damaged = dict.fromkeys(SYSTEMS, (114, 114))
    doubled = dict.fromkeys(SYSTEMS, (114, 1140))
    history = make_history(WHOLE_NIGHT, damaged, WHOLE_NIGHT, WHOLE_NIGHT, doubled)
    counts = count(make_night(*make_players(114, whole(1), generated_rows=5)), history)
    assert (counts.missing, counts.expected) == (2280, 2850)


@pytest.mark.parametrize("seed", range(40))
def test_systems_that_leave_out_players_and_lines_that_differ_raise_nothing(seed):
    """A table in which a system covers 80 % of the players, and players have one to five lines, in seasons of slates of any size."""
    rng = random.Random(seed)
    nights = [draw_night(rng) for _ in range(15)]
    for index, night in enumerate(nights):
        assert count(night, to_history(nights[:index])).missing == 0, index


@pytest.mark.parametrize("seed", range(10))
def test_and_an_absent_or_halved_system_is_found_in_such_a_table(seed):
    rng = random.Random(seed)
    history = to_history([draw_night(rng) for _ in range(12)])
    for kept in (0, 0.4):
        damaged = draw_night(rng, size=150, kept_of_partial=kept)
        assert [s.system_id for s in count(damaged, history).short_systems] == ["partial"], kept


def draw_night(rng: random.Random, size: int = 0, kept_of_partial: float = 1.0) -> Any:
    players = []
    for n in range(size or rng.randrange(28, 180)):
        lines = rng.randrange(1, 6)
        keys = {"all": lines}
        if rng.random() < 0.8 and rng.random() < kept_of_partial:
            keys["partial"] = lines
        rows = sum(keys.values())
        changes: Any = {"active_rows": rows, "recorded_rows": None, "keys": tuple(keys.items())}
        players.append(make_player(player_lookup=f"p{n}", **changes))
    return make_night(*players)


def to_history(nights: list[Any]) -> Any:
    days: list[NightCoverage] = []
    for index, night in enumerate(nights):
        systems = {s.system_id: (s.players, s.active) for s in night.systems}
        before: date = NIGHT - timedelta(days=len(nights) - index - 1)
        days += make_history(systems, active=night.active_players, before=before).days
    return CoverageHistory(tuple(days), ())


def test_the_shares_below_which_a_system_is_short_are_settings():
    night = make_night(*make_players(100, {"a": 4}, recorded_rows=4))
    constant = make_history(*[{"a": (100, 500)}] * 4, active=100)
    varying = make_history(*[{"a": (100, 1000 + n)} for n in range(4)], active=100)
    for history, name, above, below in (
        (constant, "ROWS_USUAL_PCT", 81, 80),
        (varying, "ROWS_USUAL_VARYING_PCT", 41, 39),
    ):
        assert [bool(count(night, history, **{name: str(pct)}).missing) for pct in (above, below)] == [True, False], (
            name
        )


def test_an_absent_system_is_found_on_a_small_slate_too():
    varying = [{"a": (114, 300 + n), "b": (114, 310 + 2 * n)} for n in range(4)]
    counts = count(make_night(*make_players(12, {"a": 3}, recorded_rows=None)), make_history(*varying))
    assert [(s.system_id, s.is_absent) for s in counts.short_systems] == [("b", True)]
