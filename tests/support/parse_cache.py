"""Each statement parsed once: the emulator parses it some fifteen times, and to copy the trees costs a quarter of that."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sqlglot.dialects.dialect import Dialect
from sqlglot.expressions import Expr

Parse = Callable[..., list[Expr | None]]
MAX_CHARACTERS, MAX_STATEMENTS = 20_000, 500


def copy_instead_of_parse(parse: Parse) -> Parse:
    """`Dialect.parse` that keeps the trees of what it has parsed without options, and returns copies of them."""

    @lru_cache(maxsize=MAX_STATEMENTS)
    def parse_once(dialect: type[Dialect], sql: str) -> list[Expr | None]:
        return parse(dialect(), sql)

    def parse_or_copy(self: Dialect, sql: str, **options: Any) -> list[Expr | None]:
        if options or self.settings or len(sql) > MAX_CHARACTERS:
            return parse(self, sql, **options)
        return [tree.copy() if tree is not None else None for tree in parse_once(type(self), sql)]

    return parse_or_copy
