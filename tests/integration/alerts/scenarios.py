"""The customer's demo days as data in one sandbox, a night each: what differs from a healthy night, and what must be raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.core.tables import PREDICTIONS_TABLE
from services.sandbox.scenarios import log_and_job_history, reference
from services.sandbox.scenarios.december import night_rows, staging_created_at
from services.sandbox.scenarios.player_outcomes import SimulatedOutcome, simulate_outcomes
from services.sandbox.scenarios.slate import Slate, build_slates
from services.sandbox.seed import Seed

LAST_NIGHT_ENDS = datetime(2025, 12, 31, 11, tzinfo=UTC)
RUNS, ODDS = "nba_predictions.prediction_worker_runs", "nba_raw.odds_api_player_points_props"
Row = dict[str, Any]
Tables = dict[str, list[Row]]
NightTables = tuple[Tables, list[Row]]  # the tables and the log lines of one night


@dataclass(frozen=True)
class Scenario:
    """One night: its plan, what is changed in its data, when it is checked, and the incident that must follow."""

    description: str
    plan: dict[str, Any]
    expected: tuple[str, str] | None
    change: Callable[[Slate, Tables, list[Row]], NightTables] = lambda _, tables, lines: (tables, lines)
    check_after_min: float = 15


def _collapse_lines(_: Slate, tables: Tables, lines: list[Row]) -> NightTables:
    """Every row was written with the same points line: of five rows one is left."""
    first: dict[tuple[str, str], Row] = {}
    for row in tables[PREDICTIONS_TABLE]:
        first.setdefault((row["player_lookup"], row["system_id"]), row)
    return {**tables, PREDICTIONS_TABLE: list(first.values())}, lines


def _two_never_responded(_: Slate, tables: Tables, lines: list[Row]) -> NightTables:
    run_rows = sorted(tables[RUNS], key=lambda row: row["player_lookup"])
    missing_players = {row["player_lookup"] for row in run_rows[:2]}
    remaining = {
        name: [r for r in table_rows if r.get("player_lookup") not in missing_players]
        for name, table_rows in tables.items()
    }
    remaining |= {
        name: table_rows
        for name, table_rows in tables.items()
        if name not in (RUNS, PREDICTIONS_TABLE) and "_staging_" not in name
    }
    return {name: table_rows for name, table_rows in remaining.items() if table_rows}, lines


def _nothing_published(slate: Slate, tables: Tables, lines: list[Row]) -> NightTables:
    start_lines = [e for e in lines if "Starting prediction batch" in str(e.get("textPayload"))]
    return {
        name: table_rows for name, table_rows in tables.items() if name not in (RUNS, PREDICTIONS_TABLE)
    }, start_lines


def _subscription_gone(slate: Slate, tables: Tables, lines: list[Row]) -> NightTables:
    published_lines = [e for e in lines if "prediction requests" in str(e.get("textPayload"))]
    without, start_lines = _nothing_published(slate, tables, lines)
    return without, start_lines + published_lines


def _duplicate_keys(_: Slate, tables: Tables, lines: list[Row]) -> NightTables:
    duplicates = [{**row, "prediction_id": f"{row['prediction_id'][:-1]}x"} for row in tables[PREDICTIONS_TABLE][:112]]
    return {**tables, PREDICTIONS_TABLE: [*tables[PREDICTIONS_TABLE], *duplicates]}, lines


def _misspell_names(_: Slate, tables: Tables, lines: list[Row]) -> NightTables:
    names = sorted({row["player_lookup"] for row in tables[ODDS]})[:60]
    odds_rows = [
        {**row, "player_lookup": f"{row['player_lookup']}iv"} if row["player_lookup"] in names else row
        for row in tables[ODDS]
    ]
    return {**tables, ODDS: odds_rows}, lines


def _supersede_most(_: Slate, tables: Tables, lines: list[Row]) -> NightTables:
    active_players = sorted({row["player_lookup"] for row in tables[PREDICTIONS_TABLE]})[:11]
    prediction_rows = [
        {**row, "is_active": row["player_lookup"] in active_players} for row in tables[PREDICTIONS_TABLE]
    ]
    return {**tables, PREDICTIONS_TABLE: prediction_rows}, lines


STAGED_PLAN = {"path": "staging", "run_at": "11:30"}
SCENARIOS: dict[str, Scenario] = {
    "2025-12-16": Scenario("a deploy has reset the emergency width", {}, ("width", "width")),
    "2025-12-17": Scenario("published nothing, 7 min ago", {}, ("at_zero", "run"), _nothing_published, 7),
    "2025-12-18": Scenario(
        "the subscription is gone: all published, none completed",
        {"not_generated": []},
        ("stalled", "run"),
        _subscription_gone,
    ),
    "2025-12-19": Scenario("published nothing, and blocks", {}, ("stalled", "run"), _nothing_published),
    "2025-12-20": Scenario("healthy, direct writes", {}, None),
    "2025-12-21": Scenario("schema drift in mid-batch", {}, ("write_success", "writes")),
    "2025-12-22": Scenario("names never in context", {}, ("names", "names"), _misspell_names),
    "2025-12-23": Scenario("healthy, staged and consolidated", {"merged_leftover_tables": 0}, None),
    "2025-12-24": Scenario("no games", {}, None),
    "2025-12-25": Scenario("superseded, then filtered", {"not_consolidated": 0}, ("coverage", "rows"), _supersede_most),
    "2025-12-26": Scenario("five lines collapse to one", {}, ("conservation", "rows"), _collapse_lines),
    "2025-12-27": Scenario("racing MERGEs, 112 keys twice", {}, ("duplicates", "rows"), _duplicate_keys),
    "2025-12-29": Scenario("90 of 158 writes rejected", {}, ("dml_rejections", "writes")),
    "2025-12-30": Scenario(
        "stalled two short of the end, tables waiting",
        {**STAGED_PLAN, "not_consolidated": 28},
        ("stalled", "run"),
        _two_never_responded,
    ),
}


def build_seed() -> Seed:
    """All of them in one seed; a night between them that is not listed is healthy."""
    tables: Tables = {}
    created: dict[str, str] = {}
    lines: list[Row] = []
    jobs: list[Row] = []
    for slate, player_outcomes in map(_with_scenario, build_slates()):
        night_tables: Tables = _DefaultLists()
        for name, new_rows in night_rows(slate, player_outcomes, LAST_NIGHT_ENDS).items():
            night_tables[name] += new_rows
        created |= staging_created_at(slate, player_outcomes)
        scenario = SCENARIOS.get(str(slate.game_date))
        changed_tables, log_lines = (scenario.change if scenario else Scenario("", {}, None).change)(
            slate, night_tables, list(log_and_job_history.log_entries(slate, player_outcomes))
        )
        for name, new_rows in changed_tables.items():
            tables.setdefault(name, []).extend(new_rows)
        lines += log_lines
        jobs += log_and_job_history.merge_jobs(slate, player_outcomes) if RUNS in changed_tables else ()
    tables["nba_reference.player_aliases"] = list(reference.alias_rows())
    return Seed(tables, created, lines, jobs, reference.service_resources(), reference.revision_resources())


class _DefaultLists(dict[str, list[Row]]):
    def __missing__(self, name: str) -> list[Row]:
        self[name] = []
        return self[name]


def _with_scenario(slate: Slate) -> tuple[Slate, tuple[SimulatedOutcome, ...]]:
    scenario = SCENARIOS.get(str(slate.game_date))
    planned = replace(slate, plan={**slate.plan, **(scenario.plan if scenario else {"not_generated": []})})
    return planned, simulate_outcomes(planned)


def check_time(day: str) -> datetime:
    """When the watchdog checks: so long after the batch's end, or at noon where there is none."""
    slate, player_outcomes = _with_scenario(next(s for s in build_slates() if str(s.game_date) == day))
    if slate.run_at is None:
        return datetime.fromisoformat(f"{day}T17:00:00+00:00")
    no_completions = SCENARIOS[day].change in (_nothing_published, _subscription_gone)
    return (slate.started_at if no_completions else log_and_job_history.last_write_at(player_outcomes)) + timedelta(
        minutes=SCENARIOS[day].check_after_min
    )


def parse_night(day: str) -> date:
    return date.fromisoformat(day)
