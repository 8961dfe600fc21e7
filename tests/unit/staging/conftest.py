"""Staging tables and predictions in the in-memory BigQuery."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.gcp.clients import Clients
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, in_memory, memory_clients


@pytest.fixture
def project() -> Iterator[MemoryProject]:
    clock = SimulatedClock()
    project = MemoryProject(clock)
    with in_memory(clock, {}):
        yield project
    project.close()


@pytest.fixture
def clients(project: MemoryProject) -> Clients:
    return memory_clients(project)
