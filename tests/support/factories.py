"""Facts for tests: each factory gives the normal thing, and a test names the one thing that differs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.core.result import DataSource, Health, Problem
from services.nights.coverage import CoverageHistory, NightCoverage
from services.nights.player_stages import NightStatus, PlayerStatus, WriteError
from services.nights.written_rows import SystemRows
from services.telemetry.job_history import JobHistory, WriteAttempt
from services.telemetry.log_reader import LogLine, LogLines

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
TIP_OFF = datetime(2025, 12, 30, 0, 0, tzinfo=UTC)
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
    fields |= changes
    active_rows = fields["active_rows"] or 0
    fields.setdefault("keys", (("ensemble_v1", active_rows),) if active_rows else ())
    fields.setdefault("recorded_rows", fields["generated_rows"])
    return PlayerStatus(**fields)


def player_without_rows(**changes: Any) -> PlayerStatus:
    """A generated player without a written row."""
    return make_player(**{"written_rows": 0, "active_rows": 0, **changes})


def make_night(*players: PlayerStatus, **changes: Any) -> NightStatus:
    fields: dict[str, Any] = {
        "game_date": NIGHT,
        "games": 11,
        "players": players,
        "systems": _count_systems(players),
        "active_players": len({p.player_lookup for p in players if p.active_rows}),
        "generated_rows": sum(p.generated_rows or 0 for p in players),
        "written_rows": sum(p.written_rows or 0 for p in players),
        "active_rows": sum(p.active_rows or 0 for p in players),
        "was_run": True,
        "sources": (),
        "tip_offs": (TIP_OFF,),
    }
    return NightStatus(**{**fields, **changes})


def _count_systems(players: Sequence[PlayerStatus]) -> tuple[SystemRows, ...]:
    """The systems of these players' active rows, each key once."""
    keys: dict[str, list[int]] = defaultdict(list)
    for system, count in (item for player in players for item in player.keys):
        keys[system].append(count)
    return tuple(SystemRows(system, len(counts), sum(counts), sum(counts)) for system, counts in sorted(keys.items()))


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


def make_history(*nights: dict[str, tuple[int, int]], active: int = 114, before: date = NIGHT) -> CoverageHistory:
    """The nights before a date, oldest first, each as {system: (players active, rows active)}."""
    days = tuple(
        NightCoverage(
            game_date=before - timedelta(days=len(nights) - index),
            games=9,
            with_odds=active,
            in_context=3 * active,
            eligible=active,
            active=active if systems else 0,
            active_rows=sum(rows for _, rows in systems.values()),
            by_system=tuple((system, players, rows) for system, (players, rows) in sorted(systems.items())),
            health=Health.OK,
        )
        for index, systems in enumerate(nights)
    )
    return CoverageHistory(days, ())
