"""A customer's night in the customer's tables, by replaying its runs: what each write left in predictions and in staging."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from services.core.clock import to_rfc3339
from services.core.tables import PREDICTIONS_DATASET, PREDICTIONS_TABLE_NAME
from services.sandbox.scenarios import phase_rows as phases
from services.sandbox.scenarios import rows
from services.sandbox.scenarios.customer.nights import CustomerNight, PlayerRun, Run, worker_revision
from services.sandbox.scenarios.rows import Row, seeded_id
from services.sandbox.scenarios.slate import Slate

SYSTEMS_ATTEMPTED = list(phases.SYSTEMS)
ROWS_PER_PLAYER = 25
MODEL_TRAINED_ON = "2025-11-21"
_PLACEHOLDER = {"line_source": "ESTIMATED_AVG", "line_source_api": "ESTIMATED"}
_CONTEXT_LEAD = timedelta(minutes=40)  # the context is made so long before the first run


def context_rows(night: CustomerNight) -> Iterator[Row]:
    """Their context has no name of the player, and is made before the first run, the day before if need be."""
    shift = _context_made_at(night) - _december_context_at(night)
    for row in rows.context_rows(night.context_slate):
        del row["player_name"]
        at = to_rfc3339(datetime.fromisoformat(row["created_at"]) + shift)
        incomplete = row["completeness_percentage"] < 90
        yield {
            **row,
            "created_at": at,
            "processed_at": at,
            "game_start_time_local": "7:00 PM ET",
            "data_quality_tier": "bronze" if incomplete else "gold",
            "data_quality_issues": ["missing_games"] if incomplete else [],
            "all_windows_complete": not incomplete,
        }


def _december_context_at(night: CustomerNight) -> datetime:
    return datetime(*night.slate.game_date.timetuple()[:3], *rows.CONTEXT_MADE_AT, tzinfo=UTC)


def _context_made_at(night: CustomerNight) -> datetime:
    return night.runs[0].started_at - _CONTEXT_LEAD if night.runs else _december_context_at(night)


def phase_rows(night: CustomerNight, until: datetime) -> dict[str, list[Row]]:
    """The steps before and after the predictions, as far as they have come at `until`."""
    stored = {player.lookup: player.entry for run in night.runs for player in run.players if player.stored}
    return phases.phase_rows(
        phases.PhaseNight(
            night.slate,
            night.context_slate.entries,
            _context_made_at(night),
            tuple(stored.values()),
            night.runs[0].merged_at if night.runs else None,
            until,
        )
    )


def odds_rows(night: CustomerNight) -> Iterator[Row]:
    """Since 28 December their odds carry the league's own game ids; those of games whose odds were lost are not there."""
    lost = night.slate.plan.get("phases", {}).get("odds", {}).get("games", 0)
    kept = {game.game_id for game in night.slate.games[: len(night.slate.games) - lost]}
    game_numbers = {game.game_id: f"00225{int(seeded_id(game.game_id)[:4], 16):05d}" for game in night.slate.games}
    for row in rows.odds_rows(night.slate):
        if row["game_id"] in kept:
            yield {**row, "game_id": game_numbers[row["game_id"]]}


def worker_run_rows(run: Run) -> Iterator[Row]:
    """Written after the write and without a batch id; a refused write counts as a success."""
    for player in run.players:
        if not player.recorded:
            continue
        ended_at = player.write_ended_at + timedelta(seconds=0.1)
        yield {
            "request_id": seeded_id("run", run.batch_id, player.lookup),
            "run_date": to_rfc3339(ended_at),
            "player_lookup": player.lookup,
            "universal_player_id": player.entry.player.universal_id,
            "game_date": run.game_date.isoformat(),
            "game_id": player.entry.game.game_id,
            "line_values_requested": [player.entry.line + offset for offset in rows.LINE_OFFSETS],
            "success": player.generated,
            "duration_seconds": round((ended_at - player.requested_at).total_seconds(), 3),
            "predictions_generated": ROWS_PER_PLAYER if player.generated else 0,
            "skip_reason": None if player.generated else "no_features",
            "systems_attempted": SYSTEMS_ATTEMPTED if player.generated else [],
            "systems_succeeded": SYSTEMS_ATTEMPTED if player.generated else [],
            "systems_failed": [],
            "feature_quality_score": 88.0 if player.generated else None,
            "missing_features": [],
            "error_message": None if player.generated else "No features available",
            "error_type": None if player.generated else "FeatureLoadError",
            "write_bigquery_seconds": (player.write_ended_at - player.write_started_at).total_seconds(),
            "circuit_breaker_triggered": False,
            "circuits_opened": [],
            "worker_version": "1.0",
            "cloud_run_service": "prediction-worker",
            "cloud_run_revision": worker_revision(player.requested_at),
            "created_at": to_rfc3339(ended_at),
        }


def run_history_rows(run: Run) -> Iterator[Row]:
    """Their coordinator's record of a batch: a row when it starts, another when every player has answered, whatever was written."""
    if run.plan.get("id", "batch") in ("fallback", "timestamp"):
        return
    run_id = f"PredictionCoordinator_{run.game_date}_{seeded_id('history', run.batch_id)[:8]}"
    common = {
        "processor_name": "PredictionCoordinator",
        "run_id": run_id,
        "season_year": 2025,
        "data_date": run.game_date.isoformat(),
        "started_at": to_rfc3339(run.started_at),
        "phase": "phase_5_predictions",
        "output_table": PREDICTIONS_TABLE_NAME,
        "output_dataset": PREDICTIONS_DATASET,
        "trigger_source": "api",
        "cloud_run_service": "prediction-coordinator",
    }
    yield {**common, "status": "running", "processed_at": to_rfc3339(run.started_at)}
    answered = sum(player.generated for player in run.players)
    if answered < len(run.players):
        return  # their coordinator still waits for the others
    yield {
        **common,
        "status": "success",
        "records_processed": answered,
        "duration_seconds": round((run.ended_at - run.started_at).total_seconds(), 2),
        "processed_at": to_rfc3339(run.merged_at),
        "summary": {"expected": len(run.players), "completed": answered},
    }


def staged_rows(slate: Slate, run: Run, player: PlayerRun) -> list[Row]:
    """The rows that a worker wrote for one player: five systems × five requested lines."""
    revision, made_at = worker_revision(player.requested_at), player.write_started_at
    trouble = slate.plan.get("phases", {}).get("predictions", {})
    has_placeholder = rows.stable_hash(f"placeholder {player.lookup}") < 1_000 * trouble.get("placeholders", 0.0)
    always_over = rows.stable_hash(f"over {player.lookup}") < 1_000 * trouble.get("over", 0.0)
    made = []
    for i, row in enumerate(rows.prediction_rows(slate, player.entry, made_at)):
        line = player.entry.line if run.plan.get("one_line") else float(row["current_points_line"])
        made.append(
            {
                **row,
                "prediction_id": seeded_id(run.batch_id, player.lookup, i),
                "current_points_line": line,
                "line_margin": round(float(row["predicted_points"]) - line, 2),
                "deployment_revision": revision,
                "superseded": None,
                "data_quality_issues": [],
                "completeness_percentage": 96.0,
                "is_production_ready": True,
                "key_factors": {"pace": "fast"} if i % 5 == 0 else None,
                "feature_importance": json.loads('{"variance": 2.1, "systems_used": 4}') if i >= 20 else None,
                "processing_decision_reason": "processed_successfully",
                "model_trained_at": f"{trouble.get('trained', MODEL_TRAINED_ON)}T08:00:00Z",
                **(_PLACEHOLDER if has_placeholder else {}),
                **({"recommendation": "OVER"} if always_over else {}),
            }
        )
    return made


def left_staging_tables(night: CustomerNight) -> dict[str, tuple[datetime, list[Row]]]:
    """The staging tables that no consolidation dropped: name → (creation time, rows)."""
    return {
        run.staging_table(player): (player.write_started_at, staged_rows(night.slate, run, player))
        for run in night.runs
        if not run.direct and run.consolidation != "complete"
        for player in run.players
        if player.stored
    }


def prediction_rows(night: CustomerNight) -> list[Row]:
    """The night's rows in the predictions table after all of its runs."""
    table: dict[tuple[Any, ...], Row] = {}
    for run in night.runs:
        if run.plan.get("id") == "regen":
            _supersede(table, run)
        if run.direct or run.consolidation == "complete":
            for player in run.players:
                if player.stored:
                    _merge(table, staged_rows(night.slate, run, player), run)
    return list(table.values())


def _supersede(table: dict[tuple[Any, ...], Row], run: Run) -> None:
    players, at = {player.lookup for player in run.players}, to_rfc3339(run.started_at)
    for row in table.values():
        if row["player_lookup"] in players:
            reason = {"superseded_reason": run.plan["reason"], "superseded_metadata": {"trigger": "manual"}}
            row |= {"is_active": False, "superseded": True, "superseded_at": at, **reason}


def _merge(table: dict[tuple[Any, ...], Row], new_rows: list[Row], run: Run) -> None:
    """Their MERGE: a matched row keeps its creation time; of several rows with one key the last one counts."""
    for row in new_rows:
        key = row["player_lookup"], row["system_id"], row["current_points_line"]
        old = table.get(key)
        if old is not None and old["created_at"] != row["created_at"]:
            row = {**row, "created_at": old["created_at"], "updated_at": to_rfc3339(run.merged_at)}
        table[key] = row
