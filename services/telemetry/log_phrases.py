"""What a log line says: the phrases that the prediction services write, ours and every version of the customer's.

The customer's lines have no ids in common: a rejected write may name no player, and one failure may be logged in up to four
lines. Each pattern here matches one line of an event, so that an event is counted once.
"""

from __future__ import annotations

import json
import re
from datetime import date

# Where `parse_entry` finds a message. A phrase without a field would search every field, and so match our own source
# files, functions and stack traces too.
MESSAGE_FIELDS = ("textPayload", "jsonPayload.message", "jsonPayload.event")


def message_contains(*phrases: str) -> str:
    """A Logging filter, in parentheses, for entries whose message contains one of the phrases in any case."""
    alternatives = " OR ".join(json.dumps(phrase, ensure_ascii=False) for phrase in phrases)
    return "(" + " OR ".join(f"{field}:({alternatives})" for field in MESSAGE_FIELDS) + ")"


_WORKER, _COORDINATOR = 'resource.labels.service_name="{worker}"', 'resource.labels.service_name="{coordinator}"'
_WRITE_FAILURES = ("Error writing to BigQuery", "Error writing to staging", "Staging write failed")

# The handoff's searches, in every spelling and for both kinds of payload.
STAGING_WRITES_FILTER = f"{_WORKER} AND {message_contains('Staging write', 'writing to staging')}"
CONSOLIDATION_FILTER = f"{_COORDINATOR} AND {message_contains('consolidation', 'MERGE')}"
DML_FILTER = (
    f"{_WORKER} AND {message_contains('DML', *_WRITE_FAILURES, 'BigQuery write failed', 'due to concurrent update')}"
)
# A text line may carry its level in its words or its mark alone; a JSON line has its severity, and "critical" in it is
# only a word.
ERRORS_FILTER = (
    'resource.labels.service_name=~"prediction" AND (severity>=ERROR'
    ' OR textPayload=~" - (ERROR|CRITICAL) - |❌|^(ERROR|CRITICAL|Error|Traceback)"'
    ' OR textPayload:("Consolidation failed" OR "Consolidation EXCEPTION" OR "Staging write failed"))'
)
FAILED_PLAYERS_FILTER = f"{_WORKER} AND " + message_contains(
    *_WRITE_FAILURES,
    "BigQuery write failed for",
    "PERMANENT failure for",
    "TRANSIENT failure for",
    "No predictions generated for",
    "No features available for",
    "Invalid features for",
    "Quality too low for",
)
STATUS_PHRASES = (
    "Starting prediction batch",
    "already in progress",
    "No prediction requests created",
    "prediction requests",
    "PUBLISH_METRICS",
    " completed (",
    "complete! ",
    "STALLED",
    "Consolidation",
    "MERGE",
    "staging tables for batch",
    "batch summary",
    "TIMED OUT",
    "BATCH RESET",
)
STATUS_FILTER = f"{_COORDINATOR} AND {message_contains(*STATUS_PHRASES)}"
REJECTED_WRITES_FILTER = f"{_WORKER} AND " + message_contains(*_WRITE_FAILURES)
GENERATED_FILTER = f"{_WORKER} AND {message_contains('Successfully generated')}"
# One read for all: each read counts against a quota.
NIGHT_FILTER = f"({FAILED_PLAYERS_FILTER}) OR ({GENERATED_FILTER}) OR ({STATUS_FILTER}) OR ({REJECTED_WRITES_FILTER})"

PREFIX = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[,.]\d+)? - (?P<logger>\S+) - (?P<level>[A-Z]+) - (?P<rest>.*)$", re.DOTALL
)
_LEVELS = {"DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"}
_MARK = re.compile(r"^[^\w(\[{<]+")  # an emoji before a printed line
_REJECTED_WRITE = re.compile(
    r"^\W*(?:Error writing to (?:BigQuery|staging)|Staging write failed)(?: for (?P<player>\w+))?: (?P<error>.*)",
    re.IGNORECASE | re.DOTALL,
)
_PLAYER_OF_WRITE = re.compile(r"BigQuery write failed for (\w+): error_type=")
_NOT_GENERATED = re.compile(
    r"(?:PERMANENT failure|TRANSIENT failure|No predictions generated|No features available|Invalid features|Quality too low)"
    r" for (\w+)"
)
_GENERATED = re.compile(r"Successfully generated (\d+) predictions for (\w+)")
_START = re.compile(r"Starting prediction batch for (\d{4}-\d\d-\d\d)\b")
_PUBLISHED = re.compile(r"Published (?:\d+/)?(\d+) (?:prediction )?requests\b(?! in batch)")
_DATE_IN_LINE = re.compile(r"(?: on |game_date=)(\d{4}-\d\d-\d\d)\b")
_FAILED_CONSOLIDATION = re.compile(
    r"CONSOLIDATION FAILED|CONSOLIDATION EXCEPTION|DURING CONSOLIDATION|INVALID MERGE QUERY|MERGE RETURNED 0 ROWS|VALIDATION FAILED"
)
_DONE_CONSOLIDATION = re.compile(r"CONSOLIDATION SUCCESS|CONSOLIDATION COMPLETE|ROWS MERGED|MERGE COMPLETE")

_BEGUN_CONSOLIDATION = re.compile(r"(?:MERGE|Found \d+ staging tables) for batch=")


def split_prefix(text: str) -> tuple[str, str]:
    """(level, message) of a text line: the level of its logging prefix, its mark or its words; DEFAULT where it has none."""
    match = PREFIX.match(text)
    if match is not None and match["level"] in _LEVELS:
        return match["level"], match["rest"]
    if text.startswith(("❌", "Traceback")) or is_rejected_write(text) or ends_consolidation(text) is False:
        return "ERROR", text
    return ("WARNING" if text.startswith(("⚠", "🚨")) else "DEFAULT"), text


def without_mark(message: str) -> str:
    """The words of a line in lower case: a printed line and the logged one beside it say the same with another mark."""
    return _MARK.sub("", message).lower()


def is_rejected_write(message: str) -> bool:
    """Whether a line reports a rejected write; exactly one of the lines of each failure does."""
    return _REJECTED_WRITE.match(message) is not None


def rejected_player(message: str) -> str | None:
    """The player whose write was rejected; None where the line does not name one or reports another thing."""
    match = _REJECTED_WRITE.match(message)
    return match["player"] if match else None


def rejection_error(message: str) -> str:
    """BigQuery's error in the line of a rejected write."""
    match = _REJECTED_WRITE.match(message)
    return match["error"] if match else message


def player_of_write(message: str) -> str | None:
    """The player in the line that follows a rejected write without a player; None for any other line."""
    match = _PLAYER_OF_WRITE.search(message)
    return match[1] if match else None


def ungenerated_player(message: str) -> str | None:
    """The player for whom the line says that nothing was generated."""
    match = _NOT_GENERATED.search(message)
    return match[1] if match else None


def generated_player(message: str) -> tuple[str, int] | None:
    """(player, rows) of the line that says that they were generated, which a rejected write does not prevent."""
    match = _GENERATED.search(message)
    return (match[2], int(match[1])) if match else None


def started_date(message: str) -> date | None:
    """The game date of a run that the line says to have begun."""
    return _to_date(_START.search(message))


def published_requests(message: str) -> int | None:
    """How many requests a run has published, by its last line about it."""
    if "prediction requests" not in message and "PUBLISH_METRICS" not in message:
        return None  # "Published 50/158 requests" is progress
    match = _PUBLISHED.search(message)
    return int(match[1]) if match else None


def date_in_line(message: str) -> date | None:
    """The game date that a line of worker or coordinator names itself."""
    return started_date(message) or _to_date(_DATE_IN_LINE.search(message))


def begins_consolidation(message: str) -> bool:
    """Whether the line says that the consolidation of the batch that it names begins."""
    return _BEGUN_CONSOLIDATION.search(message) is not None


def ends_consolidation(message: str) -> bool | None:
    """True: the line says that rows were merged; False: that the consolidation failed; None: neither."""
    upper_case = message.upper()
    if _FAILED_CONSOLIDATION.search(upper_case):
        return False
    return True if _DONE_CONSOLIDATION.search(upper_case) else None


def _to_date(match: re.Match[str] | None) -> date | None:
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None
