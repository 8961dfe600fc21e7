"""Tries a BigQuery job again: under the same id when its answer was lost, under the next id when the job itself ended in error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from services.gcp.retry import Policy, retrying
from services.pipeline.warehouse import JobEnded

T = TypeVar("T")


def with_ids(policy: Policy, job_id: str, start: Callable[[str], T]) -> T:
    """`start(id)` until it succeeds. Ids are job_id, job_id-r1, job_id-r2 …: the same sequence at every delivery."""
    ended = 0

    def once() -> T:
        nonlocal ended
        try:
            return start(f"{job_id}-r{ended}" if ended else job_id)
        except JobEnded:
            ended += 1
            raise

    return retrying(policy, once)
