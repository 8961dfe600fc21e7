"""Buttons say what they do or why they do nothing, and nothing of a batch that runs is offered for drop or consolidation."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st

from app.actions import dialog
from app.panels import repair_buttons
from app.state import session
from services.batches.ids import parse_staging_table_name
from services.core.result import Health, Problem, Result
from services.core.settings import Settings
from services.judgement.statement import Repair
from services.nights.missing_players import list_missing_players
from services.nights.row_counts import count_rows
from services.runs.active_run import ActiveRun
from services.staging.inventory import StagingInventory, StagingTable, StagingTableState, totals_by_batch
from tests.support.factories import NOW, make_night, make_player, make_write_error, player_without_rows
from tests.support.night_facts import make_facts

RUN = ActiveRun("batch_1", NOW, 90, True, repeats=True)


@pytest.fixture
def offered(monkeypatch):
    """The buttons that were drawn: label, and whether primary, disabled or neither."""
    buttons: list[tuple[str, str]] = []

    def record(action_type: Any, label: str = "", primary: bool = False, disabled: bool = False, **_: object) -> None:
        kind = "disabled" if disabled else "primary" if primary else ""
        buttons.append((label or action_type.label, kind))

    clients = SimpleNamespace(settings=Settings.from_env({}), now=lambda: NOW)
    monkeypatch.setattr(session, "cached_clients", lambda: clients)
    monkeypatch.setattr(dialog, "action_button", record)
    return buttons


def facts_of(*players: Any, **changes: Any) -> Any:
    return make_facts(night=Result(make_night(*players, **changes)))


def test_of_several_batches_each_button_names_its_own_and_the_first_is_primary(offered):
    repair_buttons._consolidate_buttons(["batch_1"], primary=True)
    repair_buttons._consolidate_buttons(["batch_1", "batch_2"], primary=True)
    assert offered == [
        ("Consolidate staged rows", "primary"),
        ("Consolidate batch_1", "primary"),
        ("Consolidate batch_2", ""),
    ]


def test_missing_players_are_the_primary_button_and_all_players_another(offered):
    rejected = player_without_rows(write_error=make_write_error())
    repair_buttons.run_buttons(facts_of(make_player(player_lookup="ann"), rejected), None)
    assert offered == [("Re-run 1 player", "primary"), ("Re-run all players…", "")]


def test_with_nobody_missing_no_button_is_primary_and_its_label_says_why(offered):
    repair_buttons.run_buttons(facts_of(make_player()), None)
    assert offered == [("Re-run: no missing players", "disabled"), ("Re-run all players…", "")]


def test_while_a_run_is_under_way_there_is_one_disabled_button_that_says_so(offered):
    repair_buttons.run_buttons(facts_of(player_without_rows(write_error=make_write_error())), RUN)
    assert offered == [("Re-run: a run is in progress", "disabled")]


def test_while_the_players_are_unknown_a_run_can_still_be_planned(offered):
    unread: Result[Any] = Result(None, Problem("the warehouse", NOW, "no answer"))
    repair_buttons.run_buttons(make_facts(night=unread), None)
    assert offered == [("Re-run missing players", ""), ("Re-run all players…", "")]


def make_table(batch: str, state: StagingTableState, unmerged: int | None) -> StagingTable:
    created = datetime(2025, 12, 29, tzinfo=NOW.tzinfo)
    return StagingTable(f"d._staging_{batch}", batch, "w", date(2025, 12, 29), 25, 1, created, None, unmerged, state)


def test_nothing_of_a_running_batch_is_offered(offered, monkeypatch):
    states = StagingTableState
    tables = (
        make_table("b1", states.ORPHAN, 25),
        make_table("b2", states.MERGED, 0),
        make_table("b3", states.RUNNING, 25),
        replace(make_table("b3", states.RUNNING, 0), table="d._staging_b3_merged"),
    )
    options: list[list[str]] = []
    monkeypatch.setattr(st, "selectbox", lambda _, names, **__: options.append(list(names)))
    repair_buttons.staging_buttons(StagingInventory(tables, totals_by_batch(tables), Health.WARNING, ()))
    repair_buttons.drop_one_table(tables)
    assert offered == [("Consolidate b1", "primary"), ("Drop 1 merged table", "")]
    assert options == [["_staging_b1", "_staging_b2"]]
    repair_buttons.drop_one_table(tables[2:])
    assert len(options) == 1, "no list without a table to choose"


@pytest.fixture
def asked(monkeypatch, offered):
    """The actions that the buttons plan: name, whether primary, and parameters."""
    plans: list[tuple[str, bool, dict[str, Any]]] = []

    def record(action_type: Any, label: str = "", *, key: str = "", primary: bool = False, **args: Any) -> None:
        plans.append((action_type.name, primary, args))

    monkeypatch.setattr(dialog, "action_button", record)
    return plans


STAGED = player_without_rows(player_lookup="staged", staged_rows=25, staging_table="d._staging_batch_1_w1_00000001")
REJECTED = player_without_rows(player_lookup="rejected", write_error=make_write_error())


def offer(facts: Any, *repairs: Repair) -> None:
    judgement: Any = SimpleNamespace(repairs=repairs)
    repair_buttons.judgement_buttons(facts, judgement)


def test_each_repair_of_the_judgement_is_its_button_and_the_first_is_primary(asked):
    nameless = replace(STAGED, player_lookup="nameless", staging_table="")
    facts = facts_of(STAGED, nameless, REJECTED)
    batch = facts.newest_batch.batch_id
    staged_batch = parse_staging_table_name("_staging_batch_1_w1_00000001")[0]
    assert staged_batch
    offer(facts, Repair.RESUME, Repair.REMOVE_DUPLICATES, Repair.CONSOLIDATE, Repair.RERUN_PLAYERS)
    assert asked == [
        ("run.resume", True, {"batch_id": batch}),
        ("predictions.remove_duplicates", False, {"game_date": "2025-12-29"}),
        ("staging.consolidate", False, {"batch_id": staged_batch}),
        ("run.start", False, {"game_date": "2025-12-29"}),
    ]
    asked.clear()
    offer(facts, Repair.CONSOLIDATE)
    assert asked == [("staging.consolidate", True, {"batch_id": staged_batch})]


def test_what_could_not_be_read_has_no_button(asked):
    unread: Result[Any] = Result(None, Problem("the warehouse", NOW, "no answer"))
    facts = make_facts(night=unread, batches=unread)
    offer(facts, Repair.RESUME, Repair.CONSOLIDATE, Repair.RERUN_PLAYERS)
    assert asked == []


def test_of_the_selected_players_only_those_that_a_run_repairs_are_run_again(asked):
    night = make_night(STAGED, REJECTED)
    counts = count_rows(night, None, Settings.from_env({}))
    missing = list_missing_players(night)
    repair_buttons.night_buttons(night, counts, missing)
    names = [name for name, *_ in asked]
    assert names == ["staging.consolidate", "run.start"]
    assert asked[1] == ("run.start", False, {"game_date": "2025-12-29", "players": ["rejected"]})
    asked.clear()
    repair_buttons.night_buttons(night, counts, [m for m in missing if m.player.player_lookup == "staged"])
    assert [name for name, *_ in asked] == ["staging.consolidate"]


def test_without_staged_rows_the_run_is_the_primary_button_of_a_night(asked):
    night = make_night(REJECTED)
    repair_buttons.night_buttons(night, count_rows(night, None, Settings.from_env({})))
    assert asked == [("run.start", True, {"game_date": "2025-12-29"})]


def test_a_night_that_is_not_run_yet_is_started_and_not_run_again(offered):
    repair_buttons.run_buttons(facts_of(player_without_rows(generated_rows=None), was_run=False), None)
    assert offered == [("Start run of 1 player", "primary")]


def test_a_night_of_which_it_is_unknown_whether_it_ran_is_not_said_to_lack_nobody(offered):
    repair_buttons.run_buttons(facts_of(make_player(), was_run=None), None)
    assert offered == [("Re-run all players…", "")]


def test_the_fullest_batches_have_buttons_and_the_others_a_list(offered, monkeypatch):
    orphan = StagingTableState.ORPHAN
    tables = (
        *(make_table(f"b{n}", orphan, n) for n in (1, 2, 3, 4)),
        make_table("unproven", orphan, None),
        replace(make_table("uncounted", orphan, None), rows=None),
        make_table("empty", orphan, 0),
    )
    options: list[list[str]] = []

    def choose_last(_: str, names: list[str], **__: object) -> str:
        options.append(list(names))
        return names[-1]

    monkeypatch.setattr(st, "selectbox", choose_last)
    repair_buttons.staging_buttons(StagingInventory(tables, totals_by_batch(tables), Health.WARNING, ()))
    assert offered == [
        ("Consolidate uncounted", "primary"),
        ("Consolidate unproven", ""),
        ("Consolidate b4", ""),
        ("Consolidate this batch", ""),
    ]
    assert options == [["b3", "b2", "b1"]]
    offered.clear()
    repair_buttons.drop_one_table(tables[:1])
    assert offered == [("Drop this table", "")]
