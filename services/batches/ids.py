"""The names of the write path: batches, units of work, staging tables and job ids, the same at every delivery."""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime

DATASET = "nba_predictions"
PREDICTIONS = f"{DATASET}.player_prop_predictions"
STAGING = "_staging_"
COMPACT = "compact"  # no unit has this name
UNITS = (
    "p_",
    "prediction_worker_",
    "worker_",
)  # ours by player; the customer's by worker revision, one table per message

_STAGED = re.compile(r"^_staging_(?P<batch>batch_(?P<y>\d{4})_(?P<m>\d\d)_(?P<d>\d\d)_\d+)_(?P<worker>.+)$")
_BATCH = re.compile(r"^batch_(\d{4}-\d\d-\d\d)_(\d{6,})(?:_\w+)?$")


def batch_id(game_date: date, at: datetime) -> str:
    """`batch_{date}_{epoch in milliseconds}`: a forced re-run never meets the tables of the run before."""
    return f"batch_{game_date}_{int(at.timestamp() * 1000)}"


def date_of(batch: str) -> date:
    """The game date in a batch id; raises ValueError for another shape."""
    told = _BATCH.match(batch)
    if told is None:
        raise ValueError(f"{batch!r} is not a batch id")
    return date.fromisoformat(told[1])


def unit(player_lookup: str) -> str:
    """The unit of work of a player: any delivery of it hits the same table. Odd names are told apart by a hash."""
    plain = re.sub(r"[^a-z0-9]", "", player_lookup.lower())
    return (
        f"p_{plain}"
        if plain == player_lookup
        else f"p_{plain}_{hashlib.sha256(player_lookup.encode()).hexdigest()[:8]}"
    )


def staging_prefix(batch: str) -> str:
    return f"_staging_{batch}_".replace("-", "_")


def staging_table(batch: str, unit_name: str) -> str:
    """dataset.table of one unit."""
    return f"{DATASET}.{staging_prefix(batch)}{unit_name}"


def compact_table(batch: str, fence: int) -> str:
    return f"{DATASET}.{staging_prefix(batch)}{COMPACT}_{fence}"


def parse_name(table: str) -> tuple[str, str, date | None]:
    """(batch id, worker, game date) from a staging table's name; a name of another shape keeps what can be read of it."""
    told = _STAGED.match(table)
    if told is None:
        batch, _, worker = table.removeprefix(STAGING).rpartition("_")
        return batch or table, worker, None
    day = f"{told['y']}-{told['m']}-{told['d']}"
    try:
        game_date = date.fromisoformat(day)
    except ValueError:
        return told["batch"], told["worker"], None
    return f"batch_{day}_{told['batch'].rsplit('_', 1)[1]}", told["worker"], game_date


def is_unit_table(table: str, batch: str) -> bool:
    """Whether a table holds a unit of this batch, of our workers or the customer's (and not of a batch with a longer id)."""
    return _after(table, batch).startswith(UNITS)


def is_compact_table(table: str, batch: str) -> bool:
    """Whether a table is one that a consolidation of this batch made."""
    return _after(table, batch).startswith(f"{COMPACT}_")


def _after(table: str, batch: str) -> str:
    name, prefix = table.split(".")[-1], staging_prefix(batch)
    return name.removeprefix(prefix) if name.startswith(prefix) else ""


def job(kind: str, *parts: object) -> str:
    """A deterministic job id, at most 1,024 characters of those that BigQuery allows."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", "-".join(["on-call", kind, *map(str, parts)]))
