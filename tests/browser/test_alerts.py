"""An alert in a real browser: acknowledged, silenced with a reason, reopened, and shown the same to the next viewer."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from services.alerts.alert_log import AlertState, read_alerts
from services.alerts.facts import CheckCache
from services.alerts.watchdog import run_check
from services.core.settings import Settings
from services.gcp.clients import connect
from services.policy.concurrency_config import SelfHealingConfig
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.scenarios.december import build_seed
from services.sandbox.server import start_sandbox
from tests.support.axe import list_violations
from tests.support.paths import ROOT
from tests.support.processes import free_port, wait_for_server

pytestmark = pytest.mark.browser
WRITES_ALERT_ID = "writes-2025-12-29"


@pytest.fixture(scope="module")
def dashboard_and_clients():
    """A dashboard of its own over a sandbox that the watchdog has checked once."""
    sandbox = start_sandbox(build_seed(), latency=JobLatency(scale=0.01))
    env = {"SANDBOX_URL": sandbox.url, "SLACK_WEBHOOK_URL": f"{sandbox.url}/slack/webhook"}
    clients = connect(Settings.from_env(env))
    run_check(clients, CheckCache(), SelfHealingConfig())
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    env = {**os.environ, **env, "DASHBOARD_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "app.server"], cwd=ROOT, env=env)
    wait_for_server(f"{address}/_stcore/health", process)
    yield address, clients
    process.terminate()
    process.wait(timeout=20)
    sandbox.stop()


def wait_for_state(clients, state):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        alert = next(a for a in read_alerts(clients).alerts if a.alert_id == WRITES_ALERT_ID)
        if alert.state(clients.now()) is state:
            return alert
        time.sleep(0.1)
    raise AssertionError(f"it is {alert.state(clients.now())}, not {state}")


def confirm(page, title, closes=True):
    page.get_by_role("dialog").get_by_role("button", name=title).click()
    if closes:
        page.get_by_role("dialog").wait_for(state="detached")


def test_an_alert_is_acknowledged_silenced_and_reopened_by_buttons(dashboard_and_clients, browser):
    address, clients = dashboard_and_clients
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{address}/alerts?date=2025-12-20")
    page.get_by_text("2 open alerts, 2 unacknowledged").wait_for()
    page.get_by_role("button", name="Acknowledge").first.click()
    assert wait_for_state(clients, AlertState.ACKNOWLEDGED).last_state_change.actor == "on-call"
    page.get_by_text("2 open alerts, 1 unacknowledged, 1 acknowledged or silenced").wait_for()
    page.get_by_role("link", name=WRITES_ALERT_ID).last.click()
    page.get_by_role("link", name="All alerts").wait_for()
    page.get_by_role("button", name="Silence").click()
    confirm(page, "Silence for 1 h", closes=False)
    page.get_by_text("Enter a reason.").wait_for()
    page.get_by_label("Reason").fill("the re-run is in progress")
    confirm(page, "Silence for 1 h")  # what was just typed comes together with the click
    assert wait_for_state(clients, AlertState.SILENCED).last_state_change.reason == "the re-run is in progress"
    page.get_by_text("Silenced by on-call until").first.wait_for()
    assert list_violations(page) == []
    page.go_back()
    page.get_by_text("2 open alerts, 1 unacknowledged, 1 acknowledged or silenced").wait_for()
    second = browser.new_page()
    second.set_default_timeout(60_000)
    second.goto(f"{address}/alerts")
    second.get_by_text("Silenced by on-call until").wait_for()
    second.get_by_role("button", name="Reopen").first.click()
    confirm(second, f"Reopen {WRITES_ALERT_ID}")
    assert wait_for_state(clients, AlertState.OPEN).last_state_change.event == "reopened"
    second.close()
    page.close()
