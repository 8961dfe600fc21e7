"""The whole story as on Google Cloud: the image's dashboard behind a proxy that signs, once as operator, once as viewer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
import requests

from services.actions.log_reader import State, read_log
from services.core.settings import Settings
from services.gcp.clients import connect
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.scenarios.build import build
from services.sandbox.server import start_sandbox
from tests.actions.pipeline import own_coordinator
from tests.browser.conftest import _free_port, _wait_for, told_ended
from tests.browser.iap import before
from tests.deploy import image
from tests.security.proxy import AUDIENCE, NORA, VIC, Proxy
from tests.security.serving import serve

pytestmark = pytest.mark.browser
PATIENCE_MS = 60_000
As = Callable[[str], Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A sandbox as the cloud, the image's dashboard before it, and the proxy's address for each person."""
    folder = tmp_path_factory.mktemp("production") / "desk"
    folder.mkdir()
    site, proxy, port = image.build(folder), Proxy(), _free_port()
    sandbox = start_sandbox(build(), speed=Speed(scale=0.02))
    with ExitStack() as stack:
        stack.callback(sandbox.stop)
        keys = stack.enter_context(serve(lambda *_: (200, json.dumps(proxy.public()).encode())))
        env = {
            "SANDBOX_URL": sandbox.address,
            "COORDINATOR_URL": stack.enter_context(own_coordinator(sandbox)),
            "IAP_AUDIENCE": AUDIENCE,
            "IAP_KEYS_URL": keys,
            "OPERATORS": NORA,
            "PORT": str(port),
        }
        process = image.start(folder, site, **env)
        stack.callback(lambda: (process.kill(), process.wait(timeout=20)))
        direct = f"http://127.0.0.1:{port}"
        _wait_for(f"{direct}/_stcore/health", process)
        people = {who: stack.enter_context(before(direct, proxy, who)) for who in (NORA, VIC)}
        yield {"sandbox": sandbox, "direct": direct, "people": people}


@pytest.fixture
def desk_of(place: dict[str, Any], browser: Any) -> Iterator[As]:
    """Opens the dashboard as a person does, and in the end fails on whatever their browser complained about."""
    opened, complaints = [], []

    def begin(who: str) -> tuple[Any, str]:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        opened.append(page)
        return page, place["people"][who]

    yield begin
    for page in opened:
        page.close()
    assert complaints == []


def actions(place: dict[str, Any]) -> list[Any]:
    cloud = connect(Settings.from_env({"SANDBOX_URL": place["sandbox"].address}))
    return list(read_log(cloud, cloud.now() - timedelta(days=1), cloud.now() + timedelta(days=1)).actions)


def test_a_viewer_reads_everything_and_finds_no_verb_that_could_be_pressed(place, desk_of):
    page, desk = desk_of(VIC)
    page.goto(f"{desk}/?date=2025-12-29")
    page.get_by_text("90 of 158 players are missing").wait_for()
    sidebar = page.get_by_test_id("stSidebar")
    sidebar.get_by_text(f"{VIC} · viewer").wait_for()
    assert sidebar.get_by_text("Look as").count() == 0, "nobody chooses a role where people sign in"
    page.get_by_role("button", name="Plan: Re-run 90 lost players").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("carrying this out needs an operator").wait_for()
    assert dialog.get_by_test_id("stBaseButton-primary").is_disabled()
    dialog.get_by_test_id("stBaseButton-primary").evaluate("button => { button.disabled = false; button.click() }")
    page.wait_for_timeout(1500)
    assert actions(place) == []


def test_an_operator_repairs_the_night_under_their_own_name_and_the_viewer_sees_who_it_was(place, desk_of, pictures):
    page, desk = desk_of(NORA)
    page.goto(f"{desk}/?date=2025-12-29")
    page.get_by_role("button", name="Re-run 90 lost players", exact=True).click()
    page.get_by_role("dialog").get_by_test_id("stBaseButton-primary").click()
    page.get_by_text("All 158 eligible players have active predictions").wait_for(timeout=90_000)
    done = told_ended(lambda: actions(place))
    assert [(a.actor, a.role, a.state) for a in done] == [(NORA, "operator", State.DONE)]
    page.screenshot(path=pictures / "as-production-operator.png")

    page, desk = desk_of(VIC)
    page.goto(f"{desk}/overview")
    page.get_by_role("link", name="Record").first.click()
    page.get_by_text("coverage 68 → 158 of 158").wait_for()
    page.get_by_test_id("stMain").get_by_text(NORA).first.wait_for()
    page.goto(f"{desk}/missing_players?date=2025-12-29")
    with page.expect_download() as arriving:
        page.get_by_role("button", name="CSV").first.click()
    assert arriving.value.path().stat().st_size > 0, "downloads pass the gate"
    page.screenshot(path=pictures / "as-production-viewer.png")


def test_around_the_proxy_there_is_nothing_whatever_one_says_one_is(place):
    claims = {"X-Goog-Authenticated-User-Email": f"accounts.google.com:{NORA}"}
    for path in ("/", "/overview", "/_stcore/host-config", "/static/js/index.js"):
        assert requests.get(f"{place['direct']}{path}", headers=claims, timeout=10).status_code == 401


def test_through_the_proxy_a_header_of_ones_own_is_dropped(place):
    forged = {"X-Goog-IAP-JWT-Assertion": Proxy().sign(NORA)}
    assert requests.get(place["people"][VIC], headers=forged, timeout=10).status_code == 200
    assert requests.get(place["direct"], headers=forged, timeout=10).status_code == 401
