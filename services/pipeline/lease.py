"""One consolidation per game date at a time, in any process: a fenced lease made of BigQuery job ids alone.

BigQuery accepts a job id once per project, so taking an id is a compare-and-swap. For each game date there is a chain of fences
1, 2, 3 …. Of fence n there are these ids:

    lease-{date}-{n}       taken by whoever holds fence n
    renew-{date}-{n}-{k}   taken by its holder as it makes progress, or by a successor that takes over: whoever takes link k has it
    release-{date}-{n}     taken when the holder is done
    merge-{date}-{n}       the MERGE of fence n; or, taken empty by a successor, the proof that this MERGE can never start

A successor may end fence n when it is released, or when its last link is older than the life of a lease; then it takes the next
link, so that the old holder's next renewal fails. The old holder may only be slow, and a released one may have left a MERGE
running: so the successor takes merge-{date}-{n} too, or waits for the end of that MERGE. Only then does it take fence n+1: whoever
has a fence knows that no earlier MERGE of the date runs or can start. Ages are differences of BigQuery's own times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Protocol

from services.batches.ids import make_job_id
from services.core.errors import OnCallError
from services.pipeline.warehouse import LeaseLost

LEASE_TTL = timedelta(minutes=10)  # since the last renewal


class JobIds(Protocol):
    """The ids of BigQuery's jobs; BigQueryWarehouse has them."""

    def claim_job_id(self, job_id: str, labels: Mapping[str, str]) -> bool: ...
    def get_claim(self, job_id: str) -> Mapping[str, str] | None: ...
    def wait_for_job(self, job_id: str) -> None: ...


class LeaseHeld(OnCallError):
    """Another consolidation of this game date is under way."""


@dataclass
class Lease:
    """Fence `fence` of a game date, held by `holder`, which has renewed it `renewals` times."""

    game_date: date
    fence: int
    holder: str
    renewals: int = 0

    @property
    def merge_job_id(self) -> str:
        return make_job_id("merge", self.game_date, self.fence)


def acquire(job_ids: JobIds, game_date: date, holder: str, ttl: timedelta = LEASE_TTL) -> Lease:
    """Take the next fence; raises LeaseHeld with the holder's name while another has it. `holder` is unique to the attempt."""
    latest = Lease(game_date, _count_taken(job_ids, partial(_lease_job_id, game_date)), holder)
    if latest.fence and _is_holders(job_ids, _lease_job_id(game_date, latest.fence), holder):
        return latest  # this very attempt took it, and only the answer was lost
    if latest.fence:
        _end(job_ids, latest, ttl)
    lease = Lease(game_date, latest.fence + 1, holder)
    if not _take(job_ids, _lease_job_id(game_date, lease.fence), holder):
        raise LeaseHeld(f"Another consolidation of {game_date} has just begun.", "Look again in a minute.")
    return lease


def renew(job_ids: JobIds, lease: Lease) -> None:
    """Extend a lease by its whole life; raises LeaseLost when another has taken it over. Idempotent until it succeeds."""
    if not _take(job_ids, _renewal_job_id(lease, lease.renewals + 1), lease.holder):
        raise LeaseLost(f"A later consolidation of {lease.game_date} took over, so this one stopped.")
    lease.renewals += 1


def release(job_ids: JobIds, lease: Lease) -> None:
    """Mark a fence as done; idempotent."""
    _take(job_ids, _release_job_id(lease), lease.holder)


def _end(job_ids: JobIds, fence: Lease, ttl: timedelta) -> None:
    """End a predecessor's fence in the name of `fence.holder`; raises LeaseHeld while that is not allowed."""
    if job_ids.get_claim(_release_job_id(fence)) is None:
        _take_over(job_ids, fence, ttl)
    if not job_ids.claim_job_id(fence.merge_job_id, {"fenced": "off"}):
        job_ids.wait_for_job(fence.merge_job_id)


def _take_over(job_ids: JobIds, fence: Lease, ttl: timedelta) -> None:
    """Take the next link of a fence whose last one is too old; raises LeaseHeld otherwise."""
    renewals = _count_taken(job_ids, partial(_renewal_job_id, fence))
    last_link = _renewal_job_id(fence, renewals) if renewals else _lease_job_id(fence.game_date, fence.fence)
    claim = job_ids.get_claim(last_link) or {}
    if claim.get("attempt") == _labels(fence.holder)["attempt"]:
        return  # this very attempt took it over, and failed later
    since, now = _created(claim), _read_server_time(job_ids, fence.holder)
    if now - since < ttl:
        raise LeaseHeld(
            f"{claim.get('holder', 'somebody')} consolidates {fence.game_date}, and was active at {since:%H:%M:%S} UTC.",
            f"If it died, the next attempt may take over at {since + ttl:%H:%M:%S} UTC.",
        )
    if not _take(job_ids, _renewal_job_id(fence, renewals + 1), fence.holder):
        raise LeaseHeld(f"Another consolidation of {fence.game_date} has just moved on.", "Look again in a minute.")


def _take(job_ids: JobIds, job_id: str, holder: str) -> bool:
    """Whether the id is this attempt's, taken now or by an earlier call whose answer was lost."""
    return job_ids.claim_job_id(job_id, _labels(holder)) or _is_holders(job_ids, job_id, holder)


def _is_holders(job_ids: JobIds, job_id: str, holder: str) -> bool:
    claim = job_ids.get_claim(job_id) or {}
    return claim.get("attempt") == _labels(holder)["attempt"]


def _labels(holder: str) -> dict[str, str]:
    """Who takes an id: `holder` to be read, cut to what a label may hold; `attempt` to be compared, distinct per holder."""
    readable = "".join(c if c.isalnum() or c in "-_" else "-" for c in holder.lower())[:63]
    return {"holder": readable, "attempt": hashlib.sha256(holder.encode()).hexdigest()[:32]}


def _read_server_time(job_ids: JobIds, holder: str) -> datetime:
    """The time by BigQuery's clock, as the creation time of a job: processes' own clocks differ."""
    job_id = make_job_id("time", _labels(holder)["attempt"])
    job_ids.claim_job_id(job_id, _labels(holder))
    return _created(job_ids.get_claim(job_id) or {})


def _created(claim: Mapping[str, str]) -> datetime:
    return datetime.fromisoformat(claim["created"])


def _count_taken(job_ids: JobIds, job_id: Callable[[int], str]) -> int:
    """How many ids of a chain 1, 2, 3 … are taken: doubled until free, then halved; they are taken in order, without a gap."""
    low, high = 0, 1
    while job_ids.get_claim(job_id(high)) is not None:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if job_ids.get_claim(job_id(middle)) is None:
            high = middle
        else:
            low = middle
    return low


def _lease_job_id(game_date: date, fence: int) -> str:
    return make_job_id("lease", game_date, fence)


def _renewal_job_id(lease: Lease, number: int) -> str:
    return make_job_id("renew", lease.game_date, lease.fence, number)


def _release_job_id(lease: Lease) -> str:
    return make_job_id("release", lease.game_date, lease.fence)
