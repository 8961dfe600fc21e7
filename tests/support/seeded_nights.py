"""The nights of the scenarios read without a sandbox: the seed's rows in the in-memory BigQuery, and the facts of each night."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from services.core.result import Problem, Result
from services.gcp.clients import Clients
from services.judgement.facts import NightFacts, nights_before
from services.nights.coverage import CoverageHistory, NightCoverage
from services.nights.player_stages import NightStatus
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, in_memory, memory_clients
from tests.support.memory_tables import parse_json_rows

NOT_READ = Problem("not read here", datetime(2025, 12, 30, tzinfo=UTC), "only inputs, lines and rows are judged")


@contextmanager
def seeded_project(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[MemoryProject, Clients]]:
    """A project with those of the seed's tables that are declared, and clients of it."""
    clock = SimulatedClock()
    project = MemoryProject(clock)
    for name in tables.keys() & project.tables.keys():
        lines = "\n".join(map(json.dumps, tables[name])).encode()
        project.tables[name].set_rows(parse_json_rows(lines, project.tables[name].fields), clock.now())
    with in_memory(clock, {}):
        yield project, memory_clients(project)
    project.close()


def make_facts(night: NightStatus, usual: Sequence[NightCoverage], now: datetime | None = None) -> NightFacts:
    """A night's facts the morning after; its batches, writes and ledger are not read."""
    morning = datetime.combine(night.game_date + timedelta(days=1), time(6, 45), tzinfo=UTC)
    first, last = nights_before(night.game_date)
    earlier = [day for day in usual if first <= day.game_date <= last]
    return NightFacts(
        game_date=night.game_date,
        now=now or morning,
        night=Result(night),
        batches=Result(None, NOT_READ),
        writes=Result(None, NOT_READ),
        usual=Result(CoverageHistory(tuple(earlier), ())),
        record=Result(None, NOT_READ),
    )


def move_to(day: date, night: NightStatus, coverage: NightCoverage) -> tuple[NightStatus, NightCoverage]:
    """The same night on another date."""
    return replace(night, game_date=day), replace(coverage, game_date=day)
