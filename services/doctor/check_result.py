"""The result of one connection check, and that of one that could not be made."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.errors import AccessDenied, OnCallError, TableNotFound
from services.core.result import Health
from services.gcp.clients import Clients

TIMEOUT_S = 20


@dataclass(frozen=True)
class CheckResult:
    """One check: its health in a sentence, and the command that repairs it where one does."""

    subject: str
    health: Health
    message: str
    repair_command: str = ""


def deploy_command(clients: Clients) -> str:
    """The command that creates our own tables and grants every permission."""
    settings = clients.settings
    return f"PROJECT={settings.project} REGION={settings.region} deploy/apply.sh --do"


def grant_command(clients: Clients, role: str) -> str:
    """The command that grants a role on the project to the identity that reads."""
    project = clients.settings.project
    member = f"serviceAccount:prediction-on-call-read@{project}.iam.gserviceaccount.com"
    return f"gcloud projects add-iam-policy-binding {project} --role={role} --member={member} --condition=None"


def from_error(clients: Clients, subject: str, error: OnCallError, repair_command: str = "") -> CheckResult:
    """The result of a check that raised; a missing permission is granted by the deploy script."""
    health = Health.CRITICAL if isinstance(error, AccessDenied | TableNotFound) else Health.UNKNOWN
    grant_command = deploy_command(clients) if isinstance(error, AccessDenied) else ""
    return CheckResult(subject, health, f"{error.message} {error.hint}".strip(), repair_command or grant_command)
