"""Stand-ins for what is read of Pub/Sub (topics.list, subscriptions.list) and of Cloud Monitoring (timeSeries.list)."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.sandbox.common.fault_injection import error_body
from services.sandbox.http.bigquery_routes import HandlerWrapper
from services.sandbox.stand_ins.request_messages import RequestRefused
from services.sandbox.stand_ins.run_resources import page
from services.sandbox.state import SandboxState

_METRIC = re.compile(r'metric\.type ?= ?"([^"]+)"')


def routes(state: SandboxState, wrap_handler: HandlerWrapper) -> list[Route]:
    """The three listings."""
    api = _PubSubHandlers(state)
    return [
        Route("/v1/projects/{project}/topics", wrap_handler("pubsub", "topics.list", api.list_topics), methods=["GET"]),
        Route(
            "/v1/projects/{project}/subscriptions",
            wrap_handler("pubsub", "subscriptions.list", api.list_subscriptions),
            methods=["GET"],
        ),
        Route(
            "/v3/projects/{project}/timeSeries",
            wrap_handler("monitoring", "timeSeries.list", api.list_time_series),
            methods=["GET"],
        ),
    ]


class _PubSubHandlers:
    def __init__(self, state: SandboxState) -> None:
        self.state = state

    async def list_topics(self, request: Request) -> Response:
        topics = [{"name": f"projects/{self.state.project}/topics/{name}"} for name in self.state.pubsub.topics]
        return self._page(request, topics, "topics")

    async def list_subscriptions(self, request: Request) -> Response:
        return self._page(request, self.state.pubsub.subscriptions, "subscriptions")

    async def list_time_series(self, request: Request) -> Response:
        metric = _METRIC.search(request.query_params.get("filter", ""))
        if metric is None or "interval.endTime" not in request.query_params:
            field = "filter" if metric is None else "interval.end_time"
            return JSONResponse(error_body(400, f"Field {field} had an invalid value: a value is required."), 400)
        series = self.state.pubsub.time_series(self.state.project, metric[1], self.state.clock.now())
        return self._page(request, list(series), "timeSeries")

    def _page(self, request: Request, items: list[dict[str, Any]], key: str) -> Response:
        if request.path_params["project"] != self.state.project:
            return JSONResponse(error_body(403, "User not authorized to perform this action."), 403)
        params = request.query_params
        try:
            return JSONResponse(page(items, key, params.get("pageSize", ""), params.get("pageToken", "")))
        except RequestRefused as error:
            return JSONResponse(error_body(error.status, error.message), error.status)
