"""A night's rows in the customer's tables: context, odds, predictions, worker runs."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from services.sandbox.scenarios.outcome import Outcome
from services.sandbox.scenarios.rosters import script
from services.sandbox.scenarios.slate import Entry, Slate

Row = dict[str, Any]
OFFSETS = (-2, -1, 0, 1, 2)
REVISION = "prediction-worker-00010-k7d"
BOOKS = ("draftkings", "fanduel", "betmgm")


def rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seeded_id(*parts: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, parts))))


def context_rows(slate: Slate) -> Iterator[Row]:
    """A row per player, and an older one for a few: the newest counts."""
    rng = random.Random(f"context {slate.game_date}")
    made = datetime(*slate.game_date.timetuple()[:3], 15, 40, tzinfo=UTC)
    for entry in slate.entries:
        yield _context(slate, entry, made, entry.minutes, entry.ready)
        if rng.random() < 0.04:
            yield _context(slate, entry, made - timedelta(hours=5), entry.minutes + 1.5, not entry.ready)


def _context(slate: Slate, entry: Entry, made: datetime, minutes: float, ready: bool) -> Row:
    return {
        "player_lookup": entry.player.lookup,
        "universal_player_id": entry.player.universal_id,
        "player_name": entry.player.name,
        "game_id": entry.game.game_id,
        "game_date": slate.game_date.isoformat(),
        "team_abbr": entry.player.team,
        "opponent_team_abbr": entry.opponent,
        "home_game": entry.player.team == entry.game.home,
        "has_prop_line": entry.lined and entry.odds_lookup == entry.player.lookup,
        "current_points_line": str(entry.line) if entry.lined and entry.odds_lookup == entry.player.lookup else None,
        "opening_points_line": str(entry.line - 0.5) if entry.lined else None,
        "current_points_line_source": "ODDS_API" if entry.lined else None,
        "days_rest": 1 + hash_of(entry.player.lookup) % 3,
        "games_in_last_7_days": 2 + hash_of(entry.player.lookup) % 3,
        "avg_minutes_per_game_last_7": str(round(minutes, 1)),
        "points_avg_last_5": str(round(entry.player.points + 0.7, 1)),
        "points_avg_last_10": str(round(entry.player.points, 1)),
        "player_status": entry.status,
        "completeness_percentage": 96.0 if ready else 61.0,
        "is_production_ready": ready,
        "circuit_breaker_active": False,
        "context_version": 1,
        "created_at": rfc3339(made),
        "processed_at": rfc3339(made),
    }


def hash_of(text: str) -> int:
    return random.Random(text).randrange(1_000)


def odds_rows(slate: Slate) -> Iterator[Row]:
    """Three books and two snapshots per player with odds."""
    for entry in (e for e in slate.entries if e.lined):
        name = entry.player.odds_name if entry.odds_lookup == entry.player.odds_lookup else entry.player.name
        for hours, tag in ((8, "snap-1100"), (3, "snap-1600")):
            taken = entry.game.tip - timedelta(hours=hours)
            for book in BOOKS[: 2 + hash_of(entry.player.lookup) % 2]:
                yield _odds(slate, entry, name, book, taken, tag, hours)


def _odds(slate: Slate, entry: Entry, name: str, book: str, taken: datetime, tag: str, hours: int) -> Row:
    return {
        "game_id": entry.game.game_id,
        "odds_api_event_id": seeded_id("event", entry.game.game_id).replace("-", ""),
        "game_date": slate.game_date.isoformat(),
        "game_start_time": rfc3339(entry.game.tip),
        "home_team_abbr": entry.game.home,
        "away_team_abbr": entry.game.away,
        "snapshot_timestamp": rfc3339(taken),
        "snapshot_tag": tag,
        "minutes_before_tipoff": hours * 60,
        "bookmaker": book,
        "player_name": name,
        "player_lookup": entry.odds_lookup,
        "points_line": entry.line,
        "over_price_american": -115,
        "under_price_american": -105,
        "data_source": "current",
        "processed_at": rfc3339(taken + timedelta(minutes=2)),
    }


def prediction_rows(slate: Slate, entry: Entry, at: datetime) -> Iterator[Row]:
    """25 rows of one player: five systems × five lines around the base line."""
    for system in script()["systems"]:
        rng = random.Random(f"{slate.game_date} {entry.player.lookup} {system}")
        points = round(max(0.5, entry.player.points + rng.gauss(0.4, 2.2)), 1)
        confidence = round(rng.uniform(52, 93), 1)
        for offset in OFFSETS:
            yield _prediction(slate, entry, system, points, confidence, entry.line + offset, at)


def _prediction(
    slate: Slate, entry: Entry, system: str, points: float, confidence: float, line: float, at: datetime
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
        "has_prop_line": entry.lined,
        "line_source": "ACTUAL_PROP" if entry.lined else "ESTIMATED_AVG",
        "line_source_api": "ODDS_API" if entry.lined else "ESTIMATED",
        "sportsbook": "draftkings" if entry.lined else None,
        "prediction_run_mode": "SAME_DAY",
        "feature_quality_score": 88.0,
        "is_active": True,
        "superseded": False,
        "model_version": "v1",
        "deployment_revision": REVISION,
        "prediction_made_before_game": True,
        "created_at": rfc3339(at),
        "updated_at": None,
    }


def worker_run(slate: Slate, outcome: Outcome) -> Row:
    """The worker's own word on one player; it counts a generated player as success whatever became of the write."""
    ended = outcome.write_ended or outcome.asked_at + timedelta(seconds=2)
    return {
        "request_id": seeded_id("run", slate.game_date, outcome.entry.player.lookup),
        "worker_id": f"{REVISION}_{hash_of(outcome.entry.player.lookup):04x}",
        "run_date": rfc3339(outcome.asked_at),
        "player_lookup": outcome.entry.player.lookup,
        "game_date": slate.game_date.isoformat(),
        "game_id": outcome.entry.game.game_id,
        "success": outcome.generated,
        "duration_seconds": round((ended - outcome.asked_at).total_seconds() + 0.7, 2),
        "predictions_generated": 25 if outcome.generated else 0,
        "skip_reason": outcome.skip_reason or None,
        "feature_quality_score": 88.0 if outcome.generated else None,
        "error_message": outcome.message or None,
        "error_type": None if outcome.generated else "PERMANENT",
        "circuit_breaker_triggered": outcome.skip_reason == "circuit_breaker_open",
        "cloud_run_service": "prediction-worker",
        "cloud_run_revision": REVISION,
        "retry_attempt": 0,
        "batch_id": slate.batch_id,
        "trigger_source": "pubsub",
        "created_at": rfc3339(ended),
    }
