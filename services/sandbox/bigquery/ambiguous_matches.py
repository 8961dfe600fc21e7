"""MERGE and UPDATE … FROM with several source rows for one target row, which DuckDB applies one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlglot
from sqlglot.tokenizer_core import Token, TokenType

MESSAGE = "UPDATE/MERGE must match at most one source row for each target row"
_OPENING = {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1, TokenType.CASE: 1, TokenType.END: -1}


@dataclass(frozen=True)
class _Part:
    """A stretch of the statement's tokens."""

    tokens: Sequence[Token]

    def text(self, sql: str) -> str:
        return sql[self.tokens[0].start : self.tokens[-1].end + 1] if self.tokens else ""


def find_ambiguous_match(sql: str, parameters: Sequence[Any]) -> tuple[str, list[Any]] | None:
    """The SELECT (with its parameters) that has a row when a target row has several source rows; None if none can have.

    `sql` is a statement in DuckDB's dialect, `parameters` the values of its question marks.
    """
    kind = sql.lstrip()[:6].upper()
    if not kind.startswith("MERGE") and kind != "UPDATE":
        return None
    tokens = sqlglot.tokenize(sql, read="duckdb")
    parts = _merge_parts(tokens) if kind.startswith("MERGE") else _update_parts(tokens)
    if parts is None:
        return None
    target, source, conditions, matched = parts
    alias = target.tokens[-1].text
    where = " AND ".join(f"({part.text(sql)})" for part in conditions)
    if matched:
        where += " AND (" + " OR ".join(f"({part.text(sql)})" for part in matched) + ")"
    text = (
        f"SELECT 1 FROM {target.text(sql)}, {source.text(sql)} WHERE {where or 'TRUE'}"
        f' GROUP BY "{alias}".rowid HAVING COUNT(*) > 1 LIMIT 1'
    )
    marks = [t for t in tokens if t.token_type is TokenType.PLACEHOLDER]
    used = {id(t) for part in (source, *conditions, *matched) for t in part.tokens}
    return text, [value for mark, value in zip(marks, parameters, strict=False) if id(mark) in used]


_Parts = tuple[_Part, _Part, list[_Part], list[_Part]]  # target, source, conditions of a match, those of WHEN MATCHED


def _split(tokens: Sequence[Token], keywords: set[str]) -> list[tuple[str, _Part]]:
    """The stretches after each of these keywords outside brackets and CASE, in order."""
    depth, parts, begin, keyword = 0, [], 0, ""
    for n, token in enumerate(tokens):
        depth += _OPENING.get(token.token_type, 0)
        word = token.text.upper()
        if depth == 0 and word in keywords and token.token_type is not TokenType.IDENTIFIER:
            parts.append((keyword, _Part(tokens[begin:n])))
            begin, keyword = n + 1, word
    parts.append((keyword, _Part(tokens[begin:])))
    return parts


def _merge_parts(tokens: Sequence[Token]) -> _Parts | None:
    parts = _split(tokens, {"INTO", "USING", "ON", "WHEN", "THEN"})
    named = dict(reversed([(keyword, part) for keyword, part in parts if keyword in {"INTO", "USING", "ON"}]))
    matched = []
    for keyword, part in parts:
        words = [token.text.upper() for token in part.tokens]
        if keyword == "WHEN" and words[:1] == ["MATCHED"]:
            if words[1:2] != ["AND"]:
                return named["INTO"], named["USING"], [named["ON"]], []
            matched.append(_Part(part.tokens[2:]))
    return (named["INTO"], named["USING"], [named["ON"]], matched) if matched else None


def _update_parts(tokens: Sequence[Token]) -> _Parts | None:
    parts = dict(_split(tokens, {"UPDATE", "SET", "FROM", "WHERE"}))
    if "FROM" not in parts:
        return None
    return parts["UPDATE"], parts["FROM"], [parts["WHERE"]] if "WHERE" in parts else [], []
