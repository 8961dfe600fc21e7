"""The part of Cloud Logging's filter language that the clients, gcloud and the handoff's commands use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

Entry = Mapping[str, Any]
Test = Callable[[Entry], bool]

SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
_TOKEN = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|(?P<op>=~|!~|>=|<=|!=|=|:|>|<)|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()=!<>:~"]+))"""
)


class FilterError(ValueError):
    """The filter cannot be read."""


def parse(text: str) -> Test:
    """A test of entries for a filter; raises FilterError with the place where it stops making sense."""
    tokens = _tokens(text)
    if not tokens:
        return lambda _: True
    reader = _Reader(tokens)
    test = reader.either()
    if reader.rest():
        raise FilterError(f"Unparseable filter: unexpected {reader.rest()[0][1]!r}.")
    return test


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    text = "\n".join(line for line in text.splitlines() if not line.strip().startswith("--")).rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise FilterError(f"Unparseable filter: syntax error at character {at}.")
        value = match[match.lastgroup]
        tokens.append((match.lastgroup, re.sub(r"\\(.)", r"\1", value) if match.lastgroup == "quoted" else value))
        at = match.end()
    return tokens


class _Reader:
    """Reads OR of AND of NOT of comparisons; two tests side by side mean AND."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens, self._at = tokens, 0

    def rest(self) -> list[tuple[str, str]]:
        return self._tokens[self._at :]

    def _peek(self, *words: str) -> bool:
        return bool(self.rest()) and self.rest()[0][0] == "word" and self.rest()[0][1] in words

    def _next(self) -> tuple[str, str]:
        if not self.rest():
            raise FilterError("Unparseable filter: it ends too early.")
        self._at += 1
        return self._tokens[self._at - 1]

    def either(self) -> Test:
        tests = [self.every()]
        while self._peek("OR"):
            self._next()
            tests.append(self.every())
        return tests[0] if len(tests) == 1 else (lambda entry: any(test(entry) for test in tests))

    def every(self) -> Test:
        tests = [self.one()]
        while self.rest() and self.rest()[0][0] != "close" and not self._peek("OR"):
            if self._peek("AND"):
                self._next()
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else (lambda entry: all(test(entry) for test in tests))

    def one(self) -> Test:
        if self._peek("NOT") or (self.rest() and self.rest()[0] == ("word", "-")):
            self._next()
            inner = self.one()
            return lambda entry: not inner(entry)
        kind, value = self._next()
        if kind == "open":
            test = self.either()
            if self._next()[0] != "close":
                raise FilterError("Unparseable filter: a parenthesis is not closed.")
            return test
        if kind not in ("word", "quoted"):
            raise FilterError(f"Unparseable filter: unexpected {value!r}.")
        if kind == "word" and value.startswith("-") and len(value) > 1:
            self._tokens[self._at - 1] = ("word", value[1:])
            self._at -= 1
            inner = self.one()
            return lambda entry: not inner(entry)
        if not self.rest() or self.rest()[0][0] != "op":
            return lambda entry: value.lower() in str(entry).lower()
        return self._comparison(value, self._next()[1])

    def _comparison(self, field: str, op: str) -> Test:
        kind, value = self._next()
        if kind == "open":
            values = []
            while (token := self._next())[0] != "close":
                if token[0] in ("quoted", "word") and token[1] not in ("OR", "AND"):
                    values.append(token[1])
            tests = [_compare(field, op, one) for one in values]
            return lambda entry: any(test(entry) for test in tests)
        if kind not in ("word", "quoted"):
            raise FilterError(f"Unparseable filter: {field} is compared with nothing.")
        while kind == "word" and self.rest() and self.rest()[0] == ("op", ":"):  # an unquoted time of day
            value += self._next()[1] + self._next()[1]
        return _compare(field, op, value)


def _compare(field: str, op: str, value: str) -> Test:
    if op in ("=~", "!~"):
        pattern = re.compile(value)
        return lambda entry: bool(pattern.search(_text(entry, field))) == (op == "=~")
    if op == ":":
        return lambda entry: (
            (value == "*" and _find(entry, field) is not None) or value.lower() in _text(entry, field).lower()
        )
    return lambda entry: _ordered(entry, field, op, value)


def _ordered(entry: Entry, field: str, op: str, value: str) -> bool:
    found = _find(entry, field)
    if found is None and field != "severity":
        return op == "!="
    left, right = _comparable(field, found), _comparable(field, value)
    if op in ("=", "!="):
        return (left == right) == (op == "=")
    return {">": left > right, "<": left < right, ">=": left >= right, "<=": left <= right}[op]


def _comparable(field: str, value: Any) -> Any:
    if field == "severity":
        name = str(value or "DEFAULT").upper()
        return SEVERITIES.index(name) if name in SEVERITIES else 0
    if field in ("timestamp", "receiveTimestamp"):
        return datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return str(value)


def _find(entry: Entry, field: str) -> Any:
    value: Any = entry
    for name in field.split("."):
        if not isinstance(value, Mapping) or name.strip('"') not in value:
            return None
        value = value[name.strip('"')]
    return value


def _text(entry: Entry, field: str) -> str:
    found = _find(entry, field)
    return "" if found is None else str(found)
