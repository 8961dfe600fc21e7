"""Downloads of a table: no formulas, numbers as numbers, times with their zone."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st

from app.components import tables
from tests.unit.app.components.test_text_format import NOW


def downloaded(cell: str) -> str:
    """What a spreadsheet reads in this cell of a download."""
    (row,) = csv.DictReader(io.StringIO(tables.to_csv([{"name": cell}]).decode("utf-8-sig")))
    return row["name"]


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\u00a0=1", "\uff1d1+1", '=HYPERLINK("http://x")', "=cmd|' /C calc'!A1"],
)
def test_a_downloaded_cell_cannot_run_as_a_formula(cell):
    assert downloaded(cell) == f"'{cell}"


def test_a_part_of_a_cell_cannot_run_where_a_semicolon_separates_cells():
    assert downloaded("nora; =1+1;@SUM(A1);ok") == "nora;' =1+1;'@SUM(A1);ok"


@pytest.mark.parametrize("sign", ["\t", "\n", "\r", "\x00", "\x1b", "\u202e", "\u2028", "\ufeff", "\u200b"])
def test_a_sign_that_acts_on_its_reader_is_shown_in_a_downloaded_cell(sign):
    assert downloaded(f"{sign}=1") == sign.encode("unicode_escape").decode() + "=1"


def test_a_downloaded_number_stays_a_number_and_a_time_keeps_its_zone():
    text = tables.to_csv([{"n": -5, "at": NOW, "gap": None}]).decode("utf-8-sig")
    assert text.splitlines() == ["n,at,gap", "-5,2025-12-30T06:45:00+00:00,"]


def test_times_in_a_table_have_their_zone_only_around_a_clock_change():
    near, far = datetime(2025, 11, 2, 5, 30, tzinfo=UTC), NOW
    assert tables._time_format([{"at": far}, {"at": None}], "at") == "D MMM HH:mm:ss"
    assert tables._time_format([{"at": far}, {"at": near}], "at") == "D MMM HH:mm:ss z"


def test_a_sign_that_acts_on_its_reader_is_shown_in_a_table(monkeypatch):
    shown: list[Any] = []
    monkeypatch.setattr(st, "dataframe", lambda rows, **_: shown.extend(rows))
    tables.data_grid([{"player": "nora\u202enora", "rows": 25}], "players", "Players", "None.")
    assert shown == [{"player": "nora\\u202enora", "rows": 25}]


@pytest.fixture
def selected(monkeypatch):
    """A table of which one row was selected."""
    state: dict[str, Any] = {"table t": {"selection": {"rows": [1], "columns": []}}}
    monkeypatch.setattr(st, "session_state", state)
    return state


def test_a_selected_row_leads_to_what_it_named_when_it_was_selected(selected):
    selected["targets t"] = [tables.Target("runs", {"batch": "a"}), tables.Target("runs", {"batch": "b"})]
    tables._open_selected("t")
    assert selected["open t"] == tables.Target("runs", {"batch": "b"})
    selected["targets t"] = [tables.Target("runs", {"batch": "a"})]
    del selected["open t"]
    tables._open_selected("t")
    assert "open t" not in selected, "the row is not there any more"


def test_a_row_of_the_same_page_changes_its_address(selected, monkeypatch):
    addresses: list[Any] = []
    monkeypatch.setattr(st, "query_params", SimpleNamespace(from_dict=addresses.append))
    selected["targets t"] = [tables.Target("", {}), tables.Target("", {"alert": "writes"})]
    tables._open_selected("t")
    assert addresses == [{"alert": "writes"}]


def test_a_long_text_is_cut_with_a_sign_and_shown_whole_for_the_selected_row(selected, monkeypatch):
    shown, texts = list[Any](), list[str]()
    monkeypatch.setattr(st, "dataframe", lambda rows, **_: shown.extend(rows))
    monkeypatch.setattr(st, "code", lambda text, **_: texts.append(text))
    tables.data_grid([{"message": "short"}, {"message": "x" * 200}], "t", "Lines", "None.", expands="message")
    assert [row["message"] for row in shown] == ["short", "x" * 110 + "…"]
    assert texts == ["x" * 200]
