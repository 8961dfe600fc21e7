"""How a query is run: typed parameters under a bytes limit, listed where that is free, kept while its tables stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import bigquery

from services.core.errors import CatalogError, InvalidInput, InvalidQuery, SourceUnavailable, TableNotFound
from services.core.settings import Settings
from services.gcp import query_catalog, table_listing
from services.gcp.clients import Clients
from services.gcp.read_cache import ReadCache
from tests.support.clock import FixedClock
from tests.support.fake_monotonic import FakeMonotonic
from tests.support.memory_bigquery import Listing

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
DAY = date(2025, 12, 29)
SETTINGS = Settings.from_env({"QUERY_LIMIT_MIB": "500", "BIGQUERY_LOCATION": "US"})
LISTABLE = (
    "-- Which games?\n-- @listable\n-- @param day DATE  one day\nSELECT game_id AS game FROM d.t WHERE game_date = @day"
)
GROUPED = "-- How many?\n-- @param day DATE  one day\nSELECT COUNT(*) AS n FROM d.t WHERE game_date = @day"


class FakeBigQuery:
    """Answers each query with `rows` and a listing with `listed`; `calls` has what was asked."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = [{"n": 1}]
        self.raw_page: dict[str, str] = {"kind": "bigquery#tableDataList"}
        self.listed: list[dict[str, Any]] = []
        self.metadata: dict[str, Any] = {"numRows": "3", "lastModifiedTime": "1"}
        self.error: Exception | None = None
        self.calls: list[Any] = []

    def query(self, sql: str, config: bigquery.QueryJobConfig, **options: Any) -> SimpleNamespace:
        self.calls.append((sql, config, options))
        if self.error is not None:
            raise self.error
        return SimpleNamespace(
            result=self._result, total_bytes_billed=10 * 2**20, total_bytes_processed=7, job_id="job-1"
        )

    def _result(self, **options: Any) -> Iterator[dict[str, Any]]:
        self.calls.append(options)
        return iter(self.rows)

    def get_table(self, name: str, **options: Any) -> bigquery.Table:
        self.calls.append((name, options["timeout"], options["retry"].timeout))
        if self.error is not None:
            raise self.error
        return self.table()

    def table(self) -> bigquery.Table:
        fields = [{"name": name, "type": "STRING"} for name in ("game_id", "extra")]
        columns = [*fields, {"name": "game_date", "type": "DATE"}]
        reference = {"projectId": "p", "datasetId": "d", "tableId": "t"}
        return bigquery.Table.from_api_repr(
            {"tableReference": reference, "type": "TABLE", "schema": {"fields": columns}, **self.metadata}
        )

    def list_rows(self, name: str, selected_fields: Any, **options: Any) -> Listing:
        self.calls.append((name, {field.name for field in selected_fields}, options["timeout"]))
        listing = Listing(self.listed)
        listing.raw_page = self.raw_page
        return listing


@pytest.fixture
def fake_bigquery() -> FakeBigQuery:
    return FakeBigQuery()


@pytest.fixture(autouse=True)
def queries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two queries of our own instead of those in queries/."""
    texts = {
        "x.games": LISTABLE,
        "x.count": GROUPED,
        "x.rows": "-- Rows?\n-- @table source  a table\nSELECT 1 FROM {source}",
    }
    monkeypatch.setattr(query_catalog, "load", lambda name: query_catalog.parse(name, texts[name]))


def make_clients(fake: FakeBigQuery, cache: ReadCache | None = None) -> Clients:
    unused: Any = None
    cache = cache or ReadCache(reuse_answers=False)
    return Clients(SETTINGS, FixedClock(NOW), cast(Any, fake), unused, unused, unused, unused, cache)


def test_a_query_runs_with_typed_parameters_under_the_limits_and_says_what_it_cost(fake_bigquery):
    clients = make_clients(fake_bigquery)
    result = query_catalog.run_query(clients, "x.count", job_id="claim-1", day=DAY)
    assert result.rows == ({"n": 1},)
    source = result.source
    assert (source.bytes_billed, source.detail, source.read_at) == (10 * 2**20, "job-1", NOW)
    assert source.name == "BigQuery, x.count"
    (sql, config, options), wait = fake_bigquery.calls
    assert sql == "SELECT COUNT(*) AS n FROM d.t WHERE game_date = @day"
    assert config.maximum_bytes_billed == 500 * 2**20
    assert [(p.name, p.type_, p.value) for p in config.query_parameters] == [("day", "DATE", DAY)]
    assert (options["job_id"], options["job_retry"], options["timeout"]) == ("claim-1", None, SETTINGS.query_timeout_s)
    assert options["retry"].timeout == wait["retry"].timeout == wait["timeout"] == SETTINGS.query_timeout_s
    assert wait["job_retry"] is None, "a job that failed is not started anew under another id"
    assert (clients.cache.usage.queries, clients.cache.usage.bytes_billed) == (1, 10 * 2**20)


def test_a_list_is_an_array_parameter():
    query = query_catalog.parse(
        "x.y", "-- Who?\n-- @param names ARRAY<STRING>  some\nSELECT a FROM d.t WHERE a IN UNNEST(@names)"
    )
    (parameter,) = query.bind(names=("a", "b"))
    assert isinstance(parameter, bigquery.ArrayQueryParameter)
    assert (parameter.name, parameter.array_type, parameter.values) == ("names", "STRING", ["a", "b"])


def test_other_parameters_or_tables_than_the_declared_ones_are_refused(fake_bigquery):
    clients = make_clients(fake_bigquery)
    with pytest.raises(CatalogError, match=r"x\.count takes \['day'\], got \['night'\]\."):
        query_catalog.run_query(clients, "x.count", night=DAY)
    with pytest.raises(CatalogError, match=r"x\.rows takes tables \['source'\], got \[\]\."):
        query_catalog.run_query(clients, "x.rows")
    with pytest.raises(InvalidInput, match="is not a table name") as refused:
        query_catalog.run_query(clients, "x.rows", tables={"source": "t; DROP"})
    assert refused.value.hint == "Give it as dataset.table, with letters, digits and _ only."
    assert fake_bigquery.calls == []


def test_a_table_given_by_name_is_quoted_into_the_sql(fake_bigquery):
    query_catalog.run_query(make_clients(fake_bigquery), "x.rows", tables={"source": "d.other"})
    assert fake_bigquery.calls[0][0] == "SELECT 1 FROM `d.other`"


def test_a_refused_query_is_reported_with_its_name_and_line(fake_bigquery):
    fake_bigquery.error = BadRequest("Syntax error at [1:1]")
    with pytest.raises(InvalidQuery, match=r"BigQuery \(x\.count\): .* line 1: SELECT COUNT"):
        query_catalog.run_query(make_clients(fake_bigquery), "x.count", day=DAY)


def test_a_dry_run_says_what_would_be_read_and_runs_nothing(fake_bigquery):
    assert query_catalog.dry_run_bytes(make_clients(fake_bigquery), "x.count", day=DAY) == 7
    ((_, config, _),) = fake_bigquery.calls
    assert (config.dry_run, [p.value for p in config.query_parameters]) == (True, [DAY])
    fake_bigquery.error = BadRequest("Odd")
    with pytest.raises(InvalidQuery, match=r"BigQuery \(x\.count, planned only\)"):
        query_catalog.dry_run_bytes(make_clients(fake_bigquery), "x.count", day=DAY)


# --- listing --------------------------------------------------------------------------------------------------------------


def test_a_listable_query_is_answered_by_a_listing_for_free(fake_bigquery):
    rows = [("g1", DAY), ("g2", DAY - timedelta(days=1)), ("g3", None), (None, DAY)]
    fake_bigquery.listed = [{"game_id": game, "game_date": day, "extra": "x"} for game, day in rows]
    clients = make_clients(fake_bigquery)
    result = query_catalog.run_query(clients, "x.games", day=DAY)
    assert result.rows == ({"game": "g1"}, {"game": None}), "NULL satisfies no condition"
    assert (result.source.name, result.source.detail, result.source.bytes_billed) == (
        "BigQuery, x.games",
        "tabledata.list",
        0,
    )
    assert fake_bigquery.calls == [
        ("d.t", SETTINGS.query_timeout_s, SETTINGS.query_timeout_s),
        ("d.t", {"game_id", "game_date"}, SETTINGS.query_timeout_s),
    ]
    assert clients.cache.usage.queries == 0


def test_a_table_that_cannot_be_listed_is_queried(fake_bigquery):
    fake_bigquery.metadata |= {"streamingBuffer": {"estimatedRows": "1"}}
    fake_bigquery.rows = [{"game": "g1"}]
    result = query_catalog.run_query(make_clients(fake_bigquery), "x.games", day=DAY)
    assert (result.rows, result.source.detail) == (({"game": "g1"},), "job-1")


@pytest.mark.parametrize(("rows", "listed"), [("20000", True), ("20001", False)])
def test_a_large_table_is_not_listed_whole(fake_bigquery, rows, listed):
    fake_bigquery.metadata |= {"numRows": rows}
    result = query_catalog.run_query(make_clients(fake_bigquery), "x.games", day=DAY)
    assert (result.source.detail == "tabledata.list") is listed


def test_a_missing_table_is_reported_by_its_name(fake_bigquery):
    fake_bigquery.error = NotFound("gone")
    with pytest.raises(TableNotFound, match=r"Table nba-props-platform\.d\.t was not found\.") as raised:
        query_catalog.run_query(make_clients(fake_bigquery), "x.games", day=DAY)
    assert raised.value.hint == "Check the project, dataset and table names."
    assert isinstance(raised.value.__cause__, NotFound)


RANGE = "game_date >= @first AND game_date <= @last"


@pytest.mark.parametrize(
    ("where", "params", "days"),
    [
        ("game_date = @first", {"first": DAY}, ["20251229"]),
        (RANGE, {"first": DAY, "last": DAY + timedelta(days=2)}, ["20251229", "20251230", "20251231"]),
        (RANGE.replace("=", ""), {"first": DAY, "last": DAY + timedelta(days=1)}, ["20251229", "20251230"]),
        (f"{RANGE} AND game_date = @day", {"first": DAY, "last": DAY + timedelta(days=9), "day": DAY}, ["20251229"]),
        ("game_date = @first", {"first": datetime(2025, 12, 29, 20, tzinfo=timezone(timedelta(hours=-5)))}, ["20251230"]),
        (RANGE, {"first": DAY, "last": DAY + timedelta(days=30)}, [f"{DAY + timedelta(days=n):%Y%m%d}" for n in range(31)]),
        (RANGE, {"first": DAY, "last": DAY + timedelta(days=31)}, None),
        ("game_date >= @first", {"first": DAY}, None),
        ("game_date <= @first", {"first": DAY}, None),
        ("game_id = @first", {"first": "g1"}, None),
    ],
)  # fmt: skip
def test_the_days_that_the_conditions_allow_are_listed(fake_bigquery, where, params, days):
    """Up to 31 of them; otherwise the whole table, where it is small. None: the whole table."""
    fake_bigquery.metadata |= {"timePartitioning": {"type": "DAY", "field": "game_date"}}
    query = table_listing.parse("x.y", f"SELECT game_id FROM d.t WHERE {where}")
    listed = table_listing.partitions_to_list(query, fake_bigquery.table(), params)
    assert listed == (("d.t",) if days is None else tuple(f"d.t${day}" for day in days))


@pytest.mark.parametrize(
    ("op", "expected"), [("=", [2]), ("<", [1]), ("<=", [1, 2]), (">", [3]), (">=", [2, 3])]
)  # fmt: skip
def test_each_comparison_filters_as_sql_does(fake_bigquery, op, expected):
    query = table_listing.parse("x.y", f"SELECT game_id AS n FROM d.t WHERE game_id {op} @value")
    fake_bigquery.listed = [{"game_id": n} for n in (1, 2, 3, None)]
    rows = table_listing.list_matching_rows(make_clients(fake_bigquery), query, fake_bigquery.table(), {"value": 2})
    assert rows is not None
    assert [row["n"] for row in rows] == expected


OPTIONAL = LISTABLE.replace("-- @param", "-- @optional gone  of some tables\n-- @param").replace(" FROM", ", gone FROM")


@pytest.mark.parametrize(
    ("metadata", "sql"),
    [
        ({}, None),
        ({"streamingBuffer": {}}, "SELECT game_id AS game, NULL AS gone FROM d.t WHERE game_date = @day"),
    ],
)
def test_an_optional_column_is_null_and_named_where_the_table_does_not_have_it(
    fake_bigquery, monkeypatch, metadata, sql
):
    monkeypatch.setattr(query_catalog, "load", lambda name: query_catalog.parse(name, OPTIONAL))
    fake_bigquery.metadata |= metadata
    fake_bigquery.listed, fake_bigquery.rows = [{"game_id": "g1", "game_date": DAY}], [{"game": "g1", "gone": None}]
    clients = make_clients(fake_bigquery, ReadCache())
    for _ in range(2):
        result = query_catalog.run_query(clients, "x.optional", day=DAY)
        assert (result.rows, set(result.absent_columns)) == (({"game": "g1", "gone": None},), {"gone"})
    statements = [call[0] for call in fake_bigquery.calls if isinstance(call, tuple) and call[0].startswith("SELECT")]
    assert set(statements) == ({sql} if sql else set())


def test_only_a_listable_query_has_optional_columns():
    with pytest.raises(CatalogError, match="says @optional gone, which only a @listable query may"):
        query_catalog.parse("x.y", OPTIONAL.replace("-- @listable\n", ""))


# --- cached answers -------------------------------------------------------------------------------------------------------


def test_an_answer_is_kept_while_its_table_stays_the_same_and_costs_nothing_again(fake_bigquery):
    monotonic = FakeMonotonic()
    clients = make_clients(fake_bigquery, ReadCache(monotonic))
    first = query_catalog.run_query(clients, "x.count", day=DAY)
    fake_bigquery.rows = [{"n": 2}]
    again = query_catalog.run_query(clients, "x.count", day=DAY)
    assert (again.rows, again.source.bytes_billed, again.source.read_at) == (first.rows, 0, NOW)
    assert query_catalog.run_query(clients, "x.count", day=DAY - timedelta(days=1)).rows == ({"n": 2},)
    fake_bigquery.metadata |= {"lastModifiedTime": "2"}
    monotonic.seconds += 3_600
    assert query_catalog.run_query(clients, "x.count", day=DAY).rows == ({"n": 2},)


def test_a_job_of_its_own_and_a_cache_without_answers_always_run(fake_bigquery):
    for clients, job_id in ((make_clients(fake_bigquery, ReadCache()), "claim"), (make_clients(fake_bigquery), None)):
        fake_bigquery.calls.clear()
        for _ in range(2):
            query_catalog.run_query(clients, "x.count", day=DAY, job_id=job_id)
        assert len([call for call in fake_bigquery.calls if isinstance(call, tuple) and "COUNT" in call[0]]) == 2


def test_a_table_that_does_not_report_its_changes_gives_the_time_when_it_was_really_read(fake_bigquery):
    fake_bigquery.metadata |= {"type": "VIEW"}
    clients = make_clients(fake_bigquery, ReadCache(FakeMonotonic()))
    first = query_catalog.run_query(clients, "x.count", day=DAY)
    again = query_catalog.run_query(clients, "x.count", day=DAY)
    assert (again.source.bytes_billed, again.source.read_at) == (0, first.source.read_at)


@pytest.mark.parametrize(
    ("sql", "cacheable"),
    [("SELECT a FROM d.t", True), ("with x AS (SELECT a FROM d.t) SELECT a FROM x", True), ("SELECT 1", False),
     ("MERGE d.t USING d.u ON TRUE WHEN MATCHED THEN DELETE", False)],
)  # fmt: skip
def test_only_reads_of_tables_are_kept(sql, cacheable):
    assert query_catalog.parse("x.y", f"-- A question?\n{sql}").cacheable is cacheable


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1", "does not start with the question it answers"),
        ("-- \nSELECT 1", "does not start with the question it answers"),
        ("-- Q?\nSELECT @a", r"declares \[\] but uses \['a'\]"),
        ("-- Q?\n-- @table t  one\nSELECT 1", r"declares tables \['t'\] but names \[\]"),
        ("-- Q?\n-- @part nothing  missing\nSELECT {nothing}", "the part nothing, which it does not use or which is not there"),
        ("-- Q?\n-- @part is_eligible  unused\nSELECT 1", "the part is_eligible, which it does not use"),
    ],
)  # fmt: skip
def test_a_query_file_whose_header_is_wrong_is_refused(text, message):
    with pytest.raises(CatalogError, match=message):
        query_catalog.parse("x.y", text)


def test_a_json_column_is_parsed_once():
    assert query_catalog.parse_json_column('{"a": 1}') == query_catalog.parse_json_column({"a": 1}) == {"a": 1}


def test_a_response_that_is_no_list_of_rows_is_not_an_empty_table(fake_bigquery):
    fake_bigquery.listed, fake_bigquery.raw_page = [], {}
    with pytest.raises(SourceUnavailable, match=r"Unexpected response from .*: not a list"):
        query_catalog.run_query(make_clients(fake_bigquery), "x.games", day=DAY)
