"""The part of Cloud Logging's filter language that the clients, gcloud and the handoff's commands use."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from services.sandbox.stand_ins.log_functions import FUNCTIONS, FieldPath, Predicate, field_text, get_field

SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
TIMESTAMP_FIELDS = {("timestamp",), ("receiveTimestamp",)}
MAX_FILTER_CHARS, MAX_NESTING = 20_000, 100
ALL_TIME = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_TOKEN = re.compile(
    r"""(?:\s|--[^\n]*(?:\n|$))*(?:(?P<open>\()|(?P<close>\))|(?P<op>=~|!~|>=|<=|!=|=|:|>|<)|(?P<comma>,)"""
    r"""|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()=!<>:~",']+)|(?P<end>$))"""
)
_UNKNOWN_TO_RE2 = re.compile(r"\(\?(?:=|!|<=|<!|>)|\\[1-9]|\(\?P=")  # what Python's expressions have besides


class FilterError(ValueError):
    """The filter cannot be read."""


def parse(text: str) -> Predicate:
    """A test of entries for a filter; raises FilterError with the place where it stops making sense."""
    if len(text) > MAX_FILTER_CHARS:
        raise FilterError(f"Unparseable filter: it has {len(text)} characters, {MAX_FILTER_CHARS} are allowed.")
    tokens = _tokenize(text)
    if not tokens:
        return lambda _: True
    if max(accumulate({"open": 1, "close": -1}.get(kind, 0) for kind, _ in tokens)) > MAX_NESTING:
        raise FilterError("Unparseable filter: it is nested too deeply.")
    parser = _Parser(tokens)
    predicate = parser.every()
    if parser.remaining():
        raise FilterError(f"Unparseable filter: unexpected {parser.remaining()[0][1]!r}.")
    return predicate


def time_bounds(text: str) -> tuple[datetime, datetime]:
    """Instants between which every entry of a filter lies: what it says of `timestamp` where nothing is an alternative to it."""
    start, end = ALL_TIME
    tokens, depth = _tokenize(text), 0
    for index, (kind, value) in enumerate(tokens):
        depth += {"open": 1, "close": -1}.get(kind, 0)
        if depth == 0 and kind == "word" and (value in ("OR", "NOT") or value.startswith("-")):
            return ALL_TIME
        if (
            depth == 0
            and (kind, value) == ("word", "timestamp")
            and [k for k, _ in tokens[index + 1 : index + 3]] == ["op", "quoted"]
        ):
            op, instant = tokens[index + 1][1], _parse_timestamp(tokens[index + 2][1])
            start = max(start, instant) if op in (">", ">=", "=") else start
            end = min(end, instant) if op in ("<", "<=", "=") else end
    return start, end


def _tokenize(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            before = text[:position]
            place = f"line {before.count(chr(10)) + 1}, column {position - before.rfind(chr(10))}"
            raise FilterError(f"Unparseable filter: syntax error at {place}, token {text[position : position + 10]!r}.")
        if match.lastgroup == "end":
            break
        value = match[match.lastgroup]
        tokens.append((match.lastgroup, re.sub(r"\\(.)", r"\1", value) if match.lastgroup == "quoted" else value))
        position = match.end()
    return tokens


class _Parser:
    """Reads AND of OR of NOT of comparisons (OR binds closer than AND here); two tests side by side mean AND."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens, self._position = tokens, 0

    def remaining(self) -> list[tuple[str, str]]:
        return self._tokens[self._position :]

    def _peek(self, *words: str) -> bool:
        return bool(self.remaining()) and self.remaining()[0][0] == "word" and self.remaining()[0][1] in words

    def _next(self) -> tuple[str, str]:
        if not self.remaining():
            raise FilterError("Unparseable filter: it ends too early.")
        self._position += 1
        return self._tokens[self._position - 1]

    def every(self) -> Predicate:
        predicates = [self.parse_or()]
        while self.remaining() and self.remaining()[0][0] != "close":
            if self._peek("AND"):
                self._next()
            predicates.append(self.parse_or())
        return (
            predicates[0] if len(predicates) == 1 else (lambda entry: all(predicate(entry) for predicate in predicates))
        )

    def parse_or(self) -> Predicate:
        predicates = [self.parse_term()]
        while self._peek("OR"):
            self._next()
            predicates.append(self.parse_term())
        return (
            predicates[0] if len(predicates) == 1 else (lambda entry: any(predicate(entry) for predicate in predicates))
        )

    def parse_term(self) -> Predicate:
        if self._peek("NOT") or (self.remaining() and self.remaining()[0] == ("word", "-")):
            self._next()
            negated = self.parse_term()
            return lambda entry: not negated(entry)
        kind, value = self._next()
        if kind == "open":
            predicate = self.every()
            if self._next()[0] != "close":
                raise FilterError("Unparseable filter: a parenthesis is not closed.")
            return predicate
        if kind not in ("word", "quoted"):
            raise FilterError(f"Unparseable filter: unexpected {value!r}.")
        if kind == "word" and value.startswith("-") and len(value) > 1:
            self._tokens[self._position - 1] = ("word", value[1:])
            self._position -= 1
            negated = self.parse_term()
            return lambda entry: not negated(entry)
        if kind == "word" and self.remaining() and self.remaining()[0][0] == "open":
            return self._parse_function(value)
        path = self._parse_path(kind, value)
        if not self.remaining() or self.remaining()[0][0] != "op":
            if kind == "word" and value in ("AND", "OR"):
                raise FilterError(f"Unparseable filter: unexpected {value!r}.")
            return lambda entry: value.lower() in str(entry).lower()
        return self._parse_comparison(path, self._next()[1])

    def _parse_function(self, name: str) -> Predicate:
        """`name(arguments)`: only these functions are filters by themselves."""
        self._next()
        arguments = []
        while (token := self._next())[0] != "close":
            if token[0] in ("word", "quoted"):
                arguments.append(token)
            elif token[0] != "comma":
                raise FilterError(f"Unparseable filter: unexpected {token[1]!r}.")
        build = FUNCTIONS.get(name.lower())
        if build is None:
            raise FilterError(f"Unparseable filter: unrecognized function {name!r}.")
        try:
            return build(*arguments)
        except (TypeError, ValueError) as error:
            raise FilterError(f"Unparseable filter: invalid arguments of {name}: {error}.") from None

    def _parse_path(self, kind: str, value: str) -> FieldPath:
        """A field's names: `labels."a.b"` is two, `resource.labels.x` three."""
        names = [value] if kind == "quoted" else [name for name in value.split(".") if name]
        while (
            kind == "word" and value.endswith(".") and self.remaining() and self.remaining()[0][0] in ("word", "quoted")
        ):
            kind, value = self._next()
            names += [value] if kind == "quoted" else [name for name in value.split(".") if name]
        return tuple(names)

    def _parse_comparison(self, path: FieldPath, op: str) -> Predicate:
        kind, value = self._next()
        if kind == "open":
            return self._parse_value_list(path, op)
        if kind not in ("word", "quoted"):
            raise FilterError(f"Unparseable filter: {'.'.join(path)} is compared with nothing.")
        if kind == "word" and op in ("=~", "!~"):
            raise FilterError("Unparseable filter: regular expressions must begin and end with '\"'.")
        while path in TIMESTAMP_FIELDS and self.remaining() and self.remaining()[0] == ("op", ":"):  # a time of day
            value += self._next()[1] + self._next()[1]
        return _build_predicate(path, op, value)

    def _parse_value_list(self, path: FieldPath, op: str) -> Predicate:
        """`field:("a" OR "b")`, or with AND: the field is compared with every value."""
        values, operators = [], set()
        while (token := self._next())[0] != "close":
            if token in (("word", "OR"), ("word", "AND")):
                operators.add(token[1])
            elif token[0] in ("quoted", "word"):
                values.append(token[1])
            else:
                raise FilterError(f"Unparseable filter: unexpected {token[1]!r}.")
        if len(operators) > 1:
            raise FilterError("Unparseable filter: AND and OR are mixed in one list of values.")
        combine = all if operators == {"AND"} else any
        if op == ":" and "*" not in values:  # the field's text is made once, whatever the number of values
            needles = [value.lower() for value in values]
            return lambda entry: combine(map(field_text(entry, path).lower().__contains__, needles))
        predicates = [_build_predicate(path, op, value) for value in values]
        return lambda entry: combine(predicate(entry) for predicate in predicates)


def _build_predicate(path: FieldPath, op: str, value: str) -> Predicate:
    if op in ("=~", "!~"):
        pattern = _compile_pattern(value)
        return lambda entry: bool(pattern.search(field_text(entry, path))) == (op == "=~")
    if op == ":":
        needle = value.lower()
        return lambda entry: (
            (value == "*" and get_field(entry, path) is not None) or needle in field_text(entry, path).lower()
        )
    if path in TIMESTAMP_FIELDS:
        instant = _parse_timestamp(value)
        return lambda entry: _evaluate(op, _parse_timestamp(str(get_field(entry, path))), instant)
    if path == ("severity",):
        severity_rank = _severity_rank(value)
        return lambda entry: _evaluate(op, _severity_rank(get_field(entry, path)), severity_rank)
    return lambda entry: _compare_value(op, get_field(entry, path), value)


def _compare_value(op: str, actual: Any, expected: str) -> bool:
    if actual is None:
        return op == "!="
    if isinstance(actual, int | float) and not isinstance(actual, bool):
        try:
            return _evaluate(op, float(actual), float(expected))
        except ValueError:
            return op == "!="
    return _evaluate(op, str(actual).lower(), expected.lower())


def _evaluate(op: str, left: Any, right: Any) -> bool:
    return bool(_COMPARISONS[op](left, right))


def _compile_pattern(value: str) -> re.Pattern[str]:
    if _UNKNOWN_TO_RE2.search(value):
        raise FilterError(f"Unparseable filter: invalid regular expression {value!r}: invalid perl operator.")
    try:
        return re.compile(value)
    except re.error as error:
        raise FilterError(f"Unparseable filter: invalid regular expression {value!r}: {error}.") from None


def _parse_timestamp(value: str) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise FilterError(f"Unparseable filter: {value!r} is no timestamp.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _severity_rank(value: Any) -> int:
    name = str(value or "DEFAULT").upper()
    return SEVERITIES.index(name) if name in SEVERITIES else 0
