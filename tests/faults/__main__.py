"""`make faults`: the write path under trouble, and the old ways in the same harness. `--runs` and `--schedules` say how many."""

from __future__ import annotations

import argparse
import sys

from tests.faults import harness, interleavings

PATHS = {
    "direct MERGE, status says success": harness.direct_path,
    "staging, answered before verified": harness.early_answer_path,
    "this write path": harness.staged_path,
}


def main() -> int:
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--runs", type=int, default=2_000)
    told.add_argument("--schedules", type=int, default=12_000)
    asked = told.parse_args()
    rows = len(harness.PLAYERS) * 4
    print(f"\nFaults at step boundaries: {asked.runs} seeded runs of {rows} rows each\n")
    print(f"{'':36}{'faults met':>12}{'rows lost':>12}{'keys doubled':>14}   ended as")
    ours = (1, 1)
    for name, path in PATHS.items():
        lost, doubled, states, faults = harness.survey(path, range(asked.runs))
        ends = ", ".join(f"{state} {count}" for state, count in states.most_common())
        print(f"{name:36}{sum(faults.values()):12}{lost:12}{doubled:14}   {ends}")
        ours = (lost, doubled)
    print(
        f"\nInterleavings of consolidations of one date: {asked.schedules} schedules, a third each of 2, 3 and 4 at once\n"
    )
    print(f"{'':36}{'overlapping MERGEs':>20}{'keys doubled':>14}{'rows lost':>12}")
    part = range(asked.schedules // 3)
    with interleavings.lease_off():
        off = _interleaved(range(max(1, len(part) // 10)))
    print(f"{f'lease off ({len(part) // 10 * 3} schedules)':36}{off[0]:20}{off[1]:14}{off[2]:12}")
    on = _interleaved(part)
    print(f"{'lease on':36}{on[0]:20}{on[1]:14}{on[2]:12}\n")
    if ours != (0, 0) or on != (0, 0, 0) or not off[1]:
        print("NOT as promised.")
        return 1
    return 0


def _interleaved(seeds: range) -> tuple[int, int, int]:
    found = [interleavings.survey(seeds, consolidators) for consolidators in (2, 3, 4)]
    return tuple(map(sum, zip(*found, strict=True)))  # type: ignore[return-value]


if __name__ == "__main__":
    sys.exit(main())
