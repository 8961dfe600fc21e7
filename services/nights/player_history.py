"""One player on the dates before a night: how far the player came on each, from one query over two tables (20 MiB at least)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypedDict, cast

from services.core.result import DataSource
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.nights.player_stages import Stage
from services.policy.eligibility import eligibility_params

GAME_DATES, CALENDAR_DAYS = 14, 21  # the last dates with games, of so many days: few have none


class _HistoryRow(TypedDict):
    """queries/nights/player_history.sql: a date with games."""

    game_date: date
    in_context: bool
    eligible: bool
    rows_written: int
    rows_active: int


@dataclass(frozen=True)
class PlayerDay:
    """A player on one date with games; `reached` is the last stage that the tables show, None where the player is not in them."""

    game_date: date
    reached: Stage | None
    rows_active: int
    eligible: bool


@dataclass(frozen=True)
class PlayerHistory:
    """The last dates with games up to a night, the oldest first."""

    days: tuple[PlayerDay, ...]
    source: DataSource


def read_player_history(clients: Clients, player_lookup: str, last: date) -> PlayerHistory:
    """The last GAME_DATES dates with games up to `last`; raises OnCallError when they cannot be read."""
    first = last - timedelta(days=CALENDAR_DAYS - 1)
    result = query_catalog.run_query(
        clients,
        "nights.player_history",
        player_lookup=player_lookup,
        first_date=first,
        last_date=last,
        **eligibility_params(),
    )
    rows = cast("tuple[_HistoryRow, ...]", result.rows)
    days = tuple(PlayerDay(r["game_date"], _reached(r), r["rows_active"], r["eligible"]) for r in rows)
    return PlayerHistory(days[-GAME_DATES:], result.source)


def _reached(row: _HistoryRow) -> Stage | None:
    stages = (
        (Stage.ACTIVE, row["rows_active"]),
        (Stage.WRITTEN, row["rows_written"]),
        (Stage.ELIGIBLE, row["eligible"]),
        (Stage.IN_CONTEXT, row["in_context"]),
    )
    return next((stage for stage, is_reached in stages if is_reached), None)
