"""Rows are inserted once per job id; a failed job frees the next suffix, and what cannot be known is no success."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.api_core.exceptions import Conflict, ServiceUnavailable

from services.core.errors import SourceUnavailable
from services.core.settings import Settings
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.insert_job import MAX_JOB_ID_SUFFIXES, RowsNotInserted, insert_once


class FakeProject:
    """Jobs by id, each with its error or None; a new job takes the next of `outcomes`."""

    def __init__(self, **jobs: Exception | None) -> None:
        self.jobs: dict[str, Any] = jobs
        self.inserted: list[tuple[str, str, dict[str, Any]]] = []
        self.refusal: Exception | None = None
        self.waited: list[float] = []

    def run_query(self, _clients: Clients, name: str, *, job_id: str, **params: Any) -> None:
        if self.refusal is not None:
            raise self.refusal
        if job_id in self.jobs:
            raise SourceUnavailable("refused: a job with this id was started before.") from Conflict("Already Exists")
        self.jobs[job_id] = None
        self.inserted.append((name, job_id, params))

    def get_job(self, job_id: str, timeout: float) -> SimpleNamespace:
        def wait(timeout: float) -> Exception | None:
            self.waited.append(timeout)
            return cast(Exception | None, self.jobs[job_id])

        return SimpleNamespace(exception=wait)


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> FakeProject:
    project = FakeProject()
    monkeypatch.setattr(query_catalog, "run_query", project.run_query)
    return project


def insert(project: FakeProject) -> bool:
    clients = cast(Clients, SimpleNamespace(bigquery=project, settings=Settings.from_env({})))
    return insert_once(clients, "actions.append", "on-call-x", {"actor": "nora"})


def test_the_first_insert_is_done_and_a_repeat_is_not(project):
    assert insert(project)
    assert not insert(project)
    assert project.inserted == [("actions.append", "on-call-x-0", {"actor": "nora"})]
    assert project.waited == [Settings.from_env({}).query_timeout_s], "one that is still running is waited for"


def test_after_failed_jobs_the_next_free_id_is_used(project):
    project.jobs = {"on-call-x-0": ValueError("failed"), "on-call-x-1": ValueError("failed")}
    assert insert(project)
    assert [job_id for _, job_id, _ in project.inserted] == ["on-call-x-2"]


def test_when_every_id_has_failed_the_rows_are_not_inserted(project):
    project.jobs = {f"on-call-x-{n}": ValueError("failed") for n in range(MAX_JOB_ID_SUFFIXES)}
    with pytest.raises(RowsNotInserted, match="every try failed"):
        insert(project)
    assert project.inserted == []


def test_another_refusal_is_reported_with_its_cause_and_its_hint(project):
    project.refusal = SourceUnavailable("BigQuery did not answer.", "Look again.")
    with pytest.raises(RowsNotInserted, match=r"could not be written: BigQuery did not answer\.") as raised:
        insert(project)
    assert raised.value.hint == "Look again."
    assert raised.value.__cause__ is project.refusal


def test_a_job_whose_end_cannot_be_read_is_no_success(project, monkeypatch):
    project.jobs = {"on-call-x-0": None}

    def fail(job_id: str, timeout: float) -> None:
        raise ServiceUnavailable("The service is currently unavailable")

    monkeypatch.setattr(project, "get_job", fail)
    with pytest.raises(RowsNotInserted, match=r"BigQuery \(jobs\)"):
        insert(project)
