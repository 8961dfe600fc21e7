"""The table of Google's errors: classified by reason and message, never by the HTTP code alone."""

from __future__ import annotations

from collections import defaultdict

import pytest
from google.api_core import exceptions as google

from services.gcp.error_table import (
    ERRORS_BY_KEY,
    KNOWN_ERRORS,
    ErrorClass,
    classify,
    classify_exception,
    find_known_error,
    to_response_body,
)


@pytest.mark.parametrize("known_error", KNOWN_ERRORS, ids=lambda known_error: known_error.key)
def test_every_known_error_is_recognized_by_its_message(known_error):
    message = known_error.template.format_map(defaultdict(lambda: "7"))
    assert find_known_error(message) == known_error


def test_a_403_is_a_full_queue_or_a_missing_permission_by_its_message():
    assert classify(403, ["quotaExceeded"], ERRORS_BY_KEY["dml_queue_full_quota"].template) is ErrorClass.RETRY
    assert (
        classify(403, ["accessDenied"], "Access Denied: Table p:d.t: User does not have permission")
        is ErrorClass.PERMANENT
    )


def test_a_400_is_a_full_queue_or_a_wrong_query_by_its_message():
    full = google.BadRequest(
        "Resources exceeded during query execution: Too many DML statements outstanding against table t, limit is 20."
    )
    assert classify_exception(full) is ErrorClass.RETRY
    assert classify_exception(google.BadRequest("Syntax error: Unexpected keyword at [1:1]")) is ErrorClass.PERMANENT


@pytest.mark.parametrize(
    ("http_status", "reasons", "expected"),
    [
        (409, ["duplicate"], ErrorClass.ADOPT),
        (403, ["rateLimitExceeded"], ErrorClass.RETRY),
        (400, ["jobRateLimitExceeded"], ErrorClass.RETRY),
        (400, ["backendError"], ErrorClass.RETRY),
        (400, ["internalError"], ErrorClass.RETRY),
        (400, ["jobBackendError"], ErrorClass.RETRY),
        (400, ["jobInternalError"], ErrorClass.RETRY),
        (403, ["quotaExceeded"], ErrorClass.RETRY_LATER),
        *((status, [], ErrorClass.RETRY) for status in (429, 500, 502, 503, 504)),
        *((status, ["invalid"], ErrorClass.PERMANENT) for status in (400, 401, 403, 404, 412, 501)),
        (None, [], ErrorClass.PERMANENT),
    ],
)
def test_an_unknown_message_is_classified_by_its_reason_then_its_status(http_status, reasons, expected):
    assert classify(http_status, reasons, "What nobody has seen yet") is expected


def test_the_reasons_of_a_google_error_are_read_from_its_details():
    error = google.Forbidden("What nobody has seen yet", errors=[{"reason": "rateLimitExceeded"}, "odd"])
    assert classify_exception(error) is ErrorClass.RETRY
    assert classify_exception(google.Forbidden("What nobody has seen yet", errors=[{}])) is ErrorClass.PERMANENT


def test_a_response_body_is_as_google_sends_it():
    assert to_response_body(ERRORS_BY_KEY["api_rate"], method="tables.get") == {
        "error": {
            "code": 403,
            "message": (
                "Exceeded rate limits: too many api requests per user per method for this user_method (tables.get)"
            ),
            "errors": [
                {
                    "message": (
                        "Exceeded rate limits: too many api requests per user per method for this user_method (tables.get)"
                    ),
                    "domain": "global",
                    "reason": "rateLimitExceeded",
                }
            ],
            "status": "PERMISSION_DENIED",
        }
    }
    assert to_response_body(ERRORS_BY_KEY["backend"])["error"]["status"] == "UNAVAILABLE"
    located = to_response_body(ERRORS_BY_KEY["concurrent_update"], table="t")["error"]["errors"][0]
    assert (located["location"], located["reason"]) == ("q", "invalidQuery")
