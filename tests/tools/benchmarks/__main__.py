"""`make bench`: what the write path calls, uses and takes at 158 to 158,000 players, beside the old ways, and its limits.

Exits with 1 when a limit that was counted is not met. Names are benchmarked at the end.
"""

from __future__ import annotations

import logging
import sys

from services.core.settings import Settings
from services.gcp.clients import connect
from services.pipeline.coordinator.dispatcher import MAX_UNIT_PLAYERS
from tests.tools.benchmarks import name_suggestions, write_calls, write_scale, write_speed
from tests.tools.benchmarks.acceptance import MAX_CALLS, Measurements, find_broken, judge
from tests.tools.benchmarks.write_cost import BytesBilled, measure_bytes_billed
from tests.tools.benchmarks.write_run import WriteRun


def main() -> int:
    logging.disable(logging.CRITICAL)  # the sandbox's emulator logs what it refuses, with tracebacks
    say(f"The write path over HTTP, as the sandbox counts it; service times × {write_calls.TIME_SCALE}")
    old = [measured(write_calls.measure(write_calls.PLAYER_A_UNIT, at_once)) for at_once in MAX_CALLS]
    runs = [
        measured(write_calls.measure(MAX_UNIT_PLAYERS, at_once, times)) for times in (1, 10) for at_once in MAX_CALLS
    ]
    say("The same code on the limit rules, with BigQuery in memory and simulated time")
    runs += [measured(write_scale.run_in_process(players)) for players in write_scale.SIZES]
    say(f"Ways to write 158 players, {write_speed.CONCURRENCY} at once; times × {write_calls.TIME_SCALE}")
    for timing in write_speed.measure_all():
        print(write_speed.format_timing(timing), flush=True)
    print("  objects in a bucket and one load: cannot be run, the sandbox has no bucket (docs/decisions/0009)")
    billed = measure_bytes()
    say("Calls")
    print(write_calls.format_calls([*old, *runs]))
    say("Quotas")
    print(write_calls.format_peaks(runs))
    say("Limits")
    lines = judge(Measurements(runs, old, billed))
    print("\n".join(map(str, lines)))
    name_suggestions.main()
    broken = find_broken(lines)
    print(
        f"\n{len(broken)} of {len(lines)} limits are counted and NOT met.\n"
        if broken
        else "\nEvery counted limit is met.\n"
    )
    return 1 if broken else 0


def say(heading: str) -> None:
    print(f"\n{heading}\n", flush=True)


def measured(run: WriteRun) -> WriteRun:
    """The run, which is printed at once, for the whole takes minutes."""
    print(f"  {run.name:48}{run.seconds:8.1f} s{run.total_calls:8,} calls", flush=True)
    return run


def measure_bytes() -> BytesBilled:
    """Of 158 staging tables of one player, as the handoff has them, beside ours over the same."""
    with write_calls.december_sandbox() as sandbox:
        clients = connect(Settings.from_env({"SANDBOX_URL": sandbox.url}))
        rows_by_unit = write_speed.group_rows(write_speed.make_predictions(clients), 1)
        tables = write_speed.stage_rows(clients, rows_by_unit)
        return measure_bytes_billed(sandbox, clients, write_speed.BATCH, tables, write_calls.NIGHT)


if __name__ == "__main__":
    sys.exit(main())
