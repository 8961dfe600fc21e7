"""The image's dashboard behind a signing proxy, as on Google Cloud, used by an operator and by a viewer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
import requests

from services.actions.log_reader import ActionState, read_action_log
from services.gcp.clients import connect
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.scenarios.december import build_seed
from services.sandbox.server import start_sandbox
from tests.browser.environment import wait_for_outcomes
from tests.browser.iap_proxy import run_iap_proxy
from tests.support import image
from tests.support.coordinators import coordinator_server
from tests.support.http_stub import serve_http
from tests.support.iap_signer import AUDIENCE, NORA, VIC, IapSigner
from tests.support.processes import free_port, wait_for_server
from tests.support.sandbox import dashboard_env, settings_as

pytestmark = pytest.mark.browser
PAGE_TIMEOUT_MS = 60_000
OpenDashboard = Callable[[str], Any]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A sandbox as the cloud, the image's dashboard before it, and the proxy's address for each person."""
    folder = tmp_path_factory.mktemp("production") / "desk"
    folder.mkdir()
    site, signer, port = image.build_image_dir(folder), IapSigner(), free_port()
    sandbox = start_sandbox(build_seed(), latency=JobLatency(scale=0.02))
    with ExitStack() as stack:
        stack.callback(sandbox.stop)
        keys = stack.enter_context(serve_http(lambda *_: (200, json.dumps(signer.public_jwks()).encode())))
        env = {
            **dashboard_env(sandbox),
            "COORDINATOR_URL": stack.enter_context(coordinator_server(sandbox)),
            "IAP_AUDIENCE": AUDIENCE,
            "IAP_KEYS_URL": keys,
            "OPERATORS": NORA,
            "PORT": str(port),
        }
        process = image.start_process(folder, site, **env)
        stack.callback(process.wait, timeout=20)
        stack.callback(process.kill)  # before the wait: callbacks run last in, first out
        direct = f"http://127.0.0.1:{port}"
        wait_for_server(f"{direct}/_stcore/health", process)
        url_by_email = {email: stack.enter_context(run_iap_proxy(direct, signer, email)) for email in (NORA, VIC)}
        yield {"sandbox": sandbox, "direct": direct, "people": url_by_email}


@pytest.fixture
def open_dashboard_as(environment: dict[str, Any], browser: Any) -> Iterator[OpenDashboard]:
    """Opens the dashboard as a person does, and in the end fails on whatever their browser complained about."""
    pages, browser_errors = [], []

    def open_page_as(email: str) -> tuple[Any, str]:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PAGE_TIMEOUT_MS)
        page.on(
            "console",
            lambda message: browser_errors.append(message.text) if "Content Security" in message.text else None,
        )
        page.on("pageerror", lambda error: browser_errors.append(str(error)))
        pages.append(page)
        return page, environment["people"][email]

    yield open_page_as
    for page in pages:
        page.close()
    assert browser_errors == []


def read_actions(environment: dict[str, Any]) -> list[Any]:
    clients = connect(settings_as(environment["sandbox"], "read"))
    return list(read_action_log(clients, clients.now() - timedelta(days=1), clients.now() + timedelta(days=1)).actions)


def test_a_viewer_can_read_everything_and_start_no_action(environment, open_dashboard_as):
    page, url = open_dashboard_as(VIC)
    page.goto(f"{url}/?date=2025-12-29")
    page.get_by_role("heading", name="90 of 158 players are missing").wait_for()
    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_text(f"{VIC} · viewer").wait_for()
    assert sidebar.get_by_text("View as").count() == 0, "nobody chooses a role where people sign in"
    page.get_by_role("button", name="View plan: Re-run 90 players").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("You have view-only access").wait_for()
    assert dialog.get_by_test_id("stBaseButton-primary").is_disabled()
    dialog.get_by_test_id("stBaseButton-primary").evaluate("button => { button.disabled = false; button.click() }")
    page.wait_for_timeout(1500)
    assert read_actions(environment) == []


def test_an_operator_restores_the_capacity_and_the_viewer_sees_their_name(
    environment, open_dashboard_as, screenshots_dir
):
    page, url = open_dashboard_as(NORA)
    page.goto(f"{url}/worker_capacity")
    page.get_by_role("button", name="Restore normal capacity", exact=True).click()
    dialog = page.get_by_role("dialog")
    for name, text in (("Reason", "calm again"), ("Type prediction-worker to confirm", "prediction-worker")):
        field = dialog.get_by_role("textbox", name=name, exact=True)
        field.fill(text)
        field.press("Tab")
    page.wait_for_timeout(500)
    dialog.get_by_test_id("stBaseButton-primary").click()
    page.get_by_text("Restore prediction-worker to 20 × 5").first.wait_for(timeout=90_000)
    actions_done = wait_for_outcomes(lambda: read_actions(environment))
    assert [(a.actor, a.role, a.state) for a in actions_done] == [(NORA, "operator", ActionState.DONE)]
    page.screenshot(path=screenshots_dir / "as-production-operator.png")

    page, url = open_dashboard_as(VIC)
    page.goto(f"{url}/overview")
    page.get_by_role("button", name="Recent actions").click()
    page.get_by_test_id("stPopoverBody").get_by_role("link", name="View").first.click()
    page.get_by_text("Restore prediction-worker to 20 × 5").first.wait_for()
    page.get_by_test_id("stMain").get_by_text(NORA).first.wait_for()
    page.goto(f"{url}/missing_players?date=2025-12-29")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").first.click()
    assert download.value.path().stat().st_size > 0, "downloads pass the middleware"
    page.screenshot(path=screenshots_dir / "as-production-viewer.png")


def test_direct_requests_are_rejected_whatever_they_claim(environment):
    claims = {"X-Goog-Authenticated-User-Email": f"accounts.google.com:{NORA}"}
    for path in ("/", "/overview", "/_stcore/host-config", "/static/js/index.js"):
        assert requests.get(f"{environment['direct']}{path}", headers=claims, timeout=10).status_code == 401


def test_the_proxy_replaces_a_forged_assertion_header(environment):
    forged = {"X-Goog-IAP-JWT-Assertion": IapSigner().sign(NORA)}
    assert requests.get(environment["people"][VIC], headers=forged, timeout=10).status_code == 200
    assert requests.get(environment["direct"], headers=forged, timeout=10).status_code == 401
