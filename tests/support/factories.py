"""Facts for tests: each factory gives the normal thing, and a test names the one thing that differs."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from services.core.result import DataSource, Problem
from services.nights.player_stages import NightStatus, PlayerStatus, WriteError
from services.telemetry.job_history import JobHistory, WriteAttempt
from services.telemetry.log_reader import LogLine, LogLines

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
NIGHT = date(2025, 12, 29)


def make_player(**changes: Any) -> PlayerStatus:
    """An eligible player who was generated and is active."""
    fields: dict[str, Any] = {
        "player_lookup": "herbertjones",
        "player_name": "Herbert Jones",
        "team": "NOP",
        "opponent": "NYK",
        "game_id": "20251229_NYK_NOP",
        "has_odds": True,
        "in_context": True,
        "alias_canonical": None,
        "eligible": True,
        "not_eligible_reason": "",
        "requested": True,
        "generated_rows": 25,
        "generation_error": "",
        "staged_rows": 0,
        "staging_table": "",
        "written_rows": 25,
        "active_rows": 25,
        "superseded": False,
        "write_error": None,
        "batch_id": "batch_2025-12-29_1767037620",
    }
    return PlayerStatus(**{**fields, **changes})


def player_without_rows(**changes: Any) -> PlayerStatus:
    """A generated player without a written row."""
    return make_player(**{"written_rows": 0, "active_rows": 0, **changes})


def make_night(*players: PlayerStatus, **changes: Any) -> NightStatus:
    fields: dict[str, Any] = {
        "game_date": NIGHT,
        "games": 11,
        "players": players,
        "systems": (("ensemble_v1", len(players), 5 * len(players)),),
        "generated_rows": sum(p.generated_rows or 0 for p in players),
        "written_rows": sum(p.written_rows or 0 for p in players),
        "active_rows": sum(p.active_rows or 0 for p in players),
        "was_run": True,
        "sources": (),
    }
    return NightStatus(**{**fields, **changes})


def make_write_error(**changes: Any) -> WriteError:
    message = "400 Resources exceeded during query execution: Too many DML statements outstanding against table p:d.t, limit is 20."
    return WriteError(
        **{"at": datetime(2025, 12, 29, 19, 47, 51, tzinfo=UTC), "text": message, "reason": "queue full", **changes}
    )


def make_attempt(**changes: Any) -> WriteAttempt:
    at = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
    fields = {
        "job_id": "j",
        "at": at,
        "ended": at,
        "statement": "MERGE",
        "ok": True,
        "reason": "",
        "message": "",
        "user": "worker",
    }
    return WriteAttempt(**{**fields, **changes})


def make_job_history(*attempts: WriteAttempt, problem: Problem | None = None) -> JobHistory:
    return JobHistory(attempts, DataSource("BigQuery job history", NOW), problem)


def make_log_lines(*lines: LogLine, truncated: bool = False) -> LogLines:
    return LogLines(lines, DataSource("Cloud Logging", NOW), truncated)
