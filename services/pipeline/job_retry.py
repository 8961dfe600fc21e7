"""Retries a BigQuery job: under the same id when its answer was lost, under the next id when the job itself failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from services.gcp.retry import RetryPolicy, call_with_retry
from services.pipeline.warehouse import JobFailed

T = TypeVar("T")


def run_job_with_retry(policy: RetryPolicy, job_id: str, start: Callable[[str], T]) -> T:
    """`start(id)` until it succeeds. Ids are job_id, job_id-r1, job_id-r2 …: the same sequence at every delivery."""
    failed_jobs = 0

    def attempt() -> T:
        nonlocal failed_jobs
        try:
            return start(f"{job_id}-r{failed_jobs}" if failed_jobs else job_id)
        except JobFailed:
            failed_jobs += 1
            raise

    return call_with_retry(policy, attempt)
