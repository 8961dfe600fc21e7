"""The streaming buffer: what sees the rows of insertAll when, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import bigquery

from services.core.settings import Settings
from services.gcp.clients import connect
from services.sandbox.bigquery.streaming_buffer import StreamingDelays
from services.sandbox.server import Sandbox, start_sandbox
from tests.support.clock import FixedClock
from tests.support.sandbox import FAST

PROJECT = "nba-props-platform"
TABLE = "nba_predictions.streamed"
SCHEMA = [
    bigquery.SchemaField("game_date", "DATE", "REQUIRED"),
    bigquery.SchemaField("player_lookup", "STRING", "REQUIRED"),
    bigquery.SchemaField("line", "NUMERIC"),
    bigquery.SchemaField("tags", "STRING", "REPEATED"),
    bigquery.SchemaField("extra", "JSON"),
    bigquery.SchemaField("game", "RECORD", fields=[bigquery.SchemaField("home", "STRING")]),
    bigquery.SchemaField("made_at", "TIMESTAMP"),
]
NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
MINUTES = 60.0


@pytest.fixture(scope="module")
def streaming_sandbox() -> Iterator[tuple[Sandbox, FixedClock]]:
    """A sandbox with the delays that `make run` has, on a clock of the test."""
    clock = FixedClock(NOW)
    sandbox = start_sandbox(latency=FAST, clock=clock, streaming=StreamingDelays())
    yield sandbox, clock
    sandbox.stop()


@pytest.fixture
def clock(streaming_sandbox) -> FixedClock:
    return streaming_sandbox[1]


@pytest.fixture
def bq(streaming_sandbox) -> bigquery.Client:
    """A client of an emptied project with one partitioned table, in which one row is stored."""
    sandbox, clock = streaming_sandbox
    sandbox.state.reset_limits()
    client = connect(Settings.from_env({"SANDBOX_URL": sandbox.url})).bigquery
    client.delete_dataset("nba_predictions", delete_contents=True, not_found_ok=True)
    client.create_dataset("nba_predictions")
    table = bigquery.Table(f"{PROJECT}.{TABLE}", SCHEMA)
    table.time_partitioning = bigquery.TimePartitioning(field="game_date")
    client.create_table(table)
    clock.advance(10)
    client.query(f"INSERT {TABLE} (game_date, player_lookup) VALUES ('2025-12-29', 'stored')").result()
    clock.advance(10)
    return client


def row(player: str = "streamed", **values: Any) -> dict[str, Any]:
    return {"game_date": "2025-12-29", "player_lookup": player, **values}


def stream(client: bigquery.Client, *rows: dict[str, Any], **options: Any) -> Any:
    return client.insert_rows_json(TABLE, list(rows), **options)


def queried(client: bigquery.Client, table: str = TABLE) -> list[str]:
    return sorted(r[0] for r in client.query(f"SELECT player_lookup FROM {table}").result())


def listed(client: bigquery.Client, table: str = TABLE) -> list[str]:
    schema = [field for field in SCHEMA if field.name == "player_lookup"]
    return sorted(r[0] for r in client.list_rows(f"{PROJECT}.{table}", selected_fields=schema))


def test_queries_see_streamed_rows_after_a_moment(bq, clock):
    assert stream(bq, row()) == []
    assert queried(bq) == ["stored"]
    clock.advance(2.1)
    assert queried(bq) == ["stored", "streamed"]


def test_lists_counts_and_copies_see_streamed_rows_when_they_are_stored(bq, clock):
    before = bq.get_table(TABLE)
    stream(bq, row())
    clock.advance(89 * MINUTES)
    assert queried(bq) == ["stored", "streamed"]
    assert listed(bq) == listed(bq, f"{TABLE}$20251229") == ["stored"]
    buffered = bq.get_table(TABLE)
    assert (buffered.num_rows, buffered.modified) == (1, before.modified)
    assert next(iter(bq.query("SELECT row_count FROM nba_predictions.__TABLES__").result()))[0] == 1
    bq.copy_table(TABLE, "nba_predictions.copied").result()
    assert queried(bq, "nba_predictions.copied") == ["stored"]
    clock.advance(2 * MINUTES)
    assert listed(bq) == listed(bq, f"{TABLE}$20251229") == ["stored", "streamed"]
    stored = bq.get_table(TABLE)
    assert (stored.num_rows, stored.modified > before.modified) == (2, True)
    bq.copy_table(TABLE, "nba_predictions.copied_later").result()
    assert queried(bq, "nba_predictions.copied_later") == ["stored", "streamed"]


def test_the_streaming_buffer_is_reported_late_and_until_it_is_empty(bq, clock):
    streamed_at = clock.now()
    stream(bq, row("a"), row("b"))
    clock.advance(9)
    assert bq.get_table(TABLE).streaming_buffer is None
    stream(bq, row("c"))
    clock.advance(2)
    buffer = bq.get_table(TABLE).streaming_buffer
    assert (buffer.estimated_rows, buffer.oldest_entry_time) == (2, streamed_at)
    assert buffer.estimated_bytes > 0
    clock.advance(10)
    assert bq.get_table(TABLE).streaming_buffer.estimated_rows == 3
    clock.advance(90 * MINUTES)
    assert bq.get_table(TABLE).streaming_buffer is None


@pytest.mark.parametrize(
    "sql",
    [
        f"DELETE FROM {TABLE} WHERE TRUE",
        f"UPDATE {TABLE} SET line = 1 WHERE TRUE",
        f"MERGE {TABLE} T USING (SELECT 'streamed' AS p) S ON T.player_lookup = S.p"
        " WHEN MATCHED THEN UPDATE SET line = 2",
        f"TRUNCATE TABLE {TABLE}",
    ],
    ids=lambda sql: sql.split()[0],
)
def test_no_statement_changes_rows_in_the_buffer(bq, clock, sql):
    stream(bq, row())
    clock.advance(60 * MINUTES)
    message = (
        f"statement over table {PROJECT}.{TABLE} would affect rows in the streaming buffer, which is not supported"
    )
    with pytest.raises(BadRequest, match=message):
        bq.query(sql, job_retry=None).result(job_retry=None)
    bq.query(f"INSERT {TABLE} (game_date, player_lookup) VALUES ('2025-12-29', 'inserted')").result()
    assert queried(bq) == ["inserted", "stored", "streamed"]
    assert listed(bq) == ["inserted", "stored"]
    clock.advance(31 * MINUTES)
    bq.query(sql, job_retry=None).result(job_retry=None)


def test_a_repeated_insert_id_is_dropped_for_a_minute(bq, clock):
    for seconds in (0, 50, 70):
        stream(bq, row(), row(), row_ids=["1", "1"])
        clock.advance(seconds)
    stream(bq, row(), row_ids=["1"])
    stream(bq, row(), row_ids=[None])
    stream(bq, row(), row_ids=[None])
    clock.advance(3)
    assert queried(bq) == ["stored", *["streamed"] * 4]


def test_equal_rows_are_counted_one_by_one(bq, clock):
    for _ in range(2):
        stream(bq, row("stored", tags=["a"]))
        clock.advance(3)
    bq.query(f"INSERT {TABLE} (game_date, player_lookup) VALUES ('2025-12-29', 'stored')").result()
    assert queried(bq) == ["stored"] * 4
    assert (listed(bq), bq.get_table(TABLE).num_rows) == (["stored"] * 2, 2)


def test_every_kind_of_value_arrives(bq, clock):
    values = {
        "line": "20.5",
        "tags": ["a", "b"],
        "extra": '{"k": [1, null]}',
        "game": {"home": "LAL's"},
        "made_at": "2025-12-30T06:45:00.25Z",
    }
    assert stream(bq, {**row(), **values}) == []
    clock.advance(3)
    (found,) = bq.query(f"SELECT * FROM {TABLE} WHERE player_lookup = 'streamed'").result()
    assert (float(found.line), found.tags, found.extra) == (20.5, ["a", "b"], {"k": [1, None]})
    assert (found.game, found.made_at) == ({"home": "LAL's"}, datetime(2025, 12, 30, 6, 45, 0, 250_000, UTC))


def test_a_column_added_meanwhile_does_not_disturb_the_buffer(bq, clock):
    stream(bq, row("before"))
    clock.advance(3)
    assert len(queried(bq)) == 2
    table = bq.get_table(TABLE)
    table.schema = [*table.schema, bigquery.SchemaField("note", "STRING")]
    bq.update_table(table, ["schema"])
    assert stream(bq, row("after", note="n")) == []
    clock.advance(3)
    notes = {r[0]: r[1] for r in bq.query(f"SELECT player_lookup, note FROM {TABLE}").result()}
    assert notes == {"stored": None, "before": None, "after": "n"}
    assert listed(bq) == ["stored"]


def test_a_dropped_table_takes_its_buffer_along(bq, clock):
    stream(bq, row("visible"))
    clock.advance(3)
    stream(bq, row("not yet visible"))
    bq.delete_table(TABLE)
    bq.create_table(bigquery.Table(f"{PROJECT}.{TABLE}", SCHEMA))
    clock.advance(3)
    assert queried(bq) == listed(bq) == []
    bq.query(f"INSERT {TABLE} (game_date, player_lookup) VALUES ('2025-12-29', 'new')").result()
    bq.query(f"DELETE FROM {TABLE} WHERE TRUE").result()


@pytest.mark.parametrize(
    ("bad_row", "location", "message"),
    [
        (row(foo=1), "foo", "no such field: foo."),
        (row(game={"away": "x"}), "game.away", "no such field: game.away."),
        ({"game_date": "2025-12-29"}, "", "Missing required field: Msg_0_CLOUD_QUERY_TABLE.player_lookup."),
        ({"game_date": None, "player_lookup": "p"}, "", "Missing required field: Msg_0_CLOUD_QUERY_TABLE.game_date."),
        (row(line="abc"), "line", "Cannot convert value to numeric (bad value): abc"),
        (row(line=[1]), "line", "Array specified for non-repeated field: line."),
        (row(extra={"a": 1}), "extra", "This field: extra is not a record."),
        (row(extra="{"), "extra", "Cannot convert value to json (bad value): {"),
    ],
)
def test_a_wrong_row_is_refused_and_the_others_with_it(bq, clock, bad_row, location, message):
    errors = stream(bq, row("good"), bad_row)
    assert errors == [
        {"index": 0, "errors": [{"reason": "stopped", "location": "", "debugInfo": "", "message": ""}]},
        {"index": 1, "errors": [{"reason": "invalid", "location": location, "debugInfo": "", "message": message}]},
    ]
    clock.advance(3)
    assert queried(bq) == ["stored"]


def test_invalid_rows_and_unknown_values_can_be_skipped(bq, clock):
    errors = stream(bq, row("good"), row(foo=1), skip_invalid_rows=True)
    assert [error["index"] for error in errors] == [1]
    assert stream(bq, row("trimmed", foo=1), ignore_unknown_values=True) == []
    clock.advance(3)
    assert queried(bq) == ["good", "stored", "trimmed"]


def test_no_rows_or_no_table_is_an_error(bq):
    with pytest.raises(NotFound):
        bq.insert_rows_json("nba_predictions.none", [row()])
    with pytest.raises(BadRequest, match="No rows present in the request"):
        bq._connection.api_request(
            "POST", f"/projects/{PROJECT}/datasets/nba_predictions/tables/streamed/insertAll", data={"rows": []}
        )


@pytest.mark.parametrize(
    "replace",
    [
        lambda client: client.query(f"DROP TABLE {TABLE}").result(),
        lambda client: client.query(f"CREATE OR REPLACE TABLE {TABLE} AS SELECT 'new' AS player_lookup").result(),
        lambda client: client.copy_table(
            "nba_predictions.other", TABLE, job_config=bigquery.CopyJobConfig(write_disposition="WRITE_TRUNCATE")
        ).result(),
    ],
    ids=["drop", "create or replace", "copy"],
)
def test_a_replaced_table_has_no_buffer(bq, clock, replace):
    bq.query("CREATE TABLE nba_predictions.other AS SELECT 'new' AS player_lookup").result()
    stream(bq, row())
    clock.advance(3)
    replace(bq)
    bq.query(f"CREATE TABLE IF NOT EXISTS {TABLE} AS SELECT 'new' AS player_lookup").result()
    clock.advance(60 * MINUTES)
    assert queried(bq) == listed(bq) == ["new"]
    assert bq.get_table(TABLE).streaming_buffer is None
    bq.query(f"DELETE FROM {TABLE} WHERE TRUE").result()
