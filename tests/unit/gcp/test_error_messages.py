"""Exceptions of Google's clients as sentences."""

from __future__ import annotations

from google.api_core import exceptions as google

from services.core.errors import AccessDenied, SourceUnavailable, TableNotFound
from services.gcp.error_messages import to_oncall_error


def test_google_errors_become_messages_with_a_hint():
    assert isinstance(to_oncall_error("BigQuery", google.NotFound("Not found: Table p:d.t")), TableNotFound)
    assert isinstance(to_oncall_error("BigQuery", google.Forbidden("Access Denied")), AccessDenied)
    unavailable = to_oncall_error("Cloud Run", ConnectionError("refused"))
    assert isinstance(unavailable, SourceUnavailable)
    assert unavailable.hint


def test_a_query_error_shows_its_line():
    error = to_oncall_error(
        "BigQuery", google.BadRequest("Syntax error: Unexpected keyword FROM at [2:3]"), "SELECT\n  FROM x"
    )
    assert "line 2: FROM x" in error.message


def test_an_unknown_column_is_named_without_a_traceback():
    error = to_oncall_error(
        "BigQuery", google.BadRequest("Unrecognized name: vegas_line_source; Did you mean line_source?")
    )
    assert "column vegas_line_source" in error.message
