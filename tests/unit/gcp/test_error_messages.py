"""Google's errors as messages with a hint."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests
from google.api_core import exceptions as google
from google.auth.exceptions import RefreshError
from google.protobuf.json_format import ParseError

from services.core.errors import (
    AccessDenied,
    InvalidInput,
    InvalidQuery,
    OnCallError,
    OverBytesLimit,
    SourceUnavailable,
    TableNotFound,
)
from services.gcp.error_messages import iterate_pages, to_oncall_error, translate_errors


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


QUEUE_FULL = (
    "Resources exceeded during query execution: Too many DML statements outstanding against table t, limit is 20."
)
LOOK_AGAIN = "Usually transient: retry in a minute."


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            google.BadRequest("Query exceeded limit for bytes billed: 5. 10 or higher required."),
            OverBytesLimit(
                "BigQuery would bill more than its limit: Query exceeded limit for bytes billed: 5. 10 or higher required.",
                "Choose fewer dates, or raise QUERY_LIMIT_MIB.",
            ),
        ),
        (
            google.BadRequest(QUEUE_FULL),
            SourceUnavailable(
                "BigQuery: DML queue full (2 running + 20 queued).",
                "Usually clears within a minute.",
            ),
        ),
        (
            google.NotFound("Not found: Job j was not found in location US"),
            TableNotFound("BigQuery: Not found: Job j was not found in location US", "BIGQUERY_LOCATION is not where"),
        ),
        (
            google.NotFound("Table p:d.t is missing"),
            TableNotFound("BigQuery: Table p:d.t is missing", "Check the project, dataset and table names."),
        ),
        (
            google.Forbidden("Access Denied"),
            AccessDenied("Permission denied for BigQuery: Access Denied", "See deploy/PERMISSIONS.md."),
        ),
        (
            google.Unauthorized("Who?"),
            AccessDenied("Permission denied for BigQuery: Who?", "See deploy/PERMISSIONS.md."),
        ),
        (
            google.Conflict("etag"),
            SourceUnavailable("BigQuery refused: etag", "Somebody changed it meanwhile; look again."),
        ),
        (google.BadRequest("Odd"), InvalidQuery("BigQuery: Odd", "Dashboard bug: please report it.")),
        (RefreshError("gone"), AccessDenied("BigQuery: invalid credentials: gone", "Sign in again.")),
        (requests.ConnectTimeout("slow"), SourceUnavailable("BigQuery unavailable: slow", LOOK_AGAIN)),
        (TimeoutError(), SourceUnavailable("BigQuery unavailable: TimeoutError", LOOK_AGAIN)),
    ],
)
def test_each_error_is_one_sentence_with_what_to_do(error, expected):
    actual = to_oncall_error("BigQuery", error)
    assert (type(actual), actual.message) == (type(expected), expected.message)
    assert actual.hint.startswith(expected.hint)


def test_a_message_is_its_first_line_without_the_address_and_at_most_300_characters():
    error = google.ServerError(
        "POST https://bigquery.googleapis.com/v2/jobs?prettyPrint=false: Bad gateway; reason: x\nmore"
    )
    assert to_oncall_error("BigQuery", error).message == "BigQuery unavailable: Bad gateway"
    long = to_oncall_error("BigQuery", ConnectionError("x" * 400)).message
    assert long == "BigQuery unavailable: " + "x" * 300


@pytest.mark.parametrize(
    "message",
    ["Unrecognized name: line; Did you", "Name line not found inside t", 'column "line" of t not found', "Unrecognized name: line at"],
)  # fmt: skip
def test_a_missing_column_is_named_however_the_message_is_worded(message):
    error = to_oncall_error("BigQuery", google.BadRequest(message))
    assert (type(error), error.message) == (TableNotFound, "BigQuery: column line is not in the table.")
    assert error.hint == "Compare the table with queries/schema."


@pytest.mark.parametrize(
    ("position", "quoted"), [("[1:1]", " — line 1: SELECT"), ("[2:3]", " — line 2: FROM x"), ("[0:1]", ""), ("[3:1]", "")]
)  # fmt: skip
def test_only_a_line_that_the_query_has_is_quoted(position, quoted):
    error = to_oncall_error("BigQuery", google.BadRequest(f"Syntax error at {position}"), "SELECT\n  FROM x")
    assert error.message == f"BigQuery: Syntax error at {position}{quoted}"


@pytest.mark.parametrize(
    "error", [google.NotFound("x"), RefreshError("x"), requests.ReadTimeout("x"), TimeoutError(), OSError]
)
def test_only_errors_of_google_s_clients_are_translated(error):
    raised = pytest.raises(OSError if error is OSError else OnCallError)
    with raised as caught, translate_errors("BigQuery", "SELECT"):
        raise error
    assert error is OSError or caught.value.__cause__ is error


def test_an_error_of_ours_passes_as_it_is():
    ours = InvalidInput("Empty.")
    with pytest.raises(InvalidInput) as caught, translate_errors("BigQuery"):
        raise ours
    assert caught.value is ours


class FakePage(list[Any]):
    """One page of a listing, and the answer that it came in."""

    def __init__(self, raw_page: dict[str, Any], *items: Any) -> None:
        super().__init__(items)
        self.raw_page = raw_page


def test_every_page_of_a_listing_is_read_and_an_answer_that_is_no_list_is_not_an_empty_one():
    whole = SimpleNamespace(pages=[FakePage({"kind": "x"}, 1, 2), FakePage({"kind": "x"}, 3)])
    assert list(iterate_pages("BigQuery (tables)", cast(Any, whole))) == [1, 2, 3]
    broken = SimpleNamespace(pages=[FakePage({"kind": "x"}, 1), FakePage({})])
    with pytest.raises(
        SourceUnavailable, match=r"Unexpected response from BigQuery \(tables\): not a list\."
    ) as caught:
        list(iterate_pages("BigQuery (tables)", cast(Any, broken)))
    assert caught.value.hint == LOOK_AGAIN


@pytest.mark.parametrize(
    "error", [KeyError("rows"), ValueError("no date"), TypeError("None"), AttributeError("get"), ParseError("scaling")]
)
def test_an_answer_that_cannot_be_parsed_is_its_sources_trouble_and_is_logged(error, caplog):
    with pytest.raises(SourceUnavailable) as raised, translate_errors("Cloud Run"):
        raise error
    assert raised.value.message == (f"Unexpected response from Cloud Run ({type(error).__name__}: {error}).")
    assert "Traceback" in caplog.text
