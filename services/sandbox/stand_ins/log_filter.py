"""The part of Cloud Logging's filter language that the clients, gcloud and the handoff's commands use."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Entry = Mapping[str, Any]
Test = Callable[[Entry], bool]
Path = tuple[str, ...]

SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
TIMES = {("timestamp",), ("receiveTimestamp",)}
MAX_CHARS = 20_000
EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_TOKEN = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|(?P<op>=~|!~|>=|<=|!=|=|:|>|<)|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()=!<>:~"]+))"""
)


class FilterError(ValueError):
    """The filter cannot be read."""


def parse(text: str) -> Test:
    """A test of entries for a filter; raises FilterError with the place where it stops making sense."""
    if len(text) > MAX_CHARS:
        raise FilterError(f"Unparseable filter: it has {len(text)} characters, {MAX_CHARS} are allowed.")
    tokens = _tokens(text)
    if not tokens:
        return lambda _: True
    reader = _Reader(tokens)
    test = reader.every()
    if reader.rest():
        raise FilterError(f"Unparseable filter: unexpected {reader.rest()[0][1]!r}.")
    return test


def window(text: str) -> tuple[datetime, datetime]:
    """Instants between which every entry of a filter lies: what it says of `timestamp` where nothing is an alternative to it."""
    start, end = EVER
    tokens, depth = _tokens(text), 0
    for at, (kind, value) in enumerate(tokens):
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if depth == 0 and kind == "word" and (value in ("OR", "NOT") or value.startswith("-")):
            return EVER
        if (
            depth == 0
            and (kind, value) == ("word", "timestamp")
            and [k for k, _ in tokens[at + 1 : at + 3]] == ["op", "quoted"]
        ):
            op, instant = tokens[at + 1][1], _instant(tokens[at + 2][1])
            start = max(start, instant) if op in (">", ">=", "=") else start
            end = min(end, instant) if op in ("<", "<=", "=") else end
    return start, end


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
    """Reads AND of OR of NOT of comparisons (OR binds closer than AND here); two tests side by side mean AND."""

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

    def every(self) -> Test:
        tests = [self.either()]
        while self.rest() and self.rest()[0][0] != "close":
            if self._peek("AND"):
                self._next()
            tests.append(self.either())
        return tests[0] if len(tests) == 1 else (lambda entry: all(test(entry) for test in tests))

    def either(self) -> Test:
        tests = [self.one()]
        while self._peek("OR"):
            self._next()
            tests.append(self.one())
        return tests[0] if len(tests) == 1 else (lambda entry: any(test(entry) for test in tests))

    def one(self) -> Test:
        if self._peek("NOT") or (self.rest() and self.rest()[0] == ("word", "-")):
            self._next()
            inner = self.one()
            return lambda entry: not inner(entry)
        kind, value = self._next()
        if kind == "open":
            test = self.every()
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
        path = self._path(kind, value)
        if not self.rest() or self.rest()[0][0] != "op":
            return lambda entry: value.lower() in str(entry).lower()
        return self._comparison(path, self._next()[1])

    def _path(self, kind: str, value: str) -> Path:
        """A field's names: `labels."a.b"` is two, `resource.labels.x` three."""
        names = [value] if kind == "quoted" else [name for name in value.split(".") if name]
        while kind == "word" and value.endswith(".") and self.rest() and self.rest()[0][0] in ("word", "quoted"):
            kind, value = self._next()
            names += [value] if kind == "quoted" else [name for name in value.split(".") if name]
        return tuple(names)

    def _comparison(self, path: Path, op: str) -> Test:
        kind, value = self._next()
        if kind == "open":
            values = []
            while (token := self._next())[0] != "close":
                if token[0] in ("quoted", "word") and token[1] not in ("OR", "AND"):
                    values.append(token[1])
            tests = [_compare(path, op, one) for one in values]
            return lambda entry: any(test(entry) for test in tests)
        if kind not in ("word", "quoted"):
            raise FilterError(f"Unparseable filter: {'.'.join(path)} is compared with nothing.")
        while kind == "word" and self.rest() and self.rest()[0] == ("op", ":"):  # an unquoted time of day
            value += self._next()[1] + self._next()[1]
        return _compare(path, op, value)


def _compare(path: Path, op: str, value: str) -> Test:
    if op in ("=~", "!~"):
        pattern = _pattern(value)
        return lambda entry: bool(pattern.search(_text(entry, path))) == (op == "=~")
    if op == ":":
        words = value.lower()
        return lambda entry: (value == "*" and _find(entry, path) is not None) or words in _text(entry, path).lower()
    if path in TIMES:
        instant = _instant(value)
        return lambda entry: _holds(op, _instant(str(_find(entry, path))), instant)
    if path == ("severity",):
        level = _level(value)
        return lambda entry: _holds(op, _level(_find(entry, path)), level)
    return lambda entry: _compare_found(op, _find(entry, path), value)


def _compare_found(op: str, found: Any, value: str) -> bool:
    if found is None:
        return op == "!="
    if isinstance(found, int | float) and not isinstance(found, bool):
        try:
            return _holds(op, float(found), float(value))
        except ValueError:
            return op == "!="
    return _holds(op, str(found).lower(), value.lower())


def _holds(op: str, left: Any, right: Any) -> bool:
    return bool(_ORDER[op](left, right))


def _pattern(value: str) -> re.Pattern[str]:
    try:
        return re.compile(value)
    except re.error as error:
        raise FilterError(f"Unparseable filter: invalid regular expression {value!r}: {error}.") from None


def _instant(value: str) -> datetime:
    try:
        at = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise FilterError(f"Unparseable filter: {value!r} is no timestamp.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _level(value: Any) -> int:
    name = str(value or "DEFAULT").upper()
    return SEVERITIES.index(name) if name in SEVERITIES else 0


def _find(entry: Entry, path: Path) -> Any:
    value: Any = entry
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def _text(entry: Entry, path: Path) -> str:
    found = _find(entry, path)
    return "" if found is None else str(found)
