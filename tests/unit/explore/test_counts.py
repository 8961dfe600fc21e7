"""Counts of rows in memory: by what was chosen, with their filters; the cost comes first, and its limit is said in days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.core.errors import OverBytesLimit
from services.core.result import DataSource
from services.core.tables import PREDICTIONS_TABLE
from services.explore import counts
from services.explore.counts import Cost, read_cost, read_counts
from services.explore.look import make_look
from services.explore.subjects import SUBJECTS_BY_NAME
from services.gcp import query_catalog
from services.gcp.query_catalog import MIB, QueryResult
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, memory_clients
from tests.support.paths import ROOT

NIGHT, BEFORE = date(2025, 12, 29), date(2025, 12, 28)
AT = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
PREDICTIONS, RUNS = SUBJECTS_BY_NAME["predictions"], SUBJECTS_BY_NAME["worker runs"]


def prediction(
    player: str, system: str = "xgboost_v1", line: str | None = "20.5", **fields: object
) -> dict[str, object]:
    row = {"game_date": NIGHT, "game_id": "g1", "is_active": True, "created_at": AT, "prediction_id": "p"}
    row |= {"prediction_version": 1, "predicted_points": Decimal(20), "confidence_score": Decimal(1)}
    row |= {"recommendation": "OVER", "current_points_line": line and Decimal(line)}
    return {**row, "player_lookup": player, "system_id": system, **fields}


def run_row(player: str, batch: str, rows: int | None, **fields: object) -> dict[str, object]:
    row = {"player_lookup": player, "game_date": NIGHT, "run_date": AT, "request_id": player + batch, "batch_id": batch}
    return {**row, "success": rows is not None, "predictions_generated": rows, "created_at": AT, **fields}


@pytest.fixture
def clients(monkeypatch):
    project = MemoryProject(SimulatedClock(AT + timedelta(hours=1)))
    monkeypatch.setattr(query_catalog, "dry_run_bytes", lambda *_args, **_params: 5 * MIB)
    project.insert(
        PREDICTIONS_TABLE,
        [
            prediction("lukadoncic"),
            prediction("lukadoncic", line="21.5"),
            prediction("lukadoncic", created_at=AT + timedelta(hours=2)),  # the key of the first one once more
            prediction("lukadoncic", is_active=False),
            prediction("nikolajokic", "ensemble_v1", None),
            prediction("nikolajokic", game_date=BEFORE),
            prediction("lebronjames", game_date=BEFORE - timedelta(days=30)),
        ],
    )
    runs = [run_row("lukadoncic", "b1", 25), run_row("nikolajokic", "b1", None), run_row("lukadoncic", "b2", 5)]
    project.insert(RUNS.table, [*runs, run_row("x", "b0", 9, run_date=AT - timedelta(days=90))])
    yield memory_clients(project)
    project.close()


def look_at(clients, look):
    return read_counts(clients, read_cost(clients, look))


def count(clients, by, subject=PREDICTIONS, first=BEFORE, **filters):
    found = look_at(clients, make_look(subject, tuple(by.split()), first, NIGHT, **filters))
    measure = next(iter(subject.measures))
    return {tuple(map(str, group.values.values())): group.measures[measure] for group in found.groups}


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("date", {("2025-12-29",): 5, ("2025-12-28",): 1}),
        ("system", {("xgboost_v1",): 5, ("ensemble_v1",): 1}),
        ("player", {("lukadoncic",): 4, ("nikolajokic",): 2}),
        ("active", {("True",): 5, ("False",): 1}),
        (
            "date system",
            {("2025-12-29", "xgboost_v1"): 4, ("2025-12-29", "ensemble_v1"): 1, ("2025-12-28", "xgboost_v1"): 1},
        ),
        ("hour", {("2025-12-29 21:00:00+00:00",): 1, ("2025-12-29 19:00:00+00:00",): 5}),
    ],
)
def test_rows_are_counted_by_what_is_chosen(clients, by, expected):
    assert count(clients, by) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"player": "Nikola Jokić"}, 2),
        ({"system": "ensemble_v1"}, 1),
        ({"active": "yes"}, 5),
        ({"active": "no"}, 1),
        ({"active": "no", "player": "nikolajokic"}, None),
    ],
)
def test_filters_select_rows(clients, filters, expected):
    assert sum(count(clients, "system", **filters).values()) == (expected or 0)
    assert bool(count(clients, "system", **filters)) is (expected is not None)


def test_every_measure_of_a_night_is_counted_by_itself(clients):
    (night, _before) = look_at(clients, make_look(PREDICTIONS, ("date",), BEFORE, NIGHT)).groups
    assert night.measures == {
        "row_count": 5,
        "active_rows": 4,
        "players": 2,
        "systems": 2,
        "line_count": 3,
        "duplicate_rows": 1,
    }


def test_worker_runs_are_counted_by_batch(clients):
    assert count(clients, "batch", RUNS) == {("b1",): 2, ("b2",): 1}
    assert count(clients, "batch", RUNS, batch="b2") == {("b2",): 1}
    (b1, _b2) = look_at(clients, make_look(RUNS, ("batch",), NIGHT, NIGHT)).groups
    assert b1.measures == {"run_count": 2, "successful_runs": 1, "players": 2, "generated_rows": 25}


def test_more_groups_than_are_read_make_it_partial(clients, monkeypatch):
    monkeypatch.setattr(counts, "MAX_GROUPS", 1)
    found = look_at(clients, make_look(PREDICTIONS, ("date",), BEFORE, NIGHT))
    assert found.truncated
    assert found.problem is not None
    assert len(found.groups) == 1
    assert "There are more than 1 groups" in found.problem.message
    assert found.headline == "Predictions: at least 5 rows in 1 group"
    monkeypatch.setattr(counts, "MAX_GROUPS", 2)
    whole = look_at(clients, make_look(PREDICTIONS, ("date",), BEFORE, NIGHT))
    assert (whole.truncated, whole.problem, whole.headline) == (False, None, "Predictions: 6 rows in 2 groups")


def test_what_is_not_recorded_is_said_so_and_a_measure_without_a_value_is_0(clients, monkeypatch):
    row = {"by_player": None, "by_batch": "b1", "by_hour": AT, "run_count": 1, "successful_runs": None}
    answer = QueryResult(({**row, "players": 1, "generated_rows": None},), DataSource("a test", AT))
    monkeypatch.setattr(query_catalog, "run_query", lambda *_args, **_params: answer)
    found = look_at(clients, make_look(RUNS, ("player", "batch", "hour"), NIGHT, NIGHT))
    assert found.to_row(found.groups[0]) == {
        "player": "not recorded",
        "batch": "b1",
        "hour": "2025-12-29 14:00 ET",
        "runs": 1,
        "successful": 0,
        "players": 1,
        "rows generated": 0,
    }


@pytest.mark.parametrize(("value", "shown"), [(True, "active"), (False, "inactive"), (None, "not recorded")])
def test_active_is_a_word(value, shown):
    assert counts.show_value("active", value) == shown


def test_a_query_asks_for_one_group_more_than_are_read():
    for path in (ROOT / "queries" / "explore").glob("*.sql"):
        assert f"LIMIT {counts.MAX_GROUPS + 1}" in path.read_text(), path.name


def season(read_bytes: int, days: int = 119) -> Cost:
    look = make_look(PREDICTIONS, ("date",), NIGHT - timedelta(days=days - 1), NIGHT)
    return Cost(look, read_bytes, 1024 * MIB)


def test_what_is_beyond_the_limit_says_how_many_days_fit_and_reads_nothing(clients, monkeypatch):
    cost = season(1229 * MIB)
    assert cost.refusal == (
        "119 days would read 1.2 GiB; the limit is 1.0 GiB (QUERY_LIMIT_MIB): choose at most 99 days."
    )
    assert season(2000 * MIB, 1).refusal.endswith("one day alone is beyond it.")
    assert (season(24 * MIB).text, season(24 * MIB).refusal) == ("about 24 MiB", "")
    assert season(1).text == "about 10 MiB"
    assert (season(1024 * MIB).refusal, season(1024 * MIB).text) == ("", "about 1.0 GiB"), "the limit itself fits"
    assert season(1024 * MIB + 1).refusal
    monkeypatch.setattr(query_catalog, "dry_run_bytes", lambda *_args, **_params: 1229 * MIB)
    monkeypatch.setattr(query_catalog, "run_query", lambda *_args, **_params: pytest.fail("it was read"))
    with pytest.raises(OverBytesLimit, match="choose at most 99 days"):
        read_counts(clients, cost)
