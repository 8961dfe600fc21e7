"""The customer scenario as one seed: their cloud at 08:00 ET on 31 December 2025, beside which our dashboard has just been deployed."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from functools import cache
from pathlib import Path

from services.core.clock import ET, to_rfc3339
from services.core.tables import PREDICTIONS_DATASET, PREDICTIONS_TABLE
from services.sandbox.scenarios import reference
from services.sandbox.scenarios.customer import job_history, log_entries, table_rows
from services.sandbox.scenarios.customer.nights import build_nights
from services.sandbox.scenarios.customer.tables import table_resources
from services.sandbox.scenarios.log_and_job_history import LogEntry
from services.sandbox.scenarios.rows import Row
from services.sandbox.seed import Seed

# The evening's run for the 31st has failed, its staging tables are not yet a day old, and the day's own run is still to come.
CUSTOMER_START = datetime(2025, 12, 31, 8, 0, tzinfo=ET)
# Cloud Scheduler in their December: name, description, cron, daily times (ET), service, path and body of the call.
_Call = tuple[str, str, dict[str, str]]
_START: _Call = ("prediction-coordinator", "start", {"game_date": "TODAY"})
SCHEDULE: tuple[tuple[str, str, str, tuple[str, ...], _Call], ...] = (
    (
        *("same-day-phase3", "Morning Phase 3 for today's games", "30 10 * * *", ("10:30",)),
        ("analytics-processor", "process", {}),
    ),
    (
        *("same-day-phase4", "Morning Phase 4 for today's games", "0 11 * * *", ("11:00",)),
        ("precompute-processor", "process", {}),
    ),
    ("same-day-predictions", "Morning predictions for today's games", "30 11 * * *", ("11:30",), _START),
    ("self-heal-predictions", "Missing predictions", "45 12 * * *", ("12:45",), ("self-heal-predictions", "", {})),
    (
        *("same-day-predictions-tomorrow", "Tomorrow's predictions", "0 17 * * *", ("17:00",)),
        ("prediction-coordinator", "start", {"game_date": "TOMORROW"}),
    ),
    ("overnight-predictions", "Early predictions for today's games", "30 2 * * *", ("02:30",), _START),
)
# What their deployment of our dashboard would set.
SETTINGS = {
    "BIGQUERY_LOCATION": log_entries.LOCATION,
    "MANIFEST_DIR": str(Path(__file__).parent / "manifest"),
    "EXPECTED_JOBS": "overnight-predictions,same-day-predictions,same-day-predictions-tomorrow",
}


@cache
def build_customer_seed() -> Seed:
    """Their nights of 23–31 December; identical at every start."""
    tables: dict[str, list[Row]] = defaultdict(list)
    created: dict[str, str] = {}
    entries: list[LogEntry] = []
    jobs: list[job_history.Job] = []
    for night in build_nights():
        tables["nba_analytics.upcoming_player_game_context"] += table_rows.context_rows(night)
        tables["nba_raw.odds_api_player_points_props"] += table_rows.odds_rows(night)
        tables[PREDICTIONS_TABLE] += table_rows.prediction_rows(night)
        for name, (made_at, staged) in table_rows.left_staging_tables(night).items():
            tables[f"{PREDICTIONS_DATASET}.{name}"] = staged
            created[f"{PREDICTIONS_DATASET}.{name}"] = to_rfc3339(made_at)
        for name, made in table_rows.phase_rows(night, CUSTOMER_START).items():
            tables[name] += made
        for run in night.runs:
            tables["nba_predictions.prediction_worker_runs"] += table_rows.worker_run_rows(run)
            tables["nba_reference.processor_run_history"] += table_rows.run_history_rows(run)
            entries += log_entries.log_entries(run)
            jobs += job_history.jobs(run)
        for row in reference.unresolved_rows(night.slate):
            tables["nba_reference.unresolved_player_names"].append({**row, "processed_at": row["created_at"]})
    tables["nba_reference.player_aliases"] += reference.alias_rows()
    tables["nba_reference.nba_players_registry"] += reference.registry_rows()
    return Seed(
        dict(tables),
        created,
        entries,
        jobs,
        reference.service_resources(),
        reference.revision_resources(),
        scheduler_jobs=_scheduler_jobs(),
        table_resources=table_resources(),
        location=log_entries.LOCATION,
    )


def _scheduler_jobs() -> list[Row]:
    common = {"timeZone": "America/New_York", "state": "ENABLED"}
    return [
        {"name": name, "description": description, "schedule": cron, "times": times, "calls": calls, **common}
        for name, description, cron, times, calls in SCHEDULE
    ]
