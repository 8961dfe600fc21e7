"""What a rule is: its source, its threshold, what it means when it fires, and the remedy; and the commands that several share."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.settings import Settings
from services.policy.coverage_thresholds import describe_thresholds
from services.policy.dml_limits import EMERGENCY_CAPACITY_FLAGS


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. Its texts are shown on the alerts page; evaluation.py names the function that evaluates it."""

    name: str  # as recorded in the alerts table
    title: str
    source: str
    threshold: str  # may name fields of Settings in braces, {coverage_thresholds} and {rows_by_system}
    description: str  # what it means when it fires
    hint: str  # the remedy
    page: str  # file name in pages/ without .py: where the evidence is
    cause: str  # rules of one cause are one incident
    command: str = ""  # may name {rerun}, {resume}, {worker}, {region} and {project}
    log_preset: str = ""  # the search on the logs page that shows the lines

    def format_threshold(self, settings: Settings) -> str:
        """The threshold with its present values."""
        values = {name: _format_value(value) for name, value in vars(settings).items()}
        by_system = ", ".join(
            f"{system} {warning:g}% (critical {critical:g}%)"
            for system, (warning, critical) in settings.rows_pct_by_system
        )
        values |= {"rows_by_system": f"; {by_system}" if by_system else ""}
        return self.threshold.format(coverage_thresholds=describe_thresholds(settings), **values)


def _format_value(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value


SCALE_DOWN_COMMAND = (
    f"gcloud run services update {{worker}} {EMERGENCY_CAPACITY_FLAGS} --region={{region}} --project={{project}}"
)
RERUN_COMMAND, RESUME_COMMAND = "{rerun}", "{resume}"
DESCRIBE_SERVICE_COMMAND = "gcloud run services describe {worker} --region={region} --project={project}"
LIST_SUBSCRIPTIONS_COMMAND = (
    "gcloud pubsub subscriptions list --project={project} --format='table(name, topic, pushConfig.pushEndpoint)'"
)
LIST_JOBS_COMMAND = "gcloud scheduler jobs list --location={region} --project={project} | grep prediction"
READ_LOGS_COMMAND = (
    "gcloud logging read 'resource.type=\"cloud_run_revision\"' --freshness=2d --limit=20 --project={project}"
)
