"""The action log: what it lists can be downloaded, filtered as it is shown, and is only text in a spreadsheet."""

from __future__ import annotations

import csv
from dataclasses import replace
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from app.actions import action_feed
from app.components import tables
from app.panels import action_page
from app.state import session
from services.actions.log_reader import ActionLog
from services.core.result import DataSource, Result
from tests.support.factories import NOW
from tests.support.paths import ROOT
from tests.unit.test_action_registry import make_action

ACTIONS = tuple(make_action("aliases.edit", f"a{n}", actor="nora" if n else "iman") for n in range(60))


@pytest.mark.parametrize(("address", "label"), [({}, "CSV, 60 rows"), ({"action_find": "iman"}, "CSV, 1 row")])
def test_the_download_has_every_action_that_matches_the_filters(monkeypatch, address, label):
    log = ActionLog(ACTIONS, DataSource("log", NOW))
    monkeypatch.setattr(session, "cached_clients", SimpleNamespace)
    monkeypatch.setattr(session, "now", lambda: NOW)
    monkeypatch.setattr(session, "link_params", dict)
    monkeypatch.setattr(action_feed, "fetch_log", lambda: Result(log))
    page = AppTest.from_file(str(ROOT / "pages" / "action_log.py"))
    for name, value in address.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception, page.exception
    assert [button.proto.label for button in page.get("download_button")] == [label]


def test_a_downloaded_action_cannot_run_as_a_formula():
    hostile = replace(ACTIONS[0], title="=HYPERLINK(1)", reason="+1", actor="@SUM(A1)", ended_at=NOW)
    (row,) = csv.DictReader(tables.to_csv([action_page.csv_row(hostile)]).decode("utf-8-sig").splitlines())
    assert (row["action"], row["reason"], row["user"]) == ("'=HYPERLINK(1)", "'+1", "'@SUM(A1)")
    assert row["ended"] == NOW.isoformat()
