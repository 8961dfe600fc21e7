"""Everything behind the sandbox's one address."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from services.core.clock import Clock
from services.sandbox.bigquery.billing_meter import BillingMeter
from services.sandbox.bigquery.job_server import BigQueryJobServer
from services.sandbox.bigquery.limits import Limits
from services.sandbox.common.fault_injection import Faults
from services.sandbox.stand_ins.cloud_logging import LogStore
from services.sandbox.stand_ins.cloud_run import CloudRun


@dataclass
class SandboxState:
    """The warehouse, the services, the log, what they count, and what goes wrong on purpose."""

    clock: Clock
    project: str
    bigquery: BigQueryJobServer
    cloud_run: CloudRun
    logs: LogStore
    limits: Limits
    meter: BillingMeter
    faults: Faults
    instance_wait_timeout_s: float = 10.0
    slack_messages: list[dict[str, Any]] = field(default_factory=list)  # what Slack was sent
    scheduler_jobs: list[dict[str, Any]] = field(default_factory=list)  # Cloud Scheduler's
    denied_permissions: set[str] = field(
        default_factory=set
    )  # permissions that nobody has here; everybody has the others

    def reset_limits(self) -> None:
        """Forget what the limits have counted, and everything that was broken to order."""
        self.faults.clear()
        self.limits = self.bigquery.limits = Limits()
        self.denied_permissions.clear()

    def granted_permissions(self, body: dict[str, Any]) -> dict[str, Any]:
        """What testIamPermissions answers: of the permissions asked for, those that one has."""
        return {
            "permissions": [
                permission for permission in body.get("permissions", ()) if permission not in self.denied_permissions
            ]
        }

    def now_s(self) -> float:
        return self.clock.now().timestamp()
