"""A flood of connections, reruns, reads and plans by one user leaves the dashboard usable for another."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import Any

import httpx
import pytest
import websockets

from app.http.access_middleware import MAX_WEBSOCKETS_PER_USER
from app.http.rerun_limits import RERUNS_AT_ONCE, RERUNS_PER_S
from services.actions.log_reader import read_action_log
from services.gcp.clients import connect
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.scenarios.december import build_seed
from services.sandbox.server import start_sandbox
from tests.support.http_stub import serve_http
from tests.support.iap_signer import AUDIENCE, NORA, VIC, IapSigner
from tests.support.paths import ROOT
from tests.support.processes import free_port, wait_for_server
from tests.support.sandbox import dashboard_env, settings_as
from tests.support.websocket_client import WebsocketClient, open_client

PLAN_LABEL = "View plan: Re-run 90 players"


@pytest.fixture(scope="module")
def protected_dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The dashboard as a process of its own, that accepts only what `proxy` signs."""
    signer, port = IapSigner(), free_port()
    sandbox = start_sandbox(build_seed(), latency=JobLatency(scale=0.02))
    with ExitStack() as stack:
        stack.callback(sandbox.stop)
        keys = stack.enter_context(serve_http(lambda *_: (200, json.dumps(signer.public_jwks()).encode())))
        env = {
            **os.environ,
            **dashboard_env(sandbox),
            "IAP_AUDIENCE": AUDIENCE,
            "IAP_KEYS_URL": keys,
            "OPERATORS": NORA,
            "DASHBOARD_PORT": str(port),
        }
        log_file = tmp_path_factory.mktemp("dashboard") / "log"
        log = stack.enter_context(log_file.open("wb"))
        command = [sys.executable, "-m", "app.server"]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
        stack.callback(process.wait, timeout=20)
        stack.callback(process.kill)  # before the wait: callbacks run last in, first out
        wait_for_server(f"http://127.0.0.1:{port}/_stcore/health", process)
        yield {"sandbox": sandbox, "address": f"http://127.0.0.1:{port}", "proxy": signer, "log": log_file}


async def open_clients(stack: AsyncExitStack, dashboard: dict[str, Any], count: int) -> list[WebsocketClient]:
    """As many pages of one user as the middleware allows."""
    clients: list[WebsocketClient] = []
    for _ in range(count):
        with suppress(websockets.InvalidStatus, websockets.ConnectionClosed):
            clients.append(
                await stack.enter_async_context(open_client(dashboard["address"], dashboard["proxy"].sign(VIC)))
            )
    return clients


async def flood_reruns(dashboard: dict[str, Any], frames: int) -> tuple[int, float]:
    """Ten pages of one user that each ask to be rendered `frames` times at once, while an operator opens one.

    Returns how many of these reruns Streamlit began before the operator's page was there, and how many it may.
    """
    async with AsyncExitStack() as stack:
        clients = await open_clients(stack, dashboard, 10)
        began = time.monotonic()
        listeners = [asyncio.create_task(client.listen()) for client in clients]
        await asyncio.gather(*(client.rerun() for client in clients for _ in range(frames)))
        operator = await stack.enter_async_context(open_client(dashboard["address"], dashboard["proxy"].sign(NORA)))
        await operator.open_until_button("Re-run 90 players")
        allowed = RERUNS_AT_ONCE + RERUNS_PER_S * (time.monotonic() - began) + 1
        for listener in listeners:
            listener.cancel()
        return sum(client.reruns for client in clients), allowed


def test_an_operators_page_opens_while_one_user_floods_ten_pages_with_reruns(protected_dashboard):
    with ThreadPoolExecutor(1) as executor:
        reruns, allowed = executor.submit(asyncio.run, flood_reruns(protected_dashboard, 50)).result()
    assert 10 <= reruns <= allowed


async def flood(dashboard: dict[str, Any]) -> dict[str, Any]:
    """As many connections as one person may have, four pages that press plans again and again, a hundred requests."""
    async with AsyncExitStack() as stack:
        clients = await open_clients(stack, dashboard, MAX_WEBSOCKETS_PER_USER + 3)
        active_clients = clients[:4]
        await asyncio.gather(*(client.open_until_button(PLAN_LABEL) for client in active_clients))
        for _ in range(2):
            await asyncio.gather(*(client.rerun(button_label=PLAN_LABEL) for client in active_clients))
        http_client = await stack.enter_async_context(httpx.AsyncClient(base_url=dashboard["address"], timeout=60))
        signed = {"X-Goog-IAP-JWT-Assertion": dashboard["proxy"].sign(VIC)}
        paths = ["/", "/coverage", "/_stcore/metrics", "/media/none.csv"] * 25
        responses = asyncio.gather(*(http_client.get(path, headers=signed) for path in paths))
        operator = await stack.enter_async_context(open_client(dashboard["address"], dashboard["proxy"].sign(NORA)))
        await operator.open_until_button("Re-run 90 players")
        await operator.rerun(button_label="Re-run 90 players")
        await operator.wait_for_text("Re-run all 158 players")  # no coordinator is there, so the plan is the whole date
        codes = {response.status_code for response in await responses}
        return {"let in": len(clients), "codes": codes}


async def refresh_overview(dashboard: dict[str, Any]) -> list[str]:
    """The kinds of the messages of a refresh after everything has been read."""
    async with open_client(dashboard["address"], dashboard["proxy"].sign(NORA)) as client:
        await client.open_until_button("Re-run 90 players")
        await client.refresh()
        return await client.refresh()


def test_a_refresh_of_the_overview_takes_a_bounded_number_of_messages(protected_dashboard):
    with ThreadPoolExecutor(1) as executor:
        kinds = executor.submit(asyncio.run, refresh_overview(protected_dashboard)).result()
    assert len(kinds) <= 62, "of which the navigation takes 2; each message is decoded and drawn by itself"


def test_an_operator_can_still_plan_while_one_user_floods_the_dashboard(protected_dashboard):
    with ThreadPoolExecutor(1) as executor:  # Playwright may have left a loop running in this thread
        flood_result = executor.submit(asyncio.run, flood(protected_dashboard)).result()
    assert flood_result["let in"] == MAX_WEBSOCKETS_PER_USER
    assert flood_result["codes"] == {200, 404}
    clients = connect(settings_as(protected_dashboard["sandbox"], "read"))
    assert read_action_log(clients, clients.now().replace(day=1), clients.now()).actions == (), "plans change nothing"


async def send_what_is_no_message(dashboard: dict[str, Any]) -> None:
    async with open_client(dashboard["address"], dashboard["proxy"].sign(VIC)) as client:
        await client.socket.send(b"\xff no message")
        await client.socket.wait_closed()


def test_whatever_was_sent_each_line_of_the_log_is_one_entry_with_a_severity(protected_dashboard):
    httpx.get(f"{protected_dashboard['address']}/_stcore/x%0aERROR%20forged%1b[2K%e2%80%a8")
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, send_what_is_no_message(protected_dashboard)).result()
    entries = [json.loads(line) for line in protected_dashboard["log"].read_text("utf-8").splitlines()]
    assert {entry["severity"] for entry in entries} <= {"INFO", "WARNING", "ERROR", "CRITICAL"}
    assert all(entry["message"].isprintable() for entry in entries)
    assert any("ERROR forged" in entry["message"] for entry in entries)
    (traced,) = [entry for entry in entries if "DecodeError" in entry.get("stack_trace", "")]
    assert traced["stack_trace"].startswith("Traceback (most recent call last):\n")
