"""Changes a Cloud Run service in one call that is refused when somebody changed it since, and waits until it is carried out."""

from __future__ import annotations

import time
from collections.abc import Sequence

from google.api_core import exceptions as google
from google.cloud import run_v2

from services.core.errors import OnCallError, SourceUnavailable
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.scaling.capacity import get_service, is_settled
from services.scaling.traffic import short_name

ROLLOUT_TIMEOUT_S, POLL_INTERVAL_S = 180, 1.0


class ServiceChanged(OnCallError):
    """The service was changed since this plan."""

    hint = "Retry: the plan is built again."


def start_update(clients: Clients, service: run_v2.Service, etag: str, mask_paths: Sequence[str]) -> run_v2.Service:
    """The service as Cloud Run accepted it; it is carried out a little later.

    Raises ServiceChanged when the service no longer has this etag, and another OnCallError when the call failed. A call
    whose answer was lost may be under way, and is waited for.
    """
    service.etag, name = etag, short_name(service.name)
    request = run_v2.UpdateServiceRequest(service=service, update_mask={"paths": mask_paths})
    try:
        with translate_errors("Cloud Run"):
            operation = clients.run.update_service(request=request, timeout=60)
    except SourceUnavailable as error:
        if isinstance(error.__cause__, google.Conflict):
            raise ServiceChanged(
                f"{name} was changed since this plan; Cloud Run rejected the update, nothing was changed."
            ) from error
        wait_until_settled(clients, name, 0)
        raise
    accepted: run_v2.Service = operation.metadata or get_service(clients, name)
    return accepted


def wait_until_settled(clients: Clients, service: str, generation: int) -> None:
    """Wait for a change by the service itself: its operation belongs to the location, where we may have no role."""
    deadline = time.monotonic() + ROLLOUT_TIMEOUT_S
    while not is_settled(get_service(clients, service), generation) and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL_S)
