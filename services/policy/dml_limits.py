"""What BigQuery admits per table, and the worker settings that stay under it or fill it."""

from __future__ import annotations

DML_RUNNING, DML_WAITING = 2, 20  # mutating DML per table that BigQuery runs and queues


ADMITTED = DML_RUNNING + DML_WAITING


EMERGENCY = (4, 3)  # instances × concurrency that can never fill the queue


NORMAL_WORKER = (20, 5)


NORMAL_COORDINATOR = (1, 8)
