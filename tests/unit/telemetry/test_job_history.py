"""What a later look at the job history reads again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from services.core.result import DataSource
from services.gcp.clients import Clients
from services.gcp.read_cache import ReadCache
from services.telemetry import job_history
from services.telemetry.job_history import JobHistory

NOW = datetime(2025, 12, 30, 19, tzinfo=UTC)
START = NOW - timedelta(hours=30)


@pytest.fixture
def read_ranges(monkeypatch) -> list[tuple[datetime, datetime]]:
    """The ranges that are read; each has no statement."""
    ranges: list[tuple[datetime, datetime]] = []

    def read(_: object, start: datetime, end: datetime) -> JobHistory:
        ranges.append((start, end))
        return JobHistory((), DataSource("BigQuery job history", NOW))

    monkeypatch.setattr(job_history, "_read_range", read)
    return ranges


def test_a_range_that_ends_later_is_not_taken_for_read_up_to_the_last_look(read_ranges):
    clients = cast(Clients, SimpleNamespace(cache=ReadCache()))
    night_end = NOW - timedelta(hours=8)
    job_history.read_job_history(clients, START, night_end)
    job_history.read_job_history(clients, START, NOW)
    assert read_ranges == [(START, night_end), (START, NOW)], "nothing was read of the eight hours between"
    job_history.read_job_history(clients, START, NOW)
    assert read_ranges[2:] == [(NOW - job_history.OVERLAP, NOW)]


@pytest.mark.parametrize(("reuse_answers", "reads"), [(True, 1), (False, 0)])
def test_a_range_is_read_beforehand_once_and_never_for_a_plan(read_ranges, reuse_answers, reads):
    clients = cast(Clients, SimpleNamespace(cache=ReadCache(reuse_answers=reuse_answers)))
    for _ in range(2):
        job_history.preload_job_history(clients, START, NOW)
    assert len(read_ranges) == reads


def test_jobs_that_are_listed_without_their_kind_may_be_rejected_writes():
    connection = bigquery.Client("p", cast(Any, AnonymousCredentials()))
    listing: Any = SimpleNamespace(
        pages=[_Page([connection.job_from_resource({"jobReference": {"jobId": "j", "projectId": "p"}})])],
        next_page_token=None,
    )
    api = SimpleNamespace(list_jobs=lambda **_: listing)
    settings = SimpleNamespace(query_timeout_s=1.0)
    clients = cast(Clients, SimpleNamespace(cache=ReadCache(), now=lambda: NOW, bigquery=api, settings=settings))
    problem = job_history.read_job_history(clients, START, NOW).problem
    assert problem is not None
    assert problem.message.startswith("1 jobs are listed without their statement")


class _Page(list[Any]):
    """A page of jobs.list."""

    raw_page: Mapping[str, str] = {"kind": "bigquery#jobList"}
