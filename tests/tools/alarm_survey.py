"""The second part of `make faults`: batches in which nothing goes wrong, and every alert that a rule raises all the same."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.faults.checks import run_clean_batch
from tests.tools.fault_survey import PROCESSES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=1_000)
    args = parser.parse_args()
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        batches = list(pool.map(run_clean_batch, range(args.batches), chunksize=5))
    alarms = [alarm for batch in batches for alarm in (*batch.alerts, *batch.unknown)]
    players, checks = sum(batch.players for batch in batches), sum(batch.checks for batch in batches)
    print(
        f"{len(batches):,} clean batches, {players:,} players, {checks:,} checks of every rule: {len(alarms)} alarms."
    )
    for alarm in alarms:
        print(alarm)
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
