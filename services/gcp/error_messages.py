"""Turns the exceptions of Google's clients into sentences: which source failed, why, and what to do."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from google.api_core import exceptions as google
from google.api_core.page_iterator import Iterator as Listing
from google.auth.exceptions import GoogleAuthError
from google.protobuf import json_format

from services.core.errors import (
    AccessDenied,
    InvalidQuery,
    OnCallError,
    OverBytesLimit,
    SourceUnavailable,
    TableNotFound,
)
from services.gcp.error_table import find_known_error

_POSITION = re.compile(r"\[(\d+):(\d+)\]")
_MISSING_COLUMN = re.compile(
    r"Unrecognized name: (\S+?)[;\s]|Name (\S+) not found inside|column \"?(\w+)\"? .*not found", re.I
)


@contextmanager
def translate_errors(source: str, sql: str = "") -> Iterator[None]:
    """Every exception of a Google client inside becomes an OnCallError about `source`, and so does an answer it cannot parse."""
    try:
        yield
    except OnCallError:
        raise
    except (google.GoogleAPIError, GoogleAuthError, requests.RequestException, ConnectionError, TimeoutError) as error:
        raise to_oncall_error(source, error, sql) from error
    except (LookupError, ValueError, TypeError, AttributeError, json_format.Error) as error:
        logging.getLogger(__name__).exception("Unexpected response from %s", source)
        raise SourceUnavailable(
            f"Unexpected response from {source} ({type(error).__name__}: {_first_line(error)}).",
            "Usually transient; if it lasts, report it with this process's log.",
        ) from error


def iterate_pages(source: str, listing: Listing) -> Iterator[Any]:
    """Every item of a BigQuery listing; raises SourceUnavailable for a response that is no list, which is not an empty list."""
    for page in listing.pages:
        if "kind" not in page.raw_page:
            raise SourceUnavailable(
                f"Unexpected response from {source}: not a list.", "Usually transient: retry in a minute."
            )
        yield from page


def to_oncall_error(source: str, error: BaseException, sql: str = "") -> OnCallError:
    """The OnCallError for one exception; with `sql`, an invalid query's message quotes the line."""
    message = _first_line(error)
    known_error = find_known_error(str(error))
    if known_error is not None and known_error.key == "bytes_limit":
        return OverBytesLimit(
            f"{source} would bill more than its limit: {message}", "Choose fewer dates, or raise QUERY_LIMIT_MIB."
        )
    if known_error is not None:
        return SourceUnavailable(f"{source}: {known_error.meaning}.", "Usually clears within a minute.")
    if isinstance(error, google.NotFound) and "not found in location" in message:
        hint = "BIGQUERY_LOCATION is not where the dataset is: leave it unset to have it read from the dataset."
        return TableNotFound(f"{source}: {message}", hint)
    if isinstance(error, google.NotFound):
        return TableNotFound(f"{source}: {message}", "Check the project, dataset and table names.")
    if isinstance(error, google.Forbidden | google.Unauthorized):
        return AccessDenied(f"Permission denied for {source}: {message}", "See deploy/PERMISSIONS.md.")
    if isinstance(error, google.Conflict):
        return SourceUnavailable(f"{source} refused: {message}", "Somebody changed it meanwhile; look again.")
    if isinstance(error, google.BadRequest):
        return _bad_request(source, message, sql)
    if isinstance(error, GoogleAuthError):
        return AccessDenied(f"{source}: invalid credentials: {message}", "Sign in again.")
    return SourceUnavailable(f"{source} unavailable: {message}", "Usually transient: retry in a minute.")


def _bad_request(source: str, message: str, sql: str) -> OnCallError:
    if (column := _MISSING_COLUMN.search(message)) is not None:
        name = next(group for group in column.groups() if group)
        return TableNotFound(f"{source}: column {name} is not in the table.", "Compare the table with queries/schema.")
    return InvalidQuery(f"{source}: {message}{_quoted_line(message, sql)}", "Dashboard bug: please report it.")


def _quoted_line(message: str, sql: str) -> str:
    lines = sql.splitlines()
    position = _POSITION.search(message)
    if position is None or not 0 < int(position[1]) <= len(lines):
        return ""
    return f" — line {position[1]}: {lines[int(position[1]) - 1].strip()}"


def _first_line(error: BaseException) -> str:
    message = getattr(error, "message", "") or str(error) or type(error).__name__
    line = re.sub(r"(POST|GET|PATCH|PUT|DELETE) https?://\S+:\s*", "", str(message).splitlines()[0])
    return line.partition("; reason: ")[0][:300]  # the rest repeats it
