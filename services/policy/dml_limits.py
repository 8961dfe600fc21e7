"""BigQuery's DML limits per table, and the service capacities chosen against them: (max instances, concurrency)."""

from __future__ import annotations

import math

MAX_RUNNING_DML, MAX_QUEUED_DML = 2, 20  # mutating DML per table that BigQuery runs and queues
MAX_OUTSTANDING_DML = MAX_RUNNING_DML + MAX_QUEUED_DML
EMERGENCY_CAPACITY = (4, 3)  # instances × concurrency that can never fill the queue
EMERGENCY_CAPACITY_TEXT = " × ".join(map(str, EMERGENCY_CAPACITY))
EMERGENCY_CAPACITY_FLAGS = f"--max-instances={EMERGENCY_CAPACITY[0]} --concurrency={EMERGENCY_CAPACITY[1]}"  # of gcloud
NORMAL_WORKER_CAPACITY = (20, 5)
NORMAL_COORDINATOR_CAPACITY = (1, 8)


def is_emergency_capacity(instances: int | None, concurrency: int) -> bool:
    """Whether instances × concurrency are the emergency limit: 4 × 3, or its 12 requests at another concurrency.

    With pinned traffic the limit is set by the instances alone: 2 × 5 where each takes 5 requests.
    """
    limit = math.prod(EMERGENCY_CAPACITY)
    return concurrency <= limit and instances == limit // concurrency
