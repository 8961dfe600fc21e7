"""Everything behind the sandbox's one address."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from services.core.clock import Clock
from services.sandbox.bigquery.billing_meter import Meter
from services.sandbox.bigquery.job_server import Warehouse
from services.sandbox.bigquery.limits import Limits
from services.sandbox.common.fault_injection import Faults
from services.sandbox.stand_ins.cloud_logging import LogBook
from services.sandbox.stand_ins.cloud_run import CloudRun


@dataclass
class World:
    """The warehouse, the services, the log, what they count, and what goes wrong on purpose."""

    clock: Clock
    project: str
    warehouse: Warehouse
    run: CloudRun
    logs: LogBook
    limits: Limits
    meter: Meter
    faults: Faults
    wait_for_instance_s: float = 10.0
    messages: list[dict[str, Any]] = field(default_factory=list)  # what Slack was sent
    jobs: list[dict[str, Any]] = field(default_factory=list)  # Cloud Scheduler's
    withheld: set[str] = field(default_factory=set)  # permissions that nobody has here; everybody has the others

    def reset_limits(self) -> None:
        """Forget what the limits have counted, and everything that was broken to order."""
        self.faults.clear()
        self.limits = self.warehouse.limits = Limits()
        self.withheld.clear()

    def held(self, told: dict[str, Any]) -> dict[str, Any]:
        """What testIamPermissions answers: of the permissions asked for, those that one has."""
        return {"permissions": [each for each in told.get("permissions", ()) if each not in self.withheld]}

    def now_s(self) -> float:
        return self.clock.now().timestamp()
