"""An alert in a real browser: taken, silenced with a reason, opened again, and told the same to the next viewer."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from services.alerts.alert_log import AlertState, read_alerts
from services.alerts.facts import Memory
from services.alerts.watchdog import look
from services.core.settings import Settings
from services.gcp.clients import connect
from services.policy.concurrency_config import SelfHealingConfig
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.scenarios.build import build
from services.sandbox.server import start_sandbox
from tests.browser.conftest import ROOT, _free_port, _wait_for

pytestmark = pytest.mark.browser
WRITES = "writes-2025-12-29"


@pytest.fixture(scope="module")
def desk():
    """A dashboard of its own over a sandbox that the watchdog has looked at."""
    sandbox = start_sandbox(build(), speed=Speed(scale=0.01))
    env = {"SANDBOX_URL": sandbox.address, "SLACK_WEBHOOK_URL": f"{sandbox.address}/slack/webhook"}
    cloud = connect(Settings.from_env(env))
    look(cloud, Memory(), SelfHealingConfig())
    address = f"http://127.0.0.1:{_free_port()}"
    command = [sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.port", address.rpartition(":")[2]]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env})
    _wait_for(f"{address}/_stcore/health", process)
    yield address, cloud
    process.terminate()
    process.wait(timeout=20)
    sandbox.stop()


def until(cloud, state):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        alert = next(a for a in read_alerts(cloud).alerts if a.alert_id == WRITES)
        if alert.state(cloud.now()) is state:
            return alert
        time.sleep(0.1)
    raise AssertionError(f"it is {alert.state(cloud.now())}, not {state}")


def confirm(page, title):
    page.get_by_role("dialog").get_by_role("button", name=title).click()
    page.get_by_role("dialog").wait_for(state="detached")


def test_an_alert_is_taken_silenced_and_opened_again_by_buttons(desk, browser):
    address, cloud = desk
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{address}/alerts?date=2025-12-20")
    page.get_by_text("2 alerts open, 2 not taken by anybody").wait_for()
    page.get_by_role("button", name="Take").first.click()
    confirm(page, f"Take {WRITES}")
    assert until(cloud, AlertState.ACKNOWLEDGED).change.actor == "on-call"
    page.get_by_text("2 alerts open, 1 not taken by anybody, 1 taken or silent").wait_for()
    page.get_by_text("What it means, by hand, silence, resolve").last.click()
    page.get_by_test_id("stCode").last.wait_for()
    page.get_by_label("Why").last.fill("the repair is under way")
    page.get_by_label("Why").last.press("Enter")
    page.wait_for_timeout(800)
    page.get_by_role("button", name="Silence").last.click()
    confirm(page, f"Silence {WRITES} for 60 min")
    assert until(cloud, AlertState.SILENCED).change.reason == "the repair is under way"
    page.get_by_text("silenced by on-call until").wait_for()
    second = browser.new_page()
    second.set_default_timeout(60_000)
    second.goto(f"{address}/alerts")
    second.get_by_text("silenced by on-call until").wait_for()
    second.get_by_role("button", name="Reopen").first.click()
    confirm(second, f"Reopen {WRITES}")
    assert until(cloud, AlertState.OPEN).change.event == "reopened"
    second.close()
    page.close()
