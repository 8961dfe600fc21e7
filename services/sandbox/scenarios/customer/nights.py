"""The customer's nights as they ran: for every game date its runs, and for every run what became of each player."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from services.core.clock import ET
from services.sandbox.scenarios.player_outcomes import MERGE_DURATION_S, simulate_outcomes
from services.sandbox.scenarios.rows import seeded_id
from services.sandbox.scenarios.slate import PlayerEntry, Slate, build_slate

STAGING_SINCE = datetime(2025, 12, 30, 1, 20, tzinfo=UTC)  # when their staging writer was deployed, with new revisions
_DIRECT_INTERVAL_S, _STAGING_INTERVAL_S = 2.6, 0.66  # between two players; theirs: 28 players in 18.4 s
_GENERATION_S = 1.2


@dataclass(frozen=True)
class PlayerRun:
    """One player's message in a run. `refused` is a key of services.gcp.error_table, empty when the write succeeded."""

    entry: PlayerEntry
    requested_at: datetime
    write_started_at: datetime
    write_ended_at: datetime
    generated: bool = True
    refused: str = ""
    recorded: bool = True  # whether the worker's run row was written

    @property
    def lookup(self) -> str:
        """The player's lookup in the context."""
        return self.entry.player.lookup

    @property
    def stored(self) -> bool:
        """Whether its rows reached the predictions table (direct) or a staging table (staging)."""
        return self.generated and not self.refused


@dataclass(frozen=True)
class Run:
    """One run of their coordinator for a game date; `plan` is its entry in nights.yaml."""

    game_date: date
    plan: Mapping[str, Any]
    players: tuple[PlayerRun, ...]

    @property
    def started_at(self) -> datetime:
        """When the run started, UTC."""
        return _from_eastern(self.plan["started"])

    @property
    def ended_at(self) -> datetime:
        """When its last player had answered."""
        return max(player.write_ended_at for player in self.players)

    @property
    def merged_at(self) -> datetime:
        """When its consolidation had ended, well or badly."""
        return self.ended_at + timedelta(seconds=7)

    @property
    def direct(self) -> bool:
        """Whether every worker merges into the predictions table itself."""
        return bool(self.plan["writes"] == "direct")

    @property
    def consolidation(self) -> str:
        """How the consolidation ended: complete, failed or none."""
        return "none" if self.direct else str(self.plan.get("consolidation", "complete"))

    @property
    def output(self) -> str:
        """What of the coordinator reached the log: logger, prints, prints only or none."""
        return str(self.plan.get("output", "logger"))

    @property
    def batch_id(self) -> str:
        """The id in the form that the way of starting it gives."""
        at, kind = self.started_at, self.plan.get("id", "batch")
        if kind == "fallback":
            return f"fallback_{int(self.players[0].write_started_at.timestamp() * 1000)}"
        if kind == "timestamp":
            return f"{at:%Y%m%d_%H%M%S}_481920"
        reason = f"_{self.plan['reason']}" if kind == "regen" else ""
        return f"{kind}_{self.game_date}{reason}_{int(at.timestamp())}"

    def staging_table(self, player: PlayerRun) -> str:
        """The name, without dataset, of the table that this player's message was staged in."""
        return f"_staging_{self.batch_id}_{self.worker_id(player)}".replace("-", "_")

    def worker_id(self, player: PlayerRun) -> str:
        """What their writer calls itself for one write: its revision and eight random digits."""
        return f"{worker_revision(player.requested_at)}_{seeded_id(self.batch_id, player.lookup)[:8]}"


@dataclass(frozen=True)
class CustomerNight:
    """A game date: who plays and may be predicted, and the runs for it, oldest first."""

    slate: Slate
    runs: tuple[Run, ...]

    @property
    def context_slate(self) -> Slate:
        """The slate as the context has it."""
        return _in_context(self.slate)


def worker_revision(at: datetime) -> str:
    """The worker's revision at an instant."""
    return "prediction-worker-00011-zw5" if at >= STAGING_SINCE else "prediction-worker-00010-k7d"


def coordinator_revision(at: datetime) -> str:
    """The coordinator's revision at an instant."""
    return "prediction-coordinator-00005-b2r" if at >= STAGING_SINCE else "prediction-coordinator-00004-m2x"


@cache
def build_nights() -> tuple[CustomerNight, ...]:
    """Every night of nights.yaml, oldest first; deterministic."""
    nights = yaml.safe_load(Path(__file__).with_name("nights.yaml").read_text(encoding="utf-8"))["nights"]
    return tuple(_build_night(date.fromisoformat(str(day)), plan) for day, plan in nights.items())


def _build_night(game_date: date, plan: Mapping[str, Any]) -> CustomerNight:
    slate = build_slate(game_date, plan)
    in_context = _in_context(slate)
    runs: list[Run] = []
    for run_plan in plan.get("runs") or ():
        entries = _choose_players(in_context, run_plan, runs)
        players = list(_burst(in_context, run_plan) if _is_burst(run_plan) else _in_sequence(entries, run_plan))
        runs.append(Run(game_date, run_plan, tuple(_with_troubles(players, run_plan))))
    return CustomerNight(slate, tuple(runs))


def _in_context(slate: Slate) -> Slate:
    """Without the teams whose context failed, which are the last ones of the alphabet."""
    lost = slate.plan.get("phases", {}).get("context", {}).get("teams", 0)
    teams = sorted({team for game in slate.games for team in (game.away, game.home)})
    kept = set(teams[: len(teams) - lost])
    return replace(slate, entries=tuple(e for e in slate.entries if e.player.team in kept)) if lost else slate


def _choose_players(slate: Slate, plan: Mapping[str, Any], earlier: list[Run]) -> list[PlayerEntry]:
    if "recovered" in plan:
        lost = [player.entry for run in earlier for player in run.players if not player.stored]
        return lost[: plan["recovered"]]
    entries = list(slate.eligible)
    random.Random(f"players {slate.game_date}").shuffle(entries)
    return entries[-plan["players"] :] if "players" in plan else entries


def _is_burst(plan: Mapping[str, Any]) -> bool:
    return "dml_queue_full" in plan.get("refused", {})


def _burst(slate: Slate, plan: Mapping[str, Any]) -> Iterator[PlayerRun]:
    """More MERGE statements at once than one table takes: the table's DML queue decides who is refused."""
    rejected = {"count": plan["refused"]["dml_queue_full"], "reason": "dml_queue_full"}
    started = plan["started"].split()[1][:5]
    for outcome in simulate_outcomes(replace(slate, plan={"run_at": started, "rejected": rejected})):
        start, end = outcome.write_started_at or outcome.requested_at, outcome.write_ended_at or outcome.requested_at
        end = max(end, start + timedelta(seconds=0.4))
        yield PlayerRun(outcome.entry, outcome.requested_at, start, end, refused=outcome.error)


def _in_sequence(entries: list[PlayerEntry], plan: Mapping[str, Any]) -> Iterator[PlayerRun]:
    direct = plan["writes"] == "direct"
    rng = random.Random(f"writes {plan['started']}")
    for i, entry in enumerate(entries):
        interval_s = _DIRECT_INTERVAL_S if direct else _STAGING_INTERVAL_S
        requested_at = _from_eastern(plan["started"]) + timedelta(seconds=4 + interval_s * i)
        start = requested_at + timedelta(seconds=_GENERATION_S)
        write_s = MERGE_DURATION_S if direct else round(rng.uniform(1.4, 2.4), 4)
        yield PlayerRun(entry, requested_at, start, start + timedelta(seconds=write_s))


def _with_troubles(players: list[PlayerRun], plan: Mapping[str, Any]) -> list[PlayerRun]:
    """Not generated: the first players; without a run row: the next ones; refused: the last ones."""
    failed = int(plan.get("not_generated", 0))
    players = [replace(p, generated=False) if i < failed else p for i, p in enumerate(players)]
    if not _is_burst(plan):
        errors = [key for key, count in plan.get("refused", {}).items() for _ in range(count)]
        kept = players[: len(players) - len(errors)]
        players = kept + [replace(p, refused=key) for p, key in zip(players[len(kept) :], errors, strict=True)]
    unrecorded = plan.get("without_run_row", 0)
    last = len(players) if unrecorded == "all" else failed + int(unrecorded)
    first = 0 if unrecorded == "all" else failed
    return [replace(p, recorded=False) if first <= i < last else p for i, p in enumerate(players)]


def _from_eastern(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ET).astimezone(UTC)
