"""Options that several commands have in common, and what click makes of their text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import click

from services.core.clock import ET

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


class InstantType(click.ParamType[datetime]):
    """An instant on New York's clocks, as YYYY-MM-DDTHH:MM, or of any zone with its offset."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant; a usage error for anything else."""
        try:
            parsed = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{str(value)[:40]!r} is not a time: write it as 2025-12-29T14:00.", param, ctx)
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=ET)


class SpanType(click.ParamType[timedelta]):
    """Minutes, hours or days: 30m, 2h, 7d."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The span; a usage error for anything else, 0h included."""
        match = re.fullmatch(r"([1-9]\d{0,4})([mhd])", str(value))
        if match is None:
            self.fail(f"{str(value)[:40]!r} is not a span of time: write it as 30m, 2h or 7d.", param, ctx)
        return int(match[1]) * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[match[2]]


DATE, INSTANT, SPAN = GameDateType(), InstantType(), SpanType()


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
