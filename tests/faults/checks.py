"""The alert rules on a batch of the world: evaluated on its facts while it runs, and until the next morning."""

from __future__ import annotations

import io
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from services.alerts.evaluation import evaluate_rules
from services.alerts.facts import ChannelStatus, CheckCache, read_snapshot
from services.alerts.findings import RuleResult
from services.core.result import Health
from services.gcp.logging_setup import JsonLineHandler
from services.sandbox.stand_ins.cloud_logging import entries_from_stdout
from tests.faults.seeds import NIGHT
from tests.faults.slates import SIZES, Slate, draw_slate, seed_slate
from tests.faults.world import Boundary, Injector, Process, World, no_faults, open_world
from tests.support.memory_bigquery import PROJECT, MemoryProject
from tests.support.memory_clients import SimulatedClock, memory_clients

CHECKED_AFTER_H = (0, 0.4, 5, 14)  # the end of a batch: before its deadline, during the games, the next morning


class _Agent(io.TextIOBase):
    """Cloud Run's agent: what the services write to stdout are entries of the project's log."""

    def __init__(self, project: MemoryProject) -> None:
        self._project = project

    def write(self, text: str) -> int:
        for entry in entries_from_stdout(text):
            is_worker = entry["jsonPayload"]["logger"].startswith("predictions.worker")
            service = "prediction-worker" if is_worker else "prediction-coordinator"
            labels = {"service_name": service, "revision_name": f"{service}-00001-abc"}
            self._project.log.add([entry], {"resource": {"type": "cloud_run_revision", "labels": labels}})
        return len(text)


@contextmanager
def _logged_to(project: MemoryProject) -> Iterator[None]:
    """While it lasts, what is logged is in the project's log."""
    root, handler = logging.getLogger(), JsonLineHandler(stream=_Agent(project), project_id=PROJECT)
    level, disabled = root.level, root.manager.disable
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.disable(logging.NOTSET)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        logging.disable(disabled)


@dataclass
class WatchedNight:
    """A slate in a world whose log and jobs can be read; `cache` is that of the watchdog, which lives from check to check."""

    world: World
    cache: CheckCache = field(default_factory=CheckCache)

    def evaluate(self) -> tuple[RuleResult, ...]:
        """Every rule on what is so now."""
        clients = memory_clients(self.world.project)
        snapshot = read_snapshot(clients, (NIGHT,), ChannelStatus(is_set=True), self.cache)
        return evaluate_rules(snapshot, clients.settings, clients.now())

    def start(self) -> None:
        """Run the night's batch to its end, or to the coordinator's death."""
        self.world.post(Process("coordinator"), "/start", {"game_date": str(NIGHT), "force": True})


@contextmanager
def open_night(slate: Slate, injector: Injector = no_faults) -> Iterator[WatchedNight]:
    """A world with this slate, at the time of its run, while the block lasts."""
    clock = SimulatedClock(slate.run_at)
    with open_world(slate.kinds, injector, clock=clock, unit_players=slate.unit_players) as world:
        world.project.lists_jobs = True
        seed_slate(world.project, slate)
        with _logged_to(world.project):
            yield WatchedNight(world)


@dataclass
class CleanBatch:
    """A batch without faults: how often it was checked, the alerts of any check, and what was not known once it had ended."""

    players: int
    checks: int = 0
    alerts: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def run_clean_batch(seed: int, size: int = 0) -> CleanBatch:
    """Run a batch of `size` players at most, by default of one of SIZES."""
    rng = random.Random(seed)
    slate = draw_slate(rng, size or rng.choice(SIZES))
    batch = CleanBatch(len(slate.eligible))
    boundaries, next_check, has_ended = 0, rng.randint(1, 12), False

    def check(when: str) -> None:
        results = night.evaluate()
        batch.checks += 1
        batch.alerts += [f"seed {seed}, {when}: {r.rule.name}: {r.message}" for r in results if r.firing]
        if has_ended:
            batch.unknown += [f"seed {seed}, {when}: {r.rule.name}" for r in results if r.health is Health.UNKNOWN]

    def check_meanwhile(_world: World, boundary: Boundary) -> None:
        nonlocal boundaries, next_check
        boundaries += 1
        if boundaries == next_check:
            next_check += boundaries + rng.randint(10, 60)
            check(f"{boundary[0].name} {boundary[2]} {boundary[1]}")

    with open_night(slate) as night:
        check("before the run")
        night.world.injector = check_meanwhile
        night.start()
        night.world.injector, ended, has_ended = no_faults, night.world.clock.at, True
        for hours in CHECKED_AFTER_H:
            night.world.clock.at = ended + timedelta(hours=hours)
            check(f"{hours} h after its end")
    return batch
