"""Service times for sandboxes that tests start."""

from __future__ import annotations

from services.sandbox.bigquery.job_context import JobLatency

FAST = JobLatency(scale=0.02)  # a MERGE of 4.7 s takes about 0.1 s
