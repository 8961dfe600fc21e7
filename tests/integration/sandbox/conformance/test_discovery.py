"""The recorder that holds the calls of every test here to Google's discovery documents: it sees them, and it can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.sandbox.server import Sandbox
from tests.support.discovery_recorder import DiscoveryRecorder

PROJECT = "/bigquery/v2/projects/p"
SERVICE = "/v2/projects/p/locations/us-west2/services/worker"
SERVICE_TYPE = "type.googleapis.com/google.cloud.run.v2.Service"

Call = Callable[..., list[str]]


@pytest.fixture
def call() -> Call:
    """Calls a server that answers with the given body, and returns what the recorder reports of it."""

    def record(verb: str, url: str, answer: object = None, status: int = 200, **request: Any) -> list[str]:
        async def respond(received: Request) -> Response:
            await received.body()
            return Response(status_code=status) if answer is None else JSONResponse(answer, status)

        recorder = DiscoveryRecorder()
        app = Starlette(routes=[Route("/{path:path}", respond, methods=["GET", "POST", "PATCH", "DELETE"])])

        async def send() -> None:
            transport = httpx.ASGITransport(recorder.wrap(app))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                await client.request(verb, url, **request)

        asyncio.run(send())
        return [str(deviation) for deviation in recorder.take()]

    return record


@pytest.mark.parametrize(
    ("url", "answer", "problems"),
    [
        (f"{PROJECT}/jobs/j", {"statistics": {"query": {"totalBytesBilled": "0"}}}, []),
        (
            f"{PROJECT}/jobs/j",
            {"statistics": {"query": {"totalRows": "0"}}},
            ["statistics.query.totalRows: there is no such field"],
        ),
        (f"{PROJECT}/jobs/j", {"statistics": {"creationTime": 5}}, ["statistics.creationTime: a int is no int64"]),
        (f"{PROJECT}/jobs/j", {"statistics": {"endTime": "soon"}}, ["statistics.endTime: 'soon' is no int64"]),
        (f"{PROJECT}/jobs/j", {"status": {"errors": {}}}, ["status.errors: a dict is no list"]),
        (f"{PROJECT}/jobs/j", None, ["there is no body"]),
        (
            f"{PROJECT}/datasets/d/tables/t",
            {"schema": {"fields": [{"name": "a", "type": "STRING", "description": None}]}},
            ["schema.fields[].description: null"],
        ),
        (SERVICE, {"createTime": "2025-12-30T01:20:00Z", "ingress": "INGRESS_TRAFFIC_ALL"}, []),
        (
            SERVICE,
            {"createTime": "30 Dec", "ingress": "all"},
            ["createTime: '30 Dec' is no google-datetime", "ingress: 'all' is none of its values"],
        ),
        (
            SERVICE,
            {"template": {"maxInstanceRequestConcurrency": 5.0}},
            ["template.maxInstanceRequestConcurrency: a float is no int32"],
        ),
        (SERVICE, {"ingress": "all"}, ["ingress: 'all' is none of its values"]),
        (SERVICE, {"ingress": 1}, ["ingress: a int is no string"]),
        (f"{SERVICE}?$alt=json;enum-encoding=int", {"ingress": 1}, []),
        (
            "/v2/projects/p/locations/us-west2/operations/o",
            {"done": True, "response": {"@type": SERVICE_TYPE, "labels": {"a": "b"}, "size": 4}},
            ["response.size: there is no such field"],
        ),
    ],
)
def test_an_answer_that_the_documents_do_not_have_is_reported(
    call: Call, url: str, answer: object, problems: list[str]
):
    assert [line.partition(" response ")[2] for line in call("GET", url, answer)] == problems


@pytest.mark.parametrize(
    ("verb", "url", "body", "problems"),
    [
        ("GET", f"{PROJECT}/jobs?allUsers=true&maxResults=5&stateFilter=done", None, []),
        ("GET", f"{PROJECT}/jobs?allUsers=yes", None, ["allUsers: 'yes' is no boolean"]),
        ("GET", f"{PROJECT}/jobs?maxResults=-1", None, ["maxResults: '-1' is no uint32"]),
        ("GET", f"{PROJECT}/jobs?projection=most", None, ["projection: 'most' is none of its values"]),
        ("GET", f"{PROJECT}/jobs?since=1", None, ["since: there is no such parameter"]),
        ("GET", f"{PROJECT}/jobs?pageToken=a&pageToken=b", None, ["pageToken: is not repeated"]),
        ("POST", f"{PROJECT}/jobs", {"configuration": {"query": {"query": "SELECT 1"}}}, []),
        ("POST", f"{PROJECT}/jobs", {"configuration": {"query": {"sql": ""}}}, ["configuration.query.sql: there is no such field"]),
        ("POST", f"{PROJECT}/jobs", [], [": a list is no object"]),
        ("PATCH", f"{SERVICE}?updateMask=scaling.max instance", {}, ["updateMask: 'scaling.max instance' is no google-fieldmask"]),
        ("POST", f"{PROJECT}/jobs/j:undo", {}, ["there is no such method"]),
    ],
)  # fmt: skip
def test_an_accepted_request_that_the_documents_do_not_have_is_reported(
    call: Call, verb: str, url: str, body: object, problems: list[str]
):
    assert [line.partition(" request ")[2] for line in call(verb, url, {}, json=body)] == problems


def test_a_request_counts_only_when_it_is_accepted(call: Call):
    refusal = {"error": {"code": 400, "message": "Unknown name"}}
    assert call("POST", f"{PROJECT}/jobs", refusal, 400, json={"sql": ""}) == []


@pytest.mark.parametrize(
    "body",
    [None, {"detail": "no"}, {"error": "no"}, {"error": {"code": 500, "message": "no"}}, {"error": {"code": 400}}],
)
def test_an_error_in_another_form_than_googles_is_reported(call: Call, body: object):
    assert len(call("GET", f"{PROJECT}/jobs/j", body, 400)) == 1


def test_what_googles_own_clients_send_is_no_deviation(call: Call):
    assert call("GET", f"{PROJECT}/jobs/j?projection=full", {}) == []
    assert call("GET", f"{PROJECT}/jobs?allUsers=True", {}) == []


def test_a_field_too_many_in_a_sandboxs_answer_is_reported(
    blank_sandbox: Sandbox, discovery_recorder: DiscoveryRecorder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(blank_sandbox.state, "scheduler_jobs", [{"name": "a", "state": "PAUSED", "team": "on-call"}])
    requests.get(f"{blank_sandbox.url}/v1/projects/nba-props-platform/locations/us-west2/jobs", timeout=10)
    deviations = [str(deviation) for deviation in discovery_recorder.take()]
    assert deviations == ["cloudscheduler.projects.locations.jobs.list response jobs[].team: there is no such field"]
