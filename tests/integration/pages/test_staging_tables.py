"""The staging tables page with many unmerged batches."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from app.state import reads
from services.core.result import Health
from services.staging.inventory import BatchTotal, StagingInventory, StagingTable, StagingTableState, totals_by_batch


def test_of_many_unmerged_batches_the_largest_have_buttons_and_the_rest_can_be_selected(open_page, monkeypatch):
    now = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
    with_unmerged_rows = [(f"batch_2025-12-{day:02}_1", day, day) for day in range(20, 26)]
    unproven = ("batch_2025-12-19_1", 24, None)  # at worst, all of its rows are nowhere else
    batches = tuple(
        BatchTotal(name, date(2025, 12, 20), 1, 2, rows, 1, now - timedelta(days=2), lost, StagingTableState.ORPHAN)
        for name, rows, lost in (unproven, *with_unmerged_rows)
    )
    inventory = StagingInventory((), batches, Health.WARNING, ())
    table_state = StagingTable(
        "d._staging_x", "x", "w", None, 25, 1, now, None, 25, StagingTableState.ORPHAN, ("ann", "bob")
    )
    monkeypatch.setattr(reads.staging, "read", lambda _: replace(inventory, tables=(table_state,)))
    app = open_page("staging_tables").app
    [grid] = app.dataframe
    assert grid.value[["players", "player names"]].values.tolist() == [[2, "ann, bob"]]
    buttons = [button for button in app.button if button.label.startswith("Consolidate")]
    assert [button.label.removeprefix("Consolidate batch_2025-12-") for button in buttons] == ["25_1", "19_1", "24_1"]
    selectbox = app.selectbox(key="batch to consolidate")
    assert (selectbox.label, len(selectbox.options)) == ("4 more batches to consolidate", 4)
    selectbox.set_value(with_unmerged_rows[0][0]).run()
    app.button(key="offer staging.consolidate one").click().run()
    plan = next(element.value for element in app.markdown if element.value.startswith("#### "))
    assert with_unmerged_rows[0][0] in plan.replace("\\", "")  # there is no such batch, and it says which was meant


def test_a_season_of_tables_is_sent_in_40_kb_and_each_of_them_can_be_found(open_page, monkeypatch, sent_messages):
    now = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
    states = [StagingTableState.MERGED] * 1_955 + [StagingTableState.ORPHAN] * 45
    staging_tables = tuple(
        StagingTable(
            f"nba_predictions._staging_batch_2025-12-15_1765799400000_p_player{number}_0123456789abcdef",
            "batch_2025-12-15_1765799400000",
            f"p_player{number}",
            date(2025, 12, 15),
            500,
            80_000,
            now - timedelta(days=2),
            None,
            0 if state is StagingTableState.MERGED else 500,
            state,
            tuple(f"player{number}-{neighbour}" for neighbour in range(20)),
        )
        for number, state in enumerate(states)
    )
    inventory = StagingInventory(staging_tables, totals_by_batch(staging_tables), Health.WARNING, ())
    monkeypatch.setattr(reads.staging, "read", lambda _: inventory)
    screen = open_page("staging_tables")
    assert sum(message.ByteSize() for message in sent_messages) < 40_000
    [grid] = screen.app.dataframe
    assert set(grid.value["status"][:45]) == {StagingTableState.ORPHAN.value}, "the worst first"
    assert "2,000 rows" in screen.app.get("download_button")[0].label
    assert "of 2,000 rows" in screen.text
    screen = open_page("staging_tables", staging_find="player7-19")
    assert screen.app.dataframe[0].value["worker"].to_list() == ["p_player7"]
    assert screen.app.selectbox(key="table to drop").options == [staging_tables[7].table.rpartition(".")[2]]
