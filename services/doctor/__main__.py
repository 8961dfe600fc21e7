"""`make doctor`: what the dashboard reaches and the command that repairs what it does not, as text."""

from __future__ import annotations

import sys

from services.core.errors import OnCallError
from services.core.result import Health
from services.core.settings import Settings
from services.doctor.examination import ConnectionReport, run_checks
from services.doctor.first_step import find_first_step
from services.gcp.clients import connect


def format_report(settings: Settings, report: ConnectionReport) -> str:
    """The results as lines for a terminal: what to do first, then every result, worst first."""
    first_step = find_first_step(settings, report.results)
    lines = [f"{'DO THIS FIRST':13} {first_step}", ""] if first_step else []
    for result in report.results:
        lines.append(f"{result.health.upper():13} {result.subject}: {result.message}")
        if result.repair_command:
            lines.append(f"{'':13} → {result.repair_command}")
    return "\n".join(lines)


def main() -> None:
    settings = Settings.from_env()
    try:
        report = run_checks(connect(settings))
    except OnCallError as error:
        raise SystemExit(str(error)) from None
    print(format_report(settings, report))
    sys.exit(report.health is Health.CRITICAL)


if __name__ == "__main__":
    main()
