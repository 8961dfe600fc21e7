"""The errors of the write path in one table: Google's message, its meaning, and whether a retry helps.

The pipeline classifies with it and the sandbox responds from it, so the two cannot drift apart. An error is recognised by its
machine reason and its message, never by the HTTP status alone: 403 is a full queue as often as a missing permission.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import requests
import urllib3
from google.api_core.exceptions import RetryError
from google.auth.exceptions import TransportError


class ErrorClass(StrEnum):
    """What a caller should do: retry soon, retry much later, adopt what exists, or stop."""

    RETRY = "retry"
    RETRY_LATER = "retry later"
    ADOPT = "adopt"
    PERMANENT = "permanent"


@dataclass(frozen=True)
class KnownError:
    """One row: `key` names it; `template` is Google's message with {placeholders}; `pattern` (a regex) recognises it."""

    key: str
    http_status: int
    reason: str
    template: str
    pattern: str
    error_class: ErrorClass
    meaning: str
    location: str = ""

    def format_message(self, **values: object) -> str:
        return self.template.format(**values)


RETRY, RETRY_LATER, ADOPT, PERMANENT = ErrorClass.RETRY, ErrorClass.RETRY_LATER, ErrorClass.ADOPT, ErrorClass.PERMANENT

KNOWN_ERRORS: tuple[KnownError, ...] = (
    KnownError(
        "dml_queue_full",
        400,
        "resourcesExceeded",
        "Resources exceeded during query execution: Too many DML statements outstanding against table {table}, limit is 20.",
        "too many dml statements outstanding",
        RETRY,
        "DML queue full (2 running + 20 queued)",
    ),
    KnownError(
        "dml_queue_full_quota",
        403,
        "quotaExceeded",
        "Quota exceeded: Your table exceeded quota for total number of dml jobs writing to a table, pending + running",
        "total number of dml jobs writing to a table",
        RETRY,
        "DML queue full (2 running + 20 queued)",
        location="max_dml_outstanding_per_table",
    ),
    KnownError(
        "dml_rate",
        403,
        "rateLimitExceeded",
        "Job exceeded rate limits: Your table exceeded quota for table dml insert operations",
        "quota for table dml insert operations",
        RETRY,
        "more than 25 DML statements in 10 s on one table",
    ),
    KnownError(
        "concurrent_update",
        400,
        "invalidQuery",
        "Could not serialize access to table {table} due to concurrent update",
        "could not serialize access",
        RETRY,
        "another statement changed the same partition meanwhile",
        location="q",
    ),
    KnownError(
        "transaction_aborted",
        400,
        "invalidQuery",
        "Transaction is aborted due to concurrent update against table {table}",
        "transaction is aborted due to concurrent update",
        RETRY,
        "another statement changed the table during the transaction",
    ),
    KnownError(
        "table_update_rate",
        403,
        "rateLimitExceeded",
        "Exceeded rate limits: too many table update operations for this table",
        "too many table update operations",
        RETRY,
        "more than 5 metadata updates of one table in 10 s",
    ),
    KnownError(
        "partitioned_table_update_rate",
        403,
        "rateLimitExceeded",
        "Exceeded rate limits: too many partitioned table update operations for this table",
        "too many partitioned table update operations",
        RETRY,
        "more than 50 metadata updates of one partitioned table in 10 s",
    ),
    KnownError(
        "api_rate",
        403,
        "rateLimitExceeded",
        "Exceeded rate limits: too many api requests per user per method for this user_method ({method})",
        "too many api requests per user per method",
        RETRY,
        "more calls of one method in a second than one user may make",
    ),
    KnownError(
        "table_imports_per_day",
        403,
        "quotaExceeded",
        "Quota exceeded: Your table exceeded quota for imports or query appends per table",
        "quota for imports or query appends per table",
        RETRY_LATER,
        "the table's 1,500 modifications of this day are used up",
    ),
    KnownError(
        "project_loads_per_day",
        403,
        "quotaExceeded",
        "Quota exceeded: Your project exceeded quota for load jobs per project",
        "quota for load jobs per project",
        RETRY_LATER,
        "the project's 100,000 load jobs of this day are used up",
    ),
    KnownError(
        "project_copies_per_day",
        403,
        "quotaExceeded",
        "Quota exceeded: Your project exceeded quota for copies per project",
        "quota for copies per project",
        RETRY_LATER,
        "the project's 100,000 copy jobs of this day are used up",
    ),
    KnownError(
        "log_reads",
        429,
        "RESOURCE_EXHAUSTED",
        "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of service"
        " 'logging.googleapis.com' for consumer 'project_number:{project}'.",
        "read requests per minute",
        RETRY,
        "more than 60 log reads in a minute",
    ),
    KnownError(
        "duplicate_job",
        409,
        "duplicate",
        "Already Exists: Job {job}",
        "already exists: job",
        ADOPT,
        "a job with this id was started before",
    ),
    KnownError(
        "dataset_location",
        404,
        "notFound",
        "Not found: Dataset {dataset} was not found in location {location}",
        "not found: dataset .* in location",
        PERMANENT,
        "the dataset is not there, or is in another location",
    ),
    KnownError(
        "streaming_buffer",
        400,
        "invalidQuery",
        "{kinds} statement over table {table} would affect rows in the streaming buffer, which is not supported",
        "rows in the streaming buffer",
        RETRY_LATER,
        "rows streamed in the last half hour cannot be changed yet",
    ),
    KnownError(
        "too_many_tables",
        400,
        "invalidQuery",
        "Too many tables, views and user-defined functions for query: Max: 1000",
        "too many tables",
        PERMANENT,
        "a query may name 1,000 tables at most",
    ),
    KnownError(
        "query_too_large",
        400,
        "invalidQuery",
        "The query is too large. The maximum standard SQL query length is 1024.00K characters, including comments and white"
        " space characters.",
        "the query is too large",
        PERMANENT,
        "a query's text may have 1,024k characters at most",
    ),
    KnownError(
        "float_partition",
        400,
        "invalidQuery",
        "Partitioning by expressions of type FLOAT64 is not allowed at [{line}:{column}]",
        "partitioning by expressions of type float64",
        PERMANENT,
        "a window cannot be partitioned by a FLOAT64",
    ),
    KnownError(
        "bytes_limit",
        400,
        "bytesBilledLimitExceeded",
        "Query exceeded limit for bytes billed: {limit}. {bytes} or higher required.",
        "exceeded limit for bytes billed",
        PERMANENT,
        "the query would bill more than one question may",
    ),
    KnownError(
        "copy_sources",
        400,
        "invalid",
        "Too many source tables in copy job: {count}. Maximum is 1200.",
        "too many source tables in copy job",
        PERMANENT,
        "a copy job may have 1,200 sources at most",
    ),
    KnownError(
        "schema_mismatch",
        400,
        "invalid",
        "Provided Schema does not match Table {table}. {detail}",
        "provided schema does not match|no such field|cannot add fields",
        PERMANENT,
        "the rows' columns are not the table's",
    ),
    KnownError(
        "backend",
        503,
        "backendError",
        "Error encountered during execution. Retrying may solve the problem.",
        "error encountered during execution|visibility check was unavailable|service is currently unavailable",
        RETRY,
        "transient Google backend error",
    ),
    KnownError(
        "no_instance",
        429,
        "no_available_instance",
        "The request was aborted because there was no available instance.",
        "no available instance",
        RETRY,
        "no instances available (at max instances)",
    ),
)

ERRORS_BY_KEY = {error.key: error for error in KNOWN_ERRORS}
_RETRY_REASONS = {
    "rateLimitExceeded",
    "jobRateLimitExceeded",
    "backendError",
    "internalError",
    "jobBackendError",
    "jobInternalError",
}
RETRYABLE_STATUSES = {429, 500, 502, 503, 504}
_PASSING_HTTP_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    urllib3.exceptions.HTTPError,  # those that are ValueErrors are about an address
)

_RPC_STATUSES = {400: "INVALID_ARGUMENT", 403: "PERMISSION_DENIED", 409: "ALREADY_EXISTS", 429: "RESOURCE_EXHAUSTED"}


def find_known_error(message: str) -> KnownError | None:
    """The row whose pattern occurs in a message (an exception's text, a log line), or None."""
    return next((error for error in KNOWN_ERRORS if re.search(error.pattern, message, re.IGNORECASE)), None)


def classify(http_status: int | None, reasons: Iterable[str], message: str) -> ErrorClass:
    """What to do about an error, by its message first, then its reason, then its HTTP status."""
    if (known_error := find_known_error(message)) is not None:
        return known_error.error_class
    reasons = set(reasons)
    if "duplicate" in reasons:
        return ADOPT
    if reasons & _RETRY_REASONS:
        return RETRY
    if "quotaExceeded" in reasons:
        return RETRY_LATER
    return RETRY if http_status in RETRYABLE_STATUSES else PERMANENT


def classify_exception(error: BaseException) -> ErrorClass:
    """`classify` for exceptions of Google's clients, of requests and of urllib3."""
    if isinstance(error, RetryError) and error.cause is not None:
        return classify_exception(error.cause)
    if isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError):
        return _classify_http_client_error(error)
    if isinstance(error, ConnectionError | TimeoutError | TransportError):
        return RETRY
    reasons = [str(detail.get("reason", "")) for detail in getattr(error, "errors", []) if isinstance(detail, dict)]
    return classify(getattr(error, "code", None), reasons, str(error))


def _classify_http_client_error(error: requests.RequestException | urllib3.exceptions.HTTPError) -> ErrorClass:
    """A lost connection may be retried; a body, an address or a certificate that is wrong stays wrong."""
    response = getattr(error, "response", None)
    if response is not None:
        return classify(response.status_code, (), response.text)
    may_pass = isinstance(error, _PASSING_HTTP_ERRORS) and not isinstance(error, ValueError)
    return RETRY if may_pass and "certificate" not in str(error).lower() else PERMANENT


def to_response_body(known_error: KnownError, **values: object) -> dict[str, Any]:
    """Google's JSON error body for a row, as the HTTP APIs send it."""
    message = known_error.format_message(**values)
    detail = {"message": message, "domain": "global", "reason": known_error.reason}
    if known_error.location:
        detail["location"] = known_error.location
    return {
        "error": {
            "code": known_error.http_status,
            "message": message,
            "errors": [detail],
            "status": _RPC_STATUSES.get(known_error.http_status, "UNAVAILABLE"),
        }
    }
