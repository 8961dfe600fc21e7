"""The lease of a game date on job ids alone: whoever has a fence knows that no earlier MERGE of the date runs or can start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest

from services.pipeline import lease as leases
from services.pipeline.lease import LEASE_TTL, Lease, LeaseHeld
from services.pipeline.warehouse import LeaseLost

NIGHT = date(2025, 12, 29)
STARTED = datetime(2025, 12, 30, 7, 0, tzinfo=UTC)


class ProcessKilled(BaseException):
    """The process died here: no handler of the code under test may survive it."""


@dataclass
class JobIds:
    """The job ids of a project with BigQuery's own clock; `interrupt(call number)` may raise after a call took effect."""

    jobs: dict[str, dict[str, str]] = field(default_factory=dict)
    time: datetime = STARTED
    calls: int = 0
    waited_for: list[str] = field(default_factory=list)
    interrupt: Callable[[int], None] = lambda _: None

    def now(self) -> datetime:
        raise AssertionError("the clock of a process says nothing about another's")

    def claim_job_id(self, job_id: str, labels: Mapping[str, str]) -> bool:
        assert all(len(value) <= 63 for value in labels.values())
        claimed = job_id not in self.jobs
        self.jobs.setdefault(job_id, {**labels, "created": self.time.isoformat()})
        self._count()
        return claimed

    def get_claim(self, job_id: str) -> Mapping[str, str] | None:
        self._count()
        return self.jobs.get(job_id)

    def wait_for_job(self, job_id: str) -> None:
        self._count()
        self.waited_for.append(job_id)

    def _count(self) -> None:
        self.calls += 1
        self.interrupt(self.calls)


@pytest.fixture
def jobs() -> JobIds:
    return JobIds()


def assert_no_merge_before(jobs: JobIds, lease: Lease) -> None:
    """Every MERGE of an earlier fence is blocked, or was waited for."""
    for fence in range(1, lease.fence):
        merge = Lease(lease.game_date, fence, "").merge_job_id
        assert "fenced" in jobs.jobs[merge] or merge in jobs.waited_for, merge


def test_the_first_fence_of_a_date_is_1_and_each_date_has_its_own(jobs):
    assert leases.acquire(jobs, NIGHT, "a") == Lease(NIGHT, 1, "a")
    tomorrow = leases.acquire(jobs, date(2025, 12, 30), "b")
    assert tomorrow.fence == 1
    for lease in (leases.acquire(jobs, NIGHT, "a"), tomorrow):  # nor does one date's renewal take the other's
        leases.renew(jobs, lease)


@pytest.mark.parametrize("role", ["coordinator", "prediction-coordinator-00042-abc-localhost-1234567-of-a-long-name"])
def test_two_attempts_of_one_process_are_two_holders_however_long_its_name_is(jobs, role):
    leases.acquire(jobs, NIGHT, f"{role}-3fa9")
    with pytest.raises(LeaseHeld, match=role[:40]):
        leases.acquire(jobs, NIGHT, f"{role}-77c1")


def test_names_that_differ_in_characters_no_label_may_have_are_two_holders(jobs):
    leases.acquire(jobs, NIGHT, "Host.A")
    with pytest.raises(LeaseHeld, match="host-a"):
        leases.acquire(jobs, NIGHT, "host-a")


def test_a_released_fence_is_followed_by_the_next(jobs):
    leases.release(jobs, leases.acquire(jobs, NIGHT, "a"))
    lease = leases.acquire(jobs, NIGHT, "b")
    assert lease.fence == 2
    assert_no_merge_before(jobs, lease)


def test_a_lease_is_taken_over_ten_minutes_after_its_last_renewal(jobs):
    first = leases.acquire(jobs, NIGHT, "a")
    for _ in range(3):
        jobs.time += LEASE_TTL - timedelta(seconds=1)
        leases.renew(jobs, first)
    jobs.time += LEASE_TTL - timedelta(seconds=1)
    with pytest.raises(LeaseHeld) as refusal:
        leases.acquire(jobs, NIGHT, "b")
    assert str(refusal.value) == (
        "a consolidates 2025-12-29, and was active at 07:29:57 UTC."
        " If it died, the next attempt may take over at 07:39:57 UTC."
    )
    jobs.time += timedelta(seconds=1)
    second = leases.acquire(jobs, NIGHT, "c")
    assert second.fence == 2
    assert_no_merge_before(jobs, second)


def test_a_holder_that_was_taken_over_learns_it_at_its_next_renewal(jobs):
    first = leases.acquire(jobs, NIGHT, "a")
    leases.renew(jobs, first)
    jobs.time += LEASE_TTL
    second = leases.acquire(jobs, NIGHT, "b")
    with pytest.raises(LeaseLost, match="took over"):
        leases.renew(jobs, first)
    assert not jobs.claim_job_id(first.merge_job_id, {}), "its MERGE cannot start any more"
    leases.renew(jobs, second)


def test_a_holder_that_renews_just_before_it_is_taken_over_keeps_its_lease(jobs):
    first = leases.acquire(jobs, NIGHT, "a")
    jobs.time += LEASE_TTL

    def renew_before_the_link_is_taken(_: int) -> None:
        if any("on-call-time" in job_id for job_id in jobs.jobs):  # the successor has read the last link and the time
            jobs.interrupt = lambda _: None
            leases.renew(jobs, first)

    jobs.interrupt = renew_before_the_link_is_taken
    with pytest.raises(LeaseHeld, match="has just moved on"):
        leases.acquire(jobs, NIGHT, "b")
    leases.renew(jobs, first)
    assert first.merge_job_id not in jobs.jobs


@pytest.mark.parametrize("released", [True, False])
def test_a_merge_that_a_predecessor_started_is_waited_for_before_the_next_fence_is_taken(jobs, released):
    first = leases.acquire(jobs, NIGHT, "a")
    jobs.claim_job_id(first.merge_job_id, {})
    if released:
        leases.release(jobs, first)
    jobs.time += LEASE_TTL
    fences_while_waiting: list[bool] = []
    jobs.interrupt = lambda _: fences_while_waiting.append("on-call-lease-2025-12-29-2" in jobs.jobs)
    second = leases.acquire(jobs, NIGHT, "b")
    assert (second.fence, jobs.waited_for) == (2, [first.merge_job_id])
    assert fences_while_waiting[-2:] == [False, True]


def test_an_acquisition_whose_answer_was_lost_at_any_call_is_the_same_when_it_is_repeated():
    for lost_call in range(1, 40):
        jobs = JobIds()
        leases.renew(jobs, leases.acquire(jobs, NIGHT, "a"))
        jobs.time, jobs.calls = jobs.time + LEASE_TTL, 0

        def lose_answer(call: int, lost_call: int = lost_call) -> None:
            if call == lost_call:
                raise ConnectionError

        jobs.interrupt = lose_answer
        try:
            lease = leases.acquire(jobs, NIGHT, "b")
        except ConnectionError:
            lease = leases.acquire(jobs, NIGHT, "b")
        jobs.interrupt = lambda _: None
        assert lease == Lease(NIGHT, 2, "b"), f"call {lost_call}"
        assert_no_merge_before(jobs, lease)
        with pytest.raises(LeaseHeld):
            leases.acquire(jobs, NIGHT, "c")


def test_whoever_dies_at_whatever_call_of_its_acquisition_leaves_no_merge_unblocked():
    for death in range(1, 40):
        jobs = JobIds()
        first = leases.acquire(jobs, NIGHT, "a")
        jobs.time, jobs.calls = jobs.time + LEASE_TTL, 0

        def kill(call: int, death: int = death) -> None:
            if call == death:
                raise ProcessKilled

        jobs.interrupt = kill
        with suppress(ProcessKilled):
            leases.acquire(jobs, NIGHT, "b")
        jobs.interrupt = lambda _: None
        jobs.time += LEASE_TTL
        third = leases.acquire(jobs, NIGHT, "c")
        assert third.fence > first.fence
        assert_no_merge_before(jobs, third)
        with pytest.raises(LeaseLost):
            leases.renew(jobs, first)


def test_of_two_that_take_over_at_once_one_is_refused(jobs):
    leases.acquire(jobs, NIGHT, "a")
    jobs.time += LEASE_TTL
    winners: list[str] = []
    jobs_before = dict(jobs.jobs)

    def acquire(holder: str) -> None:
        with suppress(LeaseHeld):
            leases.acquire(jobs, NIGHT, holder)
            winners.append(holder)

    for call in range(1, 30):
        jobs.jobs, jobs.calls, winners[:] = dict(jobs_before), 0, []

        def let_the_other_go_first(n: int, call: int = call) -> None:
            if n == call:
                acquire("b")

        jobs.interrupt = let_the_other_go_first
        acquire("c")
        assert len(winners) == 1, f"{winners} hold the lease after call {call}"


def test_a_renewal_and_a_release_may_be_repeated_after_a_lost_answer(jobs):
    lease = leases.acquire(jobs, NIGHT, "a")

    def lose_answer(_: int) -> None:
        jobs.interrupt = lambda _: None
        raise ConnectionError

    for step in (leases.renew, leases.release):
        jobs.interrupt = lose_answer
        with pytest.raises(ConnectionError):
            step(jobs, lease)
        step(jobs, lease)
    assert lease.renewals == 1
    assert leases.acquire(jobs, NIGHT, "b").fence == 2


def test_the_latest_of_many_fences_is_found_in_few_calls(jobs):
    for fence in range(1, 60):
        jobs.calls = 0
        lease = leases.acquire(jobs, NIGHT, f"holder {fence}")
        assert lease.fence == fence
        assert jobs.calls <= 18
        leases.release(jobs, lease)


def test_a_fence_of_an_earlier_version_is_respected_and_then_followed(jobs):
    jobs.claim_job_id("on-call-lease-2025-12-29-1", {"holder": "coordinator-host-1-ab12cd34"})
    with pytest.raises(LeaseHeld, match="coordinator-host-1-ab12cd34 consolidates"):
        leases.acquire(jobs, NIGHT, "b")
    jobs.claim_job_id("on-call-release-2025-12-29-1", {"holder": "coordinator-host-1-ab12cd34"})
    assert leases.acquire(jobs, NIGHT, "b").fence == 2


def test_the_ids_and_labels_are_those_that_every_version_of_every_process_takes(jobs):
    """The dashboard and the coordinator are deployed apart: with other ids two of them would consolidate one date at once."""
    lease = leases.acquire(jobs, NIGHT, "Host.A_1-x")
    leases.renew(jobs, lease)
    leases.renew(jobs, lease)
    assert set(jobs.jobs) == {
        "on-call-lease-2025-12-29-1",
        "on-call-renew-2025-12-29-1-1",
        "on-call-renew-2025-12-29-1-2",
    }
    attempt = hashlib.sha256(b"Host.A_1-x").hexdigest()[:32]
    taken = {"holder": "host-a_1-x", "attempt": attempt, "created": STARTED.isoformat()}
    assert all(labels == taken for labels in jobs.jobs.values())
    before = set(jobs.jobs)
    jobs.time += LEASE_TTL
    leases.release(jobs, leases.acquire(jobs, NIGHT, "b"))
    time_id = f"on-call-time-{hashlib.sha256(b'b').hexdigest()[:32]}"
    assert set(jobs.jobs) - before == {
        *("on-call-renew-2025-12-29-1-3", "on-call-merge-2025-12-29-1", time_id),
        *("on-call-lease-2025-12-29-2", "on-call-release-2025-12-29-2"),
    }
    assert jobs.jobs["on-call-merge-2025-12-29-1"] == {"fenced": "off", "created": jobs.time.isoformat()}


def test_a_holder_s_name_is_cut_to_what_a_label_may_hold(jobs):
    leases.acquire(jobs, NIGHT, "a" * 70)
    (labels,) = jobs.jobs.values()
    assert labels["holder"] == "a" * 63
