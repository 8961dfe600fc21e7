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
