"""Coordinators for these tests: ours, with its worker, as they are deployed; and others, by their documented answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.gcp.clients import connect
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.pipeline.coordinator.http_api import CoordinatorApi, create_app
from services.pipeline.worker import app as worker
from services.sandbox.server import Sandbox
from tests.support.sandbox import settings_as


@contextmanager
def serve_app(app: Starlette) -> Iterator[str]:
    """An application on a free port of its own, until the end."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@contextmanager
def coordinator_server(sandbox: Sandbox) -> Iterator[str]:
    """Our coordinator and our worker, behind the sandbox's Cloud Run; the coordinator's address there."""
    clients = connect(settings_as(sandbox, "pipeline"))
    with serve_app(worker.create_app(worker.build_worker(clients))) as worker_url:
        sandbox.state.cloud_run.backends["prediction-worker"] = worker_url
        with serve_app(create_app(CoordinatorApi(clients, BatchRunner(clients)))) as coordinator_url:
            sandbox.state.cloud_run.backends["prediction-coordinator"] = coordinator_url
            yield f"{sandbox.url}/run/prediction-coordinator"


@dataclass
class CustomerCoordinator:
    """A coordinator that answers as the customer's is documented to. Every /start it was sent is kept."""

    start: Callable[[Mapping[str, Any]], tuple[int, Any]]
    status: Callable[[], tuple[int, Any]]
    root: tuple[int, Any] = (200, {"service": "prediction-coordinator", "status": "healthy", "batch_active": False})
    start_requests: list[Mapping[str, Any]] = field(default_factory=list)

    def application(self) -> Starlette:
        async def root(_: Request) -> Response:
            return _to_response(self.root)

        async def start(request: Request) -> Response:
            self.start_requests.append(await request.json())
            return _to_response(self.start(self.start_requests[-1]))

        async def status(_: Request) -> Response:
            return _to_response(self.status())

        return Starlette(routes=[Route("/", root), Route("/start", start, methods=["POST"]), Route("/status", status)])


def _to_response(response: tuple[int, Any]) -> Response:
    code, body = response
    return JSONResponse(body, code) if isinstance(body, dict) else Response(str(body), code)
