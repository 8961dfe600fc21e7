"""Bytes billed per query, by table size."""

from __future__ import annotations

from services.sandbox.bigquery.billing_meter import MIB, billed_bytes


def test_every_table_bills_at_least_ten_mib():
    assert billed_bytes([]) == 0
    assert billed_bytes([1]) == 10 * MIB
    assert billed_bytes([0] * 159) == 1_590 * MIB
    assert billed_bytes([25 * MIB + 1, 3]) == 36 * MIB
