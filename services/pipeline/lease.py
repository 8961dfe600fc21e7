"""One consolidation per game date at a time, in any process: a fenced lease made of BigQuery job ids alone.

BigQuery accepts a job id once per project, so taking an id is a compare-and-swap. For each game date there is a chain of fences
1, 2, 3 …. Of fence n there are three ids:

    lease-{date}-{n}     taken by whoever holds fence n
    release-{date}-{n}   taken when the holder is done (or a successor finds it dead)
    merge-{date}-{n}     the MERGE of fence n; or, taken empty by a successor, the proof that this MERGE can never start

A successor may take fence n+1 when n is released, or older than the life of a lease. In the second case the old holder may only be
slow. So before anything else the successor takes merge-{date}-{n}: if it gets it, the old holder's MERGE will be refused as a
duplicate; if not, that MERGE was started, and the successor waits for its end. Two MERGEs of one date never overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.batches.ids import make_job_id
from services.core.errors import OnCallError
from services.pipeline.warehouse import Warehouse

LEASE_TTL = timedelta(minutes=10)


class LeaseHeld(OnCallError):
    """Another consolidation of this game date is under way."""


@dataclass(frozen=True)
class Lease:
    """Fence `fence` of a game date, held by `holder`."""

    game_date: date
    fence: int
    holder: str

    @property
    def merge_job_id(self) -> str:
        return merge_job_id(self.game_date, self.fence)


def merge_job_id(game_date: date, fence: int) -> str:
    return make_job_id("merge", game_date, fence)


def acquire(warehouse: Warehouse, game_date: date, holder: str, ttl: timedelta = LEASE_TTL) -> Lease:
    """Take the next fence; raises LeaseHeld with the holder's name while another has it. `holder` is unique to the attempt."""
    latest_fence = _latest_fence(warehouse, game_date)
    if latest_fence and _get_holder(warehouse, game_date, latest_fence) == _to_label(holder):
        fence = latest_fence  # this very attempt took it, and only the answer was lost
    else:
        if latest_fence:
            _check_predecessor(warehouse, game_date, latest_fence, ttl)
        fence = latest_fence + 1
        claimed = warehouse.claim_job_id(make_job_id("lease", game_date, fence), {"holder": _to_label(holder)})
        if not claimed and _get_holder(warehouse, game_date, fence) != _to_label(holder):
            raise LeaseHeld(f"Another consolidation of {game_date} has just begun.", "Look again in a minute.")
    if fence > 1:
        _block_predecessor_merge(warehouse, game_date, fence - 1)
    return Lease(game_date, fence, holder)


def _get_holder(warehouse: Warehouse, game_date: date, fence: int) -> str:
    return (warehouse.get_claim(make_job_id("lease", game_date, fence)) or {}).get("holder", "")


def release(warehouse: Warehouse, lease: Lease) -> None:
    """Mark a fence as done; idempotent, also for a dead holder."""
    warehouse.claim_job_id(make_job_id("release", lease.game_date, lease.fence), {"holder": _to_label(lease.holder)})


def _latest_fence(warehouse: Warehouse, game_date: date) -> int:
    """The highest fence taken: doubled until free, then halved; ids are taken in order, so there is no gap."""
    if warehouse.get_claim(make_job_id("lease", game_date, 1)) is None:
        return 0
    low, high = 1, 2
    while warehouse.get_claim(make_job_id("lease", game_date, high)) is not None:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if warehouse.get_claim(make_job_id("lease", game_date, middle)) is None:
            high = middle
        else:
            low = middle
    return low


def _check_predecessor(warehouse: Warehouse, game_date: date, fence: int, ttl: timedelta) -> None:
    """Raises LeaseHeld unless a fence is released, or too old to wait for."""
    if warehouse.get_claim(make_job_id("release", game_date, fence)) is not None:
        return
    claim = warehouse.get_claim(make_job_id("lease", game_date, fence)) or {}
    since = datetime.fromisoformat(claim["created"])
    if warehouse.now() - since < ttl:
        raise LeaseHeld(
            f"{claim.get('holder', 'somebody')} consolidates {game_date} since {since:%H:%M:%S} UTC.",
            f"If it died, the next attempt may take over at {since + ttl:%H:%M:%S} UTC.",
        )


def _block_predecessor_merge(warehouse: Warehouse, game_date: date, fence: int) -> None:
    """Make sure the predecessor's MERGE can never start from now on, or wait until it has ended."""
    predecessor_merge = merge_job_id(game_date, fence)
    if not warehouse.claim_job_id(predecessor_merge, {"fenced": "off"}):
        warehouse.wait_for_job(predecessor_merge)


def _to_label(text: str) -> str:
    """A label value: lower case letters, digits, - and _, at most 63."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in text.lower())[:63]
