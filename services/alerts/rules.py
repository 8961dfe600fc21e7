"""The watchdog's rules as data: the source of each, its threshold, what it means when it fires, and what helps."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.settings import Settings
from services.policy.coverage_thresholds import describe_thresholds
from services.policy.dml_limits import EMERGENCY_CAPACITY_FLAGS, EMERGENCY_CAPACITY_TEXT


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. Its texts are shown on the alerts page; the function that evaluates it is named in evaluation.py."""

    name: str  # as recorded in the alerts table
    title: str
    source: str
    threshold: str  # may name fields of Settings in braces, and {coverage_thresholds}
    description: str  # what it means when it fires
    hint: str  # what helps
    page: str  # file name in pages/ without .py: where the evidence is
    cause: str  # rules of one cause are one incident
    command: str = ""  # may name {date}, {batch}, {worker} and {region}
    log_preset: str = ""  # the search on the logs page that shows the lines

    def format_threshold(self, settings: Settings) -> str:
        values = {name: _format_value(value) for name, value in vars(settings).items()}
        return self.threshold.format(coverage_thresholds=describe_thresholds(settings), **values)


def _format_value(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value


_SCALE_DOWN_COMMAND = f"gcloud run services update {{worker}} {EMERGENCY_CAPACITY_FLAGS} --region={{region}}"
_RERUN_COMMAND = 'curl -X POST $COORDINATOR_URL/start -H \'Content-Type: application/json\' -d \'{{"game_date": "{date}", "force": true}}\''
_RESUME_COMMAND = (
    "curl -X POST $COORDINATOR_URL/resume -H 'Content-Type: application/json' -d '{{\"batch_id\": \"{batch}\"}}'"
)
_READ_LOGS_COMMAND = "gcloud logging read 'resource.type=\"cloud_run_revision\"' --limit=20"

RULES = (
    Rule(
        name="dml_rejections",
        title="Writes are being rejected",
        source="BigQuery job history and the worker's log, every instance together",
        threshold="{dml_alert_errors} writes rejected for too many at once within {dml_alert_window_s} s since the newest batch began",
        description="More workers write at once than the table admits; each rejected write is a player lost.",
        hint=f"Narrow the workers to {EMERGENCY_CAPACITY_TEXT}, then re-run the lost players through staging.",
        page="dml_errors",
        cause="writes",
        command=_SCALE_DOWN_COMMAND,
        log_preset="DML errors",
    ),
    Rule(
        name="write_success",
        title="Predictions were generated but not written",
        source="the night player by player: worker runs, log, predictions table",
        threshold="below 99 % of the players generated",
        description="The run says success, and rows are missing all the same.",
        hint="Re-run the lost players.",
        page="missing_players",
        cause="writes",
        command=_RERUN_COMMAND,
        log_preset="Lost players",
    ),
    Rule(
        name="stalled",
        title="The batch stands still",
        source="ledger of batches, worker runs, coordinator's log",
        threshold="no progress for 10 min, or its coordinator calls it stalled: players without an answer too",
        description="What it has not written yet is not written by itself; the watchdog resumes a batch three times a day at most.",
        hint="Resume the batch, or consolidate what waits in staging.",
        page="runs",
        cause="run",
        command=_RESUME_COMMAND,
        log_preset="Consolidation",
    ),
    Rule(
        name="at_zero",
        title="The batch is at 0 %",
        source="ledger of batches, worker runs",
        threshold="requests sent, and nobody generated 5 min later",
        description="The workers do not get the requests, or all of them fail.",
        hint="Look at the workers' log and at the subscription, then run the night again.",
        page="runs",
        cause="run",
        command=_RERUN_COMMAND,
        log_preset="Errors of the prediction services",
    ),
    Rule(
        name="produced_nothing",
        title="The batch ended and produced nothing",
        source="ledger of batches, predictions table",
        threshold="a batch has ended, and the date has no row",
        description="Whatever it says of itself, nobody has a prediction.",
        hint="Run the night again.",
        page="runs",
        cause="run",
        command=_RERUN_COMMAND,
        log_preset="Errors of the prediction services",
    ),
    Rule(
        name="consolidation",
        title="Consolidation failed or never started",
        source="ledger of batches, coordinator's log, list of staging tables",
        threshold="it failed, or tables of an ended batch wait",
        description="Rows are safe in staging, but nobody sees them.",
        hint="Consolidate the batch.",
        page="staging_tables",
        cause="run",
        command=_RESUME_COMMAND,
        log_preset="Consolidation",
    ),
    Rule(
        name="not_run",
        title="The night has not been run",
        source="worker runs, ledger, odds' first tip-off",
        threshold="no batch {run_deadline_before_tipoff_min} min before the first tip-off",
        description="Nobody will have a prediction when the games begin.",
        hint="Start the run.",
        page="runs",
        cause="run",
        command=_RERUN_COMMAND,
        log_preset="Errors of the prediction services",
    ),
    Rule(
        name="duplicates",
        title="Active rows share a key",
        source="predictions table",
        threshold="one or more keys of the date with two active rows",
        description="Two MERGEs ran at once, or a row was inserted by hand; players are counted twice.",
        hint="Remove the duplicates: the newest row of each key stays active.",
        page="alerts",
        cause="rows",
    ),
    Rule(
        name="conservation",
        title="Rows were lost between two steps",
        source="ledger's sums; worker runs beside the predictions table",
        threshold="any sum that does not hold, or over 10 % collapsed into another row's key",
        description="A step dropped or merged rows that it should have kept.",
        hint="Compare the run's sums, then re-run the players.",
        page="runs",
        cause="rows",
    ),
    Rule(
        name="coverage",
        title="Players are missing",
        source="the night player by player",
        threshold="{coverage_thresholds} of those eligible once a batch has ended,"
        " and at the latest {run_deadline_before_tipoff_min} min before the first tip-off",
        description="Eligible players have no active prediction.",
        hint="Look why, then re-run them.",
        page="missing_players",
        cause="generation",
        command=_RERUN_COMMAND,
        log_preset="Lost players",
    ),
    Rule(
        name="names",
        title="More names do not resolve than the night before",
        source="odds, context and aliases",
        threshold="10 names and 10 percentage points more of those with odds than the last night",
        description="A source changed its spelling, aliases are gone, or the context is missing teams.",
        hint="Add aliases, or look at the context.",
        page="missing_players",
        cause="names",
    ),
    Rule(
        name="staging_orphans",
        title="Staging tables were left behind",
        source="list of staging tables",
        threshold="older than {orphan_after_h} h, or within 24 h of their expiry",
        description="They may hold rows that are nowhere else, and their life ends.",
        hint="Consolidate or drop them.",
        page="staging_tables",
        cause="staging",
    ),
    Rule(
        name="width",
        title="The workers' width is not what was set",
        source="Cloud Run, and the notes on the service",
        threshold="other numbers than the last that were set from here, or no maximum at all",
        description="A deploy has undone an emergency, or nothing limits the workers.",
        hint="Narrow or restore the workers.",
        page="concurrency",
        cause="width",
        command=_SCALE_DOWN_COMMAND,
    ),
    Rule(
        name="schedule",
        title="A scheduled run will not happen",
        source="Cloud Scheduler",
        threshold="an expected job is not there, is paused, failed at its last attempt, or is 10 min late",
        description="A deleted job raises no error: it is only silent.",
        hint="Create, enable or mend the job.",
        page="alerts",
        cause="schedule",
        command="gcloud scheduler jobs list --location={region} | grep prediction",
    ),
    Rule(
        name="silence",
        title="There is a batch, and no log line of it",
        source="Cloud Logging",
        threshold="not one line of worker or coordinator since the newest batch began",
        description="Errors would not be seen: that none is seen means nothing.",
        hint="See that logs arrive (sinks, exclusions, LOG_LEVEL).",
        page="logs",
        cause="sight-logs",
        command=_READ_LOGS_COMMAND,
    ),
    Rule(
        name="unreadable",
        title="A source cannot be read",
        source="every read of this look",
        threshold="one or more sources that did not answer",
        description="What they would have told is unknown, and not all right.",
        hint="See that the source answers and that this identity may read it.",
        page="overview",
        cause="sight",
    ),
    Rule(
        name="channel",
        title="Alerts reach nobody",
        source="SLACK_WEBHOOK_URL, and how the last message went",
        threshold="no channel is set, or the last message did not arrive",
        description="Whoever does not look here does not know.",
        hint="Set SLACK_WEBHOOK_URL, then send a test message.",
        page="alerts",
        cause="channel",
    ),
)
RULES_BY_NAME = {rule.name: rule for rule in RULES}


def get_rule(name: str) -> Rule:
    """The rule of an alert; for a rule that only an older version knows, a stand-in of that name."""
    retired_text = "This version has no such rule any more."
    return RULES_BY_NAME.get(name) or Rule(
        name=name,
        title=name,
        source="an older version",
        threshold=retired_text,
        description=retired_text,
        hint="Resolve the alert.",
        page="alerts",
        cause=name,
    )
