"""`make bench`: scale, cost and speed of the write path, beside the old ways, and the names, in one run."""

from __future__ import annotations

from datetime import date

from services.core.settings import Settings
from services.gcp.clients import connect
from services.sandbox.bigquery.billing_meter import MIB
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.scenarios.build import build
from services.sandbox.server import start_sandbox
from tests.benchmarks import cost, names, scale, speed

SCALE = 0.1


def main() -> None:
    print("\nScale, on the limit rules\n\n" + scale.table())
    print("\nCost\n\n" + cost.table())
    print("\nMeasured on the sandbox's meter, 158 units of 25 rows:")
    with_fresh(_cost)
    print(
        f"\nSpeed: 158 players, {speed.AT_ONCE} at once, service times × {SCALE}, each from the same night of 68 players\n"
    )
    timed = [with_fresh(lambda _, c, p=path: p(c, SCALE)) for path in (speed.direct, speed.union, speed.ours)]
    best = timed[-1].seconds
    for one in timed:
        print(f"  {one.name:40}{one.seconds:8.1f} s{one.seconds / best:8.2f} × ours{one.rows:9,} of 3,950 rows active")
    names.main()


def with_fresh(work):  # type: ignore[no-untyped-def]
    sandbox = start_sandbox(build(), speed=Speed(scale=SCALE))
    try:
        return work(sandbox, connect(Settings.from_env({"SANDBOX_URL": sandbox.address})))
    finally:
        sandbox.stop()


def _cost(sandbox, cloud) -> None:  # type: ignore[no-untyped-def]
    made, batch = speed.predictions(cloud), "batch_2025-12-29_444444"
    speed.stage(cloud, batch, made, speed.Policy(base_s=0.5))
    union, ours = cost.measured(sandbox, cloud, batch, list(made), date(2025, 12, 29))
    print(f"  union {union / MIB:,.0f} MiB, ours {ours / MIB:,.0f} MiB: {union / ours:.0f} times less")


if __name__ == "__main__":
    main()
