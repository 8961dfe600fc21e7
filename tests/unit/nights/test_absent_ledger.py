"""A ledger that is not there: not recorded where nothing of ours is deployed, lost where our other tables are."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from services.batches.newest_record import read_newest_record
from services.batches.reader import read_batches
from services.core.errors import SourceUnavailable, TableAbsent, TableNotFound
from services.core.result import Health, Problem, Result
from services.gcp.table_listing import fetch_table
from services.judgement.flow import judge_batch, judge_conservation
from services.nights.player_stages import read_night
from tests.support.memory_clients import memory_clients
from tests.support.night_facts import SETTINGS, make_facts
from tests.support.seeded_nights import seeded_project

NIGHT = date(2025, 12, 29)
LEDGER = ("prediction_on_call.batches", "prediction_on_call.batch_players")


def test_a_ledger_that_was_deleted_leaves_batches_and_sums_unknown():
    with seeded_project({}) as (project, clients):
        for name in LEDGER:
            clients.bigquery.delete_table(name)
        night, batches = read_night(clients, NIGHT), read_batches(clients, NIGHT)
        with pytest.raises(SourceUnavailable, match="it was deleted, or not deployed") as lost:
            read_newest_record(clients, NIGHT)
        assert project.tables.keys() & {"prediction_on_call.actions"}
    assert (night.not_recorded, [p.source for p in night.problems]) == ((), ["batch ledger"])
    assert (batches.not_recorded, [p.source for p in batches.problems]) == ((), ["batch ledger"])
    assert "prediction_on_call.batches was not found, though prediction_on_call.actions is there" in str(lost.value)
    record: Result[Any] = Result(None, Problem("The ledger", clients.now(), lost.value.message))
    facts = make_facts(batches=Result(batches), record=record)
    assert {judge_batch(facts).health, judge_conservation(facts, SETTINGS).health} == {Health.UNKNOWN}


def test_an_installation_without_tables_of_ours_keeps_no_ledger():
    with seeded_project({}) as (project, clients):
        for name in [name for name in project.tables if name.startswith("prediction_on_call.")]:
            clients.bigquery.delete_table(name)
        night, batches = read_night(clients, NIGHT), read_batches(clients, NIGHT)
        assert read_newest_record(clients, NIGHT) is None
    assert (night.problems, batches.problems) == ((), ())
    assert [p.source for p in (*night.not_recorded, *batches.not_recorded)] == ["batch ledger", "batch ledger"]


def test_a_table_of_the_customer_s_that_is_not_there_is_absent():
    with seeded_project({}) as (_project, clients), pytest.raises(TableAbsent):
        fetch_table(clients, "nba_predictions.no_such_table")


def test_our_other_tables_that_cannot_be_listed_leave_it_unknown_whether_the_ledger_is_kept():
    def refuse_listing(call: str, *_: object) -> None:
        if call == "tables.list":
            raise ConnectionError("no answer")

    with seeded_project({}) as (project, clients):
        clients.bigquery.delete_table(LEDGER[0])
        batches = read_batches(memory_clients(project, refuse_listing), NIGHT)
    assert "batch ledger" in [problem.source for problem in batches.problems]
    assert batches.not_recorded == ()
    with seeded_project({}) as (_project, clients):
        clients.bigquery.delete_table(LEDGER[0])
        with pytest.raises(TableNotFound, match="though prediction_on_call"):
            fetch_table(clients, LEDGER[0])
