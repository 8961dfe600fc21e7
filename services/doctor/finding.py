"""What the doctor says of one thing, and the words for one that could not be looked at."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.errors import AccessDenied, OnCallError, TableNotFound
from services.core.result import Health
from services.gcp.clients import Clients

TIMEOUT_S = 20


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at: how it is, in a sentence, and the command that repairs it where one does."""

    subject: str
    health: Health
    message: str
    repair_command: str = ""


def deploy_command(clients: Clients) -> str:
    """The script that makes our own tables and grants every permission."""
    return f"PROJECT={clients.settings.project} deploy/apply.sh --do"


def from_error(clients: Clients, subject: str, error: OnCallError, repair_command: str = "") -> CheckResult:
    """A look that ended in an error; a missing permission is granted by the script."""
    health = Health.CRITICAL if isinstance(error, AccessDenied | TableNotFound) else Health.UNKNOWN
    grant_command = deploy_command(clients) if isinstance(error, AccessDenied) else ""
    return CheckResult(subject, health, f"{error.message} {error.hint}".strip(), repair_command or grant_command)
