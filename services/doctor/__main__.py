"""`make doctor`: what the dashboard reaches and the command that repairs what it does not, as text."""

from __future__ import annotations

import sys

from services.core.errors import OnCallError
from services.core.result import Health
from services.core.settings import Settings
from services.doctor.examination import Examination, read_examination
from services.gcp.clients import connect


def as_text(examination: Examination) -> str:
    """The findings as lines for a terminal, worst first."""
    lines = []
    for finding in examination.findings:
        lines.append(f"{finding.health.upper():13} {finding.about}: {finding.sentence}")
        if finding.repair:
            lines.append(f"{'':13} → {finding.repair}")
    return "\n".join(lines)


def main() -> None:
    try:
        examination = read_examination(connect(Settings.from_env()))
    except OnCallError as error:
        raise SystemExit(str(error)) from None
    print(as_text(examination))
    sys.exit(examination.health is Health.CRITICAL)


if __name__ == "__main__":
    main()
