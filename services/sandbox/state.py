"""The state that all routes of the sandbox share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx

from services.core.clock import Clock, to_rfc3339
from services.sandbox.bigquery.billing_meter import BillingMeter
from services.sandbox.bigquery.job_server import BigQueryJobServer
from services.sandbox.bigquery.limits import Limits
from services.sandbox.common.fault_injection import Faults
from services.sandbox.common.identities import Identities, account_address
from services.sandbox.stand_ins.cloud_logging import LogStore
from services.sandbox.stand_ins.cloud_run import CloudRun
from services.sandbox.stand_ins.pubsub import PubSub

_load_certificates = cache(httpx.create_ssl_context)  # 25 ms


def _make_instances_client() -> httpx.AsyncClient:
    """One client for all requests to instances. No connection is kept: an instance may be killed."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncClient(timeout=300, limits=limits, verify=_load_certificates())


@dataclass
class SandboxState:
    """BigQuery, Cloud Run, logs, the limits they count, and the faults injected on purpose."""

    clock: Clock
    project: str
    bigquery: BigQueryJobServer
    cloud_run: CloudRun
    logs: LogStore
    limits: Limits
    meter: BillingMeter
    faults: Faults
    instance_wait_timeout_s: float = 10.0
    instances_http: httpx.AsyncClient = field(default_factory=_make_instances_client)
    slack_messages: list[dict[str, Any]] = field(default_factory=list)  # messages the webhook received
    pager_messages: list[dict[str, Any]] = field(default_factory=list)  # what the second channel received
    scheduler_jobs: list[dict[str, Any]] = field(default_factory=list)  # Cloud Scheduler's jobs
    pubsub: PubSub = field(default_factory=PubSub)
    identities: Identities = field(init=False)

    def __post_init__(self) -> None:
        self.identities = self.bigquery.identities

    def reset_limits(self) -> None:
        """Reset the counters of all limits, the injected faults and the denied permissions."""
        self.faults.clear()
        self.limits = self.bigquery.limits = Limits()
        self.identities.denied_permissions.clear()

    def granted_permissions(self, body: dict[str, Any]) -> dict[str, Any]:
        """The response of testIamPermissions: those of the requested permissions that the caller has."""
        return {"permissions": self.identities.granted(body.get("permissions", ()))}

    def runtime_account(self, service_name: str) -> str:
        """The account that a Cloud Run service runs as: its own, or the customer's where a scenario names none."""
        service = self.cloud_run.get(service_name) or {}
        configured = (service.get("template") or {}).get("serviceAccount")
        return str(configured or account_address("customer", self.project))

    def log_refused_request(
        self, service: str, method: str, path: str, status: int, headers: Mapping[str, str]
    ) -> None:
        """The entry in the request log of a call that a service's load balancer, or the service, refused."""
        labels = {"project_id": self.project, "service_name": service, "location": "us-west2"}
        entry = {
            "timestamp": to_rfc3339(self.clock.now()),
            "severity": "WARNING",
            "logName": f"projects/{self.project}/logs/run.googleapis.com%2Frequests",
            "httpRequest": {
                "requestMethod": method,
                "requestUrl": f"{self.cloud_run.base_url}{path}",
                "status": status,
                "userAgent": headers.get("user-agent", ""),
                "remoteIp": "127.0.0.1",
            },
        }
        self.logs.add(
            [entry], {"resource": {"type": "cloud_run_revision", "labels": labels}}, self.logs.ingestion_delay_s
        )

    def now_s(self) -> float:
        """The sandbox clock, in epoch seconds."""
        return self.clock.now().timestamp()
