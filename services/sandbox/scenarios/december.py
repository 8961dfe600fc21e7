"""The december scenario as one seed: rows, log entries and jobs of 16–30 December 2025, identical at every start."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from functools import cache
from typing import Any

from services.core.clock import to_rfc3339
from services.core.tables import PREDICTIONS_TABLE
from services.sandbox.scenarios import log_and_job_history, reference, rows
from services.sandbox.scenarios.phase_rows import PhaseNight, phase_rows
from services.sandbox.scenarios.player_outcomes import SimulatedOutcome, simulate_outcomes
from services.sandbox.scenarios.slate import Slate, build_slates
from services.sandbox.seed import Seed
from services.sandbox.server import SCENARIO_START

Row = dict[str, Any]


@cache
def build_seed() -> Seed:
    """The seed of 16–30 December 2025."""
    tables: dict[str, list[Row]] = defaultdict(list)
    created: dict[str, str] = {}
    entries: list[Row] = []
    jobs: list[Row] = []
    for slate in build_slates():
        player_outcomes = simulate_outcomes(slate)
        for name, table_rows in night_rows(slate, player_outcomes).items():
            tables[name] += table_rows
        created |= staging_created_at(slate, player_outcomes)
        entries += log_and_job_history.log_entries(slate, player_outcomes)
        jobs += log_and_job_history.merge_jobs(slate, player_outcomes)
        if slate.plan.get("odds_names"):
            tables["nba_reference.unresolved_player_names"] += reference.unresolved_rows(slate)
    tables["nba_reference.player_aliases"] += reference.alias_rows()
    tables["nba_reference.nba_players_registry"] += reference.registry_rows()
    return Seed(dict(tables), created, entries, jobs, reference.service_resources(), reference.revision_resources())


def night_rows(
    slate: Slate, player_outcomes: tuple[SimulatedOutcome, ...], until: datetime = SCENARIO_START
) -> dict[str, list[Row]]:
    """One night's rows by table as of `until`, including the staging tables it left behind."""
    written = [
        outcome for outcome in player_outcomes if outcome.generated and not outcome.error and not outcome.staged_only
    ]
    staged = {
        _staging_table_name(slate, outcome): list(rows.prediction_rows(slate, outcome.entry, outcome.requested_at))
        for outcome in _leftover_outcomes(slate, player_outcomes)
    }
    ended = [outcome.write_ended_at or outcome.requested_at for outcome in written]
    context_at = datetime(*slate.game_date.timetuple()[:3], *rows.CONTEXT_MADE_AT, tzinfo=UTC)
    players = tuple(outcome.entry for outcome in written)
    phases = PhaseNight(slate, slate.entries, context_at, players, max(ended, default=None), until)
    return {
        **phase_rows(phases),
        "nba_analytics.upcoming_player_game_context": list(rows.context_rows(slate)),
        "nba_raw.odds_api_player_points_props": list(rows.odds_rows(slate)),
        "nba_predictions.prediction_worker_runs": [rows.worker_run_row(slate, outcome) for outcome in player_outcomes],
        PREDICTIONS_TABLE: [
            row
            for outcome in written
            for row in rows.prediction_rows(slate, outcome.entry, outcome.write_ended_at or outcome.requested_at)
        ],
        **staged,
    }


def staging_created_at(slate: Slate, player_outcomes: tuple[SimulatedOutcome, ...]) -> dict[str, str]:
    """Creation time (RFC 3339) of each staging table that a night left behind."""
    return {
        _staging_table_name(slate, outcome): to_rfc3339(outcome.requested_at)
        for outcome in _leftover_outcomes(slate, player_outcomes)
    }


def _leftover_outcomes(slate: Slate, player_outcomes: tuple[SimulatedOutcome, ...]) -> list[SimulatedOutcome]:
    leftover_count = int(slate.plan.get("merged_leftover_tables") or 0)
    return [outcome for i, outcome in enumerate(player_outcomes) if outcome.staged_only or i < leftover_count]


def _staging_table_name(slate: Slate, outcome: SimulatedOutcome) -> str:
    return log_and_job_history.staging_table_name(slate, outcome.entry.player.lookup)
