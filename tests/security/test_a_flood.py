"""A flood of connections, reads and plans by one person leaves the desk usable for another."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import Any

import httpx
import pytest
import websockets

from app.http.access_middleware import MOST_SOCKETS_EACH
from services.actions.log_reader import read_log
from services.core.settings import Settings
from services.gcp.clients import connect
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.scenarios.build import build
from services.sandbox.server import start_sandbox
from tests.browser.conftest import ROOT, _free_port, _wait_for
from tests.security.crowd import Visitor, visitor
from tests.security.proxy import AUDIENCE, NORA, VIC, Proxy
from tests.security.serving import serve

PLAN = "Plan: Re-run 90 lost players"


@pytest.fixture(scope="module")
def place() -> Iterator[dict[str, Any]]:
    """The dashboard as a process of its own, that believes only what `proxy` signs."""
    proxy, port = Proxy(), _free_port()
    sandbox = start_sandbox(build(), speed=Speed(scale=0.02))
    with ExitStack() as stack:
        stack.callback(sandbox.stop)
        keys = stack.enter_context(serve(lambda *_: (200, json.dumps(proxy.public()).encode())))
        env = {
            **os.environ,
            "SANDBOX_URL": sandbox.address,
            "IAP_AUDIENCE": AUDIENCE,
            "IAP_KEYS_URL": keys,
            "OPERATORS": NORA,
            "DASHBOARD_PORT": str(port),
        }
        process = subprocess.Popen([sys.executable, "-m", "app.server"], cwd=ROOT, env=env)
        stack.callback(lambda: (process.kill(), process.wait(timeout=20)))
        _wait_for(f"http://127.0.0.1:{port}/_stcore/health", process)
        yield {"sandbox": sandbox, "address": f"http://127.0.0.1:{port}", "proxy": proxy}


async def crowd_in(stack: AsyncExitStack, place: dict[str, Any], many: int) -> list[Visitor]:
    """As many pages of one person as the gate lets in."""
    found: list[Visitor] = []
    for _ in range(many):
        with suppress(websockets.InvalidStatus, websockets.ConnectionClosed):
            found.append(await stack.enter_async_context(visitor(place["address"], place["proxy"].sign(VIC))))
    return found


async def flood(place: dict[str, Any]) -> dict[str, Any]:
    """As many connections as one person may have, four pages that press plans again and again, a hundred requests."""
    async with AsyncExitStack() as stack:
        many = await crowd_in(stack, place, MOST_SOCKETS_EACH + 3)
        pages = many[:4]
        await asyncio.gather(*(each.look() for each in pages))
        await asyncio.gather(*(each.until_button(PLAN) for each in pages))
        for _ in range(2):
            await asyncio.gather(*(each.look(press=PLAN) for each in pages))
        web = await stack.enter_async_context(httpx.AsyncClient(base_url=place["address"], timeout=60))
        signed = {"X-Goog-IAP-JWT-Assertion": place["proxy"].sign(VIC)}
        paths = ["/", "/coverage", "/_stcore/metrics", "/media/none.csv"] * 25
        answers = asyncio.gather(*(web.get(path, headers=signed) for path in paths))
        nora = await stack.enter_async_context(visitor(place["address"], place["proxy"].sign(NORA)))
        await nora.look()
        await nora.until_button("Re-run 90 lost players")
        await nora.look(press="Re-run 90 lost players")
        await nora.until("Re-run all 158 players")  # no coordinator is there, so the plan is the whole date
        codes = {answer.status_code for answer in await answers}
        return {"let in": len(many), "codes": codes}


def test_an_operator_still_gets_their_page_and_their_plan_while_one_person_floods(place):
    with ThreadPoolExecutor(1) as apart:  # Playwright may have left a loop running in this thread
        seen = apart.submit(asyncio.run, flood(place)).result()
    assert seen["let in"] == MOST_SOCKETS_EACH
    assert seen["codes"] == {200, 404}
    cloud = connect(Settings.from_env({"SANDBOX_URL": place["sandbox"].address}))
    assert read_log(cloud, cloud.now().replace(day=1), cloud.now()).actions == (), "plans change nothing"
