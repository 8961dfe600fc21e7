"""Retries a BigQuery job: under the same id when its answer was lost, under the next id when that of the job is used up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from services.gcp.retry import RetryPolicy, call_with_retry
from services.pipeline.warehouse import JobFailed, StagingNotVerified

T = TypeVar("T")
MAX_JOB_IDS = 50  # how often one unit with the same rows is staged, dropped, and staged again


def run_job_with_retry(policy: RetryPolicy, job_id: str, start: Callable[[str], T]) -> T:
    """`start(id)` until it succeeds. Ids are job_id, job_id-r1, job_id-r2 …: the same sequence at every delivery.

    An id is used up when its job failed, or when what it loaded is not in the table any more.
    """
    used_ids = 0

    def attempt() -> T:
        nonlocal used_ids
        while True:
            try:
                return start(f"{job_id}-r{used_ids}" if used_ids else job_id)
            except JobFailed:
                used_ids += 1
                raise
            except StagingNotVerified:
                used_ids += 1
                if used_ids == MAX_JOB_IDS:
                    raise

    return call_with_retry(policy, attempt)
