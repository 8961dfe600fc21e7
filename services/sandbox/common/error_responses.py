"""HTTP responses with Google's error bodies: for a known limit, a failed job, or any other code and reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from services.gcp.error_table import ERRORS_BY_KEY, find_known_error, to_response_body

_HTTP_STATUS_BY_REASON = {
    "notFound": 404,
    "accessDenied": 403,
    "quotaExceeded": 403,
    "rateLimitExceeded": 403,
    "duplicate": 409,
    "backendError": 503,
    "internalError": 500,
    "stopped": 200,
}


def known_error_response(key: str, **values: object) -> JSONResponse:
    """The response for a key of services.gcp.error_table; `values` fill its message template."""
    return JSONResponse(to_response_body(ERRORS_BY_KEY[key], **values), ERRORS_BY_KEY[key].http_status)


def job_error_response(error: Mapping[str, Any]) -> JSONResponse:
    """A failed job's error as getQueryResults returns it, with the HTTP status of its reason."""
    known_error = find_known_error(str(error.get("message", "")))
    code = (
        known_error.http_status
        if known_error is not None
        else _HTTP_STATUS_BY_REASON.get(str(error.get("reason")), 400)
    )
    detail = {"domain": "global", **error}
    return JSONResponse({"error": {"code": code, "message": error.get("message", ""), "errors": [detail]}}, code)


def error_response(code: int, reason: str, message: str) -> JSONResponse:
    """BigQuery's error body for an error that services.gcp.error_table does not list."""
    status = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
    }.get(code, "UNKNOWN")
    detail = {"message": message, "domain": "global", "reason": reason}
    return JSONResponse({"error": {"code": code, "message": message, "errors": [detail], "status": status}}, code)
