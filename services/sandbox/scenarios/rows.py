"""A night's rows in the customer's tables: context, odds, predictions, worker runs."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from services.core.clock import to_rfc3339
from services.sandbox.scenarios.player_outcomes import SimulatedOutcome
from services.sandbox.scenarios.rosters import scenario_config
from services.sandbox.scenarios.slate import PlayerEntry, Slate

Row = dict[str, Any]
CONTEXT_MADE_AT = (15, 40)  # UTC
LINE_OFFSETS = (-2, -1, 0, 1, 2)
WORKER_REVISION = "prediction-worker-00010-k7d"
BOOKMAKERS = ("draftkings", "fanduel", "betmgm")


def seeded_id(*parts: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, parts))))


def context_rows(slate: Slate) -> Iterator[Row]:
    """One row per player, and an older second row for a few; the newest counts."""
    rng = random.Random(f"context {slate.game_date}")
    created_at = datetime(*slate.game_date.timetuple()[:3], *CONTEXT_MADE_AT, tzinfo=UTC)
    for entry in slate.entries:
        yield _context_row(slate, entry, created_at, entry.minutes, entry.ready)
        if rng.random() < 0.04:
            yield _context_row(slate, entry, created_at - timedelta(hours=5), entry.minutes + 1.5, not entry.ready)


def _context_row(slate: Slate, entry: PlayerEntry, created_at: datetime, minutes: float, ready: bool) -> Row:
    return {
        "player_lookup": entry.player.lookup,
        "universal_player_id": entry.player.universal_id,
        "player_name": entry.player.name,
        "game_id": entry.game.game_id,
        "game_date": slate.game_date.isoformat(),
        "team_abbr": entry.player.team,
        "opponent_team_abbr": entry.opponent,
        "home_game": entry.player.team == entry.game.home,
        "has_prop_line": entry.has_odds and entry.odds_lookup == entry.player.lookup,
        "current_points_line": str(entry.line) if entry.has_odds and entry.odds_lookup == entry.player.lookup else None,
        "opening_points_line": str(entry.line - 0.5) if entry.has_odds else None,
        "current_points_line_source": "ODDS_API" if entry.has_odds else None,
        "days_rest": 1 + stable_hash(entry.player.lookup) % 3,
        "games_in_last_7_days": 2 + stable_hash(entry.player.lookup) % 3,
        "avg_minutes_per_game_last_7": str(round(minutes, 1)),
        "points_avg_last_5": str(round(entry.player.points + 0.7, 1)),
        "points_avg_last_10": str(round(entry.player.points, 1)),
        "player_status": entry.status,
        "completeness_percentage": 96.0 if ready else 61.0,
        "is_production_ready": ready,
        "circuit_breaker_active": False,
        "context_version": 1,
        "created_at": to_rfc3339(created_at),
        "processed_at": to_rfc3339(created_at),
    }


def stable_hash(text: str) -> int:
    return random.Random(text).randrange(1_000)


def odds_rows(slate: Slate) -> Iterator[Row]:
    """Two or three bookmakers × two snapshots per player with odds."""
    for entry in (e for e in slate.entries if e.has_odds):
        name = entry.player.odds_name if entry.odds_lookup == entry.player.odds_lookup else entry.player.name
        for hours_before, tag in ((8, "snap-1100"), (3, "snap-1600")):
            snapshot_at = entry.game.tipoff - timedelta(hours=hours_before)
            for bookmaker in BOOKMAKERS[: 2 + stable_hash(entry.player.lookup) % 2]:
                yield _odds_row(slate, entry, name, bookmaker, snapshot_at, tag, hours_before)


def _odds_row(
    slate: Slate, entry: PlayerEntry, name: str, bookmaker: str, snapshot_at: datetime, tag: str, hours_before: int
) -> Row:
    return {
        "game_id": entry.game.game_id,
        "odds_api_event_id": seeded_id("event", entry.game.game_id).replace("-", ""),
        "game_date": slate.game_date.isoformat(),
        "game_start_time": to_rfc3339(entry.game.tipoff),
        "home_team_abbr": entry.game.home,
        "away_team_abbr": entry.game.away,
        "snapshot_timestamp": to_rfc3339(snapshot_at),
        "snapshot_tag": tag,
        "minutes_before_tipoff": hours_before * 60,
        "bookmaker": bookmaker,
        "player_name": name,
        "player_lookup": entry.odds_lookup,
        "points_line": entry.line,
        "over_price_american": -115,
        "under_price_american": -105,
        "data_source": "current",
        "processed_at": to_rfc3339(snapshot_at + timedelta(minutes=2)),
    }


def prediction_rows(slate: Slate, entry: PlayerEntry, at: datetime) -> Iterator[Row]:
    """25 rows of one player: five systems × five lines around the baseline."""
    for system in scenario_config()["systems"]:
        rng = random.Random(f"{slate.game_date} {entry.player.lookup} {system}")
        points = round(max(0.5, entry.player.points + rng.gauss(0.4, 2.2)), 1)
        confidence = round(rng.uniform(52, 93), 1)
        for offset in LINE_OFFSETS:
            yield _prediction_row(slate, entry, system, points, confidence, entry.line + offset, at)


def _prediction_row(
    slate: Slate, entry: PlayerEntry, system: str, points: float, confidence: float, line: float, at: datetime
) -> Row:
    margin = round(points - line, 1)
    return {
        "prediction_id": seeded_id(slate.game_date, entry.player.lookup, system, line),
        "system_id": system,
        "player_lookup": entry.player.lookup,
        "universal_player_id": entry.player.universal_id,
        "game_date": slate.game_date.isoformat(),
        "game_id": entry.game.game_id,
        "prediction_version": 1,
        "predicted_points": str(points),
        "confidence_score": str(confidence),
        "recommendation": "OVER" if margin > 1 else "UNDER" if margin < -1 else "PASS",
        "current_points_line": str(line),
        "line_margin": str(margin),
        "has_prop_line": entry.has_odds,
        "line_source": "ACTUAL_PROP" if entry.has_odds else "ESTIMATED_AVG",
        "line_source_api": "ODDS_API" if entry.has_odds else "ESTIMATED",
        "sportsbook": "draftkings" if entry.has_odds else None,
        "prediction_run_mode": "SAME_DAY",
        "feature_quality_score": 88.0,
        "is_active": True,
        "superseded": False,
        "model_version": "v1",
        "deployment_revision": WORKER_REVISION,
        "prediction_made_before_game": True,
        "created_at": to_rfc3339(at),
        "updated_at": None,
    }


def worker_run_row(slate: Slate, outcome: SimulatedOutcome) -> Row:
    """The worker's run record of one player; a generated player counts as success even when the write failed."""
    ended_at = outcome.write_ended_at or outcome.requested_at + timedelta(seconds=2)
    return {
        "request_id": seeded_id("run", slate.game_date, outcome.entry.player.lookup),
        "worker_id": f"{WORKER_REVISION}_{stable_hash(outcome.entry.player.lookup):04x}",
        "run_date": to_rfc3339(outcome.requested_at),
        "player_lookup": outcome.entry.player.lookup,
        "game_date": slate.game_date.isoformat(),
        "game_id": outcome.entry.game.game_id,
        "success": outcome.generated,
        "duration_seconds": round((ended_at - outcome.requested_at).total_seconds() + 0.7, 2),
        "predictions_generated": 25 if outcome.generated else 0,
        "skip_reason": outcome.skip_reason or None,
        "feature_quality_score": 88.0 if outcome.generated else None,
        "error_message": outcome.message or None,
        "error_type": None if outcome.generated else "PERMANENT",
        "circuit_breaker_triggered": outcome.skip_reason == "circuit_breaker_open",
        "cloud_run_service": "prediction-worker",
        "cloud_run_revision": WORKER_REVISION,
        "retry_attempt": 0,
        "batch_id": slate.batch_id,
        "trigger_source": "pubsub",
        "created_at": to_rfc3339(ended_at),
    }
