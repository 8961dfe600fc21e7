"""Clients whose Cloud Run is the sandbox's stand-in in this process, without HTTP, on a clock that only waiting moves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from google.api_core import exceptions as google
from google.cloud import run_v2

from services.sandbox.scenarios.reference import revision_resources, service_resources
from services.sandbox.stand_ins.cloud_run import CloudRun
from services.sandbox.stand_ins.request_messages import RequestRefused
from tests.support.alert_factories import NOW, SETTINGS

LATEST = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}


@dataclass
class MovableClock:
    """A clock that a test moves."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class RunInMemory:
    """A worker with its Cloud Run; `calls` are the masks of the updates that arrived."""

    clock: MovableClock = field(default_factory=MovableClock)
    calls: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.run = CloudRun(self.clock, "http://run")
        self.run.seed(service_resources(), revision_resources())
        self.name = next(name for name in self.run.services if name.endswith("/prediction-worker"))

    @property
    def clients(self) -> Any:
        return SimpleNamespace(
            now=self.clock.now,
            settings=SETTINGS,
            service_name=lambda _: self.name,
            run=SimpleNamespace(get_service=self._get_service, update_service=self._update_service),
            revisions=SimpleNamespace(get_revision=self._get_revision),
        )

    def change(self, body: Mapping[str, Any], mask: str) -> None:
        """What somebody else does: a deploy or a command, carried out at once."""
        self.run.patch(self.name, body, mask, False)
        self.clock.sleep(10)

    def deploy(self, instances: int, concurrency: int, **scaling: int) -> str:
        """A new revision with these numbers; its short name."""
        template = {**self.run.services[self.name]["template"], "maxInstanceRequestConcurrency": concurrency}
        scaling = {"maxInstanceCount": instances, **scaling}
        self.change({"template": {**template, "scaling": scaling}}, "template")
        return str(self.run.services[self.name]["latestCreatedRevision"].rsplit("/", 1)[-1])

    def set_traffic(self, **percent: int) -> None:
        """Pin the traffic to revisions, or without any let it follow the latest."""
        kind = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
        targets = [{"type": kind, "revision": name, "percent": share} for name, share in percent.items()]
        self.change({"traffic": targets or [LATEST]}, "traffic")

    def _get_service(self, name: str, **_: object) -> run_v2.Service:
        return run_v2.Service.from_json(json.dumps(self.run.get(name)))

    def _get_revision(self, name: str, **_: object) -> run_v2.Revision:
        self.run.get(self.name)
        if name not in self.run.revisions:
            raise google.NotFound(f"Resource '{name.rsplit('/', 1)[-1]}' of kind 'REVISION' does not exist.")
        return run_v2.Revision.from_json(json.dumps(self.run.revisions[name]))

    def _update_service(self, request: run_v2.UpdateServiceRequest, **_: object) -> SimpleNamespace:
        paths = list(request.update_mask.paths)
        self.calls.append(paths)
        body = json.loads(run_v2.Service.to_json(request.service, always_print_fields_with_no_presence=False))
        try:
            operation = self.run.patch(self.name, body, ",".join(paths), False)
        except RequestRefused as error:
            raise google.from_http_status(error.status, error.message) from None
        resource = {key: value for key, value in operation["metadata"].items() if key != "@type"}
        return SimpleNamespace(metadata=run_v2.Service.from_json(json.dumps(resource)))
