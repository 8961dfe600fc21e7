"""Plans a run: the eligible players of a game date, or the sentence why nothing can start."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TypedDict, cast

from services.batches import ids
from services.batches.ledger import BatchRecord
from services.batches.state import BatchState
from services.core.errors import InvalidInput, OnCallError
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.names.resolver import ResolutionMethod
from services.policy.eligibility import MIN_AVERAGE_MINUTES, eligibility_params

logger = logging.getLogger("coordinator")


class NoEligiblePlayers(OnCallError):
    """No player of this date is eligible."""


class EligiblePlayer(TypedDict):
    """A row of the query pipeline.eligible_players: a player's newest context row, with a line of the odds where it has none."""

    player_lookup: str
    universal_player_id: str | None
    game_id: str
    team_abbr: str | None
    minutes: float
    points_avg_last_5: Decimal | None
    points_avg_last_10: Decimal | None
    current_points_line: Decimal | None
    has_prop_line: bool
    line_method: str | None  # a ResolutionMethod, where the line is taken from the odds
    home_game: bool
    days_rest: int
    tip_off: datetime | None  # of his team's game, by its newest odds


@dataclass(frozen=True)
class Run:
    """What a batch requests: its id, its date and the context rows of the players; `eligible` counts those of the date."""

    batch_id: str
    game_date: date
    games: int
    eligible: int
    players: tuple[EligiblePlayer, ...]
    started_by: str
    min_minutes: float = MIN_AVERAGE_MINUTES


def plan_run(
    clients: Clients,
    game_date: date,
    *,
    min_minutes: float = MIN_AVERAGE_MINUTES,
    players: Sequence[str] = (),
    started_by: str = "",
) -> Run | None:
    """What a run would request; None on a date without games.

    Raises NoEligiblePlayers, or InvalidInput for a named player who is not eligible.
    """
    games = query_catalog.run_query(clients, "pipeline.games", game_date=game_date).rows
    if not games:
        return None
    result = query_catalog.run_query(
        clients, "pipeline.eligible_players", game_date=game_date, **eligibility_params(min_minutes)
    )
    rows = cast(tuple[EligiblePlayer, ...], result.rows)
    if not rows:
        raise NoEligiblePlayers(
            f"No player of {game_date} is eligible: {len(games)} games, none with minutes, status and readiness."
        )
    ineligible = sorted(set(players) - {row["player_lookup"] for row in rows})
    if ineligible:
        raise InvalidInput(
            f"Not eligible on {game_date}: {', '.join(ineligible[:5])}{' …' if len(ineligible) > 5 else ''}.",
            "Nothing was started.",
        )
    selected = tuple(row for row in rows if not players or row["player_lookup"] in players)
    alias_players = [row["player_lookup"] for row in selected if row["line_method"] == ResolutionMethod.ALIAS]
    batch_id = ids.make_batch_id(game_date, clients.now())
    if alias_players:
        names = ", ".join(alias_players[:10])
        logger.info("Lines through an alias of the odds: %d (%s) (batch=%s)", len(alias_players), names, batch_id)
    return Run(batch_id, game_date, len(games), len(rows), selected, started_by, min_minutes)


def initial_record(run: Run, instance_id: str) -> BatchRecord:
    return BatchRecord(
        run.batch_id,
        run.game_date,
        BatchState.REQUESTED,
        1,
        instance_id,
        started_by=run.started_by,
        eligible=run.eligible,
        requested=len(run.players),
        details={
            "players": [row["player_lookup"] for row in run.players],
            "min_minutes": run.min_minutes,
            "activation": 1,
        },
    )
