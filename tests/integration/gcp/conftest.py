"""The sandbox's billing meter, reset for each test."""

from __future__ import annotations

import pytest


@pytest.fixture
def meter(sandbox):
    sandbox.state.meter.reset()
    return sandbox.state.meter
