"""The ids of the write path: batches, units of work, staging tables and jobs, the same at every delivery."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime

from services.core.tables import PREDICTIONS_DATASET

DATASET = PREDICTIONS_DATASET  # the staging tables are beside the predictions
STAGING_TABLE_PREFIX = "_staging_"
MAX_NAME_LENGTH = 100  # of a player_lookup, a game id and a batch id
COMPACT_TABLE_PREFIX = "oncall_compact_"  # outside STAGING_TABLE_PREFIX, by which the customer drops old tables
# What follows the batch id in a staging table's name: ours are named by player, the customer's by the worker's revision
# or by "worker", and a random hash: one table per message.
_UNIT = re.compile(r"p_\w+|(?:[a-z][a-z0-9]*_)*?worker_\w+|[a-z]\w*_\d{5}_[a-z0-9]{3}_[0-9a-f]{8}")
_DATED_ID = r"(?:batch|regen|linecheck)_\d{4}-\d\d-\d\d_(?:\w+?_)?\d{6,}"
_UNDATED_ID = (
    r"fallback_\d{6,}|\d{8}_\d{6}(?:_\d{1,6})?"  # of a message without a batch id, and of the customer's tools
)
_LOAD = re.compile(r"(?P<unit_table>.+_p_\w+?)_[0-9a-f]{16}(?:_r\d+)?")  # what each load of a unit adds to its name
_BATCH_ID = re.compile(rf"(?=.{{1,{MAX_NAME_LENGTH}}}\Z)(?:{_DATED_ID}|{_UNDATED_ID})", re.ASCII)
_STAGING_TABLE_NAME = re.compile(rf"_staging_(?P<batch>{_DATED_ID.replace('-', '_')}|{_UNDATED_ID})_(?P<worker>.+)")
_ID_IN_TEXT = re.compile(rf"(?<![\w-])(?P<batch>{_DATED_ID}|fallback_\d{{6,}})(?![\w-])|(?P<table>_staging_\w+)")
_DATE_IN_ID = re.compile(r"[a-z]+_(\d{4})[-_](\d\d)[-_](\d\d)_")


def make_batch_id(game_date: date, at: datetime) -> str:
    """`batch_{date}_{epoch in milliseconds}`: a forced re-run never shares tables with the run before."""
    return f"batch_{game_date}_{int(at.timestamp() * 1000)}"


def parse_batch_date(batch_id: str) -> date:
    """The game date in a batch id, ours or the customer's; raises ValueError where there is none."""
    game_date = read_batch_date(batch_id)
    if game_date is None:
        raise ValueError(f"{batch_id!r} is not a batch id" + (" with a game date" if is_batch_id(batch_id) else ""))
    return game_date


def read_batch_date(batch_id: str) -> date | None:
    """The game date in a batch id; None for `fallback_…` and `YYYYMMDD_HHMMSS_…`, whose rows alone tell it."""
    match = _DATE_IN_ID.match(batch_id) if is_batch_id(batch_id) else None
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def read_batch_start(batch_id: str) -> datetime | None:
    """When a batch began, by the epoch at the end of its id, in seconds or milliseconds; None for ids without one."""
    match = re.search(r"_(\d{9,11}|\d{13})$", batch_id)
    if match is None or not is_batch_id(batch_id):
        return None
    return datetime.fromtimestamp(int(match[1]) / (1000 if len(match[1]) == 13 else 1), UTC)


def is_batch_id(text: str) -> bool:
    """Whether a text is a batch id: `batch_…`, `regen_…`, `linecheck_…`, `fallback_…` or `YYYYMMDD_HHMMSS_…`."""
    return _BATCH_ID.fullmatch(text) is not None


def find_batch_ids(text: str) -> list[str]:
    """The batch ids that a log line names, by themselves or in the name of a staging table, each once."""
    matches = _ID_IN_TEXT.finditer(text)
    return list(dict.fromkeys(m["batch"] or parse_staging_table_name(m["table"])[0] for m in matches))


def work_unit_id(*player_lookups: str) -> str:
    """The unit of work of these players: every delivery of the same rows has one table. A hash distinguishes unusual names."""
    name = ",".join(player_lookups)
    normalized = re.sub(r"[^a-z0-9]", "", player_lookups[0].lower())
    if normalized == name:
        return f"p_{normalized}"
    return f"p_{normalized}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def is_player_lookup(text: str) -> bool:
    """Whether a text can name a player: printable, not blank, at most MAX_NAME_LENGTH letters."""
    return text.isprintable() and bool(text.strip()) and len(text) <= MAX_NAME_LENGTH


def staging_prefix(batch_id: str) -> str:
    return f"_staging_{batch_id}_".replace("-", "_")


def staging_table(batch_id: str, unit_name: str) -> str:
    """dataset.table of one unit."""
    return f"{DATASET}.{staging_prefix(batch_id)}{unit_name}"


def load_table(batch_id: str, unit_name: str, load: str) -> str:
    """dataset.table that one load job of a unit writes, and nothing else ever.

    `load` is how its job id ends: the hash of its rows, of 16 hex digits, and `-r1`, `-r2` … where ids were used up before.
    """
    return f"{staging_table(batch_id, unit_name)}_{load}".replace("-", "_")


def unit_table(table: str) -> str | None:
    """Of a table that one load job wrote, the name without its content and attempt; None: it may be written again."""
    match = _LOAD.fullmatch(table)
    return match["unit_table"] if match else None


def compact_prefix(batch_id: str) -> str:
    return f"{COMPACT_TABLE_PREFIX}{batch_id}_".replace("-", "_")


def compact_table(batch_id: str, fence: int) -> str:
    """dataset.table into which the consolidation with this fence copies the batch's units."""
    return f"{DATASET}.{compact_prefix(batch_id)}{fence}"


def parse_staging_table_name(table: str) -> tuple[str, str, date | None]:
    """(batch id, worker, game date) from a staging table's name; a name of another shape keeps what can be read of it."""
    match = _STAGING_TABLE_NAME.fullmatch(table)
    if match is not None:
        batch_id = _DATE_IN_ID.sub(lambda dated: re.sub(r"(\d)_(?=\d\d_)", r"\1-", dated[0]), match["batch"], count=1)
        return batch_id, match["worker"], read_batch_date(batch_id)
    name = table.removeprefix(STAGING_TABLE_PREFIX)
    if (unit := re.search(r"_((?:prediction_)?worker_\w+)$", name)) is not None:
        return name[: unit.start()], unit[1], None
    batch_id, _, worker = name.rpartition("_")
    return batch_id or table, worker, None


def is_unit_table(table: str, batch_id: str) -> bool:
    """Whether a table holds a unit of this batch, of our workers or the customer's (and not of a batch with a longer id)."""
    return _UNIT.fullmatch(_unit_suffix(table, batch_id)) is not None


def is_compact_table(table: str, batch_id: str) -> bool:
    """Whether a table is the copy that a consolidation made of this batch; earlier versions named it as a staging table."""
    prefixes = f"{compact_prefix(batch_id)}|{staging_prefix(batch_id)}compact_"
    return re.fullmatch(rf"(?:{prefixes})\d+", table.split(".")[-1]) is not None


def _unit_suffix(table: str, batch_id: str) -> str:
    name, prefix = table.split(".")[-1], staging_prefix(batch_id)
    return name.removeprefix(prefix) if name.startswith(prefix) else ""


def make_job_id(kind: str, *parts: object) -> str:
    """A deterministic job id, at most 1,024 characters of those that BigQuery allows."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", "-".join(["on-call", kind, *map(str, parts)]))
