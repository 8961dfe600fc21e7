"""`make faults`: the write path under faults, deaths and races, beside the direct MERGE statements of before (`--help`: how many)."""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields
from functools import partial
from multiprocessing import get_context

from tests.faults import boundaries, harness, interleavings, old_way, watchdogs
from tests.faults.judge import Verdict
from tests.faults.seeds import Kind

PROCESSES = 2
COLUMNS = tuple(f.name for f in fields(Verdict))


@dataclass
class Total:
    """The sum over many runs: what is wrong with their rows, batches whose record is not true, MERGEs that overlapped."""

    runs: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    false_records: int = 0
    overlaps: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Total) -> Total:
        return Total(
            self.runs + other.runs,
            self.verdict + other.verdict,
            self.false_records + other.false_records,
            self.overlaps + other.overlaps,
            self.faults + other.faults,
        )

    @property
    def is_clean(self) -> bool:
        return self.verdict.is_clean and not self.false_records and not self.overlaps


def run_faults(seed: int) -> Total:
    outcome = harness.run_batch(seed)
    return Total(1, outcome.verdict, outcome.false_records, 0, outcome.faults)


def run_watched(seed: int) -> Total:
    outcome = harness.run_batch(seed, {Kind.ACTIVE, Kind.SUPERSEDED}, watchdogs.drive)
    return Total(1, outcome.verdict, outcome.false_records, 0, outcome.faults)


def run_schedule(consolidators: int, coordinators: int, seed: int) -> Total:
    result = interleavings.run_schedule(seed, consolidators, coordinators)
    return Total(1, result.verdict, 0, result.overlaps)


def run_without_lease(seed: int) -> Total:
    with interleavings.without_lease():
        return run_schedule(3, 0, seed)


def kill_everywhere(watched: bool) -> Total:
    total, kinds = Total(), {Kind.ACTIVE}
    runs = (
        boundaries.kill_everywhere(kinds, 1, watchdogs.drive, boundaries.is_of_watchdog)
        if watched
        else boundaries.kill_everywhere(kinds)
    )
    for where, outcome in runs:
        total += Total(1, outcome.verdict, outcome.false_records, 0, Counter({where: 1}))
    return total


def survey(pool: ProcessPoolExecutor, work: Callable[[int], Total], seeds: Iterable[int]) -> Total:
    return sum(pool.map(work, seeds, chunksize=20), Total())


def print_row(name: str, total: Total) -> None:
    counts = "".join(f"{getattr(total.verdict, column):>9}" for column in COLUMNS)
    print(
        f"{name:44}{total.runs:>7}{sum(total.faults.values()):>8}{counts}{total.false_records:>9}{total.overlaps:>9}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000, help="runs of a batch under faults drawn from a seed")
    parser.add_argument("--schedules", type=int, default=10_500, help="interleavings of the processes of a date")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)  # what the code under test logs is not the survey
    with ProcessPoolExecutor(PROCESSES, get_context("spawn"), initializer=logging.disable, initargs=(50,)) as pool:
        return _print_survey(pool, args.runs, args.schedules)


def _print_survey(pool: ProcessPoolExecutor, runs: int, schedules: int) -> int:
    heads = "".join(f"{column.replace('_version', ''):>9}" for column in COLUMNS)
    print(f"\n{'':44}{'runs':>7}{'faults':>8}{heads}{'untrue':>9}{'overlaps':>9}")
    own: list[Total] = []

    def add(name: str, total: Total) -> None:
        own.append(total)
        print_row(name, total)

    add("under faults, every kind of row", survey(pool, run_faults, range(runs)))
    add("killed at every boundary in turn", sum(pool.map(kill_everywhere, [False]), Total()))
    add("left to the watchdog, under faults", survey(pool, run_watched, range(runs // 10)))
    add("its watchdog killed at every boundary", sum(pool.map(kill_everywhere, [True]), Total()))
    quarter = schedules // 4
    for consolidators, coordinators in ((2, 0), (3, 0), (4, 0), (1, 2)):
        name = f"interleaved: {consolidators} consolidators, {coordinators} coordinators"
        add(name, survey(pool, partial(run_schedule, consolidators, coordinators), range(quarter)))
    without_lease = survey(pool, run_without_lease, range(max(20, quarter // 10)))
    print_row("the same with the lease switched off", without_lease)
    nights = [old_way.run_night(seed) for seed in range(200)]
    lost, refused = sum(night.lost_players for night in nights), sum(night.refused for night in nights)
    print(
        f"\nThe old way, {len(nights)} nights of {old_way.PLAYERS} players through BigQuery's limits, no other fault:"
        f" {refused} statements refused, {lost} players lost ({100 * lost / old_way.PLAYERS / len(nights):.0f} %), every one"
        " reported as success."
    )
    print("\nFaults met: " + ", ".join(f"{name} {count}" for name, count in own[0].faults.most_common()) + "\n")
    if not all(total.is_clean for total in own) or not without_lease.overlaps or not lost:
        print("NOT as promised.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
