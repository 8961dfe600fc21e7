"""Seeded runs of a whole batch under faults: started, killed, resumed, delivered again, consolidated; then the rows are judged."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import requests
from google.api_core.exceptions import (
    Conflict,
    Forbidden,
    GoogleAPICallError,
    InternalServerError,
    ServiceUnavailable,
    TooManyRequests,
)

from services.batches.ids import staging_prefix
from services.core.errors import OnCallError
from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.consolidator import Consolidator
from services.pipeline.warehouse import BigQueryWarehouse
from tests.faults.judge import Verdict
from tests.faults.seeds import CONTEXT_TABLE, NIGHT, OLD_BATCH, Kind
from tests.faults.world import Boundary, Process, ProcessKilled, World, open_world

MAX_FAULTS = 9  # of one run
MAX_ROUNDS = 15  # starts, resumes and consolidations before a run is called stuck
WAIT = timedelta(minutes=11)  # until somebody looks again: longer than a lease lives, and than a batch may be silent


Driver = Callable[[World, random.Random], int]  # does what is left to do, in how many rounds

_draw = random.Random(19)
# Few enough that tables of the same content come again: the engine runs a statement once for each content.
KIND_SETS = (frozenset(Kind), *(frozenset(kind for kind in Kind if _draw.random() < 0.5) for _ in range(11)))


@dataclass
class Outcome:
    """How one run ended: the verdict on its rows, the states of its batches, untrue records of batches and actions, the faults it met."""

    verdict: Verdict
    states: Counter[str]
    false_records: int
    rounds: int
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def is_clean(self) -> bool:
        return self.verdict.is_clean and not self.false_records


@dataclass(eq=False)
class _Pending:
    """A fault that happens at the n-th boundary where it may, or at the first one after it where it can."""

    name: str
    boundaries_left: int


@dataclass
class RandomFaults:
    """A few faults a run, drawn from a seed: each kind as often as any other, at one of the boundaries where it may happen."""

    rng: random.Random
    drive: Driver
    met: Counter[str] = field(default_factory=Counter)
    busy: bool = False  # something else happens inside a boundary: no fault within a fault

    def __post_init__(self) -> None:
        boundaries = count_boundaries(self.drive)
        names = self.rng.choices(list(FAULTS), k=self.rng.randint(1, MAX_FAULTS))
        self.pending = [_Pending(name, self.rng.randint(1, 2 * boundaries[name])) for name in names]

    def __call__(self, world: World, boundary: Boundary) -> None:
        if self.busy:
            return
        for fault in self.pending:
            fits, effect = FAULTS[fault.name]
            if not fits(boundary):
                continue
            fault.boundaries_left -= 1
            if fault.boundaries_left <= 0 and effect(world, boundary, self):
                self.pending.remove(fault)
                self.met[fault.name] += 1
                if fault.name in ERRORS:
                    raise ERRORS[fault.name](boundary)
                return


@cache
def count_boundaries(drive_night: Driver) -> Counter[str]:
    """At how many boundaries of a run without faults each fault may happen."""
    counts: Counter[str] = Counter()

    def count(_world: World, boundary: Boundary) -> None:
        counts.update(name for name, (fits, _) in FAULTS.items() if fits(boundary))

    with open_world({Kind.ACTIVE}, count) as world:
        drive_night(world, random.Random(0))
    return counts


def run_batch(seed: int, kinds: Iterable[Kind] = (), drive_night: Driver | None = None) -> Outcome:
    """Start a night, and resume, repeat and consolidate whatever is left, by default as an operator would (`drive`).

    The tables hold rows of `kinds`, by default of one of KIND_SETS.
    """
    rng, drive_night = random.Random(seed), drive_night or drive
    kinds = kinds or rng.choice(KIND_SETS)
    faults = RandomFaults(rng, drive_night)
    with open_world(kinds, faults, rng=rng.random) as world:
        outcome = outcome_of(world, drive_night(world, rng))
    outcome.faults = faults.met
    return outcome


def outcome_of(world: World, rounds: int) -> Outcome:
    """How a run ended that took so many rounds."""
    states = Counter(record.state.value for record in world.records())
    return Outcome(world.verdict(), states, world.false_records() + world.unfinished_actions(), rounds)


def drive(world: World, rng: random.Random) -> int:
    """Do what an operator does until nothing is left to do; how many rounds that took."""
    for round_number in range(1, MAX_ROUNDS + 1):
        coordinator = Process(f"coordinator {round_number}", timedelta(seconds=rng.uniform(-180, 180)))
        records = world.records()
        try:
            unfinished = [record for record in records if record.state != "consolidated"]
            if unfinished:
                world.post(coordinator, "/resume", {"batch_id": unfinished[0].batch_id})
            elif world.false_records() or not records:
                world.post(coordinator, "/start", {"game_date": str(NIGHT), "force": bool(records)})
            elif batch_id := next(iter(_batches_with_tables(world)), None):
                consolidate(world, coordinator, batch_id)
            else:
                return round_number
        except (ProcessKilled, OnCallError, GoogleAPICallError, requests.RequestException, ConnectionError):
            pass  # it died, or was refused: somebody looks again
        world.clock.at += WAIT
    return MAX_ROUNDS


def consolidate(world: World, process: Process, batch_id: str) -> None:
    """An operator consolidates what a batch has left."""
    warehouse = BigQueryWarehouse(world.clients(process))
    Consolidator(warehouse, process.name, world.retry_policy()).consolidate(batch_id, NIGHT)


def _batches_with_tables(world: World) -> list[str]:
    batch_ids = [*(record.batch_id for record in world.records()), OLD_BATCH]
    prefixes = {batch_id: f"nba_predictions.{staging_prefix(batch_id)}" for batch_id in batch_ids}
    return [b for b, prefix in prefixes.items() if any(name.startswith(prefix) for name in world.project.tables)]


# --- what may go wrong ------------------------------------------------------------------------------------------------------

JOBS = ("load", "copy", "MERGE", "INSERT", "claim")
Effect = Callable[[World, Boundary, RandomFaults], bool]  # False: it could not happen here


def _at(*phases: str, calls: Iterable[str] = ()) -> Callable[[Boundary], bool]:
    return lambda boundary: boundary[2] in phases and (not calls or boundary[1] in calls)


def _is_coordinator_between_calls(boundary: Boundary) -> bool:
    process, _, phase, _ = boundary
    return process.name.startswith("coordinator") and phase in ("before", "after")


def _happens(_world: World, _boundary: Boundary, _faults: RandomFaults) -> bool:
    return True


def _kill(_world: World, boundary: Boundary, _faults: RandomFaults) -> bool:
    boundary[0].dead = True
    return True


def _let_time_pass(minutes: float) -> Effect:
    def effect(world: World, _boundary: Boundary, _faults: RandomFaults) -> bool:
        world.clock.at += timedelta(minutes=minutes)
        return True

    return effect


def _lose_a_row(world: World, boundary: Boundary, faults: RandomFaults) -> bool:
    """A job stores one row less than it was given, and says so where it reports rows. Of a MERGE: one that it has inserted.

    A MERGE is atomic, so this is not what BigQuery does; it shows that the proof looks. One that has retired a row as well is left
    whole: the retired row would stand for the key.
    """
    job = boundary[3]
    table = world.project.tables.get(job.table)
    inserted_only = job.changes.get("INSERT") and not job.changes.get("UPDATE")
    if table is None or job.error is not None or not table.rows or (job.job_type == "query" and not inserted_only):
        return False
    table.set_rows(table.rows[:-1], world.clock.at)
    job.output_rows = None if job.output_rows is None else job.output_rows - 1
    return True


def _double_a_row(world: World, boundary: Boundary, faults: RandomFaults) -> bool:
    table, job = world.project.tables[PREDICTIONS_TABLE], boundary[3]
    if job.error is not None or not job.changes.get("INSERT"):
        return False
    table.set_rows([*table.rows, dict(table.rows[-1])], world.clock.at)
    return True


def _aside(work: Callable[[World, RandomFaults], Any]) -> Effect:
    """Another process does something whole while this one is at a boundary."""

    def effect(world: World, _boundary: Boundary, faults: RandomFaults) -> bool:
        faults.busy = True
        try:
            return work(world, faults) is not False
        except (OnCallError, GoogleAPICallError, requests.RequestException):
            return True
        finally:
            faults.busy = False

    return effect


def _deliver_again(world: World, faults: RandomFaults) -> object:
    return world.deliver(faults.rng.choice(world.requests)) if world.requests else False


def _move_a_line(world: World, faults: RandomFaults) -> object:
    """The context of a player changes; whoever is asked from now on is predicted by it."""
    if Kind.LINE_MOVE not in world.kinds:
        return False
    table = world.project.tables[CONTEXT_TABLE]
    player = faults.rng.choice(sorted({row["player_lookup"] for row in table.rows}))
    rows = [
        {
            **row,
            "current_points_line": row["current_points_line"] + Decimal("0.5"),
            "points_avg_last_5": row["points_avg_last_5"] + 1,
        }
        if row["player_lookup"] == player
        else row
        for row in table.rows
    ]
    table.set_rows(rows, world.clock.at)
    return True


def _resume_elsewhere(world: World, faults: RandomFaults) -> object:
    records = world.records()
    if not records:
        return False
    return world.post(Process("another coordinator"), "/resume", {"batch_id": records[-1].batch_id})


def _start_elsewhere(world: World, _faults: RandomFaults) -> object:
    return world.post(Process("another coordinator"), "/start", {"game_date": str(NIGHT), "force": True})


def _consolidate_elsewhere(world: World, faults: RandomFaults) -> object:
    batches = _batches_with_tables(world)
    if not batches:
        return False
    consolidate(world, Process("operator"), faults.rng.choice(batches))
    return True


FAULTS: dict[str, tuple[Callable[[Boundary], bool], Effect]] = {
    "killed": (_at("before", "job", "after"), _kill),
    "request lost": (_at("before"), _happens),
    "answer lost": (_at("after"), _happens),
    "answer lost, job goes on": (_at("job"), _happens),
    "429": (_at("before"), _happens),
    "503": (_at("before"), _happens),
    "500 after commit": (_at("after", calls=JOBS), _happens),
    "own id is taken": (_at("after", calls=JOBS), _happens),
    "failed job": (_at("job", calls=("load", "copy", "MERGE", "INSERT")), _happens),
    "slow call": (_at("before"), _let_time_pass(4)),
    "slow job": (_at("job"), _let_time_pass(12)),
    "short load": (_at("commit", calls=("load",)), _lose_a_row),
    "short copy": (_at("commit", calls=("copy",)), _lose_a_row),
    "short merge": (_at("commit", calls=("MERGE",)), _lose_a_row),
    "doubled merge": (_at("commit", calls=("MERGE",)), _double_a_row),
    "delivered again": (_is_coordinator_between_calls, _aside(_deliver_again)),
    "line moved": (_is_coordinator_between_calls, _aside(_move_a_line)),
    "resumed elsewhere": (_is_coordinator_between_calls, _aside(_resume_elsewhere)),
    "started elsewhere": (_is_coordinator_between_calls, _aside(_start_elsewhere)),
    "consolidated elsewhere": (_is_coordinator_between_calls, _aside(_consolidate_elsewhere)),
}


def _rate_limited(_boundary: Boundary) -> Forbidden:
    message = "Exceeded rate limits: too many table update operations for this table"
    return Forbidden(message, errors=[{"reason": "rateLimitExceeded", "message": message}])


def _taken(boundary: Boundary) -> Conflict:
    message = f"Already Exists: Job {getattr(boundary[3], 'job_id', '')}"
    return Conflict(message, errors=[{"reason": "duplicate", "message": message}])


ERRORS: dict[str, Callable[[Boundary], BaseException]] = {  # with which the call ends, of the faults that end it
    "killed": lambda _: ProcessKilled(),
    "request lost": lambda _: requests.ConnectionError("The connection was lost."),
    "answer lost": lambda _: requests.ConnectionError("The answer was lost."),
    "answer lost, job goes on": lambda _: requests.ConnectionError("The answer was lost."),
    "429": lambda _: TooManyRequests("slow down"),
    "503": lambda _: ServiceUnavailable("The service is currently unavailable"),
    "500 after commit": lambda _: InternalServerError("internal error"),
    "own id is taken": _taken,
    "failed job": _rate_limited,
}
