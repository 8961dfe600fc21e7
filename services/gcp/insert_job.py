"""Inserts rows by a query job whose id is the claim: BigQuery accepts a job id once per project, so they are inserted once.

What is read back is not streamed: rows of a streaming buffer are missing from tabledata.list, and a table's metadata does not
report them, for up to 90 minutes. INSERT is not mutating DML, so it never queues behind other statements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.api_core.exceptions import Conflict

from services.core.errors import OnCallError
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors

MAX_JOB_ID_SUFFIXES = 5


class RowsNotInserted(OnCallError):
    """The rows could not be recorded, so what depends on them must not be done."""


def insert_once(clients: Clients, query_name: str, job_id: str, params: Mapping[str, Any]) -> bool:
    """Run the INSERT `query_name` under this job id; False when a job of this id has done it. Raises RowsNotInserted.

    After a lost answer the client repeats the call and conflicts with its own job: a caller for whom it matters who inserted
    the rows reads them back and compares. A job that failed leaves its id used, so the next suffix is tried.
    """
    for suffix in range(MAX_JOB_ID_SUFFIXES):
        try:
            if _insert(clients, query_name, f"{job_id}-{suffix}", params):
                return True
            if not _job_failed(clients, f"{job_id}-{suffix}"):
                return False
        except OnCallError as error:
            raise RowsNotInserted(f"The record could not be written: {error.message}", error.hint) from error
    raise RowsNotInserted("The record could not be written: every try failed.", "Look at BigQuery's job history.")


def _insert(clients: Clients, query_name: str, job_id: str, params: Mapping[str, Any]) -> bool:
    """Whether this job id was free."""
    try:
        query_catalog.run_query(clients, query_name, job_id=job_id, **params)
    except OnCallError as error:
        if isinstance(error.__cause__, Conflict):
            return False
        raise
    return True


def _job_failed(clients: Clients, job_id: str) -> bool:
    """Whether the job of this id ended without writing; waits for one that is still running."""
    with translate_errors("BigQuery (jobs)"):
        timeout_s = clients.settings.query_timeout_s
        wait: Callable[..., object] = clients.bigquery.get_job(job_id, timeout=timeout_s).exception
        return wait(timeout=timeout_s) is not None
