"""The sandbox's meter of bytes billed."""

from __future__ import annotations

from services.sandbox.bigquery.billing_meter import MIB, NO_COST, query_cost


def test_every_table_bills_at_least_ten_mib():
    assert query_cost([]) == NO_COST
    assert query_cost([1]) == (1, 10 * MIB)
    assert query_cost([0] * 159) == (0, 1_590 * MIB)
    assert query_cost([25 * MIB + 1, 3]) == (25 * MIB + 4, 36 * MIB)
