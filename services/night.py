"""One night, player by player: how far each one came, from the odds to an active row, and what stopped the rest.

Coverage, missing players and the overview all start from `read_night`, so they can never disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from services.foundation.clients import Cloud
from services.foundation.reading import Problem, Source


class Stage(StrEnum):
    """The stages of a player on a game date, in order; see `STAGES`."""

    LINED = "lined"
    IN_CONTEXT = "in context"
    ELIGIBLE = "eligible"
    REQUESTED = "requested"
    GENERATED = "generated"
    STAGED = "staged"
    WRITTEN = "written"
    ACTIVE = "active"


STAGES = tuple(Stage)


@dataclass(frozen=True)
class WriteError:
    """A write of a player's rows that BigQuery refused, as the worker's log tells it."""

    at: datetime
    text: str
    reason: str
    log_id: str = ""


@dataclass(frozen=True)
class PlayerNight:
    """One player on one game date. None means unknown (its source could not be read), never "no"."""

    player_lookup: str
    player_name: str
    team: str
    opponent: str
    game_id: str
    lined: bool | None
    in_context: bool | None
    alias_canonical: str | None  # the canonical name an active alias leads to, when that name is in context
    eligible: bool | None
    not_eligible_reason: str  # e.g. "OUT", "12.3 minutes on average, 15 needed", "not production-ready"
    requested: bool | None
    generated_rows: int | None
    generation_error: str  # skip_reason or error of the worker's run row, or its log line
    staged_rows: int | None
    staging_table: str
    written_rows: int | None
    active_rows: int | None
    superseded: bool
    write_error: WriteError | None
    batch_id: str


@dataclass(frozen=True)
class Night:
    """Everything known of one game date. `games` 0 with no players is a day without games."""

    game_date: date
    games: int
    players: tuple[PlayerNight, ...]
    systems: tuple[tuple[str, int, int], ...]  # (system_id, players active, rows active)
    generated_rows: int | None
    written_rows: int
    active_rows: int
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...] = ()  # sources that could not be read; what hangs on them is None above


def read_night(cloud: Cloud, game_date: date) -> Night:
    """Read one game date through all its stages; raises OnCallError when the warehouse cannot be read.

    An unreadable log leaves write errors unknown and is told in `problems`.
    """
    raise NotImplementedError
