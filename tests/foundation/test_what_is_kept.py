"""What has not changed is not asked again; what has, is; and a plain question has one answer by whichever way it is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from services.core.clock import FixedClock, night_window
from services.core.errors import CatalogError, SourceUnreadable
from services.gcp import query_catalog as catalog
from services.gcp import table_listing as listing
from services.gcp.read_cache import LOG_READS, LOG_REFRESHES, LOOK_EVERY_S, Kept
from services.telemetry import log_reader as logs

NIGHT = date(2025, 12, 29)
RUNS = {"from_time": datetime(2025, 12, 28, tzinfo=UTC), "to_time": datetime(2026, 1, 6, tzinfo=UTC)}
PLAIN = {
    "night.context": {"game_date": NIGHT},
    "night.odds": {"game_date": NIGHT},
    "night.written": {"game_date": NIGHT},
    "night.worker_runs": {"game_date": NIGHT, **RUNS},
    "night.ledger": {"game_date": NIGHT},
    "runs.ledger": {"game_date": NIGHT},
    "aliases.book": {},
    "registry.book": {},
    "alerts.events": {},
    "actions.log": {"start": RUNS["from_time"], "until": RUNS["to_time"]},
}


class Tick:
    """A monotonic clock that moves when told to."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def tick() -> Tick:
    return Tick()


@pytest.fixture
def keeping(cloud, tick):
    return replace(cloud, kept=Kept(tick))


@pytest.fixture
def meter(sandbox):
    sandbox.world.meter.reset()
    return sandbox.world.meter


def ask(cloud):
    return catalog.run(cloud, "coverage.history", first_date=NIGHT, last_date=NIGHT, minutes_needed=15.0)


def change(cloud) -> None:
    """A write that leaves every value as it is, and the table changed."""
    sql = (
        "UPDATE nba_raw.odds_api_player_points_props SET player_name = player_name WHERE game_date = DATE '2025-12-16'"
    )
    cloud.bigquery.query(sql).result()


# --- answers of the warehouse ---------------------------------------------------------------------------------------------


def test_an_unchanged_table_is_not_asked_again_and_the_second_look_is_free(keeping, tick, meter):
    first = ask(keeping)
    billed = meter.bytes_billed
    tick.s += 3_600
    again = ask(keeping)
    assert again.rows == first.rows
    assert (meter.queries, meter.bytes_billed) == (1, billed)
    assert (first.source.bytes_billed, again.source.bytes_billed) == (billed, 0)
    assert again.source.read_at >= first.source.read_at, "it is as fresh as the last look at its tables"


def test_a_changed_table_is_asked_again_as_soon_as_it_is_looked_at(keeping, tick, meter):
    ask(keeping)
    change(keeping)
    assert meter.queries == 2, "the question and the write"
    ask(keeping)
    assert meter.queries == 2, "the table was looked at just now"
    tick.s += LOOK_EVERY_S + 1
    ask(keeping)
    assert meter.queries == 3


def test_after_an_action_nobody_waits_for_the_next_look(keeping, meter):
    ask(keeping)
    change(keeping)
    keeping.kept.look_again()
    ask(keeping)
    assert meter.queries == 3


def test_a_table_is_looked_at_once_however_many_ask(keeping, meter):
    for _ in range(50):
        ask(keeping)
    assert meter.calls["bigquery.TableService.getTable"] == 4


def test_rows_in_a_streaming_buffer_hold_for_seconds_only(keeping, tick, meter):
    key, rows = ("question",), iter(range(9))
    table = listing.look(keeping, "prediction_on_call.batches")
    table._properties["streamingBuffer"] = {"estimatedRows": "1"}
    version = keeping.kept.version("prediction_on_call.batches", lambda _: table)
    assert keeping.kept.answer(key, (version,), lambda: next(rows), int) == (0, False)
    assert keeping.kept.answer(key, (version,), lambda: next(rows), int) == (0, True)
    tick.s += 20
    assert keeping.kept.answer(key, (version,), lambda: next(rows), int) == (1, False)


def test_a_statement_that_changes_something_is_never_kept():
    kept = [path.stem for path in catalog.FOLDER.rglob("*.sql") if _changes(path) and _question(path).may_be_kept]
    assert not kept


def test_a_failure_is_not_kept(keeping, sandbox, meter):
    sandbox.world.faults.set([{"api": "bigquery", "kind": "status", "status": 400}])
    try:
        with pytest.raises(Exception, match=r"coverage\.history"):
            ask(keeping)
    finally:
        sandbox.world.faults.clear()
    assert ask(keeping).rows


def test_what_was_not_looked_at_for_longest_makes_room(tick):
    kept = Kept(tick)
    for night in range(5):
        kept.answer((night,), (), lambda: "rows", lambda _: 60_000)
    assert kept.answer((4,), (), lambda: "anew", lambda _: 1) == ("rows", True)
    assert kept.answer((0,), (), lambda: "anew", lambda _: 1) == ("anew", False)


# --- the log ---------------------------------------------------------------------------------------------------------------


def test_lines_of_a_night_long_past_are_read_once(keeping, tick, meter):
    start, end = night_window(date(2025, 12, 26))
    for _ in range(3):
        logs.read_lines(keeping, logs.DML, start, end)
        tick.s += 3_600
    assert sum(count for method, count in meter.calls.items() if method.startswith("logging")) == 1


def test_however_many_watch_known_lines_are_read_six_times_a_minute(keeping, tick):
    reads = []

    def look(name: str) -> str:
        def read() -> str:
            reads.append(name)
            return f"{name} {len(reads)}"

        return keeping.kept.lines((name,), 0.0, read, lambda _: 1)

    for _ in range(20):
        tick.s += 1
        newest = look("one search")
    assert len(reads) == LOG_REFRESHES == 6
    assert newest == "one search 6", "beyond that the lines read last are shown, with their age"


def test_a_search_that_may_not_be_made_says_so_and_is_no_empty_answer(keeping, tick):
    for number in range(LOG_READS):
        keeping.kept.lines((number,), 60.0, lambda: "lines", lambda _: 1)
    with pytest.raises(SourceUnreadable, match="30 times within a minute"):
        keeping.kept.lines(("one more",), 60.0, lambda: "lines", lambda _: 1)
    tick.s += 60
    assert keeping.kept.lines(("one more",), 60.0, lambda: "lines", lambda _: 1) == "lines"


def test_the_panels_of_a_night_share_one_read_of_its_log(keeping, meter):
    from services.batches.reader import read_batches
    from services.nights.player_stages import read_night
    from services.telemetry.dml_jobs import read_writes

    read_night(keeping, NIGHT)
    read_batches(keeping, NIGHT)
    read_writes(keeping, *night_window(NIGHT))
    assert len(keeping.kept.bill.log_reads) == 1


# --- listing ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN)
def test_listing_a_table_gives_the_rows_that_the_query_gives(name, cloud, meter):
    query = catalog.load(name)
    listed = catalog.run(cloud, name, **PLAIN[name])
    assert meter.bytes_billed == 0, "listing is free"
    asked = catalog._query(cloud, name, query.sql, query.bind(**PLAIN[name]), None)
    assert meter.bytes_billed > 0
    assert sorted(map(str, listed.rows)) == sorted(map(str, asked.rows))


def test_every_plain_question_is_shown_to_have_one_answer():
    plain = {f"{p.parent.name}.{p.stem}" for p in catalog.FOLDER.rglob("*.sql") if "-- @plain" in p.read_text()}
    assert plain == set(PLAIN)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a, COUNT(*) FROM d.t",
        "SELECT a FROM d.t JOIN d.u ON a = b",
        "SELECT a FROM d.t WHERE a = 'x'",
        "SELECT a FROM d.t WHERE a = @x OR b = @y",
        "SELECT a FROM d.t ORDER BY a",
    ],
)
def test_a_question_that_is_not_plain_may_not_say_so(sql):
    with pytest.raises(CatalogError, match="more than columns of one table"):
        listing.parse("x.y", sql)


def test_a_large_table_without_partitions_and_one_with_streamed_rows_are_asked_by_sql(cloud):
    plain = catalog.load("night.written").plain
    table = listing.look(cloud, "nba_predictions.player_prop_predictions")
    assert listing.places(plain, table, {"game_date": NIGHT}) == ("nba_predictions.player_prop_predictions$20251229",)
    table._properties["streamingBuffer"] = {"estimatedRows": "1"}
    assert listing.places(plain, table, {"game_date": NIGHT}) is None
    table._properties["numRows"] = "12000"
    assert listing.places(plain, table, {"game_date": NIGHT}) == ("nba_predictions.player_prop_predictions",)
    del table._properties["timePartitioning"], table._properties["streamingBuffer"]
    table._properties["numRows"] = "195000"
    assert listing.places(plain, table, {"game_date": NIGHT}) is None


def test_a_column_that_the_table_lacks_is_left_to_the_query_to_name(cloud):
    table = listing.look(cloud, "nba_predictions.player_prop_predictions")
    plain = listing.parse("x.y", "SELECT no_such_column FROM nba_predictions.player_prop_predictions")
    assert listing.places(plain, table, {}) is None


def test_the_tables_that_a_question_reads_are_those_that_a_parser_finds():
    from services.sandbox.bigquery.sql_inspection import read

    for path in catalog.FOLDER.rglob("*.sql"):
        query = _question(path)
        if query.may_be_kept:
            assert set(query.reads) == set(read(query.sql).tables), query.name


def _question(path) -> catalog.Query:
    return catalog.parse(path.stem, path.read_text())


def _changes(path) -> bool:
    from services.sandbox.bigquery.sql_inspection import read

    return read(_question(path).sql).is_dml or "CREATE" in path.read_text()


def test_the_clock_of_a_kept_answer_never_runs_ahead(keeping, tick):
    still = replace(keeping, clock=FixedClock(keeping.now()))
    ask(still)
    tick.s += 2
    assert ask(still).source.read_at <= still.now() - timedelta(seconds=0)
