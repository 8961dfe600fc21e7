"""Which staged rows another table of the batch replaces: by player and system, and by when the rows were made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.batches.business_key import BusinessKey, PlayerSystem, RowVersion, Run
from services.pipeline.older_runs import find_older_runs, has_several_runs, without_runs
from services.pipeline.row_versions import KeyedVersion, StagedRows

AT = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)


def make_rows(minutes: float, *lines: str, player: str = "ann") -> list[KeyedVersion]:
    """The rows of one player and system that were made so many minutes after AT."""
    made_at = AT + timedelta(minutes=minutes)
    return [
        (BusinessKey("2025-12-29", "g", player, "one", line), RowVersion(made_at, f"{player}-{line}-{minutes}", True))
        for line in lines
    ]


def merge(*tables: list[KeyedVersion]) -> StagedRows:
    """What several tables stage together."""
    return StagedRows(row for table in tables for row in table)


def run(minutes: float, player: str = "ann") -> Run:
    return Run(PlayerSystem("g", player, "one"), AT + timedelta(minutes=minutes))


OLD, NEW = make_rows(0, "20.5", "22.5"), make_rows(5, "21.5", "22.5")


def test_rows_of_a_player_that_were_made_at_two_times_are_several_runs():
    assert has_several_runs(merge(OLD, NEW))
    assert not has_several_runs(merge(OLD, make_rows(5, "20.5", player="bob")))


def test_the_table_with_the_newest_row_of_a_player_replaces_the_others_in_whichever_order_they_are_read():
    staged = merge(OLD, NEW)
    assert find_older_runs(staged, [OLD, NEW]) == find_older_runs(staged, [NEW, OLD]) == {run(0)}


def test_what_one_table_holds_of_several_times_stands_together():
    """A message was delivered twice into one table: its rows of both deliveries are there."""
    twice = [*make_rows(5, "20.5"), *make_rows(6, "22.5")]
    assert find_older_runs(merge(OLD, twice), [OLD, twice]) == {run(0)}


def test_rows_that_came_into_a_table_after_it_was_copied_replace_nothing():
    assert find_older_runs(merge(OLD), [OLD, NEW]) == frozenset()


def test_a_player_whose_tables_are_gone_has_no_older_run():
    assert find_older_runs(merge(OLD, make_rows(0, "20.5", player="bob")), [OLD]) == frozenset()


def test_a_key_whose_rows_are_all_of_an_older_run_is_left_out():
    assert sorted(without_runs(merge(OLD, NEW), {run(0)})) == sorted(NEW)
