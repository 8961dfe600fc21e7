"""A source of a night that cannot be read, or not be parsed, is named, and the others are read."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from services.core.errors import SourceUnavailable
from services.nights.sources import SourceReader

NOW = datetime(2025, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SourceUnavailable("It does not answer."), "It does not answer."),
        (KeyError("run_date"), "Unexpected response from worker runs (KeyError: 'run_date')."),
    ],
)
def test_an_optional_source_that_fails_is_a_problem_of_its_own(error, message):
    def fetch() -> None:
        raise error

    clients: Any = SimpleNamespace(now=lambda: NOW)
    reader = SourceReader(clients)
    assert reader.fetch_optional("worker runs", fetch) is None
    assert [(problem.source, problem.message) for problem in reader.problems] == [("worker runs", message)]
