"""`make bench`: scale, cost and speed of the write path, beside the old ways, and the names, in one run."""

from __future__ import annotations

import sys
from datetime import date

from services.core.settings import Settings
from services.gcp.clients import connect
from services.sandbox.bigquery.billing_meter import MIB
from services.sandbox.bigquery.job_context import JobLatency
from services.sandbox.scenarios.december import build_seed
from services.sandbox.server import start_sandbox
from tests.tools.benchmarks import name_suggestions, write_calls, write_cost, write_scale, write_speed

TIME_SCALE = 0.1


def main() -> int:
    print("\nScale, on the limit rules\n\n" + write_scale.format_table())
    print("\nCost\n\n" + write_cost.format_table())
    print("\nMeasured on the sandbox's meter, 158 units of 25 rows:")
    with_fresh_sandbox(_cost)
    print(
        f"\nSpeed: 158 players, {write_speed.CONCURRENCY} at once, service times × {TIME_SCALE}, each from the same night of 68 players\n"
    )
    measurements = [
        with_fresh_sandbox(lambda _, c, p=path: p(c, TIME_SCALE))
        for path in (write_speed.time_direct_merge, write_speed.time_union_merge, write_speed.time_compact_merge)
    ]
    best = measurements[-1].seconds
    for measurement in measurements:
        print(
            f"  {measurement.name:40}{measurement.seconds:8.1f} s{measurement.seconds / best:8.2f} × ours"
            f"{measurement.rows:9,} of 3,950 rows active"
        )
    name_suggestions.main()
    return write_calls.main()


def with_fresh_sandbox(measure):
    sandbox = start_sandbox(build_seed(), latency=JobLatency(scale=TIME_SCALE))
    try:
        return measure(sandbox, connect(Settings.from_env({"SANDBOX_URL": sandbox.url})))
    finally:
        sandbox.stop()


def _cost(sandbox, clients) -> None:
    rows_by_player, batch = write_speed.make_predictions(clients), "batch_2025-12-29_444444"
    write_speed.stage_rows(clients, batch, rows_by_player, write_speed.RetryPolicy(base_backoff_s=0.5))
    union_bytes, staged_bytes = write_cost.measure_bytes_billed(
        sandbox, clients, batch, list(rows_by_player), date(2025, 12, 29)
    )
    print(
        f"  union {union_bytes / MIB:,.0f} MiB, ours {staged_bytes / MIB:,.0f} MiB: {union_bytes / staged_bytes:.0f} times less"
    )


if __name__ == "__main__":
    sys.exit(main())
