"""A night's rows in the customer's tables before and after the predictions, and the runs of the processors that made them.

The night's plan has under `phases`, by step, what went wrong: failed (ET on the date, or on the next with a +) with its error,
absent, stuck (ET), teams without context, games without odds, when the model was trained, and shares of the rows: defaults,
placeholders, over.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cached_property
from typing import Any

from services.core.clock import ET, to_rfc3339
from services.sandbox.scenarios.phase_runs import PROCESSORS, RUNS, run_rows
from services.sandbox.scenarios.rows import Row, stable_hash
from services.sandbox.scenarios.slate import PlayerEntry, Slate

SYSTEMS = ("moving_average", "zone_matchup_v1", "similarity_balanced_v1", "xgboost_v1", "ensemble_v1")


@dataclass(frozen=True)
class PhaseNight:
    """A night: its slate, who is in context since when, who was predicted (None: no run), and when the scenario starts."""

    slate: Slate
    in_context: tuple[PlayerEntry, ...]
    context_at: datetime
    predicted: tuple[PlayerEntry, ...]
    predicted_at: datetime | None
    until: datetime

    @property
    def plan(self) -> Mapping[str, Mapping[str, Any]]:
        """What went wrong, by step."""
        plan: Mapping[str, Mapping[str, Any]] = self.slate.plan.get("phases") or {}
        return plan

    def at(self, clock_time: str) -> datetime:
        """A time of day, US Eastern, on the game date, or on the next one with a + before it."""
        day = self.slate.game_date + timedelta(days=clock_time.startswith("+"))
        return datetime.combine(day, time.fromisoformat(clock_time.removeprefix("+")), tzinfo=ET)

    @cached_property
    def done_at(self) -> Mapping[str, datetime]:
        """When each step is done, where it is."""
        times = {
            "schedule": self.at("06:00") - timedelta(days=1),
            "injuries": min(self.at("10:30"), self.context_at - timedelta(minutes=5)),
            "odds": max((entry.game.tipoff for entry in self.slate.entries), default=self.at("19:00"))
            - timedelta(hours=3),
            "context": self.context_at,
            "features": self.context_at + timedelta(minutes=15),
            "box_scores": self.at("+06:10"),
            "grading": self.at("+11:10"),
        }
        if self.predicted_at is not None:
            times["export"] = self.predicted_at + timedelta(minutes=4)
        return times


def phase_rows(night: PhaseNight) -> dict[str, list[Row]]:
    """The rows of the night in each of these tables, as far as the scenario's start has come."""
    tables: dict[str, list[Row]] = defaultdict(list)
    if not night.slate.games:
        return tables
    made: dict[str, list[Row]] = {
        "schedule": list(_schedule_rows(night)),
        "injuries": list(_injury_rows(night)),
        "odds": [],
        "context": [],
        "features": list(_feature_rows(night)),
        "box_scores": list(_box_score_rows(night)),
        "grading": list(_grade_rows(night)),
        "export": [],
    }
    counts = {"odds": sum(e.has_odds for e in night.slate.entries), "context": len(night.in_context)}
    counts["export"] = len(night.predicted)
    for step, done_at in night.done_at.items():
        trouble, processor = night.plan.get(step, {}), PROCESSORS[step]
        if made[step] and done_at <= night.until and not trouble.keys() & {"absent", "failed"}:
            tables[processor.table] += made[step]
        tables[RUNS] += _run(night, step, done_at, counts.get(step, len(made[step])), trouble)
    return tables


def _run(night: PhaseNight, step: str, done_at: datetime, records: int, trouble: Mapping[str, Any]) -> Iterator[Row]:
    """The run of a step, as far as it has come when the scenario starts."""
    ended_at = night.at(trouble["failed"]) if "failed" in trouble else done_at
    started_at = night.at(trouble["stuck"]) if "stuck" in trouble else ended_at - PROCESSORS[step].takes
    if started_at > night.until or "absent" in trouble:
        return
    has_ended = "stuck" not in trouble and ended_at <= night.until
    yield from run_rows(
        step, night.slate.game_date, started_at, ended_at if has_ended else None, records, trouble.get("error", "")
    )


def _schedule_rows(night: PhaseNight) -> Iterator[Row]:
    made_at = to_rfc3339(night.done_at["schedule"])
    for game in night.slate.games:
        number = stable_hash(game.game_id)
        yield {
            "game_id": f"00225{number:05d}",
            "game_code": f"{night.slate.game_date:%Y%m%d}/{game.away}{game.home}",
            "season": "2025",
            "season_nba_format": "2025-26",
            "season_year": 2025,
            "game_date": night.slate.game_date.isoformat(),
            "game_date_est": to_rfc3339(game.tipoff),
            "game_status": 1,
            "game_status_text": "Scheduled",
            "home_team_id": 1_610_612_700 + stable_hash(game.home) % 99,
            "home_team_tricode": game.home,
            "home_team_name": game.home,
            "away_team_id": 1_610_612_700 + stable_hash(game.away) % 99,
            "away_team_tricode": game.away,
            "away_team_name": game.away,
            "data_source": "api_stats",
            "source_file_path": f"nba-com/schedule/{night.slate.game_date}.json",
            "created_at": made_at,
            "processed_at": made_at,
        }


def _injury_rows(night: PhaseNight) -> Iterator[Row]:
    made_at = night.done_at["injuries"].astimezone(ET)
    for entry in night.slate.entries:
        if entry.status == "available" and stable_hash(entry.player.lookup) % 6:
            continue
        yield {
            "report_date": made_at.date().isoformat(),
            "report_hour": made_at.hour,
            "season": "2025-26",
            "game_date": night.slate.game_date.isoformat(),
            "game_id": entry.game.game_id,
            "matchup": f"{entry.game.away}@{entry.game.home}",
            "away_team": entry.game.away,
            "home_team": entry.game.home,
            "team": entry.player.team,
            "player_full_name": entry.player.name,
            "player_lookup": entry.player.lookup,
            "injury_status": entry.status,
            "reason_category": "injury",
            "confidence_score": 1.0,
            "processed_at": to_rfc3339(made_at),
        }


def _feature_rows(night: PhaseNight) -> Iterator[Row]:
    made_at, trouble = to_rfc3339(night.done_at["features"]), night.plan.get("features", {})
    defaults, rng = trouble.get("defaults", 0.0), random.Random(f"features {night.slate.game_date}")
    for entry in night.in_context:
        has_defaults = rng.random() < defaults
        yield {
            "player_lookup": entry.player.lookup,
            "universal_player_id": entry.player.universal_id,
            "game_date": night.slate.game_date.isoformat(),
            "game_id": entry.game.game_id,
            "feature_count": 33,
            "feature_version": "v2_33features",
            "feature_quality_score": "52.40" if has_defaults else "88.00",
            "opponent_team_abbr": entry.opponent,
            "is_home": entry.player.team == entry.game.home,
            "data_source": "mixed" if has_defaults else "phase4",
            "completeness_percentage": 61.0 if has_defaults else 96.0,
            "is_production_ready": not has_defaults,
            "default_feature_count": 9 if has_defaults else 0,
            "is_quality_ready": not has_defaults,
            "created_at": made_at,
        }


def _box_score_rows(night: PhaseNight) -> Iterator[Row]:
    made_at = to_rfc3339(night.done_at["box_scores"])
    for entry in _played(night.slate.entries):
        yield {
            "player_lookup": entry.player.lookup,
            "universal_player_id": entry.player.universal_id,
            "player_full_name": entry.player.name,
            "game_id": entry.game.game_id,
            "game_date": night.slate.game_date.isoformat(),
            "team_abbr": entry.player.team,
            "opponent_team_abbr": entry.opponent,
            "season_year": 2025,
            "points": _points(night, entry),
            "minutes_played": round(entry.minutes),
            "starter_flag": entry.minutes > 28,
            "win_flag": entry.player.team == entry.game.home,
            "is_active": True,
            "created_at": made_at,
            "processed_at": made_at,
        }


def _grade_rows(night: PhaseNight) -> Iterator[Row]:
    graded_at = to_rfc3339(night.done_at["grading"])
    for entry in _played(night.predicted):
        points = _points(night, entry)
        error = points - entry.line
        for system in SYSTEMS:
            yield {
                "player_lookup": entry.player.lookup,
                "game_id": entry.game.game_id,
                "game_date": night.slate.game_date.isoformat(),
                "system_id": system,
                "team_abbr": entry.player.team,
                "opponent_team_abbr": entry.opponent,
                "line_value": str(entry.line),
                "actual_points": points,
                "absolute_error": str(abs(error)),
                "signed_error": str(-error),
                "prediction_correct": bool(stable_hash(f"{system} {entry.player.lookup} {night.slate.game_date}") % 2),
                "is_voided": False,
                "graded_at": graded_at,
            }


def _played(entries: Iterable[PlayerEntry]) -> Iterator[PlayerEntry]:
    return (entry for entry in entries if entry.status not in ("out", "doubtful"))


def _points(night: PhaseNight, entry: PlayerEntry) -> int:
    rng = random.Random(f"points {night.slate.game_date} {entry.player.lookup}")
    return max(0, round(entry.player.points + rng.gauss(0, 5)))
