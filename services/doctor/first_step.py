"""The one thing to do first where several checks failed: what repairs one of them often repairs the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from services.core.result import Health
from services.core.settings import Settings
from services.doctor.check_result import CheckResult
from services.doctor.required_tables import REQUIRED_TABLES

_THEIR_TABLES = frozenset(table.name for table in REQUIRED_TABLES if table.required and not table.is_own)


def find_first_step(settings: Settings, results: Sequence[CheckResult]) -> str:
    """A sentence or a command, by what the critical results have in common; "" when none is critical.

    `results` are in the order of the checks: of equally frequent commands the first one counts.
    """
    critical = [result for result in results if result.health is Health.CRITICAL]
    if len(_THEIR_TABLES & {result.subject for result in critical}) == len(_THEIR_TABLES):
        return (
            f"None of the pipeline's tables can be read in {settings.project}. Check GOOGLE_CLOUD_PROJECT and the account"
            " (gcloud auth list), then run this again: the other failures may follow from this one."
        )
    commands = Counter(result.repair_command for result in critical if result.repair_command)
    if not commands:
        return critical[0].message if critical else ""
    command, count = commands.most_common(1)[0]
    return f"{command}   # {count} of {len(critical)} critical results name it" if len(critical) > 1 else command
