"""Stand-in for Slack's incoming webhook."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.sandbox.http.bigquery_routes import HandlerWrapper
from services.sandbox.state import SandboxState


def routes(state: SandboxState, wrap_handler: HandlerWrapper) -> list[Route]:
    """The webhook, and the messages it received."""
    api = _SlackHandlers(state)
    return [
        Route("/slack/webhook", wrap_handler("slack", "webhook", api.receive_message), methods=["POST"]),
        Route("/slack/messages", api.list_messages, methods=["GET", "DELETE"]),
    ]


class _SlackHandlers:
    def __init__(self, state: SandboxState) -> None:
        self.state = state

    async def receive_message(self, request: Request) -> Response:
        """Slack's responses: plain text `ok`, or an error code as plain text."""
        try:
            payload = await request.json()
        except (ValueError, ClientDisconnect):
            return PlainTextResponse("invalid_payload", 400)
        if not payload.get("text"):
            return PlainTextResponse("no_text", 400)
        self.state.slack_messages.append({"at": self.state.clock.now().isoformat(), "text": payload["text"]})
        return PlainTextResponse("ok")

    async def list_messages(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.state.slack_messages.clear()
        return JSONResponse(self.state.slack_messages)
