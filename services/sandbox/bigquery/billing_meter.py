"""What queries cost: bytes billed as BigQuery would bill them, and API calls per method."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

MIB = 1024 * 1024
MIN_BILLED_BYTES = 10 * MIB


class QueryCost(NamedTuple):
    """Bytes of one query: what it reads, and what is billed for that."""

    processed: int
    billed: int


NO_COST = QueryCost(0, 0)


def query_cost(sizes: list[int]) -> QueryCost:
    """A query over tables of these sizes. Billed is at least 10 MiB a table, rounded up to whole MiB; 0 without a table."""
    return QueryCost(sum(sizes), sum(max(MIN_BILLED_BYTES, ceil(size / MIB) * MIB) for size in sizes))


@dataclass
class BillingMeter:
    """Totals since the sandbox started, or since `reset`."""

    bytes_billed: int = 0
    queries: int = 0
    calls: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        self.bytes_billed, self.queries = 0, 0
        self.calls.clear()

    def to_json(self) -> dict[str, object]:
        return {"bytesBilled": self.bytes_billed, "queries": self.queries, "calls": dict(self.calls)}
