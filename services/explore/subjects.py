"""What can be counted: each table with its query, by what its rows can be counted and filtered, and its measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.core.sources import CONTEXT, ODDS, PREDICTIONS, WORKER_RUNS

# How a value of each is found in a row of every subject's query.
DIMENSION_COLUMNS = {
    name: f"by_{name}" for name in ("date", "system", "player", "batch", "active", "team", "bookmaker", "hour")
}


@dataclass(frozen=True)
class Subject:
    """One table. `measures` are names on screen by the query's columns, the first of which is charted; `hour_of`: whose hour."""

    name: str
    table: str
    dimensions: tuple[str, ...]
    filters: tuple[str, ...]
    measures: Mapping[str, str] = field(hash=False)
    hour_of: str
    note: str = ""


PREDICTION_ROWS = Subject(
    "predictions",
    PREDICTIONS,
    ("date", "system", "player", "active", "hour"),
    ("player", "system", "active"),
    {
        "row_count": "rows",
        "active_rows": "active rows",
        "players": "players",
        "systems": "systems",
        "line_count": "lines",
        "duplicate_rows": "duplicates",
    },
    "written (created_at)",
    "A date without a row is not listed. A line is a player's in a game. Duplicates: active rows beyond one per business key.",
)
SUBJECTS = (
    PREDICTION_ROWS,
    Subject(
        "worker runs",
        WORKER_RUNS,
        ("date", "player", "batch", "hour"),
        ("player", "batch"),
        {
            "run_count": "runs",
            "successful_runs": "successful",
            "players": "players",
            "generated_rows": "rows generated",
        },
        "run (run_date)",
        "Workers report late or not at all: a missing run proves nothing.",
    ),
    Subject(
        "odds",
        ODDS,
        ("date", "player", "bookmaker", "hour"),
        ("player",),
        {"row_count": "rows", "players": "players", "line_count": "lines", "bookmakers": "bookmakers"},
        "taken (snapshot_timestamp)",
        "A row is one bookmaker's line in one snapshot.",
    ),
    Subject(
        "context",
        CONTEXT,
        ("date", "player", "team", "hour"),
        ("player",),
        {"row_count": "rows", "players": "players", "games": "games", "ready_players": "production-ready players"},
        "written (created_at)",
        "A player may have several rows; the newest counts.",
    ),
)
SUBJECTS_BY_NAME = {subject.name: subject for subject in SUBJECTS}
