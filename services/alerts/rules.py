"""The watchdog's rules: what each looks at, from when on it speaks, what that means, and which button or command helps."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.settings import Settings
from services.policy.dml_limits import EMERGENCY_CAPACITY_FLAGS, EMERGENCY_CAPACITY_TEXT


@dataclass(frozen=True)
class Rule:
    """One rule. `threshold` may name settings in braces; `cause` groups it with others that tell of the same trouble."""

    name: str
    title: str
    source: str
    threshold: str
    description: str
    hint: str
    page: str
    cause: str
    command: str = ""
    log_preset: str = ""  # the search on the logs page that shows the lines

    def format_threshold(self, settings: Settings) -> str:
        return self.threshold.format(**{name: _format_value(value) for name, value in vars(settings).items()})


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
        "dml_rejections",
        "Writes are being rejected",
        "BigQuery job history and the worker's log, every instance together",
        "{dml_alert_errors} writes rejected for too many at once within {dml_alert_window_s} s since the newest batch began",
        "More workers write at once than the table admits; each rejected write is a player lost.",
        f"Narrow the workers to {EMERGENCY_CAPACITY_TEXT}, then re-run the lost players through staging.",
        "dml_errors",
        "writes",
        _SCALE_DOWN_COMMAND,
        "DML errors",
    ),
    Rule(
        "write_success",
        "Predictions were generated but not written",
        "the night player by player: worker runs, log, predictions table",
        "below 99 % of the players generated",
        "The run says success, and rows are missing all the same.",
        "Re-run the lost players.",
        "missing_players",
        "writes",
        _RERUN_COMMAND,
        "Lost players",
    ),
    Rule(
        "stalled",
        "The batch stands still",
        "ledger of batches, worker runs, coordinator's log",
        "no progress for 10 min, or its coordinator calls it stalled",
        "What it has not written yet will not be written by itself.",
        "Resume the batch, or consolidate what waits in staging.",
        "runs",
        "run",
        _RESUME_COMMAND,
        "Consolidation",
    ),
    Rule(
        "at_zero",
        "The batch is at 0 %",
        "ledger of batches, worker runs",
        "requests sent, and nobody generated 5 min later",
        "The workers do not get the requests, or all of them fail.",
        "Look at the workers' log and at the subscription, then run the night again.",
        "runs",
        "run",
        _RERUN_COMMAND,
        "Errors of the prediction services",
    ),
    Rule(
        "produced_nothing",
        "The batch ended and produced nothing",
        "ledger of batches, predictions table",
        "a batch has ended, and the date has no row",
        "Whatever it says of itself, nobody has a prediction.",
        "Run the night again.",
        "runs",
        "run",
        _RERUN_COMMAND,
        "Errors of the prediction services",
    ),
    Rule(
        "consolidation",
        "Consolidation failed or never started",
        "ledger of batches, coordinator's log, list of staging tables",
        "it failed, or tables of an ended batch wait",
        "Rows are safe in staging, but nobody sees them.",
        "Consolidate the batch.",
        "staging_tables",
        "run",
        _RESUME_COMMAND,
        "Consolidation",
    ),
    Rule(
        "not_run",
        "The night has not been run",
        "worker runs, ledger, odds' first tip-off",
        "no batch {run_deadline_before_tipoff_min} min before the first tip-off",
        "Nobody will have a prediction when the games begin.",
        "Start the run.",
        "runs",
        "run",
        _RERUN_COMMAND,
        "Errors of the prediction services",
    ),
    Rule(
        "duplicates",
        "Active rows share a key",
        "predictions table",
        "one or more keys of the date with two active rows",
        "Two MERGEs ran at once, or a row was inserted by hand; players are counted twice.",
        "Look at the players, then re-run them: the newest row wins.",
        "missing_players",
        "rows",
    ),
    Rule(
        "conservation",
        "Rows were lost between two steps",
        "ledger's sums; worker runs beside the predictions table",
        "any sum that does not hold, or over 10 % collapsed into another row's key",
        "A step dropped or merged rows that it should have kept.",
        "Compare the run's sums, then re-run the players.",
        "runs",
        "rows",
    ),
    Rule(
        "coverage",
        "Players are missing",
        "the night player by player",
        "below {coverage_warning_pct} % (critical {coverage_critical_pct} %) of those eligible once a batch has ended,"
        " and at the latest {run_deadline_before_tipoff_min} min before the first tip-off",
        "Eligible players have no active prediction.",
        "Look why, then re-run them.",
        "missing_players",
        "generation",
        _RERUN_COMMAND,
        "Lost players",
    ),
    Rule(
        "names",
        "More names do not resolve than the night before",
        "odds, context and aliases",
        "10 names and 10 percentage points more of those with odds than the last night",
        "A source changed its spelling, aliases are gone, or the context is missing teams.",
        "Add aliases, or look at the context.",
        "missing_players",
        "names",
    ),
    Rule(
        "staging_orphans",
        "Staging tables were left behind",
        "list of staging tables",
        "older than {orphan_after_h} h, or within 24 h of their expiry",
        "They may hold rows that are nowhere else, and their life ends.",
        "Consolidate or drop them.",
        "staging_tables",
        "staging",
    ),
    Rule(
        "width",
        "The workers' width is not what was set",
        "Cloud Run, and the notes on the service",
        "other numbers than the last that were set from here, or no maximum at all",
        "A deploy has undone an emergency, or nothing limits the workers.",
        "Narrow or restore the workers.",
        "concurrency",
        "width",
        _SCALE_DOWN_COMMAND,
    ),
    Rule(
        "schedule",
        "A scheduled run will not happen",
        "Cloud Scheduler",
        "an expected job is not there, is paused, failed at its last attempt, or is 10 min late",
        "A deleted job raises no error: it is only silent.",
        "Create, enable or mend the job.",
        "alerts",
        "schedule",
        "gcloud scheduler jobs list --location={region} | grep prediction",
    ),
    Rule(
        "silence",
        "There is a batch, and no log line of it",
        "Cloud Logging",
        "not one line of worker or coordinator since the newest batch began",
        "Errors would not be seen: that none is seen means nothing.",
        "See that logs arrive (sinks, exclusions, LOG_LEVEL).",
        "logs",
        "sight-logs",
        _READ_LOGS_COMMAND,
    ),
    Rule(
        "unreadable",
        "A source cannot be read",
        "every read of this look",
        "one or more sources that did not answer",
        "What they would have told is unknown, and not all right.",
        "See that the source answers and that this identity may read it.",
        "overview",
        "sight",
    ),
    Rule(
        "channel",
        "Alerts reach nobody",
        "SLACK_WEBHOOK_URL, and how the last message went",
        "no channel is set, or the last message did not arrive",
        "Whoever does not look here does not know.",
        "Set SLACK_WEBHOOK_URL, then send a test message.",
        "alerts",
        "channel",
    ),
)
RULES_BY_NAME = {rule.name: rule for rule in RULES}


def get_rule(name: str) -> Rule:
    """The rule of an alert; one that an older version raised is told under its name, not as a fault of the page."""
    retired_text = "This version has no such rule any more."
    return RULES_BY_NAME.get(name) or Rule(
        name, name, "an older version", retired_text, retired_text, "Resolve the alert.", "alerts", name
    )
