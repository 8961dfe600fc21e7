"""A sandbox of its own for these tests, because they break its content."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.server import Sandbox, start_sandbox
from services.sandbox.stand_ins.cloud_run import CloudRun


@pytest.fixture(scope="session")
def shared_blank_sandbox() -> Sandbox:
    """Ends with this process, as tests/conftest.py says of the seeded one."""
    return start_sandbox(latency=JobLatency(scale=0.02))


@pytest.fixture
def blank_sandbox(shared_blank_sandbox: Sandbox) -> Iterator[Sandbox]:
    shared_blank_sandbox.state.reset_limits()
    yield shared_blank_sandbox
    shared_blank_sandbox.state.reset_limits()


@pytest.fixture
def blank_clients(blank_sandbox: Sandbox) -> Clients:
    return connect(Settings.from_env({"SANDBOX_URL": blank_sandbox.url}))


SERVICE = "projects/nba-props-platform/locations/us-west2/services/prediction-worker"


@pytest.fixture
def cloud_run_with_worker(blank_sandbox: Sandbox) -> CloudRun:
    """Cloud Run with one service: the worker at 4 × 3, as the handoff left it."""
    revision = f"{SERVICE}/revisions/prediction-worker-00011-zw5"
    template = {"scaling": {"maxInstanceCount": 4}, "maxInstanceRequestConcurrency": 3}
    run = blank_sandbox.state.cloud_run
    run.services.clear()
    run.revisions.clear()
    run.operations.clear()  # one of an earlier test would end on this service of the same name
    run.seed(
        [
            {
                "name": SERVICE,
                "template": template,
                "annotations": {"owner": "on-call"},
                "latestCreatedRevision": revision,
                "latestReadyRevision": revision,
            }
        ],
        [{"name": revision, "service": SERVICE, **template, "createTime": "2025-12-30T01:20:00Z"}],
    )
    run._rollout_s, run.operation_s, run.rollout_error = 0.2, 0.1, ""
    run.slots.clear()
    return run
