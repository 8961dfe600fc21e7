"""The write path in one process: a real Clients on the in-memory BigQuery, workers and coordinators reached without a socket,
simulated time.

    clock = SimulatedClock()
    project = MemoryProject(clock)
    clients = memory_clients(project)
    with in_memory(clock, {"worker.test": memory_worker(clients)}):
        runner = BatchRunner(clients, clock.retry_policy())
        …
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ParamSpec, TypeVar, cast
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
from google.api_core.exceptions import BadRequest
from google.cloud import run_v2, scheduler_v1
from google.protobuf.timestamp_pb2 import Timestamp
from requests.structures import CaseInsensitiveDict

from services.core.clock import Clock
from services.core.settings import Settings
from services.gcp.clients import Clients
from services.gcp.retry import RetryPolicy
from services.pipeline import rate_limiter
from services.pipeline.warehouse import BigQueryWarehouse
from services.pipeline.worker.app import Worker, create_app
from services.pipeline.worker.predictor import BaselinePredictor, Predictor
from services.pipeline.worker.staging_writer import StagingWriter
from services.sandbox.stand_ins.log_filter import FilterError
from tests.support.memory_bigquery import PROJECT, Hook, MemoryClient, MemoryProject, no_hook

P = ParamSpec("P")
T = TypeVar("T")
WORKER_HOST, COORDINATOR_HOST = "worker.test", "coordinator.test"
_MODULES_WITH_THREADS = (
    "services.gcp.concurrent_reads",
    "services.pipeline.warehouse",
    "services.pipeline.consolidator",
    "services.staging.consolidate_plan",
    "services.staging.merge_proof",
)
_DISPATCHER = "services.pipeline.coordinator.dispatcher"
_MODULES_WITH_HANDLERS = ("services.pipeline.worker.app", "services.pipeline.coordinator.http_api")


@dataclass
class SimulatedClock:
    """Time that passes only when somebody waits; `on_sleep`, where it is set, is called while a process waits."""

    at: datetime = datetime(2025, 12, 30, 7, 0, tzinfo=UTC)
    skew: timedelta = timedelta(0)
    source: SimulatedClock | None = None  # the clock that this one is off by `skew`
    on_sleep: Callable[[], None] | None = None

    def now(self) -> datetime:
        return (self.source.now() if self.source else self.at) + self.skew

    def skewed(self, skew: timedelta) -> SimulatedClock:
        """A process's own clock, wrong by `skew`."""
        return SimulatedClock(skew=skew, source=self)

    def monotonic(self) -> float:
        return self.now().timestamp()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        if self.on_sleep is not None:
            self.on_sleep()

    def retry_policy(self, rng: Callable[[], float] = lambda: 0.5, retries: int = 3) -> RetryPolicy:
        """The real policy, waiting on this clock."""
        return RetryPolicy(retries=retries, sleep=self.sleep, rng=rng)


def memory_clients(project: MemoryProject, hook: Hook = no_hook, clock: Clock | None = None) -> Clients:
    """Real Clients of one process: BigQuery in memory, a worker and a coordinator in Cloud Run, their daily jobs."""
    log_api = SimpleNamespace(api_request=lambda data, **_: _list_entries(project, data))
    return Clients(
        settings=_settings(),
        clock=clock or project.clock,
        bigquery=cast(Any, MemoryClient(project, hook)),
        run=cast(Any, SimpleNamespace(get_service=_get_service)),
        revisions=cast(Any, SimpleNamespace(get_revision=_get_revision)),
        logging=cast(Any, SimpleNamespace(_connection=log_api, project=PROJECT)),
        scheduler=cast(Any, SimpleNamespace(list_jobs=lambda **_: _list_daily_jobs())),
    )


def _list_entries(project: MemoryProject, data: Mapping[str, Any]) -> Any:
    try:
        return project.log.list(data)
    except FilterError as error:
        raise BadRequest(str(error)) from error


@cache
def _settings() -> Settings:
    return Settings.from_env(
        {
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "BIGQUERY_LOCATION": "US",
            "MANIFEST_DIR": str(Path(__file__).parent / "manifest"),
        }
    )


def _get_service(name: str, **_: object) -> run_v2.Service:
    revision = f"{name}/revisions/r-1"
    host = WORKER_HOST if "worker" in name else COORDINATOR_HOST
    return run_v2.Service(
        name=name,
        uri=f"http://{host}",
        generation=1,
        observed_generation=1,
        latest_ready_revision=revision,
        scaling=run_v2.ServiceScaling(max_instance_count=1),
        template=run_v2.RevisionTemplate(
            max_instance_request_concurrency=1, scaling=run_v2.RevisionScaling(max_instance_count=1)
        ),
    )


def _list_daily_jobs() -> list[scheduler_v1.Job]:
    """The expected jobs of Cloud Scheduler, each enabled and not due."""
    names = _settings().expected_jobs.split(",")
    return [scheduler_v1.Job(name=name, state=scheduler_v1.Job.State.ENABLED) for name in names]


def _get_revision(name: str, **_: object) -> run_v2.Revision:
    return run_v2.Revision(
        name=name,
        create_time=Timestamp(seconds=1_766_000_000),
        max_instance_request_concurrency=1,
        scaling=run_v2.RevisionScaling(max_instance_count=1),
    )


def memory_worker(clients: Clients, retry: RetryPolicy, predictor: Predictor | None = None) -> AsgiApp:
    """The worker's application on a process's clients."""
    writer = StagingWriter(BigQueryWarehouse(clients), retry)
    return create_app(Worker(clients, predictor or BaselinePredictor(), writer), local=False)


AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]
Answer = tuple[int, Mapping[str, str], bytes]


def call_app(app: AsgiApp, method: str, url: str, body: bytes = b"") -> Answer:
    """(status, headers, body) of one request to an ASGI application, in the caller's own thread."""
    parts = urlsplit(url)
    sent: list[Mapping[str, Any]] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(b"host", parts.netloc.encode()), (b"content-type", b"application/json")],
        "server": (parts.hostname, 80),
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    _run_to_end(cast(Coroutine[Any, Any, None], app(scope, receive, send)))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


def _run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Drive a coroutine that never waits for anything."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("The application waits for something that is not in memory.")


@contextmanager
def in_memory(clock: SimulatedClock, apps: Mapping[str, AsgiApp]) -> Iterator[None]:
    """While it lasts, hosts of `apps` answer requests, waiting moves `clock`, and what threads would do is done at once."""

    def send(_adapter: object, request: requests.PreparedRequest, **_: object) -> requests.Response:
        url = str(request.url)
        app = apps.get(urlsplit(url).netloc)
        if app is None:
            raise requests.ConnectionError(f"No application answers at {url}.")
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        status, headers, content = call_app(app, str(request.method), url, body)
        response = requests.Response()
        response.status_code, response._content, response.url, response.request = status, content, url, request
        response.headers = CaseInsensitiveDict(headers)
        return response

    with ExitStack() as patches:
        patches.enter_context(patch.object(requests.adapters.HTTPAdapter, "send", send))
        patches.enter_context(patch.object(time, "sleep", clock.sleep))
        patches.enter_context(patch.object(time, "monotonic", clock.monotonic))
        defaults = (rate_limiter.QUOTA_PER_S, clock.monotonic, clock.sleep)
        patches.enter_context(patch.object(rate_limiter.RateLimiter.__init__, "__defaults__", defaults))
        for module in _MODULES_WITH_THREADS:
            patches.enter_context(patch(f"{module}.ThreadPoolExecutor", ImmediateExecutor))
        patches.enter_context(patch(f"{_DISPATCHER}.ThreadPoolExecutor", LazyExecutor))
        patches.enter_context(patch(f"{_DISPATCHER}.as_completed", iter))
        for module in _MODULES_WITH_HANDLERS:
            patches.enter_context(patch(f"{module}.run_in_threadpool", _run_at_once))
        yield


async def _run_at_once(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return function(*args, **kwargs)


class ImmediateExecutor:
    """A ThreadPoolExecutor without threads. What is not an Exception, a killed process, is raised where it happens."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> ImmediateExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def map(self, function: Callable[..., T], *iterables: Iterable[Any]) -> Iterator[T]:
        return map(function, *iterables)

    def shutdown(self, *_: object, **__: object) -> None:
        pass


class LazyExecutor(ImmediateExecutor):
    """An executor without threads that does each piece of work when its result is asked for, and so in between what the caller does."""

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        setattr(future, "result", lambda: function(*args, **kwargs))  # noqa: B010 - it replaces a method
        return future


@dataclass
class DeferredThreads:
    """Stands for `threading.Thread` where a request starts a run: the run is kept, to be carried out when the test says so."""

    runs: list[Callable[[], object]] = field(default_factory=list)

    def __call__(self, target: Callable[..., object], args: tuple[object, ...] = (), **_: object) -> SimpleNamespace:
        return SimpleNamespace(start=lambda: self.runs.append(lambda: target(*args)))
