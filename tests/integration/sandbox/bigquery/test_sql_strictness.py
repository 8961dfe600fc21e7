"""SQL that the sandbox refuses and accepts as BigQuery does, with BigQuery's reason, wording and place, through the real client."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from google.api_core.exceptions import BadRequest, Conflict, GoogleAPICallError, NotFound
from google.cloud import bigquery

from services.core.settings import Settings
from services.gcp.clients import connect
from services.sandbox.server import Sandbox

PROJECT = "nba-props-platform"
TABLES = (
    "CREATE TABLE {dataset}.players (player_lookup STRING NOT NULL, line FLOAT64, points NUMERIC, game_date DATE,"
    " made_at TIMESTAMP, minutes INT64, tags ARRAY<STRING>, facts JSON, shape STRUCT<a INT64, b JSON>)",
    "INSERT INTO {dataset}.players (player_lookup, line, points, game_date, made_at, minutes, tags, facts, shape)"
    " VALUES ('p1', 12.5, 2.5, DATE '2025-12-29', TIMESTAMP '2025-12-29 00:00:00+00', 3, ['x'], JSON '{{\"a\": 1}}',"
    " STRUCT(1, JSON '[2]')), ('p2', 13.5, 3.5, DATE '2025-12-29', NULL, 4, [], NULL, NULL)",
    "CREATE TABLE {dataset}.lines (player_lookup STRING, line FLOAT64)",
    "INSERT INTO {dataset}.lines (player_lookup, line) VALUES ('p1', 10.5), ('p1', 11.5), ('p3', NULL)",
)
ENGINE_WORDS = re.compile(
    r"duckdb|sqlglot|(?:Binder|Catalog|Parser|Conversion|Constraint|Input|Range) Error|VARCHAR|BIGINT|LINE \d", re.I
)
RunSql = Callable[[str], list[tuple[object, ...]]]


def create_tables(client: bigquery.Client, dataset: str) -> None:
    client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)
    client.create_dataset(dataset)
    for sql in TABLES:
        client.query(sql.format(dataset=dataset), job_retry=None).result(job_retry=None)


def runner(client: bigquery.Client) -> RunSql:
    return lambda sql: [tuple(row.values()) for row in client.query(sql, job_retry=None).result(job_retry=None)]


@pytest.fixture(scope="module")
def client(shared_blank_sandbox: Sandbox) -> bigquery.Client:
    """A client of a project with two small tables in dataset d, which no test changes."""
    client = connect(Settings.from_env({"SANDBOX_URL": shared_blank_sandbox.url})).bigquery
    create_tables(client, "d")
    return client


@pytest.fixture
def run_sql(blank_sandbox: Sandbox, client: bigquery.Client) -> RunSql:
    return runner(client)


@pytest.fixture
def change(blank_sandbox: Sandbox, client: bigquery.Client) -> RunSql:
    """Runs SQL on tables of the test's own, in dataset own."""
    create_tables(client, "own")
    blank_sandbox.state.reset_limits()
    return runner(client)


def error_of(run_sql: RunSql, sql: str) -> str:
    with pytest.raises(GoogleAPICallError) as raised:
        run_sql(sql)
    (error,) = raised.value.errors
    return f"{raised.value.code} {error['reason']}: {error['message']}"


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT foo FROM d.players", "Unrecognized name: foo at [1:8]"),
        (
            "SELECT playr_lookup\nFROM d.players",
            "Unrecognized name: playr_lookup; Did you mean player_lookup? at [1:8]",
        ),
        ("SELECT p.foo FROM d.players p", "Name foo not found inside p at [1:10]"),
        ("SELEC 1", 'Syntax error: Unexpected identifier "SELEC" at [1:1]'),
        ("SELECT (1 + 2 AS x", 'Syntax error: Expected "," but got keyword AS at [1:15]'),
        ("SELECT 'abc", "Syntax error: Unclosed string literal at [1:8]"),
        ("SELECT player_lookup AS lookup FROM d.players", "Syntax error: Unexpected keyword LOOKUP at [1:25]"),
        ("SELECT nofunction(1)", "Function not found: nofunction at [1:8]"),
        ("SELECT @day", "Query parameter 'day' not found at [1:8]"),
        ("SELECT * FROM players", 'Table "players" must be qualified with a dataset (e.g. dataset.table).'),
        (
            "SELECT player_lookup, COUNT(*) FROM d.players",
            "SELECT list expression references column player_lookup which is neither grouped nor aggregated at [1:8]",
        ),
        (
            "SELECT [1] UNION ALL SELECT 1",
            "Column 1 in UNION ALL has incompatible types: ARRAY<INT64>, INT64 at [1:22]",
        ),
        ("SELECT 1 UNION ALL SELECT 'a'", "Column 1 in UNION ALL has incompatible types: INT64, STRING at [1:20]"),
        ("UPDATE d.players SET minutes = 1", "UPDATE must have a WHERE clause at [1:1]"),
        ("DELETE FROM d.players", "DELETE must have a WHERE clause at [1:1]"),
        ("INSERT INTO d.lines (nothing) VALUES (1)", "Column nothing is not present in table d.lines at [1:22]"),
        (
            "INSERT INTO d.lines (player_lookup) VALUES (1)",
            "Value has type INT64 which cannot be inserted into column player_lookup, which has type STRING at [1:45]",
        ),
        ("INSERT INTO d.players (player_lookup) VALUES (NULL)", "Required field player_lookup cannot be null"),
        ("ALTER TABLE d.lines ADD COLUMN line STRING", "Column already exists: line at [1:32]"),
        ("SELECT 1 / 0", "division by zero"),
        ("SELECT 9223372036854775807 + 1", "int64 overflow: 9223372036854775807 + 1"),
        ("SELECT CAST(player_lookup AS INT64) FROM d.lines WHERE player_lookup = 'p3'", "Bad int64 value: p3"),
        ("SELECT DATE '2025-13-01'", "Invalid DATE literal at [1:8]"),
    ],
)
def test_a_faulty_statement_is_refused_in_bigquerys_words(run_sql, sql, error):
    assert error_of(run_sql, sql) == f"400 invalidQuery: {error}"


def test_a_date_is_not_compared_with_a_timestamp(run_sql):
    error = error_of(run_sql, "SELECT 1 FROM d.players WHERE game_date = made_at")
    assert "No matching signature for operator = for argument types: DATE, TIMESTAMP" in error
    assert error.endswith("at [1:31]")


@pytest.mark.parametrize(
    "partition",
    ["line", "COALESCE(line, -1.0)", "ROUND(line, 1)", "line + minutes", "CAST(minutes AS FLOAT64)", "shape.a / 2"],
)
def test_a_window_is_not_partitioned_by_a_float(run_sql, partition):
    error = error_of(run_sql, f"SELECT ROW_NUMBER() OVER (PARTITION BY {partition}) FROM d.players")
    assert error == "400 invalidQuery: Partitioning by expressions of type FLOAT64 is not allowed at [1:40]"


def test_a_float_stays_a_float_under_another_name(run_sql):
    sql = "SELECT ROW_NUMBER() OVER (PARTITION BY key) FROM (SELECT line AS key FROM d.players)"
    assert "type FLOAT64 is not allowed" in error_of(run_sql, sql)
    assert len(run_sql(sql.replace("line AS", "CAST(line AS NUMERIC) AS"))) == 2


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT 1 FROM d.gone", f"Table {PROJECT}:d.gone"),
        ("SELECT 1 FROM gone.players", f"Dataset {PROJECT}:gone"),
        ("DROP TABLE d.gone", f"Table {PROJECT}:d.gone"),
        ("INSERT INTO d.gone (a) VALUES (1)", f"Table {PROJECT}:d.gone"),
    ],
)
def test_what_does_not_exist_is_named(run_sql, sql, error):
    with pytest.raises(NotFound) as raised:
        run_sql(sql)
    assert raised.value.errors[0]["message"] == f"Not found: {error} was not found in location US"


def test_a_table_is_created_once(change):
    with pytest.raises(Conflict, match=f"Already Exists: Table {PROJECT}:own.lines"):
        change("CREATE TABLE own.lines (other INT64)")
    assert change("CREATE TABLE IF NOT EXISTS own.lines (other INT64)") == []
    assert len(change("SELECT line FROM own.lines")) == 3


def test_a_dry_run_refuses_what_a_run_refuses(client):
    with pytest.raises(BadRequest, match=r"Unrecognized name: foo at \[1:8\]"):
        client.query("SELECT foo FROM d.players", bigquery.QueryJobConfig(dry_run=True), job_retry=None)


AMBIGUOUS = "UPDATE/MERGE must match at most one source row for each target row"


@pytest.mark.parametrize(
    "sql",
    [
        "MERGE own.players T USING own.lines S ON T.player_lookup = S.player_lookup WHEN MATCHED THEN UPDATE SET line = S.line",
        "MERGE own.players T USING own.lines S ON T.player_lookup = S.player_lookup WHEN MATCHED THEN DELETE",
        "UPDATE own.players T SET line = S.line FROM own.lines S WHERE T.player_lookup = S.player_lookup",
    ],
)
def test_several_source_rows_for_one_target_row_change_nothing(change, sql):
    assert error_of(change, sql) == f"400 invalidQuery: {AMBIGUOUS}"
    assert change("SELECT line FROM own.players ORDER BY line") == [(12.5,), (13.5,)]


def test_a_source_row_that_no_clause_takes_is_no_second_match(client, change):
    sql = (
        "MERGE own.players T USING own.lines S ON T.player_lookup = S.player_lookup"
        " WHEN MATCHED AND S.line > @line THEN UPDATE SET line = S.line, points = CASE WHEN S.line > 1 THEN 9 END"
        " WHEN NOT MATCHED THEN INSERT (player_lookup) VALUES (S.player_lookup)"
    )

    def merge(line: float) -> int:
        config = bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("line", "FLOAT64", line)])
        job = client.query(sql, config, job_retry=None)
        job.result(job_retry=None)
        return int(job.num_dml_affected_rows or 0)

    with pytest.raises(BadRequest, match=AMBIGUOUS):
        merge(10.0)
    assert merge(11.0) == 2
    assert change("SELECT line, points FROM own.players WHERE player_lookup = 'p1'") == [(11.5, 9)]


def test_halves_are_rounded_away_from_zero(run_sql):
    assert run_sql("SELECT CAST(12.5 AS INT64), CAST(-12.5 AS INT64), SAFE_CAST(2.5 AS INT64)") == [(13, -13, 3)]
    assert run_sql(
        "SELECT CAST(line AS INT64), CAST(CAST(line - 10 AS INT64) / 2 AS INT64) FROM d.players ORDER BY 1"
    ) == [
        (13, 2),
        (14, 2),
    ]


def test_insert_row_takes_every_column_of_the_source(change):
    change(
        "MERGE own.lines T USING (SELECT 'p9' AS a, 1 AS b) AS S ON T.player_lookup = S.a WHEN NOT MATCHED THEN INSERT ROW"
    )
    assert change("SELECT player_lookup, line FROM own.lines WHERE player_lookup = 'p9'") == [("p9", 1.0)]
    error = error_of(change, "MERGE own.players T USING own.lines S ON FALSE WHEN NOT MATCHED THEN INSERT ROW")
    assert "Inserted row has wrong column count; Has 2, expected 9" in error


def test_alter_table_adds_several_columns_to_data_and_metadata(client, change):
    change("ALTER TABLE own.lines ADD COLUMN a STRING, ADD COLUMN IF NOT EXISTS b ARRAY<STRING>, ADD COLUMN c JSON")
    fields = {field.name: (field.field_type, field.mode) for field in client.get_table("own.lines").schema}
    assert {name: fields[name] for name in "abc"} == {
        "a": ("STRING", "NULLABLE"),
        "b": ("STRING", "REPEATED"),
        "c": ("JSON", "NULLABLE"),
    }
    config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON")
    row = {"player_lookup": "p7", "a": "x", "b": ["y", "z"], "c": {"k": 1}}
    client.load_table_from_json([row], f"{PROJECT}.own.lines", job_config=config).result()
    assert change("SELECT a, b, JSON_VALUE(c, '$.k') FROM own.lines WHERE a IS NOT NULL") == [("x", ["y", "z"], "1")]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT ARRAY_AGG(DISTINCT line IGNORE NULLS) FROM d.lines WHERE player_lookup != 'p1'", [([],)]),
        ("SELECT ARRAY_LENGTH(ARRAY_AGG(DISTINCT line IGNORE NULLS)) FROM d.lines", [(2,)]),
        ("SELECT TO_JSON_STRING(CAST(NULL AS STRING)), TO_JSON_STRING('x')", [("null", '"x"')]),
        (f"SELECT COUNT(*) FROM {PROJECT}.d.players", [(2,)]),
        (f"SELECT COUNT(*) FROM {PROJECT}.d.players JOIN {PROJECT}.d.lines USING (player_lookup)", [(2,)]),
        ("SELECT COUNT(*) FROM d.players FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()", [(2,)]),
    ],
)
def test_what_google_accepts_is_accepted(run_sql, sql, rows):
    assert run_sql(sql) == rows


def test_system_time_follows_the_sandboxs_clock(change):
    (before,) = change("SELECT CURRENT_TIMESTAMP()")[0]
    change("DELETE own.players WHERE TRUE")
    sql = f"SELECT COUNT(*) FROM own.players FOR SYSTEM_TIME AS OF TIMESTAMP '{before.isoformat(sep=' ')}'"
    assert change(sql) == [(2,)]
    assert change("SELECT COUNT(*) FROM own.players FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()") == [(0,)]
    assert "Invalid time travel timestamp" in error_of(change, sql.replace(str(before.year), "2019"))


def test_sqls_clock_is_the_sandboxs(blank_sandbox, run_sql):
    sql = "SELECT CURRENT_TIMESTAMP, CURRENT_TIMESTAMP(), CURRENT_DATE('Pacific/Kiritimati'), 'CURRENT_DATE()'"
    first, second, date, text = run_sql(sql)[0]
    now = blank_sandbox.state.clock.now()
    assert first == second
    assert abs((now - first).total_seconds()) < 30
    assert (date, text) == (
        first.astimezone(ZoneInfo("Pacific/Kiritimati")).date(),
        "CURRENT_DATE()",
    )


def test_nested_columns_are_written_by_dml_on_a_wide_table(change):
    wide = ", ".join(f"c{n} {('STRING', 'INT64', 'FLOAT64', 'NUMERIC')[n % 4]}" for n in range(102))
    change(
        f"CREATE TABLE own.wide (id STRING NOT NULL, issues ARRAY<STRING>, facts JSON, shape STRUCT<a INT64, b JSON>, {wide})"
    )
    row = "SELECT 'r' AS id, issues, facts, shape, " + ", ".join(
        f"CAST(NULL AS {('STRING', 'INT64', 'FLOAT64', 'NUMERIC')[n % 4]}) AS c{n}" for n in range(102)
    )
    source = (
        row
        + " FROM (SELECT ['x', 'y'] AS issues, JSON '{\"k\": [1]}' AS facts, STRUCT(1 AS a, JSON '2' AS b) AS shape)"
    )
    merge = (
        f"MERGE own.wide T USING ({source}) S ON T.id = S.id"
        " WHEN MATCHED THEN UPDATE SET issues = ARRAY_CONCAT(T.issues, ['z']), facts = S.facts, shape = S.shape"
        " WHEN NOT MATCHED THEN INSERT ROW"
    )
    for _ in range(2):
        change(merge)
    change("UPDATE own.wide SET shape = STRUCT(2 AS a, JSON '{}' AS b) WHERE id = 'r'")
    assert change("SELECT issues, facts, shape.a FROM own.wide") == [(["x", "y", "z"], {"k": [1]}, 2)]


@pytest.mark.parametrize("labels", [{"Owner": "me"}, {"owner": "Me"}, {"1st": "x"}, {"owner": "a b"}, {"o" * 64: "x"}])
def test_a_label_is_lower_case(client, labels):
    with pytest.raises(BadRequest, match="has invalid characters"):
        client.query("SELECT 1", bigquery.QueryJobConfig(labels=labels), job_retry=None)
    client.query("SELECT 1", bigquery.QueryJobConfig(labels={"owner": "me_2-x"}), job_retry=None).result()


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{file}'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM `/etc/passwd`",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM pragma_database_list()",
        "SELECT getenv('HOME')",
        "ATTACH '{file}'",
        "INSTALL httpfs",
        "LOAD spatial",
        "SET threads = 1",
        "PRAGMA version",
        "EXPORT DATABASE '{file}'",
        "EXPORT DATA OPTIONS (uri = '{file}-*.csv', format = 'CSV') AS SELECT 1 AS a",
        "SELECT 1; COPY (SELECT 1) TO '{file}'",
        "SELECT 1; SELECT * FROM read_text('/etc/passwd')",
        "DECLARE x STRING; SET x = (SELECT content FROM read_text('/etc/passwd')); SELECT x",
        "EXECUTE IMMEDIATE \"SELECT * FROM read_text('/etc/passwd')\"",
        "EXECUTE IMMEDIATE \"COPY (SELECT 1) TO '{file}'\"",
    ],
)
def test_sql_reaches_no_file_and_no_setting_of_this_machine(run_sql, tmp_path: Path, sql):
    error = error_of(run_sql, sql.format(file=tmp_path / "x"))
    assert error.startswith("400 ")
    assert not ENGINE_WORDS.search(error)
    assert not list(tmp_path.iterdir())


def test_duckdb_itself_is_closed_and_stays_closed(blank_sandbox: Sandbox, tmp_path: Path):
    engine = blank_sandbox.emulator
    for sql in (f"COPY (SELECT 1) TO '{tmp_path}/x'", "SELECT * FROM read_text('/etc/passwd')", "SET threads = 1"):
        with pytest.raises(Exception, match=r"disabled by configuration|locked"):
            engine.run_statements([sql])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT PARSE_DATE('%Y', 'x')",
        "SELECT SQRT(-1)",
        "SELECT LN(0)",
        "SELECT REGEXP_CONTAINS('a', '(')",
        "SELECT ERROR('my error')",
        "SELECT PARSE_JSON('{')",
        "SELECT CAST('z' AS NUMERIC)",
        "SELECT CAST(1e300 AS INT64)",
        "SELECT TIMESTAMP('x')",
        "SELECT (SELECT x FROM UNNEST([1, 2]) AS x)",
        "SELECT CAST(1e30 AS NUMERIC) * CAST(1e30 AS NUMERIC)",
        "SELECT PARSE_TIMESTAMP('%Y', 'q')",
        "SELECT SUBSTR('a')",
        "CREATE TABLE d.new (a NOTYPE)",
        "ALTER TABLE d.lines DROP COLUMN nothing",
        "TRUNCATE TABLE d.gone",
        "MERGE d.lines T USING d.players S ON T.nothing = S.line WHEN MATCHED THEN DELETE",
        "SELECT * EXCEPT (nothing) FROM d.lines",
        "SELECT 1; SELECT nothing FROM d.lines",
        "BEGIN SELECT * FROM d.gone; END",
        "CALL d.nothing()",
    ],
)
def test_no_error_has_the_engines_words(run_sql, sql):
    assert not ENGINE_WORDS.search(error_of(run_sql, sql))
