"""Which job id each attempt has: the same after a lost answer, the next when the id is used up."""

from __future__ import annotations

import pytest
from google.api_core.exceptions import BadRequest, ServiceUnavailable

from services.gcp.retry import RetryPolicy
from services.pipeline.job_retry import run_job_with_retry
from services.pipeline.warehouse import JobFailed, StagingNotVerified


def failed(cause: Exception) -> JobFailed:
    error = JobFailed("failed")
    error.__cause__ = cause
    return error


def attempt(*results: Exception | str) -> tuple[list[str], list[float], object]:
    """(ids, pauses, result) of attempts that give these results in turn."""
    ids, pauses, remaining = list[str](), list[float](), iter(results)

    def start(job_id: str) -> str:
        ids.append(job_id)
        result = next(remaining)
        if isinstance(result, Exception):
            raise result
        return result

    policy = RetryPolicy(retries=3, sleep=pauses.append, rng=lambda: 1.0)
    try:
        return ids, pauses, run_job_with_retry(policy, "job", start)
    except Exception as error:
        return ids, pauses, error


def test_a_lost_answer_is_asked_for_again_under_the_same_id():
    assert attempt(ConnectionError("lost"), ConnectionError("lost"), "done") == (["job"] * 3, [5.0, 10.0], "done")


def test_a_job_that_failed_for_a_while_is_followed_by_the_next_ids_after_pauses():
    busy = failed(ServiceUnavailable("try again"))
    assert attempt(busy, busy, "done") == (["job", "job-r1", "job-r2"], [5.0, 10.0], "done")


def test_an_id_whose_rows_are_gone_is_followed_by_the_next_at_once():
    gone, busy = StagingNotVerified("gone"), failed(ServiceUnavailable("try again"))
    assert attempt(gone, gone, "done") == (["job", "job-r1", "job-r2"], [], "done")
    assert attempt(gone, busy, gone, "done") == (["job", "job-r1", "job-r2", "job-r3"], [5.0], "done")


@pytest.mark.parametrize("error", [failed(BadRequest("no such column")), BadRequest("no"), KeyError("a bug")])
def test_what_stays_wrong_is_tried_once(error):
    assert attempt(error, "done") == (["job"], [], error)
