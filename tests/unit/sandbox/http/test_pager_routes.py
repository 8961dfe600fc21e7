"""The sandbox's second channel takes what the alerts' own senders send, answers as the real ones do, and shows what arrived."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from starlette.applications import Starlette
from starlette.testclient import TestClient

from services.alerts import pager
from services.alerts.channels import open_pager
from services.alerts.pager import Page, PageAction
from services.core.settings import Settings
from services.sandbox.http import pager_routes
from tests.support.clock import FixedClock
from tests.unit.alerts.test_notification import make_alert

NOW = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)
ALERT = make_alert(1, NOW)
URL_OF_FORMAT = {"webhook": "/pager/webhook", "pagerduty": "/pager/v2/enqueue", "opsgenie": "/pager/v2/alerts"}
KEY = "project:run-2025-12-29:1"


@pytest.fixture
def receiver(monkeypatch):
    """The stand-in's client; the alerts' senders call it in place of the network."""
    state: Any = SimpleNamespace(pager_messages=[], clock=FixedClock(NOW))
    client = TestClient(Starlette(routes=pager_routes.routes(state, lambda _api, _method, handler: handler)))

    def post(url: str, body: Any, headers: Any = None) -> requests.Response:
        answer, response = client.post(url, json=body, headers=headers), requests.Response()
        response.status_code, response._content = answer.status_code, answer.content
        return response

    monkeypatch.setattr(pager, "post_json", post)
    return client


def send(format_name: str, action: PageAction, key: str = "k" * 32) -> Any:
    url = f"http://testserver{URL_OF_FORMAT[format_name]}"
    env = {"ESCALATION_FORMAT": format_name, "ESCALATION_URL": url, "ESCALATION_KEY": key}
    return open_pager(Settings.from_env(env)).send(Page(action, ALERT, KEY))


@pytest.mark.parametrize("format_name", list(URL_OF_FORMAT))
def test_each_shape_is_taken_and_its_page_follows_the_alert(receiver, format_name):
    for action in (PageAction.TRIGGER, PageAction.TRIGGER, PageAction.ACKNOWLEDGE, PageAction.RESOLVE):
        assert send(format_name, action).ok
    messages = receiver.get("/pager/messages").json()
    assert [(m["action"], m["page"], m["dedup_key"]) for m in messages] == [
        ("trigger", "triggered", KEY),
        ("trigger", "triggered", KEY),
        ("acknowledge", "acknowledged", KEY),
        ("resolve", "resolved", KEY),
    ]
    assert messages[0]["summary"] == "Trouble 1"
    receiver.delete("/pager/messages")
    assert receiver.get("/pager/messages").json() == []


def test_a_call_about_a_page_that_nobody_triggered_opens_none(receiver):
    assert send("pagerduty", PageAction.RESOLVE).ok
    assert [m["page"] for m in receiver.get("/pager/messages").json()] == ["none"]


def test_a_wrong_key_or_body_is_refused_and_the_delivery_says_why(receiver):
    refused = send("pagerduty", PageAction.TRIGGER, key="short")
    assert not refused.ok
    assert refused.detail.startswith("PagerDuty answered HTTP 400:")
    assert receiver.post("/pager/v2/alerts", json={"message": "x"}).status_code == 401
    genie = {"Authorization": "GenieKey k"}
    assert receiver.post("/pager/v2/alerts", json={"message": "x" * 131}, headers=genie).status_code == 422
    assert receiver.post("/pager/v2/alerts/a/close", json={}, headers=genie).status_code == 422
    assert receiver.post("/pager/webhook", content=b"no JSON").status_code == 400
    assert receiver.post("/pager/v2/enqueue", json=[1]).status_code == 400
    assert receiver.get("/pager/messages").json() == []
