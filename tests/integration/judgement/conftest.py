"""Pages opened against the module's sandbox, whose nights the tests damage."""

from __future__ import annotations

import pytest

from services.sandbox.server import Sandbox
from tests.integration.pages.conftest import open_page as open_page


@pytest.fixture
def sandbox(module_sandbox: Sandbox) -> Sandbox:
    """What `open_page` opens."""
    return module_sandbox
