"""Tables that one check has no time for are read in the background, and what goes wrong there is logged with its traceback."""

from __future__ import annotations

import time
from datetime import date

import pytest
from google.api_core.exceptions import Forbidden

from services.batches import staged_rows
from services.batches.staging_listing import list_staging_tables
from services.core.errors import SourceUnavailable
from services.core.tables import PREDICTIONS_TABLE
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, memory_clients

TABLES = [f"nba_predictions._staging_batch_2025_12_29_1767077100000_p_{name}" for name in "abcdef"]


def test_a_table_whose_date_is_not_read_yet_may_be_of_any_night(monkeypatch):
    monkeypatch.setattr(staged_rows, "READ_BUDGET_S", -1.0)
    monkeypatch.setattr(staged_rows, "_continue_in_background", lambda *_: None)
    project = MemoryProject(SimulatedClock())
    project.create_table("nba_predictions._staging_manual_p_a", project.tables[PREDICTIONS_TABLE].fields)
    clients = memory_clients(project)
    with pytest.raises(SourceUnavailable, match="1 of 1 staging tables without a date in their name are not read yet"):
        staged_rows.list_tables_of_date(clients, date(2025, 12, 29))
    monkeypatch.setattr(staged_rows, "READ_BUDGET_S", 30.0)
    assert staged_rows.list_tables_of_date(clients, date(2025, 12, 29)) == ()
    project.close()


def read_without_time(monkeypatch, hook):
    """What a check reads that has no time, and the clients when the background is done."""
    monkeypatch.setattr(staged_rows, "READ_BUDGET_S", -1.0)
    project = MemoryProject(SimulatedClock())
    for name in TABLES:
        project.create_table(name, project.tables[PREDICTIONS_TABLE].fields)
    clients = memory_clients(project, hook)
    contents = staged_rows.read_contents(clients, list_staging_tables(clients))
    deadline = time.monotonic() + 10
    while clients.cache.tables.background_threads and time.monotonic() < deadline:
        time.sleep(0.001)
    project.close()
    return contents, clients


def test_the_rest_is_read_in_the_background_each_table_once(monkeypatch):
    read: list[str] = []

    def note(call, phase, subject):
        if (call, phase) == ("tables.get", "before"):
            read.append(str(subject))

    contents, clients = read_without_time(monkeypatch, note)
    assert contents == {}
    assert sorted(read) == TABLES
    assert all(clients.cache.tables.get(name.split(".")[1])[0] is not None for name in TABLES)


def test_a_failure_in_the_background_is_logged_with_its_traceback(monkeypatch, caplog):
    def refuse(call, phase, _):
        if (call, phase) == ("tables.get", "before"):
            raise Forbidden("no right")

    read_without_time(monkeypatch, refuse)
    assert "Staging tables are not read on" in caplog.text
    assert "Traceback" in caplog.text
