"""29 December replayed: the sandbox before the incident, whose clock the test moves forward."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from services.alerts.facts import CheckCache
from services.alerts.watchdog import run_check
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import connect
from services.policy.concurrency_config import SelfHealingConfig
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.scenarios.december import build_seed
from services.sandbox.seed import Seed
from services.sandbox.seed_loader import load_tables
from services.sandbox.server import start_sandbox
from tests.support.clock import FixedClock
from tests.support.sandbox import settings_as

FIFTH_REJECTION = datetime(2025, 12, 29, 19, 47, 53, tzinfo=UTC)


SELF_HEALING = SelfHealingConfig()


RUN_TABLE = "nba_predictions.prediction_worker_runs"


class IncidentReplay:
    """29 December as it was at 14:46 ET: workers at full capacity, nothing run; its jobs and lines come as the clock moves."""

    def __init__(self) -> None:
        seed = build_seed()
        self.later_rows = {name: _rows_of_incident(seed.tables[name]) for name in (PREDICTIONS_TABLE, RUN_TABLE)}
        tables = {n: r for n, r in seed.tables.items() if "_staging_" not in n and n not in self.later_rows}
        first = Seed(
            tables,
            {},
            seed.log_entries,
            seed.jobs,
            _with_normal_capacity(seed.services),
            _with_normal_capacity(seed.revisions),
        )
        self.clock = FixedClock(datetime(2025, 12, 29, 19, 46, tzinfo=UTC))
        self.sandbox = start_sandbox(first, latency=JobLatency(scale=0.01), clock=self.clock)
        self.sandbox.state.cloud_run._rollout_s = 0.0
        settings = settings_as(self.sandbox, "act", **_slack_env(self.sandbox))
        self.clients = replace(connect(settings), clock=self.clock)
        self.memory = CheckCache()

    def run_check(self):
        check_result = run_check(self.clients, self.memory, SELF_HEALING)
        for handle in check_result.started_actions:
            handle.future.exception()
        return check_result

    def load_rows(self, **tables) -> None:
        load_tables(self.sandbox.emulator, self.clients.settings.project, Seed(tables))

    @property
    def messages(self):
        return self.sandbox.state.slack_messages


def _slack_env(sandbox):
    return {"SLACK_WEBHOOK_URL": f"{sandbox.url}/slack/webhook"}


def _rows_of_incident(table_rows):
    return [row for row in table_rows if str(row["game_date"]) == "2025-12-29"]


def _with_normal_capacity(resources):
    return [
        {
            **r,
            "scaling": {"maxInstanceCount": 20},
            **(
                {"template": {**r["template"], "scaling": {"maxInstanceCount": 20}, "maxInstanceRequestConcurrency": 5}}
                if "template" in r
                else {"maxInstanceRequestConcurrency": 5}
            ),
        }
        if "prediction-worker" in r["name"]
        else r
        for r in resources
    ]
