"""The table of Google's errors: classified by reason and message, never by the HTTP code alone."""

from __future__ import annotations

from collections import defaultdict

import pytest
import requests
import urllib3
from google.api_core import exceptions as google
from google.auth.exceptions import RefreshError, TransportError

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


CERTIFICATE = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate"


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.InvalidJSONError("Out of range float values are not JSON compliant"),
        requests.exceptions.InvalidURL("no host"),
        requests.exceptions.MissingSchema("no scheme"),
        requests.exceptions.InvalidSchema("ftp"),
        requests.exceptions.InvalidHeader("new line"),
        requests.exceptions.TooManyRedirects("31"),
        requests.exceptions.SSLError(CERTIFICATE),
        urllib3.exceptions.SSLError(CERTIFICATE),
        urllib3.exceptions.LocationParseError("host:port:port"),
        RefreshError("the account is disabled"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_wrong_body_address_or_certificate_is_permanent(error):
    assert classify_exception(error) is ErrorClass.PERMANENT


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("reset"),
        requests.exceptions.SSLError("EOF occurred in violation of protocol"),
        requests.exceptions.ProxyError("reset"),
        requests.exceptions.ConnectTimeout("late"),
        requests.ReadTimeout("late"),
        requests.exceptions.ChunkedEncodingError("cut off"),
        requests.exceptions.ContentDecodingError("cut off"),
        urllib3.exceptions.ProtocolError("reset"),
        TransportError("the metadata server did not answer"),
        ConnectionResetError("reset"),
        TimeoutError("late"),
        google.RetryError("Timeout of 600.0s exceeded", google.ServiceUnavailable("try again")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_connection_that_was_lost_or_late_may_be_retried(error):
    assert classify_exception(error) is ErrorClass.RETRY


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (404, "", ErrorClass.PERMANENT),
        (503, "", ErrorClass.RETRY),
        (403, "Exceeded rate limits: too many api requests per user per method", ErrorClass.RETRY),
    ],
)
def test_an_answer_that_was_raised_is_classified_by_its_status_and_text(status, text, expected):
    response = requests.Response()
    response.status_code, response._content = status, text.encode()
    assert classify_exception(requests.HTTPError("raised", response=response)) is expected


@pytest.mark.parametrize(
    ("status", "reasons", "message", "expected"),
    [
        (403, ["quotaExceeded"], "", ErrorClass.RETRY_LATER),
        (403, ["rateLimitExceeded", "quotaExceeded"], "", ErrorClass.RETRY),
        (409, ["duplicate"], "", ErrorClass.ADOPT),
        (409, ["duplicate", "backendError"], "", ErrorClass.ADOPT),
        (500, [], "", ErrorClass.RETRY),
        (429, ["quotaExceeded"], "", ErrorClass.RETRY_LATER),
        (501, [], "", ErrorClass.PERMANENT),
        (None, [], "", ErrorClass.PERMANENT),
        (500, [], ERRORS_BY_KEY["duplicate_job"].template, ErrorClass.ADOPT),
        (403, ["backendError"], ERRORS_BY_KEY["table_imports_per_day"].template, ErrorClass.RETRY_LATER),
    ],
)
def test_the_message_decides_before_the_reason_and_the_reason_before_the_status(status, reasons, message, expected):
    assert classify(status, reasons, message) is expected


def test_the_reasons_of_an_exception_are_read_where_there_are_some():
    assert classify_exception(google.Forbidden("no", errors=[{"reason": "jobRateLimitExceeded"}])) is ErrorClass.RETRY
    assert classify_exception(google.Forbidden("no", errors=["text", {}])) is ErrorClass.PERMANENT
    assert classify_exception(google.ServiceUnavailable("no")) is ErrorClass.RETRY


def test_googles_body_of_a_row_has_its_status_reason_location_and_message():
    error = ERRORS_BY_KEY["dml_queue_full_quota"]
    assert to_response_body(error) == {
        "error": {
            "code": 403,
            "message": error.template,
            "errors": [
                {
                    "message": error.template,
                    "domain": "global",
                    "reason": "quotaExceeded",
                    "location": "max_dml_outstanding_per_table",
                }
            ],
            "status": "PERMISSION_DENIED",
        }
    }
    body = to_response_body(ERRORS_BY_KEY["duplicate_job"], job="p:j")["error"]
    assert (body["message"], body["status"]) == ("Already Exists: Job p:j", "ALREADY_EXISTS")
    assert body["errors"] == [{"message": "Already Exists: Job p:j", "domain": "global", "reason": "duplicate"}]
    assert to_response_body(ERRORS_BY_KEY["backend"])["error"]["status"] == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("http_status", "reasons", "expected"),
    [
        *((400, [f"{scope}{name}"], ErrorClass.RETRY) for scope, name in (
            ("", "rateLimitExceeded"), ("job", "RateLimitExceeded"), ("", "backendError"), ("", "internalError"),
            ("job", "BackendError"), ("job", "InternalError"),
        )),
        *((status, [], ErrorClass.RETRY) for status in (429, 500, 502, 503, 504)),
        *((status, ["invalid"], ErrorClass.PERMANENT) for status in (400, 401, 403, 404, 412, 501)),
    ],
)  # fmt: skip
def test_each_passing_reason_and_status_may_be_retried_and_no_other(http_status, reasons, expected):
    assert classify(http_status, reasons, "What nobody has seen yet") is expected
