"""The statements that run and queue now: none of a past night, one line of an empty queue, and each with its state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import streamlit as st

from app.components import tables
from app.panels import dml_queue
from app.state import session
from tests.support.alert_factories import make_write_report
from tests.support.factories import NOW, make_attempt


@pytest.fixture
def shown(monkeypatch) -> dict[str, list[Any]]:
    """What was drawn: captions, and the rows of tables."""
    shown: dict[str, list[Any]] = {"captions": [], "tables": []}
    monkeypatch.setattr(st, "caption", shown["captions"].append)
    monkeypatch.setattr(tables, "data_grid", lambda rows, **_: shown["tables"].append(rows))
    monkeypatch.setattr(session, "job_url", lambda job_id: f"https://console/{job_id}" if job_id == "r" else "")
    return shown


def test_a_queue_that_is_not_known_shows_nothing_and_an_empty_one_is_one_line(shown):
    dml_queue.render(replace(make_write_report(), queue=None), NOW)
    assert shown == {"captions": [], "tables": []}
    dml_queue.render(replace(make_write_report(), queue=()), NOW)
    assert shown == {"captions": ["DML queue now: 0 of 2 running, 0 of 20 queued"], "tables": []}


def test_each_statement_has_its_state_and_a_link_where_its_project_has_one(shown):
    at = NOW - timedelta(minutes=2)
    running = make_attempt(job_id="r", at=at, ended=None, ok=None)
    pending = make_attempt(job_id="p", at=at, ended=None, ok=None, pending=True)
    dml_queue.render(replace(make_write_report(), queue=(running, pending)), NOW)
    [[first, second]] = shown["tables"]
    assert (first["state"], first["job ID"], first["console"]) == ("running", "r", "https://console/r")
    assert (second["state"], second["job ID"], "console" in second) == ("pending", "p", False)
