"""How far a running batch is: requested, generated, staged, consolidated, active, with its rate and when it will be done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.core.result import Source
from services.gcp.clients import Cloud
from services.runs.coordinator_client import Progress, address, read_progress

STALLS_AFTER = timedelta(seconds=90)


@dataclass(frozen=True)
class Live:
    """The stages of one batch as (name, players, of how many); None where nobody tells it."""

    batch_id: str
    state: str
    stages: tuple[tuple[str, int | None], ...]
    requested: int | None
    per_minute: float | None
    ready_at: datetime | None
    stalled: bool
    told: str
    source: Source

    @property
    def sentence(self) -> str:
        """In one line: where it stands, how far, how fast."""
        answered = dict(self.stages)["answered"]
        far = f": {answered} of {self.requested} players answered" if answered is not None else ""
        fast = f", {self.per_minute:,.0f} a minute" if self.per_minute else ""
        return f"{self.state}{far}{fast}" + (", and it stands still" if self.stalled else "")


def read_live(cloud: Cloud, batch_id: str, started: datetime | None) -> Live | None:
    """Ask the coordinator how far a batch is; None when it knows no such batch. Raises OnCallError when it does not answer."""
    seen = read_progress(cloud, address(cloud), batch_id)
    return None if seen is None else live_of(seen, started, cloud.now())


def live_of(seen: Progress, started: datetime | None, now: datetime) -> Live:
    """The stages of a batch from one answer. Until it has consolidated, nobody is counted as active."""
    sums = seen.told.get("sums") or {}
    state = str(seen.told.get("state") or seen.status)
    staged = None if seen.completed is None else seen.completed - (seen.failed or 0)
    merged = state == "consolidated"
    active = sums.get("active_players") if merged else 0
    per_s = _rate(seen, started, now)
    left = None if seen.requested is None or seen.completed is None else seen.requested - seen.completed
    ready = now + timedelta(seconds=left / per_s) if left and per_s else None
    stands = started is not None and now - started > STALLS_AFTER and not seen.completed and not seen.ended
    return Live(
        batch_id=seen.batch_id,
        state=state,
        stages=(
            ("requested", seen.requested),
            ("answered", seen.completed),
            ("staged", staged),
            ("consolidated", staged if merged else 0),
            ("active on the date", active),
        ),
        requested=seen.requested,
        per_minute=per_s * 60 if per_s else None,
        ready_at=ready,
        stalled=seen.stalled or stands,
        told=str(seen.told.get("reason") or seen.told.get("message") or ""),
        source=Source("The coordinator, /status", now),
    )


def _rate(seen: Progress, started: datetime | None, now: datetime) -> float | None:
    if seen.per_second:
        return seen.per_second
    age_s = (now - started).total_seconds() if started else 0
    return seen.completed / age_s if seen.completed and age_s > 0 else None
