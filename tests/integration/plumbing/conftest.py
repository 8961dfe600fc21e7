"""One sandbox for all tests of the plumbing: each puts back what it changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.scenarios import reference
from services.sandbox.seed import Seed
from services.sandbox.server import Sandbox, start_sandbox


@pytest.fixture(scope="package")
def module_sandbox() -> Iterator[Sandbox]:
    seed = Seed(services=reference.service_resources(), revisions=reference.revision_resources())  # no row is needed
    sandbox = start_sandbox(seed, latency=JobLatency(scale=0.01))
    sandbox.state.cloud_run._rollout_s = 0.15
    yield sandbox
    sandbox.stop()
