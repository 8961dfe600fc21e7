"""Permissions of the two identities, tested without a write: the acting one has enough, the reading one cannot change anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.core.errors import OnCallError
from services.core.result import Health
from services.core.tables import PREDICTIONS_TABLE
from services.doctor.check_result import TIMEOUT_S, CheckResult, deploy_command, from_error
from services.gcp.clients import Clients, connect
from services.gcp.error_messages import translate_errors

WRITE_PERMISSIONS = ("bigquery.tables.updateData",)
WRITE_TARGETS = {  # what an action writes to, and what is lost where it may not
    PREDICTIONS_TABLE: "nothing can be consolidated",
    "nba_reference.player_aliases": "no alias can be saved",
    "prediction_on_call.actions": "nothing can be recorded, so no action is carried out",
}
SCALING_PERMISSIONS = ("run.services.get", "run.services.update")


def reading_identity(clients: Clients) -> Iterator[CheckResult]:
    """Least privilege: where another identity acts, the one that reads must not be able to change data or services."""
    if not clients.settings.acting_account:
        return
    writable = [table for table in WRITE_TARGETS if _granted(clients, table, WRITE_PERMISSIONS)]
    if "run.services.update" in _granted_on_worker(clients):
        writable.append(clients.settings.worker_service)
    if writable:
        message = f"The read identity can also change {', '.join(writable)}: more than any page needs."
        yield CheckResult("reading identity", Health.WARNING, message, _list_roles_command(clients))
    else:
        yield CheckResult("reading identity", Health.OK, "The read identity can't change data or services.")


def acting_identity(clients: Clients) -> Iterator[CheckResult]:
    """Whether the acting identity could carry out actions; nothing is executed."""
    account = clients.settings.acting_account
    operator_clients = connect(clients.settings, as_operator=True) if account else clients
    try:
        missing = [
            f"{table}: {consequence}"
            for table, consequence in WRITE_TARGETS.items()
            if not _granted(operator_clients, table, WRITE_PERMISSIONS)
        ]
        if "run.services.update" not in _granted_on_worker(operator_clients):
            missing.append(f"{clients.settings.worker_service}: its capacity cannot be changed")
    except OnCallError as error:
        yield from_error(clients, "acting identity", error, _impersonation_command(clients) if account else "")
        return
    identity = account or "the read identity"
    if missing:
        yield CheckResult(
            "acting identity",
            Health.CRITICAL,
            f"{identity} can't change {'; '.join(missing)}.",
            deploy_command(clients),
        )
    else:
        yield CheckResult(
            "acting identity", Health.OK, f"Actions use {identity}; it has the required write permissions."
        )


def _granted(clients: Clients, table: str, permissions: Sequence[str]) -> list[str]:
    with translate_errors(f"BigQuery tables.testIamPermissions ({table})"):
        return list(clients.bigquery.test_iam_permissions(table, permissions, timeout=TIMEOUT_S).get("permissions", ()))


def _granted_on_worker(clients: Clients) -> list[str]:
    resource = clients.service_name(clients.settings.worker_service)
    with translate_errors("Cloud Run services.testIamPermissions"):
        request = {"resource": resource, "permissions": list(SCALING_PERMISSIONS)}
        return list(clients.run.test_iam_permissions(request=request, timeout=TIMEOUT_S).permissions)


def _list_roles_command(clients: Clients) -> str:
    return (
        f"gcloud projects get-iam-policy {clients.settings.project} --flatten='bindings[].members'"
        " --filter='bindings.members:prediction-on-call-read' --format='value(bindings.role)'"
    )


def _impersonation_command(clients: Clients) -> str:
    project = clients.settings.project
    return (
        f"gcloud iam service-accounts add-iam-policy-binding {clients.settings.acting_account} --project={project}"
        f" --member=serviceAccount:prediction-on-call-read@{project}.iam.gserviceaccount.com"
        " --role=roles/iam.serviceAccountTokenCreator"
    )
