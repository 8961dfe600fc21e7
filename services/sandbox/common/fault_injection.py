"""Injected faults: delays, error statuses, dropped connections and empty responses, per API, for some calls or until removed."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

APIS = ("bigquery", "run", "logging", "balancer", "scheduler", "slack", "pager")
_VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
FAULT_KINDS = ("delay", "status", "drop", "drop_after", "empty")


@dataclass
class Fault:
    """One fault of a kind in FAULT_KINDS; `method` limits it to calls whose method contains that text.

    It lasts for `times` calls, or until the sandbox clock reaches `until_s` (epoch seconds); with neither, until it is removed.
    """

    api: str
    kind: str
    method: str = ""
    status: int = 503
    message: str = ""
    seconds: float = 0.0
    times: int | None = None
    until_s: float | None = None

    def __post_init__(self) -> None:
        if self.api not in APIS or self.kind not in FAULT_KINDS:
            raise ValueError(f"A fault needs an api of {', '.join(APIS)} and a kind of {', '.join(FAULT_KINDS)}.")


class ConnectionDropped(BaseException):
    """Close the connection without a response. A BaseException, so that no exception handler turns it into one."""


@dataclass
class Faults:
    """The active faults; the first that matches a call applies."""

    faults: list[Fault] = field(default_factory=list)

    def set(self, *faults: Fault) -> None:
        self.faults = list(faults)

    def clear(self) -> None:
        self.faults = []

    def next_fault(self, api: str, method: str, now_s: float) -> Fault | None:
        """The fault that applies to this call, its `times` counted down; None when none does."""
        for fault in self.faults:
            expired = fault.times == 0 or (fault.until_s is not None and now_s >= fault.until_s)
            if fault.api == api and fault.method in method and not expired:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    @classmethod
    def parse(cls, items: object, now_s: float, methods: Mapping[str, Iterable[str]]) -> list[Fault]:
        """Faults from the JSON of PUT /sandbox/faults; `for_s` instead of `until_s` counts from now.

        `methods`: the methods of each API, one of which a fault's `method` must be a part of. Raises ValueError in one sentence.
        """
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ValueError("The faults are a JSON list of objects.")
        faults = [_to_fault(dict(item), now_s) for item in items]
        for fault in faults:
            known = sorted(set(methods.get(fault.api, ())))
            if not any(fault.method in f"{method} {verb}" for method in known for verb in _VERBS):
                raise ValueError(f"No method of {fault.api} contains {fault.method!r}: {', '.join(known)}.")
        return faults


def _to_fault(fields: dict[str, Any], now_s: float) -> Fault:
    allowed = {*(each.name for each in dataclasses.fields(Fault)), "for_s"}
    if unknown := sorted(fields.keys() - allowed):
        raise ValueError(f"A fault has no {', '.join(unknown)}: it may have {', '.join(sorted(allowed))}.")
    fields = {"api": "", "kind": "", **fields}
    duration_s = fields.pop("for_s", None)
    return Fault(**fields, **({} if duration_s is None else {"until_s": now_s + duration_s}))


async def apply_before(fault: Fault | None) -> tuple[int, dict[str, Any]] | None:
    """Apply a fault before the call: wait, drop the connection, or return (status, body) instead of the service's response."""
    if fault is None:
        return None
    if fault.seconds:
        await asyncio.sleep(fault.seconds)
    if fault.kind == "drop":
        raise ConnectionDropped
    if fault.kind == "empty":
        return 200, {}
    if fault.kind == "status":
        return fault.status, error_body(fault.status, fault.message)
    return None


def error_body(status: int, message: str) -> dict[str, Any]:
    """Google's error body for an HTTP status; an empty `message` means its default text."""
    defaults = {
        400: ("invalid", "INVALID_ARGUMENT", "Invalid request."),
        401: ("authError", "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        403: ("accessDenied", "PERMISSION_DENIED", "Access Denied: permission denied."),
        404: ("notFound", "NOT_FOUND", "Not found."),
        409: ("aborted", "ABORTED", "The request conflicts with the current state."),
        412: ("conditionNotMet", "FAILED_PRECONDITION", "Precondition Failed"),
        429: ("rateLimitExceeded", "RESOURCE_EXHAUSTED", "Quota exceeded."),
        500: ("internalError", "INTERNAL", "An internal error occurred."),
        503: ("backendError", "UNAVAILABLE", "The service is currently unavailable."),
    }
    reason, status_name, default_message = defaults.get(status, ("backendError", "UNKNOWN", "Error."))
    text = message or default_message
    detail = {"message": text, "domain": "global", "reason": reason}
    return {"error": {"code": status, "message": text, "errors": [detail], "status": status_name}}
