"""How far a running batch is: requested, generated, staged, consolidated, active, with its rate and when it will be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.batches.ledger import OUTCOME_WORDS
from services.core.result import DataSource
from services.gcp.clients import Clients
from services.runs.coordinator_client import BatchProgress, get_url, read_progress

NO_PROGRESS_TIMEOUT = timedelta(seconds=90)


@dataclass(frozen=True)
class RunProgress:
    """The stages of one batch as (name, players, of how many); None where the coordinator does not report it."""

    batch_id: str
    state: str
    stages: tuple[tuple[str, int | None], ...]
    requested: int | None
    per_minute: float | None
    ready_at: datetime | None
    stalled: bool
    message: str
    not_staged: (
        str  # players by outcome, as "3 not generated, 2 no answer"; empty when there is none or none is reported
    )
    source: DataSource

    @property
    def summary(self) -> str:
        """In one line: its state, how far, how fast."""
        answered = dict(self.stages)["answered"]
        progress_text = f": {answered} of {self.requested} players done" if answered is not None else ""
        rate_text = f", {self.per_minute:,.0f} players/min" if self.per_minute else ""
        not_staged_text = f", {self.not_staged}" if self.not_staged else ""
        stalled_text = ", stalled" if self.stalled else ""
        return f"{self.state}{progress_text}{not_staged_text}{rate_text}{stalled_text}"


def read_run_progress(clients: Clients, batch_id: str, started: datetime | None) -> RunProgress | None:
    """How far a batch is, from the coordinator; None when it has no such batch. Raises OnCallError when it does not answer."""
    progress = read_progress(clients, get_url(clients), batch_id)
    return None if progress is None else to_run_progress(progress, started, clients.now())


def to_run_progress(progress: BatchProgress, started: datetime | None, now: datetime) -> RunProgress:
    """The stages of a batch from one answer. The active players are counted by its consolidation, and unknown until then."""
    totals = progress.payload.get("sums") or {}
    state = "stopping" if progress.stopping else str(progress.payload.get("state") or progress.status)
    staged = _staged_players(progress)
    merged = state == "consolidated"
    players_per_s = _players_per_s(progress, started, now)
    remaining = (
        None if progress.requested is None or progress.completed is None else progress.requested - progress.completed
    )
    ready_at = now + timedelta(seconds=remaining / players_per_s) if remaining and players_per_s else None
    no_progress = (
        started is not None and now - started > NO_PROGRESS_TIMEOUT and not progress.completed and not progress.ended
    )
    return RunProgress(
        batch_id=progress.batch_id,
        state=state,
        stages=(
            ("requested", progress.requested),
            ("answered", _answered_players(progress)),
            ("staged", staged),
            ("consolidated", staged if merged else 0),
            ("active on the date", totals.get("active_players")),
        ),
        requested=progress.requested,
        per_minute=players_per_s * 60 if players_per_s else None,
        ready_at=ready_at,
        stalled=progress.stalled or no_progress,
        not_staged=_format_not_staged(progress.outcomes or {}),
        message=str(progress.payload.get("reason") or progress.payload.get("message") or ""),
        source=DataSource("Coordinator, /status", now),
    )


def _answered_players(progress: BatchProgress) -> int | None:
    if progress.outcomes is not None:
        return sum(count for outcome, count in progress.outcomes.items() if outcome not in ("no answer", "not asked"))
    return progress.completed


def _staged_players(progress: BatchProgress) -> int | None:
    if progress.outcomes is not None:
        return progress.outcomes.get("staged", 0)
    return None if progress.completed is None else progress.completed - (progress.failed or 0)


def _format_not_staged(outcomes: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count} {OUTCOME_WORDS.get(outcome, outcome)}"
        for outcome, count in outcomes.items()
        if count and outcome != "staged"
    )


def _players_per_s(progress: BatchProgress, started: datetime | None, now: datetime) -> float | None:
    if progress.per_second:
        return progress.per_second
    age_s = (now - started).total_seconds() if started else 0
    return progress.completed / age_s if progress.completed and age_s > 0 else None
