"""The whole fortnight as one seed: every night's rows, log lines and jobs, the same at every start."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

from services.sandbox.scenarios import reference, rows, traces
from services.sandbox.scenarios.outcome import Outcome, outcomes
from services.sandbox.scenarios.slate import Slate, slates
from services.sandbox.seed import Seed

Row = dict[str, Any]
PREDICTIONS = "nba_predictions.player_prop_predictions"


@cache
def build() -> Seed:
    """16–30 December 2025."""
    tables: dict[str, list[Row]] = defaultdict(list)
    created: dict[str, str] = {}
    entries: list[Row] = []
    jobs: list[Row] = []
    for slate in slates():
        fates = outcomes(slate)
        _night(tables, created, slate, fates)
        entries += traces.log_entries(slate, fates)
        jobs += traces.jobs(slate, fates)
        if slate.plan.get("odds_names"):
            tables["nba_reference.unresolved_player_names"] += reference.unresolved(slate)
    tables["nba_reference.player_aliases"] += reference.aliases()
    tables["nba_reference.nba_players_registry"] += reference.registry()
    return Seed(dict(tables), created, entries, jobs, reference.services(), reference.revisions())


def _night(tables: dict[str, list[Row]], created: dict[str, str], slate: Slate, fates: tuple[Outcome, ...]) -> None:
    tables["nba_analytics.upcoming_player_game_context"] += rows.context_rows(slate)
    tables["nba_raw.odds_api_player_points_props"] += rows.odds_rows(slate)
    tables["nba_predictions.prediction_worker_runs"] += (rows.worker_run(slate, fate) for fate in fates)
    leftover = int(slate.plan.get("merged_leftover_tables") or 0)
    for i, fate in enumerate(fates):
        if fate.generated and not fate.error and not fate.staged_only:
            tables[PREDICTIONS] += rows.prediction_rows(slate, fate.entry, fate.write_ended or fate.asked_at)
        if fate.staged_only or i < leftover:
            name = traces.staging_name(slate, fate.entry.player.lookup)
            tables[name] += rows.prediction_rows(slate, fate.entry, fate.asked_at)
            created[name] = rows.rfc3339(fate.asked_at)
