"""Options that several commands have in common, and what click makes of their text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class GameDateType(click.ParamType[date]):
    """A game date as YYYY-MM-DD."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The date; a usage error for anything else, 2025-W01-1 included."""
        if isinstance(value, date):
            return value
        try:
            parsed = date.fromisoformat(str(value))
        except ValueError:
            parsed = None
        if parsed is None or parsed.isoformat() != value:
            self.fail(f"{str(value)[:40]!r} is not a game date: write it as 2025-12-29.", param, ctx)
        return parsed


DATE = GameDateType()


def date_option(command: F) -> F:
    """--date, tonight by default."""
    return click.option(
        "--date", "game_date", type=DATE, metavar="YYYY-MM-DD", help="Game date (ET); default: tonight."
    )(command)


def json_option(command: F) -> F:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON; unknown is null.")(command)


def as_option(command: F) -> F:
    """--as, for the sandbox."""
    return click.option(
        "--as", "requested", default="", metavar="NAME[:ROLE]", help="Who you are; only in the sandbox."
    )(command)
