"""`make faults`: the write path under crashes, repeats and races, beside direct MERGE statements (`--runs`, `--schedules`: how many)."""

from __future__ import annotations

import argparse
import sys

from tests.faults import harness, interleavings

WRITE_PATHS = {
    "direct MERGE, status says success": harness.run_direct_path,
    "staging, answered before verified": harness.run_early_response_path,
    "this write path": harness.run_staged_path,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--schedules", type=int, default=12_000)
    args = parser.parse_args()
    rows = len(harness.PLAYERS) * 4
    print(f"\nFaults at step boundaries: {args.runs} seeded runs of {rows} rows each\n")
    print(f"{'':36}{'faults met':>12}{'rows lost':>12}{'keys doubled':>14}   ended as")
    own_result = (1, 1)
    for name, path in WRITE_PATHS.items():
        lost, doubled, states, faults = harness.survey(path, range(args.runs))
        ends = ", ".join(f"{state} {count}" for state, count in states.most_common())
        print(f"{name:36}{sum(faults.values()):12}{lost:12}{doubled:14}   {ends}")
        own_result = (lost, doubled)
    print(
        f"\nInterleavings of consolidations of one date: {args.schedules} schedules, a third each of 2, 3 and 4 at once\n"
    )
    print(f"{'':36}{'overlapping MERGEs':>20}{'keys doubled':>14}{'rows lost':>12}")
    seeds = range(args.schedules // 3)
    with interleavings.without_lease():
        without_lease = _survey_interleavings(range(max(1, len(seeds) // 10)))
    print(
        f"{f'lease off ({len(seeds) // 10 * 3} schedules)':36}{without_lease[0]:20}{without_lease[1]:14}{without_lease[2]:12}"
    )
    with_lease = _survey_interleavings(seeds)
    print(f"{'lease on':36}{with_lease[0]:20}{with_lease[1]:14}{with_lease[2]:12}\n")
    if own_result != (0, 0) or with_lease != (0, 0, 0) or not without_lease[1]:
        print("NOT as promised.")
        return 1
    return 0


def _survey_interleavings(seeds: range) -> tuple[int, int, int]:
    results = [interleavings.survey(seeds, consolidators) for consolidators in (2, 3, 4)]
    return tuple(map(sum, zip(*results, strict=True)))  # type: ignore[return-value]


if __name__ == "__main__":
    sys.exit(main())
