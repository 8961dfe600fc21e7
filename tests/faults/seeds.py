"""What the tables hold before a run: every kind of row that real tables hold, each of which can be switched off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from google.cloud.bigquery import SchemaField

from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.worker.predictor import PredictionRequest
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_rows import GAME, NIGHT, context_row

Row = dict[str, Any]
Key = tuple[date, str, str, str, Decimal | None]  # game date, game, player, system, line

PLAYERS = ("ann", "bob", "cyd", "dan")
BYSTANDER = "zoe"  # has rows, and is in no run
OTHER_GAME = "20251229_BOS_LAL"
NEXT_NIGHT = NIGHT + timedelta(days=1)
SYSTEMS = ("one", "two")
LINE = Decimal("20.5")
OLD_BATCH = "batch_2025-12-29_1767040000000"
OLD_BATCH_AT = datetime(2025, 12, 29, 20, tzinfo=UTC)
CONTEXT_TABLE = "nba_analytics.upcoming_player_game_context"


class Kind(StrEnum):
    """A kind of row, column or table that the write path meets."""

    ACTIVE = "active rows of the same keys"
    SUPERSEDED = "superseded rows with the keys of active ones"
    DUPLICATE = "an active duplicate"
    TWINS = "exact twins"
    OTHER_DATE = "rows of another date in a staging table"
    OLD_BATCH = "an older batch left over"
    LINE_MOVE = "a half-point line move between two requests"
    NULL_LINE = "rows without a line"
    TRADED = "a traded player under two games"
    NESTED = "nested, repeated and JSON columns"
    UNPARTITIONED = "an unpartitioned table"
    STREAMED = "rows in the streaming buffer"


FIELDS = (
    SchemaField("prediction_id", "STRING", "REQUIRED"),
    SchemaField("game_date", "DATE", "REQUIRED"),
    SchemaField("game_id", "STRING", "REQUIRED"),
    SchemaField("player_lookup", "STRING", "REQUIRED"),
    SchemaField("system_id", "STRING", "REQUIRED"),
    SchemaField("current_points_line", "NUMERIC"),
    SchemaField("predicted_points", "NUMERIC", "REQUIRED"),
    SchemaField("is_active", "BOOLEAN", "REQUIRED"),
    SchemaField("superseded", "BOOLEAN"),
    SchemaField("superseded_at", "TIMESTAMP"),
    SchemaField("created_at", "TIMESTAMP", "REQUIRED"),
    SchemaField("updated_at", "TIMESTAMP"),
)
NESTED_FIELDS = (
    SchemaField("features", "JSON"),
    SchemaField("tags", "STRING", "REPEATED"),
    SchemaField("parts", "RECORD", fields=(SchemaField("minutes", "INTEGER"), SchemaField("note", "STRING"))),
)
CONTENT = ("predicted_points", "features", "tags", "parts")  # what makes one version of a key differ from another


def make_row(player: str, system: str, line: Decimal | None, points: Decimal, at: datetime, **changes: Any) -> Row:
    """One prediction, made at `at`."""
    row: Row = {
        "prediction_id": f"{player}-{system}-{line}-{points}",
        "game_date": NIGHT,
        "game_id": GAME,
        "player_lookup": player,
        "system_id": system,
        "current_points_line": line,
        "predicted_points": points,
        "is_active": True,
        "superseded": False,
        "created_at": at,
    }
    return {**row, **changes}


def make_rows(
    player: str, points: Decimal, at: datetime, kinds: Iterable[Kind], line: Decimal = LINE, **changes: Any
) -> list[Row]:
    """Everything that one delivery of a player writes: two systems, one line or two."""
    lines = (line, None) if Kind.NULL_LINE in kinds else (line, line + 2)
    rows = [make_row(player, system, a_line, points, at, **changes) for system in SYSTEMS for a_line in lines]
    if Kind.NESTED in kinds:
        nested = {"features": {"points": float(points)}, "tags": [player, "x"], "parts": {"minutes": 30, "note": None}}
        rows = [{**row, **nested} for row in rows]
    return rows


def key_of(row: Mapping[str, Any]) -> Key:
    return row["game_date"], row["game_id"], row["player_lookup"], row["system_id"], row["current_points_line"]


def content_of(row: Mapping[str, Any]) -> str:
    """What a key's row says, in a form that can be compared."""
    return repr([row.get(column) or None for column in CONTENT])


class SeededPredictor:
    """Predicts what the context says, so that a request's rows can be identified by the context it was sent with."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.kinds = frozenset(kinds)

    def predict(self, request: PredictionRequest, at: datetime) -> list[Row]:
        points = Decimal(str(request.context["points_avg_last_5"]))
        line = Decimal(str(request.context["current_points_line"]))
        game = {"game_date": request.game_date, "game_id": request.game_id}
        return make_rows(request.player_lookup, points, at, self.kinds, line, **game)


def seed_project(project: MemoryProject, kinds: frozenset[Kind]) -> None:
    """Fill a project's tables with rows of these kinds."""
    fields = FIELDS + (NESTED_FIELDS if Kind.NESTED in kinds else ())
    project.create_table(PREDICTIONS_TABLE, fields, None if Kind.UNPARTITIONED in kinds else "game_date")
    games = {"ann": OTHER_GAME} if Kind.TRADED in kinds else {}
    project.insert(CONTEXT_TABLE, [context_row(player, current_points_line=LINE) for player in PLAYERS])
    project.insert(CONTEXT_TABLE, [context_row(player, game_id=game) for player, game in games.items()])
    before = datetime(2025, 12, 29, 16, tzinfo=UTC)
    rows = make_rows(BYSTANDER, Decimal(9), before, kinds)
    if Kind.ACTIVE in kinds:
        rows += make_rows("ann", Decimal(10), before, kinds) + make_rows("bob", Decimal(10), before, kinds, LINE - 1)
    if Kind.SUPERSEDED in kinds:
        superseded: Row = {"is_active": False, "superseded": True, "superseded_at": before}
        for age in (1, 2):
            at = before - timedelta(hours=age)
            rows += make_rows("ann", Decimal(5), at, kinds, **superseded)
            rows += make_rows("cyd", Decimal(5), at, kinds, **superseded)
    if Kind.DUPLICATE in kinds:
        for hour in (1, 2):
            rows.append(make_row("bob", "one", LINE, Decimal(7), before + timedelta(hours=hour)))
    if Kind.TWINS in kinds:
        rows += [make_row("dan", "two", LINE, Decimal(7), before)] * 2
    if Kind.STREAMED in kinds:
        streamed = make_rows("xia", Decimal(8), before, kinds)
        project.tables[PREDICTIONS_TABLE].stream(_complete(streamed, fields), project.clock.now())
    project.insert(PREDICTIONS_TABLE, rows)
    if kinds & {Kind.OLD_BATCH, Kind.OTHER_DATE}:
        _seed_old_batch(project, kinds, fields)


def _seed_old_batch(project: MemoryProject, kinds: frozenset[Kind], fields: tuple[SchemaField, ...]) -> None:
    """The customer's tables of an older batch: some players of tonight's run, one who is in no run, and rows of the next night."""
    rows = make_rows("yan", Decimal(11), OLD_BATCH_AT, kinds)
    if Kind.OLD_BATCH in kinds:
        rows += make_rows("ann", Decimal(12), OLD_BATCH_AT, kinds, LINE - 1)
        rows += make_rows("cyd", Decimal(12), OLD_BATCH_AT, kinds)
    if Kind.OTHER_DATE in kinds:
        rows += make_rows("ann", Decimal(13), OLD_BATCH_AT, kinds, game_date=NEXT_NIGHT, game_id="20251230_NYK_BOS")
    name = f"nba_predictions._staging_{OLD_BATCH.replace('-', '_')}_prediction_worker_00011_zw5_0123abcd"
    project.create_table(name, fields)
    project.insert(name, rows)


def _complete(rows: Iterable[Row], fields: Iterable[SchemaField]) -> list[Row]:
    empty: Row = {field.name: [] if field.mode == "REPEATED" else None for field in fields}
    return [{**empty, **row} for row in rows]


def old_batch_rows(project: MemoryProject) -> list[Row]:
    """The rows that are staged before a run begins."""
    return [row for name, table in project.tables.items() if "_staging_" in name for row in table.rows]
