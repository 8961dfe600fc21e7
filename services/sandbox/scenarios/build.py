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
        for name, found in night_of(slate, fates).items():
            tables[name] += found
        created |= left_at(slate, fates)
        entries += traces.log_entries(slate, fates)
        jobs += traces.jobs(slate, fates)
        if slate.plan.get("odds_names"):
            tables["nba_reference.unresolved_player_names"] += reference.unresolved(slate)
    tables["nba_reference.player_aliases"] += reference.aliases()
    tables["nba_reference.nba_players_registry"] += reference.registry()
    return Seed(dict(tables), created, entries, jobs, reference.services(), reference.revisions())


def night_of(slate: Slate, fates: tuple[Outcome, ...]) -> dict[str, list[Row]]:
    """One night's rows by table, what it left in staging included."""
    made = [fate for fate in fates if fate.generated and not fate.error and not fate.staged_only]
    staged = {
        _staging(slate, fate): list(rows.prediction_rows(slate, fate.entry, fate.asked_at))
        for fate in _left(slate, fates)
    }
    return {
        "nba_analytics.upcoming_player_game_context": list(rows.context_rows(slate)),
        "nba_raw.odds_api_player_points_props": list(rows.odds_rows(slate)),
        "nba_predictions.prediction_worker_runs": [rows.worker_run(slate, fate) for fate in fates],
        PREDICTIONS: [
            row for fate in made for row in rows.prediction_rows(slate, fate.entry, fate.write_ended or fate.asked_at)
        ],
        **staged,
    }


def left_at(slate: Slate, fates: tuple[Outcome, ...]) -> dict[str, str]:
    """When each staging table that a night left behind was made."""
    return {_staging(slate, fate): rows.rfc3339(fate.asked_at) for fate in _left(slate, fates)}


def _left(slate: Slate, fates: tuple[Outcome, ...]) -> list[Outcome]:
    leftover = int(slate.plan.get("merged_leftover_tables") or 0)
    return [fate for i, fate in enumerate(fates) if fate.staged_only or i < leftover]


def _staging(slate: Slate, fate: Outcome) -> str:
    return traces.staging_name(slate, fate.entry.player.lookup)
