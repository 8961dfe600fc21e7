"""What the doctor says of one thing, and the words for one that could not be looked at."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.errors import AccessDenied, MissingInWarehouse, OnCallError
from services.core.result import Health
from services.gcp.clients import Cloud

LIMIT_S = 20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it is, in a sentence, and the command that repairs it where one does."""

    about: str
    health: Health
    sentence: str
    repair: str = ""


def apply_script(cloud: Cloud) -> str:
    """The script that makes our own tables and grants every permission."""
    return f"PROJECT={cloud.settings.project} deploy/apply.sh --do"


def trouble(cloud: Cloud, about: str, error: OnCallError, repair: str = "") -> Finding:
    """A look that ended in an error; a missing permission is granted by the script."""
    health = Health.CRITICAL if isinstance(error, AccessDenied | MissingInWarehouse) else Health.UNKNOWN
    grant = apply_script(cloud) if isinstance(error, AccessDenied) else ""
    return Finding(about, health, f"{error.sentence} {error.remedy}".strip(), repair or grant)
