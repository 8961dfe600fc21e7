"""Load jobs and table definitions through the real client: what BigQuery refuses, and what a load makes of its table."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest
import requests
from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError, NotFound, PreconditionFailed
from google.cloud import bigquery

from services.gcp.clients import Clients
from services.sandbox.server import Sandbox

PROJECT = "nba-props-platform"
TABLE = "loads.target"
ID = bigquery.SchemaField("id", "STRING", "REQUIRED")
SCHEMA = [
    ID,
    bigquery.SchemaField("line", "NUMERIC"),
    bigquery.SchemaField("version", "INTEGER"),
    bigquery.SchemaField("tags", "STRING", "REPEATED"),
    bigquery.SchemaField("extra", "JSON"),
    bigquery.SchemaField("game", "RECORD", fields=[bigquery.SchemaField("home", "STRING")]),
]


@pytest.fixture
def bq(blank_sandbox: Sandbox, blank_clients: Clients) -> bigquery.Client:
    """A client of an empty dataset of its own with one table of every kind of column."""
    client = blank_clients.bigquery
    client.delete_dataset("loads", delete_contents=True, not_found_ok=True)
    client.create_dataset("loads")
    client.create_table(bigquery.Table(f"{PROJECT}.{TABLE}", SCHEMA))
    blank_sandbox.state.reset_limits()
    return client


def load(client: bigquery.Client, *rows: dict[str, Any], table: str = TABLE, schema: Any = None, **options: Any) -> Any:
    config = bigquery.LoadJobConfig(**({"schema": schema} if schema else {}), **options)
    if schema is None and "autodetect" not in options:
        config.autodetect = False
    return client.load_table_from_json(list(rows), table, job_config=config).result()


def rows_of(client: bigquery.Client, table: str = TABLE) -> list[dict[str, Any]]:
    return [dict(row) for row in client.query(f"SELECT * FROM {table} ORDER BY 1").result()]


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ({"id": "a", "foo": 1}, "No such field: foo."),
        ({"id": "a", "game": {"away": "x"}}, "No such field: game.away."),
        ({"line": 1}, "Missing required field: id."),
        ({"id": None}, "Only optional fields can be set to NULL. Field: id; Value: NULL"),
        ({"id": "a", "tags": None}, "Only optional fields can be set to NULL. Field: tags; Value: NULL"),
        ({"id": "a", "tags": "x"}, "Repeated field must be imported as a JSON array. Field: tags."),
        ({"id": "a", "line": [1]}, "Array specified for non-repeated field: line."),
        ({"id": "a", "line": {"b": 1}}, "JSON object specified for non-record field: line"),
        (
            {"id": "a", "version": "30.0"},
            "Could not convert value 'string_value: \"30.0\"' to integer. Field: version; Value: 30.0",
        ),
    ],
)
def test_a_row_that_does_not_fit_fails_the_load_and_nothing_is_written(bq, row, detail):
    with pytest.raises(BadRequest) as caught:
        load(bq, {"id": "good"}, row)
    (job,) = bq.list_jobs(max_results=1)
    messages = [error["message"] for error in bq.get_job(job.job_id).errors]
    assert caught.value.message.startswith(
        "Error while reading data, error message: JSON table encountered too many errors, giving up. Rows: 2; errors: 1."
    )
    assert messages[-1] == (
        f"Error while reading data, error message: JSON parsing error in row starting at position 15: {detail}"
    )
    assert rows_of(bq) == []
    assert job.error_result["reason"] == "invalid"


def test_a_load_with_a_bad_row_does_not_even_make_the_table(bq):
    with pytest.raises(BadRequest, match="JSON table encountered too many errors"):
        load(bq, {"id": "a", "foo": 1}, table="loads.new", schema=SCHEMA)
    with pytest.raises(NotFound):
        bq.get_table("loads.new")


def test_unknown_values_and_bad_records_can_be_left_out(bq):
    assert load(bq, {"id": "a", "foo": 1}, ignore_unknown_values=True).output_rows == 1
    job = load(bq, {"id": "b"}, {"id": "c", "line": "x"}, max_bad_records=1)
    assert job.output_rows == 1
    assert [row["id"] for row in rows_of(bq)] == ["a", "b"]


def test_every_kind_of_column_is_loaded_as_what_it_is(bq):
    load(
        bq, {"ID": "a", "line": "20.5", "version": 3, "tags": ["x", "y"], "extra": {"k": [1]}, "game": {"home": "LAL"}}
    )
    load(bq, {"id": "b"})
    first, second = rows_of(bq)
    assert (float(first["line"]), first["version"], first["tags"]) == (20.5, 3, ["x", "y"])
    assert (first["extra"], first["game"]) == ({"k": [1]}, {"home": "LAL"})
    assert second == {"id": "b", "line": None, "version": None, "tags": [], "extra": None, "game": None}
    (found,) = bq.query(f"SELECT JSON_TYPE(extra), ARRAY_LENGTH(tags) FROM {TABLE} WHERE id = 'a'").result()
    assert tuple(found) == ("object", 2)


def test_a_jobs_schema_must_be_the_tables(bq):
    note = bigquery.SchemaField("note", "STRING")
    mismatch = f"Provided Schema does not match Table {PROJECT}:{TABLE}. "
    for schema, detail in (
        ([*SCHEMA, note], r"Cannot add fields \(field: note\)"),
        ([ID, bigquery.SchemaField("line", "FLOAT")], "Field line has changed type from NUMERIC to FLOAT"),
        ([bigquery.SchemaField("id", "STRING")], "Field id has changed mode from REQUIRED to NULLABLE"),
        ([bigquery.SchemaField("line", "NUMERIC")], "Field id is missing in new schema"),
    ):
        bq_limits_free = {"id": "a"}
        with pytest.raises(BadRequest, match=mismatch + detail):
            load(bq, bq_limits_free, schema=schema)
    assert rows_of(bq) == []


def test_a_load_may_add_and_relax_columns_when_it_says_so(bq):
    note = bigquery.SchemaField("note", "STRING")
    options = ["ALLOW_FIELD_ADDITION", "ALLOW_FIELD_RELAXATION"]
    relaxed = bigquery.SchemaField("id", "STRING")
    load(bq, {"id": "a", "note": "n"}, schema=[ID, note], schema_update_options=options[:1])
    load(bq, {"note": "no id"}, schema=[relaxed, note], schema_update_options=options)
    table = bq.get_table(TABLE)
    assert [field.name for field in table.schema] == [*(field.name for field in SCHEMA), "note"]
    assert table.schema[0].mode == "NULLABLE"
    assert [(row["id"], row["note"]) for row in rows_of(bq)] == [(None, "no id"), ("a", "n")]


def test_the_write_disposition_decides_what_becomes_of_the_rows(bq):
    load(bq, {"id": "a"}, write_disposition="WRITE_EMPTY")
    with pytest.raises(Conflict, match=f"Already Exists: Table {PROJECT}:{TABLE}"):
        load(bq, {"id": "b"}, write_disposition="WRITE_EMPTY")
    load(bq, {"id": "c"}, write_disposition="WRITE_APPEND")
    assert [row["id"] for row in rows_of(bq)] == ["a", "c"]
    load(bq, {"id": "d"}, write_disposition="WRITE_TRUNCATE")
    assert rows_of(bq) == [{"id": "d", "line": None, "version": None, "tags": [], "extra": None, "game": None}]
    load(bq, {"other": 1}, write_disposition="WRITE_TRUNCATE", schema=[bigquery.SchemaField("other", "INTEGER")])
    assert rows_of(bq) == [{"other": 1}]


def test_a_load_makes_a_table_only_when_it_may_and_knows_its_columns(bq):
    with pytest.raises(NotFound, match=f"Not found: Table {PROJECT}:loads.new"):
        load(bq, {"id": "a"}, table="loads.new", schema=SCHEMA, create_disposition="CREATE_NEVER")
    with pytest.raises(BadRequest, match="No schema specified on job or table"):
        load(bq, {"id": "a"}, table="loads.new")
    load(
        bq,
        {"day": "2025-12-29"},
        table="loads.new",
        schema=[bigquery.SchemaField("day", "DATE", "REQUIRED")],
        time_partitioning=bigquery.TimePartitioning(field="day"),
        clustering_fields=["day"],
    )
    table = bq.get_table("loads.new")
    assert (table.time_partitioning.field, table.clustering_fields) == ("day", ["day"])
    with pytest.raises(GoogleAPICallError):
        bq.query("INSERT loads.new (day) VALUES (NULL)", job_retry=None).result(job_retry=None)


def test_autodetection_finds_the_columns(bq):
    rows: list[dict[str, Any]] = [
        {"n": 1, "d": "2025-12-29", "l": ["a"], "r": {"x": 1.5}, "b": True},
        {"n": None, "s": "text"},
    ]
    load(bq, *rows, table="loads.found", autodetect=True)
    fields = [(f.name, f.field_type, f.mode) for f in bq.get_table("loads.found").schema]
    assert fields == [
        ("n", "INTEGER", "NULLABLE"),
        ("d", "DATE", "NULLABLE"),
        ("l", "STRING", "REPEATED"),
        ("r", "RECORD", "NULLABLE"),
        ("b", "BOOLEAN", "NULLABLE"),
        ("s", "STRING", "NULLABLE"),
    ]
    with pytest.raises(BadRequest, match=r"Cannot add fields \(field: new\)"):
        load(bq, {"new": 1}, table="loads.found", autodetect=True)


def test_a_patch_adds_columns_to_data_and_metadata_together(bq):
    load(bq, {"id": "a", "game": {"home": "LAL"}})
    table = bq.get_table(TABLE)
    inner = [*table.schema[-1].fields, bigquery.SchemaField("away", "STRING")]
    table.schema = [
        bigquery.SchemaField("id", "STRING"),
        *table.schema[1:-1],
        bigquery.SchemaField("game", "RECORD", fields=inner),
        bigquery.SchemaField("note", "STRING"),
        bigquery.SchemaField("marks", "INTEGER", "REPEATED"),
    ]
    patched = bq.update_table(table, ["schema"])
    assert [field.name for field in patched.schema][-2:] == ["note", "marks"]
    load(bq, {"note": "no id", "marks": [1], "game": {"away": "BOS"}})
    first, second = rows_of(bq)
    assert (first["id"], first["marks"], first["game"]) == (None, [1], {"home": None, "away": "BOS"})
    assert (second["id"], second["note"], second["game"]) == ("a", None, {"home": "LAL", "away": None})


@pytest.mark.parametrize(
    ("schema", "detail"),
    [
        (SCHEMA[:-1], "Field game is missing in new schema"),
        (
            [*SCHEMA, bigquery.SchemaField("x", "STRING", "REQUIRED")],
            "Cannot add required fields to an existing schema",
        ),
        (
            [ID, bigquery.SchemaField("line", "STRING"), *SCHEMA[2:]],
            "Field line has changed type from NUMERIC to STRING",
        ),
    ],
)
def test_a_patch_that_breaks_rows_is_refused(bq, schema, detail):
    table = bq.get_table(TABLE)
    table.schema = schema
    with pytest.raises(BadRequest, match=f"Provided Schema does not match Table {PROJECT}:{TABLE}. {detail}"):
        bq.update_table(table, ["schema"])
    assert bq.get_table(TABLE).schema == SCHEMA


def test_a_stale_etag_is_refused(bq):
    first, second = bq.get_table(TABLE), bq.get_table(TABLE)
    first.description = "mine"
    bq.update_table(first, ["description"])
    second.description = "yours"
    with pytest.raises(PreconditionFailed):
        bq.update_table(second, ["description"])
    assert bq.get_table(TABLE).description == "mine"


def test_labels_are_lower_case_and_expirations_in_the_future(bq, blank_clients):
    table = bq.get_table(TABLE)
    for labels in ({"Team": "x"}, {"team": "X"}):
        table.labels = labels
        with pytest.raises(BadRequest, match=r"Label .* has invalid characters"):
            bq.update_table(table, ["labels"])
    table.labels = {}
    table.expires = blank_clients.now()
    with pytest.raises(BadRequest, match="not in the future"):
        bq.update_table(table, ["expires"])
    assert bq.get_table(TABLE).expires is None
    labelled = bigquery.Table(f"{PROJECT}.loads.labelled", [ID])
    labelled.labels = {"Team": "x"}
    with pytest.raises(BadRequest, match=r"Label key .* has invalid characters"):
        bq.create_table(labelled)


def test_a_partitioned_table_takes_fifty_changes_in_ten_seconds_and_others_five(bq):
    by_arrival = bigquery.Table(f"{PROJECT}.loads.by_arrival", [ID])
    by_arrival.time_partitioning = bigquery.TimePartitioning()
    bq.create_table(by_arrival)
    for name, changes in (("loads.by_arrival", 49), ("loads.target", 5)):
        table = bigquery.Table(f"{PROJECT}.{name}")
        outcomes = []
        for number in range(changes + 1):
            table.description = str(number)
            body = {"description": str(number)}
            response = requests.patch(
                f"{bq._connection.API_BASE_URL}/bigquery/v2/projects/{PROJECT}/datasets/loads/tables/{table.table_id}",
                json=body,
                timeout=10,
            )
            outcomes.append(response.status_code)
        assert outcomes == [200] * changes + [403]


def test_only_a_day_partition_can_be_listed_by_its_day(bq):
    by_month = bigquery.Table(f"{PROJECT}.loads.by_month", [bigquery.SchemaField("day", "DATE")])
    by_month.time_partitioning = bigquery.TimePartitioning(type_="MONTH", field="day")
    bq.create_table(by_month)
    unpartitioned = f"Cannot read partition information from a table that is not partitioned: {PROJECT}:loads"
    for name, message in ((TABLE, unpartitioned), ("loads.by_month", "Invalid partition decorator")):
        with pytest.raises(BadRequest, match=message):
            list(bq.list_rows(f"{PROJECT}.{name}$20251229", selected_fields=[ID]))


def test_a_day_partition_of_a_timestamp_is_its_day_in_utc(bq):
    table = bigquery.Table(f"{PROJECT}.loads.by_time", [ID, bigquery.SchemaField("at", "TIMESTAMP")])
    table.time_partitioning = bigquery.TimePartitioning(field="at")
    bq.create_table(table)
    load(
        bq,
        {"id": "in", "at": "2025-12-29T23:59:59Z"},
        {"id": "out", "at": "2025-12-30T00:00:00Z"},
        table="loads.by_time",
    )
    assert [row[0] for row in bq.list_rows(f"{PROJECT}.loads.by_time$20251229", selected_fields=[ID])] == ["in"]


def test_a_client_that_goes_away_while_it_drops_a_table_leaves_no_ghost(bq, blank_sandbox):
    host, port = blank_sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        path = f"/bigquery/v2/projects/{PROJECT}/datasets/loads/tables/target"
        connection.sendall(f"DELETE {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 10\r\n\r\n".encode())
    deadline = time.monotonic() + 5
    while list(bq.list_tables("loads")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not list(bq.list_tables("loads"))
    bq.create_table(bigquery.Table(f"{PROJECT}.{TABLE}", SCHEMA))
    assert rows_of(bq) == []


def test_bare_nan_is_no_json(bq):
    with pytest.raises(BadRequest, match="too many errors"):
        load(bq, {"id": "a", "line": json.loads("NaN")})
