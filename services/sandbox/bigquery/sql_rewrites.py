"""A statement as the emulator must be given it, so that it does what BigQuery does; the faults are in docs/emulator-faults.md."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from services.sandbox.bigquery.sql_analysis import Analysis

_AGGREGATE_WITHOUT_NULLS = re.compile(r"ARRAY_AGG\s*\(\s*DISTINCT\b.*?\bIGNORE\s+NULLS", re.IGNORECASE | re.DOTALL)
_MAY_NEED_EDITS = re.compile(  # tokenizing a large MERGE takes longer than this search
    r"\bCURRENT_(?:TIMESTAMP|DATE|DATETIME|TIME)\b|\w-\w+(?:-\w+)*\.|^\s*DELETE\b|\bIGNORE\s+NULLS\b|\bTO_JSON_STRING\b",
    re.IGNORECASE,
)
_CLOCK_FORMATS = {  # of each function that reads the clock: its literal
    "CURRENT_TIMESTAMP": "TIMESTAMP '{0:%Y-%m-%d %H:%M:%S.%f}+00'",
    "CURRENT_DATE": "DATE '{0:%Y-%m-%d}'",
    "CURRENT_DATETIME": "DATETIME '{0:%Y-%m-%d %H:%M:%S.%f}'",
    "CURRENT_TIME": "TIME '{0:%H:%M:%S.%f}'",
}
Edit = tuple[int, int, str]  # replace text[start:end]


def rewrite(sql: str, analysis: Analysis, now: datetime) -> str:
    """The statement for the emulator, with the clock's functions read at `now`."""
    if analysis == Analysis() and not _MAY_NEED_EDITS.search(sql):
        return sql
    tokens = sqlglot.tokenize(sql, read="bigquery")
    edits = [*_clock_edits(tokens, now), *_dashed_project_edits(sql, tokens), *analysis.folded_casts]
    edits += _json_null_edits(tokens)
    for start, end in analysis.rounded_casts:
        edits += _rounding_edits([token for token in tokens if start <= token.start < end])
    if tokens and tokens[0].text.upper() == "DELETE" and tokens[1].text.upper() != "FROM":
        edits.append((tokens[1].start, tokens[1].start, "FROM "))
    if analysis.inserted_row:
        edits += _insert_row_edits(sql, tokens, analysis.inserted_row)
    sql = _apply(sql, edits)
    return _move_null_filter(sql) if _AGGREGATE_WITHOUT_NULLS.search(sql) else sql


def split_alter(sql: str) -> list[str]:
    """One ALTER TABLE for each of its actions; the emulator's engine takes one at a time."""
    tree = sqlglot.parse_one(sql, read="bigquery")
    actions = tree.args.get("actions") or [] if isinstance(tree, exp.Alter) else []
    if len(actions) < 2:
        return [sql]
    statements = []
    for action in actions:
        single = tree.copy()
        single.set("actions", [action.copy()])
        statements.append(single.sql(dialect="bigquery"))
    return statements


def is_script(sql: str) -> bool:
    """Whether there is more than one statement."""
    tokens = sqlglot.tokenize(sql, read="bigquery")
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    return any(token.token_type is TokenType.SEMICOLON for token in tokens)


def _apply(text: str, edits: Sequence[Edit]) -> str:
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


def _rounding_edits(tokens: Sequence[Token]) -> list[Edit]:
    """CAST(x AS INT64) as CAST(ROUND(x) AS INT64): BigQuery rounds halves away from zero, the emulator to even."""
    depth, opened, closed = 0, 0, 0
    for token in tokens:
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if depth == 1 and not opened:
            opened = token.end + 1
        if token.text.upper() == "AS" and depth == 1:
            closed = token.start
    return [(opened, opened, "ROUND("), (closed, closed, ") ")] if opened and closed else []


def _clock_edits(tokens: Sequence[Token], now: datetime) -> Iterator[Edit]:
    for n, token in enumerate(tokens):
        literal = _CLOCK_FORMATS.get(token.text.upper())
        previous = tokens[n - 1].text.upper() if n else ""
        if (
            literal is None
            or token.token_type in {TokenType.STRING, TokenType.IDENTIFIER}
            or previous in {".", "AS", "DEFAULT"}
        ):
            continue
        end = token.end + 1
        zone: tzinfo = UTC
        texts = [t.text for t in tokens[n + 1 : n + 4]]
        if texts[:1] == ["("]:
            if texts[1:2] == [")"]:
                end = tokens[n + 2].end + 1
            elif texts[2:3] == [")"] and tokens[n + 2].token_type is TokenType.STRING:
                end, zone = tokens[n + 3].end + 1, ZoneInfo(texts[1])
            else:
                continue  # a zone that is computed: left to the emulator's clock
        yield token.start, end, literal.format(now.astimezone(zone))


def _dashed_project_edits(sql: str, tokens: Sequence[Token]) -> Iterator[Edit]:
    """Backticks around a project name that is written bare with dashes, as in FROM my-project.dataset.table."""
    for n, token in enumerate(tokens):
        previous = tokens[n - 1].text.upper() if n else ""
        if previous not in {
            "FROM",
            "JOIN",
            "INTO",
            "USING",
            "MERGE",
            "UPDATE",
            "TABLE",
            ",",
            "DELETE",
            "VIEW",
            "EXISTS",
        }:
            continue
        match = re.compile(r"[A-Za-z][\w]*(?:-[\w]+)+(?=\.)", re.ASCII).match(sql, token.start)
        if match is not None and token.token_type is not TokenType.STRING:
            yield match.start(), match.end(), f"`{match[0]}`"


def _json_null_edits(tokens: Sequence[Token]) -> Iterator[Edit]:
    """TO_JSON_STRING(x) as IFNULL(TO_JSON_STRING(x), 'null'): BigQuery's text of NULL is JSON's null, the emulator's is NULL."""
    for n, token in enumerate(tokens):
        if token.text.upper() != "TO_JSON_STRING" or token.token_type is TokenType.STRING:
            continue
        depth = 0
        for following in tokens[n + 1 :]:
            depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(following.token_type, 0)
            if depth == 0:
                break
        else:
            continue
        if following.token_type is TokenType.R_PAREN:
            yield token.start, token.start, "IFNULL("
            yield following.end + 1, following.end + 1, ", 'null')"


def _insert_row_edits(sql: str, tokens: Sequence[Token], columns: Sequence[tuple[str, str]]) -> Iterator[Edit]:
    tree = sqlglot.parse_one(sql, read="bigquery")
    source = tree.args["using"].alias_or_name
    targets = ", ".join(f"`{target}`" for target, _ in columns)
    values = ", ".join(f"`{source}`.`{column}`" for _, column in columns)
    for first, second in itertools.pairwise(tokens):
        if first.text.upper() == "INSERT" and second.text.upper() == "ROW":
            yield first.start, second.end + 1, f"INSERT ({targets}) VALUES ({values})"


def _move_null_filter(sql: str) -> str:
    """ARRAY_AGG(DISTINCT x IGNORE NULLS) as ARRAY_AGG(DISTINCT x) FILTER (WHERE NOT x IS NULL), as the emulator's engine has it."""
    tree = sqlglot.parse_one(sql, read="bigquery")
    for nulls in list(tree.find_all(exp.IgnoreNulls)):
        aggregate = nulls.this
        distinct = aggregate.find(exp.Distinct) if isinstance(aggregate, exp.ArrayAgg) else None
        if distinct is not None:
            not_null = exp.Not(this=exp.Is(this=distinct.expressions[0].copy(), expression=exp.Null()))
            nulls.replace(exp.Filter(this=aggregate.copy(), expression=exp.Where(this=not_null)))
    return tree.sql(dialect="bigquery")
