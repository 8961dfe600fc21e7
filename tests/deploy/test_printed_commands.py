"""Every kind of gcloud and bq command that pages, plans, messages and the doctor print, run exactly as it is printed.

Nothing is configured but the sign-in: a command has to name its project, region and location itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud import bigquery, run_v2, scheduler_v1

from services.alerts.findings import RuleResult
from services.alerts.rule import (
    DESCRIBE_SERVICE_COMMAND,
    LIST_JOBS_COMMAND,
    LIST_SUBSCRIPTIONS_COMMAND,
    READ_LOGS_COMMAND,
    SCALE_DOWN_COMMAND,
)
from services.alerts.rules import RULES_BY_NAME
from services.aliases import save
from services.aliases.edits import Edit, EditKind
from services.aliases.identities import merge
from services.core.commands import gcloud_command
from services.core.result import Health
from services.core.settings import Settings
from services.core.tables import PREDICTIONS_TABLE
from services.doctor import examination, permissions, plumbing_checks, required_tables
from services.doctor.check_result import grant_command
from services.doctor.required_tables import REQUIRED_TABLES, _check_partitioning, _check_table
from services.gcp import query_catalog
from services.gcp.read_cache import ReadCache
from services.reports import handoff_note
from services.scaling.annotations import CapacitySetting
from services.scaling.plan import _commands
from services.staging.drop import drop_command
from services.staging.remove_duplicates import bq_command
from services.staging.restore_dropped import restore_command
from services.telemetry.log_reader import PRESETS
from tests.tools.control_plane.customer import add_service

ACTING = "prediction-on-call-act@nba-props-platform.iam.gserviceaccount.com"
SETTINGS = Settings.from_env(
    {"GOOGLE_CLOUD_PROJECT": "nba-props-platform", "ACTING_ACCOUNT": ACTING, "BIGQUERY_LOCATION": "US"}
)
NIGHT = date(2025, 12, 29)
SCHEDULED_JOB = SETTINGS.expected_jobs.split(",")[0]
EMPTY_TABLE = bigquery.Table(f"nba-props-platform.{PREDICTIONS_TABLE}")


def printed_commands() -> Iterator[str]:
    paused = scheduler_v1.Job(name=f"jobs/{SCHEDULED_JOB}", state=scheduler_v1.Job.State.PAUSED)
    clients: Any = SimpleNamespace(
        settings=SETTINGS,
        cache=ReadCache(),
        bigquery=SimpleNamespace(get_table=lambda *_, **__: EMPTY_TABLE),
        scheduler=SimpleNamespace(list_jobs=lambda **_: [paused]),
        now=lambda: datetime(2025, 12, 30, tzinfo=UTC),
    )
    worker: Any = SimpleNamespace(service="prediction-worker")
    request: Any = SimpleNamespace(target=CapacitySetting(4, 4, 3))
    yield from _commands(clients, worker, request, True)
    yield PRESETS[0].command(clients, NIGHT)
    for verb in ("run", "pause"):
        yield gcloud_command(SETTINGS, f"scheduler jobs {verb} {SCHEDULED_JOB}", "location")
    for template in (
        SCALE_DOWN_COMMAND,
        LIST_JOBS_COMMAND,
        READ_LOGS_COMMAND,
        DESCRIBE_SERVICE_COMMAND,
        LIST_SUBSCRIPTIONS_COMMAND,
    ):
        rule = next(rule for rule in RULES_BY_NAME.values() if rule.command == template)
        yield RuleResult(rule, Health.CRITICAL, "", "run", NIGHT, "b").format_command(SETTINGS)
    sql = query_catalog.load("staging.restore_duplicates").sql
    yield bq_command(SETTINGS, sql, NIGHT, datetime(2025, 12, 30, tzinfo=UTC), removal="x")
    yield _check_table(clients, REQUIRED_TABLES[0]).repair_command
    yield _check_partitioning(
        clients, REQUIRED_TABLES[0], EMPTY_TABLE, {}, "nba-props-platform.nba_predictions.t"
    ).repair_command
    yield drop_command(SETTINGS.project, "_staging_x")
    yield restore_command(SETTINGS.project, "_staging_dropped", 1767000000000)
    ready, created = "a/prediction-worker-00001-abc", "a/prediction-worker-00002-abc"
    for newest_ready in (ready, created):  # one that did not become ready, and one to which no traffic goes
        service = run_v2.Service(latest_ready_revision=newest_ready, latest_created_revision=created)
        yield examination._serving_revision(clients, "prediction-worker", service).repair_command
    yield grant_command(clients, "roles/bigquery.resourceViewer")
    yield permissions._list_roles_command(clients)
    yield permissions._impersonation_command(clients)
    yield examination._check_log_format(clients, "prediction-worker", []).repair_command
    yield examination._set_variable_command(clients, "--update-env-vars=OPERATORS=you@example.com")
    for kind in EditKind:
        yield save._manual_command(SETTINGS, Edit(kind, "kevinporter", "kevinporterjr"))
    yield from merge._manual_commands(SETTINGS, "player 1", "player 2", [Edit(EditKind.ADD, "a", "b")])
    yield required_tables._missing_table(clients, next(t for t in REQUIRED_TABLES if not t.is_own)).repair_command
    note: Any = SimpleNamespace(facts=SimpleNamespace(game_date=NIGHT))
    for line in handoff_note._quick_commands(note, SETTINGS):
        if line.startswith("gcloud"):
            yield line
    yield from (check.repair_command for check in plumbing_checks.scheduler(clients))


@pytest.mark.parametrize("command", list(printed_commands()), ids=lambda command: " ".join(command.split()[:4]))
def test_a_printed_command_runs_as_it_is_printed(tools, cloud, command):
    for account in ("read", "act"):
        cloud.accounts[f"prediction-on-call-{account}@nba-props-platform.iam.gserviceaccount.com"] = {}
    cloud.tables[PREDICTIONS_TABLE] = ["prediction_id"]
    cloud.tables["nba_predictions._staging_x"] = ["prediction_id"]
    add_service(cloud, "prediction-on-call")
    cloud.revisions["prediction-worker-00002-abc"] = cloud.revisions["prediction-worker-00001-abc"]
    cloud.timers[SCHEDULED_JOB] = {
        "name": f"projects/p/locations/us-west2/jobs/{SCHEDULED_JOB}",
        "schedule": "0 18 * * *",
    }
    done = tools.run(command)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
