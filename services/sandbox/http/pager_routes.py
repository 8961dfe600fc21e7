"""Stand-in for a second notification channel: PagerDuty's Events API v2, Opsgenie's Alert API and a plain webhook.

Each answers as the real one does, and `/pager/messages` lists what arrived with the state of its page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.sandbox.http.bigquery_routes import HandlerWrapper
from services.sandbox.state import SandboxState

_ACTIONS = ("trigger", "acknowledge", "resolve")
_PAGERDUTY_SEVERITIES = ("critical", "error", "warning", "info")
_OPSGENIE_ACTIONS = {"acknowledge": "acknowledge", "close": "resolve"}


def routes(state: SandboxState, wrap_handler: HandlerWrapper) -> list[Route]:
    """The three receivers, and what they received."""
    pager = _PagerHandlers(state)
    return [
        Route("/pager/webhook", wrap_handler("pager", "webhook", pager.receive_webhook), methods=["POST"]),
        Route("/pager/v2/enqueue", wrap_handler("pager", "enqueue", pager.receive_event), methods=["POST"]),
        Route("/pager/v2/alerts", wrap_handler("pager", "alerts.create", pager.create_alert), methods=["POST"]),
        Route(
            "/pager/v2/alerts/{alias}/{verb}", wrap_handler("pager", "alerts.act", pager.act_on_alert), methods=["POST"]
        ),
        Route("/pager/messages", pager.list_messages, methods=["GET", "DELETE"]),
    ]


class _PagerHandlers:
    def __init__(self, state: SandboxState) -> None:
        self.state = state

    async def receive_webhook(self, request: Request) -> Response:
        body = await _json_object(request)
        if body.get("action") not in _ACTIONS or not body.get("dedup_key"):
            return JSONResponse({"error": "action and dedup_key are required"}, 400)
        self._record("webhook", body["action"], body["dedup_key"], body.get("summary", ""))
        return JSONResponse({"received": body["dedup_key"]})

    async def receive_event(self, request: Request) -> Response:
        """PagerDuty: 202 with the key, or 400 with everything that is wrong with the event."""
        body = await _json_object(request)
        if errors := _event_errors(body):
            answer = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return JSONResponse(answer, 400)
        summary = body.get("payload", {}).get("summary", "")
        self._record("PagerDuty", body["event_action"], body["dedup_key"], summary)
        answer = {"status": "success", "message": "Event processed", "dedup_key": body["dedup_key"]}
        return JSONResponse(answer, 202)

    async def create_alert(self, request: Request) -> Response:
        body = await _json_object(request)
        if (refusal := _opsgenie_refusal(request)) is not None:
            return refusal
        if not 0 < len(str(body.get("message", ""))) <= 130:
            return JSONResponse({"message": "Request body is not processable. Please check the errors."}, 422)
        self._record("Opsgenie", "trigger", body.get("alias", ""), body["message"])
        return _opsgenie_accepted()

    async def act_on_alert(self, request: Request) -> Response:
        await _json_object(request)
        if (refusal := _opsgenie_refusal(request)) is not None:
            return refusal
        action = _OPSGENIE_ACTIONS.get(request.path_params["verb"])
        if action is None or request.query_params.get("identifierType") != "alias":
            return JSONResponse({"message": "Identifier type is not valid."}, 422)
        self._record("Opsgenie", action, request.path_params["alias"], "")
        return _opsgenie_accepted()

    async def list_messages(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.state.pager_messages.clear()
        return JSONResponse(self.state.pager_messages)

    def _record(self, receiver: str, action: str, key: str, summary: str) -> None:
        """One call, with the state that its page has after it: a page that nobody triggered has none."""
        states = {message["dedup_key"]: message["page"] for message in self.state.pager_messages}
        before = states.get(key, "none")
        after = {"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}[action]
        if action == "trigger" and before == "acknowledged":
            after = before
        if action != "trigger" and before in ("none", "resolved"):
            after = before
        self.state.pager_messages.append(
            {
                "at": self.state.clock.now().isoformat(),
                "receiver": receiver,
                "action": action,
                "dedup_key": key,
                "summary": summary,
                "page": after,
            }
        )


async def _json_object(request: Request) -> Mapping[str, Any]:
    """The body; an empty one where it is no JSON object."""
    try:
        body = await request.json()
    except (ValueError, ClientDisconnect):
        return {}
    return body if isinstance(body, dict) else {}


def _event_errors(body: Mapping[str, Any]) -> list[str]:
    payload = body.get("payload")
    errors = []
    if len(str(body.get("routing_key", ""))) != 32:
        errors.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    if body.get("event_action") not in _ACTIONS:
        errors.append(f"'event_action' is invalid (must be one of {', '.join(_ACTIONS)})")
    if not 0 < len(str(body.get("dedup_key", ""))) <= 255:
        errors.append("Length of 'dedup_key' is incorrect (should be between 1 and 255 characters)")
    if body.get("event_action") == "trigger":
        if not isinstance(payload, dict):
            return [*errors, "'payload' is missing or blank"]
        errors += [f"'payload.{name}' is missing or blank" for name in ("summary", "source") if not payload.get(name)]
        if payload.get("severity") not in _PAGERDUTY_SEVERITIES:
            errors.append(f"'payload.severity' is invalid (must be one of {', '.join(_PAGERDUTY_SEVERITIES)})")
    return errors


def _opsgenie_refusal(request: Request) -> Response | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme == "GenieKey" and key:
        return None
    return JSONResponse({"message": "Could not authenticate"}, 401)


def _opsgenie_accepted() -> Response:
    return JSONResponse({"result": "Request will be processed", "took": 0.1, "requestId": "sandbox"}, 202)
