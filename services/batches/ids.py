"""The ids of the write path: batches, units of work, staging tables and jobs, the same at every delivery."""

from __future__ import annotations

import hashlib
import re
from datetime import date, datetime

from services.core.tables import PREDICTIONS_DATASET

DATASET = PREDICTIONS_DATASET  # the staging tables are beside the predictions
STAGING_TABLE_PREFIX = "_staging_"
COMPACTED_PREFIX = "compact"  # no unit has this name
# Ours are named by player; the customer's by worker revision, one table per message.
UNIT_PREFIXES = ("p_", "prediction_worker_", "worker_")

_STAGING_TABLE_NAME = re.compile(r"^_staging_(?P<batch>batch_(?P<y>\d{4})_(?P<m>\d\d)_(?P<d>\d\d)_\d+)_(?P<worker>.+)$")
_BATCH_ID = re.compile(r"^batch_(\d{4}-\d\d-\d\d)_(\d{6,})(?:_\w+)?$")


def make_batch_id(game_date: date, at: datetime) -> str:
    """`batch_{date}_{epoch in milliseconds}`: a forced re-run never shares tables with the run before."""
    return f"batch_{game_date}_{int(at.timestamp() * 1000)}"


def parse_batch_date(batch_id: str) -> date:
    """The game date in a batch id; raises ValueError for another shape."""
    match = _BATCH_ID.match(batch_id)
    if match is None:
        raise ValueError(f"{batch_id!r} is not a batch id")
    return date.fromisoformat(match[1])


def work_unit_id(player_lookup: str) -> str:
    """The unit of work of a player: every delivery of it writes the same table. A hash distinguishes unusual names."""
    normalized = re.sub(r"[^a-z0-9]", "", player_lookup.lower())
    if normalized == player_lookup:
        return f"p_{normalized}"
    return f"p_{normalized}_{hashlib.sha256(player_lookup.encode()).hexdigest()[:8]}"


def staging_prefix(batch_id: str) -> str:
    return f"_staging_{batch_id}_".replace("-", "_")


def staging_table(batch_id: str, unit_name: str) -> str:
    """dataset.table of one unit."""
    return f"{DATASET}.{staging_prefix(batch_id)}{unit_name}"


def compact_table(batch_id: str, fence: int) -> str:
    return f"{DATASET}.{staging_prefix(batch_id)}{COMPACTED_PREFIX}_{fence}"


def parse_staging_table_name(table: str) -> tuple[str, str, date | None]:
    """(batch id, worker, game date) from a staging table's name; a name of another shape keeps what can be read of it."""
    match = _STAGING_TABLE_NAME.match(table)
    if match is None:
        batch_id, _, worker = table.removeprefix(STAGING_TABLE_PREFIX).rpartition("_")
        return batch_id or table, worker, None
    day = f"{match['y']}-{match['m']}-{match['d']}"
    try:
        game_date = date.fromisoformat(day)
    except ValueError:
        return match["batch"], match["worker"], None
    return f"batch_{day}_{match['batch'].rsplit('_', 1)[1]}", match["worker"], game_date


def is_unit_table(table: str, batch_id: str) -> bool:
    """Whether a table holds a unit of this batch, of our workers or the customer's (and not of a batch with a longer id)."""
    return _unit_suffix(table, batch_id).startswith(UNIT_PREFIXES)


def is_compact_table(table: str, batch_id: str) -> bool:
    """Whether a table was created by a consolidation of this batch."""
    return _unit_suffix(table, batch_id).startswith(f"{COMPACTED_PREFIX}_")


def _unit_suffix(table: str, batch_id: str) -> str:
    name, prefix = table.split(".")[-1], staging_prefix(batch_id)
    return name.removeprefix(prefix) if name.startswith(prefix) else ""


def make_job_id(kind: str, *parts: object) -> str:
    """A deterministic job id, at most 1,024 characters of those that BigQuery allows."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", "-".join(["on-call", kind, *map(str, parts)]))
