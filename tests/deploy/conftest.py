"""The real gcloud and bq, loaded once for all tests of a process; each test has a cloud of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.tools.control_plane.cloud import Cloud
from tests.tools.control_plane.customer import make_customer_cloud
from tests.tools.control_plane.server import DOCUMENTS
from tests.tools.control_plane.tools import Tools, find_missing_tool, open_tools


@pytest.fixture(scope="session")
def shared_tools() -> Iterator[Tools]:
    if missing := find_missing_tool():
        pytest.skip(f"{missing} is not on this machine")
    with open_tools(make_customer_cloud()) as tools:
        yield tools


@pytest.fixture
def tools(shared_tools: Tools) -> Iterator[Tools]:
    """The tools on a customer's project with every API on; every request that they make is one that Google's documents allow."""
    vars(shared_tools.cloud).update(vars(make_customer_cloud()))
    shared_tools.cloud.enabled |= {f"{api}.googleapis.com" for api in DOCUMENTS}
    yield shared_tools
    assert shared_tools.cloud.problems == []


@pytest.fixture
def cloud(tools: Tools) -> Cloud:
    return tools.cloud
