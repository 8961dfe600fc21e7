"""The bill of the sandbox, from zero."""

from __future__ import annotations

import pytest


@pytest.fixture
def meter(sandbox):
    sandbox.state.meter.reset()
    return sandbox.state.meter
