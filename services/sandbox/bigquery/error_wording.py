"""The emulator's errors in BigQuery's words: nothing of its engine's (DuckDB) and parser's (SQLGlot) reaches a client."""

from __future__ import annotations

import re
from collections.abc import Mapping

# What the engine says → what BigQuery says. A reason of BigQuery's other than invalidQuery stands before the bar.
_KNOWN: tuple[tuple[str, str], ...] = (
    (r"NOT NULL constraint failed: \S*?\.?(\w+)\s*$", r"Required field \1 cannot be null"),
    (r"division by zero", "division by zero"),
    (r"Overflow in (\w+) of INT\w* \((-?\d+) ([-+*]) (-?\d+)\)", r"int64 overflow: \2 \3 \4"),
    (r"Overflow in |Integer Overflow|value is out of range|is out of range for the destination type", "int64 overflow"),
    (r"Could not convert string '([^']*)' to INT\w*", r"Bad int64 value: \1"),
    (r"Could not convert string '([^']*)' to (?:DOUBLE|FLOAT)", r"Bad double value: \1"),
    (r"Could not convert string '([^']*)' to BOOL", r"Bad bool value: \1"),
    (r"Could not convert string [\"']([^\"']*)[\"'] to DECIMAL", r"Invalid NUMERIC value: \1"),
    (r"(?:invalid )?date field (?:format|value out of range): \"([^\"]*)\"", r"Invalid date: '\1'"),
    (r"(?:invalid )?timestamp field (?:format|value out of range): \"([^\"]*)\"", r"Invalid timestamp: '\1'"),
    (r"Malformed JSON", "Invalid input to PARSE_JSON"),
    (r"More than one row returned by a subquery", "Scalar subquery produced more than one element"),
    (
        r"Not found: Table ([\w-]+)\.(\w+)\.(\S+) was",
        r"notFound|Not found: Table \1:\2.\3 was not found in location US",
    ),
    (r"Not found: (?:table|Table):? ?([\w-]+)[.:](\w+)\.(\w+)$", r"notFound|Not found: Table \1:\2.\3"),
    (r"Already Exists: Table ([\w-]+)\.(\w+)\.(\S+)", r"duplicate|Already Exists: Table \1:\2.\3"),
    # Only scripts and statements over INFORMATION_SCHEMA get here with a wrong name; they are not analyzed before.
    (r"Referenced column \"([^\"]+)\" (?:was )?not found", r"Unrecognized name: \1"),
    (r"Table \"([^\"]+)\" does not have a column named \"([^\"]+)\"", r"Name \2 not found inside \1"),
    (r"Permission Error", "Access to files of this machine is not possible in SQL."),
    (r"Unknown variable: (\w+)", r"Undeclared variable: \1"),
    (r"square root of a negative number", "Argument to SQRT cannot be negative"),
    (r"logarithm of (?:zero|a negative number)", "Argument to LN must be positive"),
    (r"Could not parse string \"([^\"]*)\" according to format", r'Failed to parse input string "\1"'),
    (
        r"SYSTEM_TIME AS OF is in the future: (\S+)",
        r"invalidQuery|Invalid time travel timestamp \1: it is in the future.",
    ),
    (
        r"SYSTEM_TIME AS OF is before",
        "invalidQuery|Invalid time travel timestamp: it is before the time travel window of 7 days.",
    ),
    (r"Could not cast value (\S+) to DECIMAL", r"numeric overflow: \1"),
)
# Errors of these classes are the data's, not the statement's: their first line is said without the class.
_DATA_ERROR = re.compile(r"(?:Query execution failed: )?(?:Conversion|Out of Range|Invalid Input) Error: ([^\n]+)")
_ENGINE_WORDS = re.compile(
    r"\b(?:Binder|Catalog|Parser|Conversion|Constraint|Invalid Input|Out of Range|Permission|IO|Internal|Dependency|Not "
    r"implemented|Transaction\w*|Sequence|Mismatch Type|Serialization|Syntax|INTERNAL|FATAL|HTTP|Interrupt|Fatal) Error\b|"
    r"duckdb|sqlglot|candidate bindings|candidate functions|VARCHAR|BIGINT|\bDOUBLE\b|DECIMAL\(|TIMESTAMPTZ|LINE \d+:|\x1b|<class",
    re.IGNORECASE,
)
NOT_RUN = "The sandbox cannot run this statement, although BigQuery accepts it (docs/emulator-faults.md lists what its emulator lacks)."


def to_bigquery_error(error: Mapping[str, object]) -> dict[str, object]:
    """An errorResult (`reason`, `message`, maybe `location`) with BigQuery's reason and wording; one that has them is unchanged."""
    message = str(error.get("message", ""))
    for pattern, wording in _KNOWN:
        if (match := re.search(pattern, message, re.IGNORECASE | re.MULTILINE)) is not None:
            reason, separator, text = wording.rpartition("|")
            return {**error, "message": match.expand(text), **({"reason": reason} if separator else {})}
    message = message.removeprefix("Query execution failed: ")
    data_error = _DATA_ERROR.match(message)
    if data_error is not None and not _ENGINE_WORDS.search(data_error[1]):
        return {**error, "message": data_error[1]}
    return {**error, "message": NOT_RUN if _ENGINE_WORDS.search(message) else message}
